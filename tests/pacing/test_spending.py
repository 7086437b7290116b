"""Whether refused requests use up turns of a rate, by itself."""

from __future__ import annotations

import pytest

from bulk.pacing.spending import Spending

PER_S, SAVES = 10.0, 8.0


class Bucket:
    """A token bucket, whose refused requests may take a token as well; answers come at once."""

    def __init__(self, *, counting: bool) -> None:
        self.counting = counting
        self.level, self.at = SAVES, 0.0

    def ask(self, now: float) -> bool:
        self.level = min(SAVES, self.level + PER_S * (now - self.at))
        self.at = now
        passes = self.level >= 1
        if passes or self.counting:
            self.level = max(-SAVES, self.level - 1)
        return passes


def send(spending: Spending, bucket: Bucket, at: float) -> bool:
    """One request; whether it passed."""
    if bucket.ask(at):
        spending.accepted(at, paced=True)
        return True
    spending.refused(at)
    return False


def mark(spending: Spending, at: float, jitter_s: float = 0.0) -> None:
    spending.marked(
        at,
        under_way=(),
        left_since=4,
        jitter_s=jitter_s,
        started_at=0.0,
        surprising=0,
        cheap=True,
        pace=20.0,
    )


def overshoot(
    spending: Spending, bucket: Bucket, now: float, *, gap: float = 0.5, jitter_s: float = 0.0
) -> float:
    """More than come up, until one is refused, and four more; the instant of the last."""
    while send(spending, bucket, now):
        now += gap / PER_S
    mark(spending, now, jitter_s)
    for _ in range(4):
        now += 0.001 / PER_S
        assert not send(spending, bucket, now)
    return now


def come_back(spending: Spending, bucket: Bucket, now: float) -> float:
    """Ask ever later until one passes; when the next may leave."""
    wait_s = 1.5 / PER_S
    while not send(spending, bucket, now := now + wait_s):
        wait_s *= 2
    return now + 0.5 / PER_S


@pytest.mark.parametrize("counting", [True, False])
def test_a_request_that_is_refused_too_late_shows_that_those_before_it_counted(
    counting: bool,
) -> None:
    spending, bucket = Spending(None, 0.0), Bucket(counting=counting)
    now = come_back(spending, bucket, overshoot(spending, bucket, 0.0))
    overshoot(spending, bucket, now)
    assert spending.counting is counting
    assert spending.in_a_row == (5 if counting else 1)
    assert spending.likely.estimate == pytest.approx(PER_S, rel=0.15)


def test_what_jitter_explains_shows_nothing() -> None:
    spending, bucket = Spending(None, 0.0), Bucket(counting=True)
    now = come_back(spending, bucket, overshoot(spending, bucket, 0.0, jitter_s=0.5))
    overshoot(spending, bucket, now, jitter_s=0.5)
    assert not spending.counting


def test_a_request_that_is_accepted_too_early_shows_that_those_before_it_did_not_count() -> None:
    spending, bucket = Spending(None, 0.0), Bucket(counting=False)
    spending.counting = True  # by mistake
    now = 0.0
    for _ in range(4):
        now = come_back(spending, bucket, overshoot(spending, bucket, now, gap=0.97))
    assert not spending.counting


def test_what_another_limit_held_back_shows_nothing() -> None:
    spending, bucket = Spending(None, 0.0), Bucket(counting=False)
    now = come_back(spending, bucket, overshoot(spending, bucket, 0.0))
    now = overshoot(spending, bucket, now)
    spending.refused(now + 30.0)  # by a window, say
    spending.rested(now + 30.0)
    bucket.ask(now + 30.0)
    overshoot(spending, bucket, now + 30.0)
    assert not spending.counting
