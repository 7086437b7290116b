"""The sustained rate, from when requests were refused."""

from __future__ import annotations

from bulk.pacing.sustained import Sustained


def rising(since: float, count: int, in_s: float) -> list[float]:
    """So many instants in such a time, ever closer."""
    return [since + in_s * (number / count) ** 0.5 for number in range(1, count + 1)]


def refuse(known: Sustained, at: float, pace: float | None) -> None:
    known.refused(
        at,
        under_way=(),
        jitter_s=0.01,
        started_at=0.0,
        surprising=0,
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
