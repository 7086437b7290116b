"""The rate alone: what it learns from refusals, and whose turn it is by it."""

from __future__ import annotations

import pytest

from bulk.pacing.chance import Chance
from bulk.pacing.rate import Rate


class Bucket:
    """A token bucket that a rate is asked for turns by; answers come at once."""

    def __init__(self, per_s: float, saves: float) -> None:
        self.per_s, self.saves = per_s, saves
        self.level, self.at = saves, 0.0
        self.refused_at: list[float] = []
        self.accepted = 0

    def ask(self, now: float) -> bool:
        self.level = min(self.saves, self.level + self.per_s * (now - self.at))
        self.at = now
        if self.level < 1:
            self.refused_at.append(now)
            return False
        self.level -= 1
        self.accepted += 1
        return True


def drive(rate: Rate, bucket: Bucket, requests: int, now: float = 0.0) -> float:
    """Send so many requests by turns; the instant of the last."""
    for _ in range(requests):
        turn = rate.turn(now) if rate.pace is not None else now + 0.01  # what a network takes
        paced, now = turn > now, turn
        rate.take(now)
        if bucket.ask(now):
            rate.accepted(now, paced=paced)
        elif not rate.refused(now, now, under_way=(), left_since=0, jitter_s=0.0, started_at=0.0):
            edge, now = now, now + 1 / bucket.per_s
            while not bucket.ask(now):
                now += 0.5 / bucket.per_s
            rate.recovered(now, now - edge, told=False)
            rate.accepted(now, paced=False)
    return now


def drive_dearly(rate: Rate, bucket: Bucket, requests: int) -> float:
    """The same, where the server asks to be left alone for a second after each refusal."""
    now = 0.0
    while bucket.accepted < requests:
        turn = rate.turn(now) if rate.pace is not None else now + 0.005
        paced, now = turn > now, turn
        rate.take(now)
        if bucket.ask(now):
            rate.accepted(now, paced=paced)
            continue
        rate.refused(now, now, under_way=(), left_since=0, jitter_s=0.0, started_at=0.0)
        edge, now = now, now + 1
        assert bucket.ask(now)
        rate.accepted(now, paced=False)
        rate.recovered(now, now - edge, told=True)
    return now


@pytest.mark.parametrize("per_s", [0.5, 3.0, 10.0, 80.0])
@pytest.mark.parametrize("saves", [5.0, 20.0, 100.0])
def test_the_rate_of_a_bucket_is_found_at_hardly_a_refusal(per_s: float, saves: float) -> None:
    rate, bucket = Rate(), Bucket(per_s, saves)
    took_s = drive(rate, bucket, 3000)
    assert rate.estimate == pytest.approx(per_s, rel=0.005)
    least_s = (bucket.accepted - saves) / per_s
    assert took_s <= 1.03 * least_s
    assert len(bucket.refused_at) <= 25


def test_once_known_a_refusal_comes_every_four_hundred_requests() -> None:
    rate, bucket = Rate(), Bucket(10.0, 20.0)
    drive(rate, bucket, 10_000)
    late = [at for at in bucket.refused_at if at > 500]
    assert 300 <= 10 * (late[-1] - late[0]) / (len(late) - 1) <= 450


def test_a_limit_that_halves_is_followed_within_a_few_refusals() -> None:
    rate, bucket = Rate(), Bucket(20.0, 20.0)
    now = drive(rate, bucket, 2000)
    bucket.per_s, refusals = 10.0, len(bucket.refused_at)
    drive(rate, bucket, 500, now)
    assert rate.estimate == pytest.approx(10.0, rel=0.05)
    assert len(bucket.refused_at) - refusals <= 12


def test_a_limit_that_doubles_is_found_within_a_thousand_requests() -> None:
    rate, bucket = Rate(), Bucket(10.0, 20.0)
    now = drive(rate, bucket, 2000)
    bucket.per_s, bucket.saves = 20.0, 40.0
    drive(rate, bucket, 1000, now)
    assert rate.estimate == pytest.approx(20.0, rel=0.15)


def test_a_limit_that_ended_is_left_behind_within_a_few_hundred_requests() -> None:
    rate, bucket = Rate(), Bucket(10.0, 20.0)
    now = drive(rate, bucket, 2000)
    bucket.per_s, bucket.saves = 1e6, 1e6
    ended_at = drive(rate, bucket, 1000, now)
    assert ended_at - now <= 40  # it had been refused last 14 s before, and 40 s prove nothing
    assert rate.pace is not None
    assert rate.pace > 500


def test_a_pause_that_costs_more_than_is_saved_up_makes_the_pace_stay_below() -> None:
    rate, bucket = Rate(), Bucket(50.0, 5.0)
    now = drive(rate, bucket, 1000)
    estimate = rate.estimate
    assert estimate is not None
    rate.recovered(now + 1.0, 1.0, told=True)
    pace = rate.pace
    assert pace is not None
    assert 0.95 * estimate < pace < estimate


@pytest.mark.parametrize(
    ("per_s", "saves"), [(100.0, 10.0), (150.0, 50.0), (20.0, 5.0), (40.0, 1.0)]
)
def test_where_each_refusal_costs_a_second_a_handful_of_them_tells_the_rate(
    per_s: float, saves: float
) -> None:
    rate, bucket = Rate(), Bucket(per_s, saves)
    now = drive_dearly(rate, bucket, 10_000)
    assert len(bucket.refused_at) <= 8
    assert now <= 1.08 * (10_000 - saves) / per_s


def test_what_passed_before_a_pause_is_not_there_after_it() -> None:
    rates = []
    for passed in (0, 30):
        rate, bucket = Rate(), Bucket(10.0, 100.0)
        edge = drive(rate, bucket, 1000)
        rate.refused(edge, edge, under_way=(), left_since=0, jitter_s=0.0, started_at=0.0)
        for number in range(passed):
            rate.accepted(edge + 0.01 * number + 0.01, paced=False)
        now = edge + 5
        rate.accepted(now, paced=False)
        rate.recovered(now, 5.0, told=False)
        sends = 0
        while now < edge + 10:
            now = rate.turn(now)
            rate.take(now)
            sends += 1
        rates.append(sends)
    assert rates[0] - rates[1] == pytest.approx(30, abs=5)


def test_the_users_rate_is_never_exceeded() -> None:
    rate, bucket = Rate(10.0, 3), Bucket(100.0, 100.0)
    took_s = drive(rate, bucket, 500)
    assert took_s >= (500 - 3) / 10.0 - 0.2
    assert rate.pace == 10.0


def test_what_is_saved_up_in_a_pause_is_spent_at_twice_the_pace() -> None:
    rate, bucket = Rate(), Bucket(10.0, 20.0)
    edge = drive(rate, bucket, 1000)
    rate.refused(edge, edge, under_way=(), left_since=0, jitter_s=0.0, started_at=0.0)
    now = edge + 5
    rate.accepted(now, paced=False)
    rate.recovered(now, 5.0, told=False)
    began, sends = now, []
    while now < began + 1.0:
        now = rate.turn(now)
        rate.take(now)
        sends.append(now)
    assert len(sends) == pytest.approx(20, abs=2)


def test_a_chance_settles_where_the_share_of_refusals_is_its_step() -> None:
    chance = Chance(10.0, 8)
    since, refusals, requests = 0, 0, 40_000
    for number in range(requests):
        # One in a hundred is refused at 10 a second, and ever more above it.
        if chance.pace > 9.0 and number % max(2, int(100 * (11 - chance.pace))) == 0:
            chance.refused(since)
            since, refusals = 0, refusals + 1
        else:
            since += 1
            chance.accepted(since)
    assert 8.5 < chance.pace < 11.0
    assert refusals / requests < 0.015


def test_a_rate_that_is_refused_without_end_still_has_a_next_turn() -> None:
    """A pace that has become nothing would have none, and dividing by it none of anything."""
    rate = Rate()
    now = drive(rate, Bucket(2.0, 4.0), 60)
    for _ in range(4_000):
        now += 1.0
        rate.refused(now, now, under_way=(), left_since=0, jitter_s=0.0, started_at=0.0)
    assert now < rate.turn(now) < now + 3_600
