"""What bursts tell of a rate and of what a limit saves up."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk.pacing.bursts import Burst, agreed, ahead


def burst_through(per_s: float, saves: float, pace: float) -> Burst:
    """What a full bucket lets through at a pace, until it refuses."""
    level, sends, at = saves, [], 0.0
    while level >= 1:
        level -= 1
        sends.append(at)
        at += 1 / pace
        level = min(saves, level + per_s / pace)
    return Burst(sends, at)


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
    found = agreed(
        [
            burst_through(per_s, saves, fast * per_s),
            burst_through(per_s, saves, slow * per_s),
        ]
    )
    assert found is not None
    assert found.per_s == pytest.approx(per_s, rel=0.01 + 3 / saves)


def test_bursts_that_are_alike_tell_no_rate() -> None:
    alike = [burst_through(10.0, 20, 100.0), burst_through(10.0, 20, 100.0)]
    assert agreed(alike) is None


def test_requests_ahead_of_the_rate_are_found_anywhere() -> None:
    sends = [0.0, 1.0, 2.0, 2.0, 2.0, 3.0, 4.0]
    assert ahead(sends, 1.0) == 3.0
    assert ahead([], 1.0) == 0.0
