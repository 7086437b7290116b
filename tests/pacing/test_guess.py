"""The first pace, when nothing is known but the opening."""

from __future__ import annotations

from bulk.pacing.guess import Guess


def test_it_hardly_exceeds_the_mean_speed_of_the_opening() -> None:
    guess = Guess(None)
    guess.opened(100, 1.0)
    guess.recovered(0.1, told=False)
    assert guess.per_s is not None
    assert 30 < guess.per_s < 35, "between one in the pause and the opening's speed"
    for count in range(1, 15):
        guess.accepted(count, count / 100)
    assert 100 < guess.per_s < 115
    for count in range(15, 25):
        guess.accepted(count, count / 100)
    assert guess.per_s < 125, "a tenth more with each would be 280"


def test_a_probe_that_is_refused_bounds_it() -> None:
    guess = Guess(None)
    guess.opened(2, 0.001)
    guess.recovered(0.4, told=False, most_per_s=10.0)
    assert guess.per_s is not None
    assert guess.per_s < 10.0, "the opening was far too short to tell a speed"


def test_a_long_pause_is_a_windows_and_bounds_no_rate() -> None:
    guess = Guess(None)
    guess.opened(120, 1.0)
    guess.recovered(15.0, told=False, most_per_s=0.1)
    assert guess.per_s is not None
    assert guess.per_s > 1.0
