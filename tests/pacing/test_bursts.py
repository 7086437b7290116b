"""What bursts tell of a rate and of what a limit saves up."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk.pacing.bursts import Burst, ahead, emptied, readings, saves


def burst_through(per_s: float, saves: float, pace: float) -> Burst:
    """What a full bucket lets through at a pace, until it refuses."""
    level, sends, at = saves, [], 0.0
    while level >= 1:
        level -= 1
        sends.append(at)
        at += 1 / pace
        level = min(saves, level + per_s / pace)
    return Burst(sends, at, pace=pace)


def test_a_burst_tells_what_was_saved_up_beyond_the_rate() -> None:
    burst = Burst([0.0, 0.1, 0.2, 0.3], 0.4)
    assert burst.saved(0.0) == (4.0, 0.4)
    assert burst.saved(5.0) == pytest.approx((2.0, 0.4))


def test_of_a_slow_start_only_the_fast_end_matters() -> None:
    burst = Burst([0.0, 10.0, 20.0, 20.1, 20.2], 20.3)
    assert burst.saved(5.0) == pytest.approx((1.5, 0.3))


def test_a_burst_of_nothing_says_that_one_may_pass() -> None:
    assert Burst([], 3.0).saved(7.0) == (1.0, 0.0)


@given(
    per_s=st.floats(2.0, 100.0),
    saves=st.integers(30, 200),
    fast=st.floats(8.0, 12.0),
    slow=st.floats(1.1, 1.3),
)
def test_two_bursts_at_different_paces_tell_the_rate(
    per_s: float, saves: int, fast: float, slow: float
) -> None:
    bursts = [
        burst_through(per_s, saves, fast * per_s),
        burst_through(per_s, saves, slow * per_s),
    ]
    found = readings(bursts, 0.0)
    assert any(one.low / 1.01 <= per_s <= one.high * 1.01 for one in found)
    assert found[0].span.per_s == pytest.approx(per_s, rel=0.02 + 3 / saves)


def test_bursts_that_are_alike_tell_hardly_a_rate() -> None:
    alike = [burst_through(10.0, 20, 100.0), burst_through(10.0, 20, 100.0)]
    found = readings(alike, 0.0)
    assert found[0].low < 0.1
    assert found[0].high > 10.0


def test_a_burst_after_an_empty_bucket_tells_the_rate_by_its_number() -> None:
    # Nothing was left at 0, and 30 passed until the refusal at 10; the first burst saved up 50.
    sends = [5.0 + 5.0 * number / 30 for number in range(30)]
    bursts = [
        Burst([0.001 * number for number in range(50)], 0.05),
        Burst(sends, 10.0, emptied_at=0.0),
    ]
    found = readings(bursts, 0.0)
    assert found[0].low < 3.0 < found[0].high
    assert found[0].span.per_s == pytest.approx(3.0, rel=0.1)
    assert emptied(bursts, 3.0)
    assert not emptied(bursts, 6.0)


def test_no_rate_is_read_above_the_pace_that_was_refused() -> None:
    bursts = [burst_through(10.0, 20, 100.0), Burst([0.0, 0.1], 0.2, pace=12.0)]
    assert all(one.high <= 12.0 * 1.11 for one in readings(bursts, 0.02))


def test_jitter_makes_readings_wider() -> None:
    bursts = [burst_through(10.0, 20, 100.0), burst_through(10.0, 20, 12.0)]
    sharp, blurred = readings(bursts, 0.0)[0], readings(bursts, 0.2)[0]
    assert blurred.high - blurred.low > sharp.high - sharp.low


def test_bursts_of_different_limits_have_no_reading() -> None:
    bursts = [burst_through(10.0, 20, 11.0), burst_through(40.0, 80, 44.0)]
    assert readings(bursts, 0.0) == []


def test_what_is_saved_up_is_told_by_the_bursts_that_began_with_all_of_it() -> None:
    bursts = [
        burst_through(10.0, 20, 100.0),
        Burst([1.0, 1.1, 1.2], 1.3, emptied_at=1.0),
    ]
    assert saves(bursts, 10.0) == pytest.approx(20.0, abs=1.0)


def test_requests_ahead_of_the_rate_are_found_anywhere() -> None:
    sends = [0.0, 1.0, 2.0, 2.0, 2.0, 3.0, 4.0]
    assert ahead(sends, 1.0) == 3.0
    assert ahead([], 1.0) == 0.0
