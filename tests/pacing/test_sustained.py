"""The sustained rate, from when requests were refused."""

from __future__ import annotations

from bulk.pacing.sustained import Sustained


def rising(since: float, count: int, in_s: float) -> list[float]:
    """So many instants in such a time, ever closer."""
    return [since + in_s * (number / count) ** 0.5 for number in range(1, count + 1)]


def refuse(known: Sustained, at: float, pace: float | None, surprising: int = 0) -> None:
    known.refused(
        at,
        under_way=(),
        jitter_s=0.01,
        started_at=0.0,
        surprising=surprising,
        cheap=True,
        pace=pace,
    )


def test_what_passed_from_nothing_to_nothing_is_the_least_that_is_sustained() -> None:
    """Two bursts of equal shape would also be read as a low rate that saves up all of them."""
    known = Sustained(None, 0.0)
    for at in rising(0.0, 270, 3.4):
        known.accepted(at, paced=False)
    refuse(known, 3.5, None)
    known.recovered(0.2, told=False)
    for at in rising(3.7, 260, 2.5):
        known.accepted(at, paced=True)
    refuse(known, 6.25, 200.0)
    assert known.estimate is not None
    assert known.estimate >= 0.99 * 260 / (6.25 - 3.5)


def test_after_a_surprise_the_rate_is_between_what_passed_in_all_and_of_late() -> None:
    """Of late what was saved up was spent: at that pace the next refusals come at once."""
    known = Sustained(None, 0.0)
    refuse(known, 1.0, None)
    for at in range(100):
        known.accepted(1.05 + 0.1 * at, paced=True)
    refuse(known, 11.0, 10.0)
    for at in range(400):
        known.accepted(11.05 + 0.1 * at, paced=True)
    for at in range(60):
        known.accepted(51.05 + 0.005 * at, paced=True)
    refuse(known, 51.35, 200.0, surprising=60)
    assert known.estimate is not None
    assert 12 < known.estimate < 60
