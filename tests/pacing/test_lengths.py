"""A window's length alone: what refusals, openings and hints make of it."""

from __future__ import annotations

import pytest

from bulk.pacing.lengths import Length, next_likely, usual


@pytest.mark.parametrize(
    ("short_s", "long_s", "likely_s"),
    [
        (8.0, 10.2, 10.0),  # a usual length
        (45.0, 73.0, 60.0),
        (2.0, 3.8, 3.0),  # a whole number of seconds
        (6.5, 7.4, 7.0),
        (3.1, 3.8, 3.8),  # neither
        (10.01, 10.2, 10.0),  # refused by jitter alone, for it opened soon after
        (30.02, 37.0, 37.0),
    ],
)
def test_the_likeliest_length_between_two_bounds(
    short_s: float, long_s: float, likely_s: float
) -> None:
    assert usual(short_s, long_s) == likely_s


def test_guesses_become_longer_at_whole_seconds_and_usual_lengths() -> None:
    lengths = [1.0]
    while lengths[-1] < 60:
        lengths.append(next_likely(lengths[-1]))
    assert {2.0, 3.0, 5.0, 10.0, 15.0, 20.0, 30.0, 60.0} <= set(lengths)
    assert len(lengths) < 15


def test_what_is_taken_for_likely_is_tested_once_a_little_before_its_end() -> None:
    length = Length(5.5, 10.1)
    assert length.s == 10.0
    assert length.test_s() == pytest.approx(9.5)
    length.refused(9.5)
    assert length.s == 10.0
    assert length.test_s() is None


def test_an_opening_at_the_test_makes_it_shorter() -> None:
    length = Length(5.5, 10.1)
    length.opened(9.5, tested=True)
    assert length.s == 9.0


def test_hints_spare_the_search_but_not_two_tests() -> None:
    untold, told = Length(1.0, 10.1), Length(1.0, 10.1, told_s=8.9)
    assert untold.test_s() == 5.0
    assert told.test_s() == 5.0, "the server's word alone says that it is longer"
    told.refused(5.0)
    assert told.test_s() == pytest.approx(9.5)


def test_a_window_that_opens_before_the_server_said_was_a_lie() -> None:
    length = Length(0.3, 60.4, told_s=58.0)
    assert length.test_s() == 30.0
    length.opened(30.0, tested=True)
    assert not length.believed
    assert length.s == 30.0
    length.told(88.0)
    assert length.s == 30.0


def test_a_hint_that_is_far_off_is_a_lie_and_is_not_believed_again() -> None:
    length = Length(1.0, 60.1, told_s=58.9)
    assert length.least_s == 58.9
    length.opened(20.0, tested=True)
    assert length.least_s == 1.0
    assert length.s == 20.0


def test_an_opening_sooner_than_refusals_allow_shows_a_fixed_window() -> None:
    length = Length(9.5, 10.1)
    length.opened(4.0, tested=False)
    assert length.fixed
    assert length.s == 10.0


def test_a_refusal_later_than_an_opening_shows_a_fixed_window_and_a_longer_one() -> None:
    length = Length(1.0, 5.02)  # its first beginning was met late
    length.refused(5.1)
    assert length.fixed
    length.refused(8.0)
    length.opened(10.02, tested=False)
    assert length.s == 10.0


def test_a_length_that_is_told_is_taken_and_where_it_opened_sooner_it_is_fixed() -> None:
    length = Length(2.0, 12.5, policy_s=90.0)
    assert length.s == 90.0
    assert length.fixed
    assert not Length(2.0, 90.02, policy_s=90.0).fixed


def test_an_opening_before_a_usual_length_that_was_tested_shows_a_fixed_window() -> None:
    length = Length(10.0, 20.06)
    length.refused(19.02)
    length.opened(19.55, tested=False)
    assert length.fixed
    assert length.s == 20.0


def test_an_opening_before_a_usual_length_that_was_not_tested_shortens_it() -> None:
    length = Length(10.0, 20.06)
    length.opened(19.55, tested=False)
    assert not length.fixed
    assert length.s == 19.0


def test_a_fixed_window_taken_for_longer_than_it_is_is_tested_as_well() -> None:
    length = Length(1.0, 5.02)
    length.refused(60.0)  # longer than what it opened after: fixed
    length.opened(91.0, tested=False)
    assert length.fixed
    test_s = length.test_s()
    assert test_s is not None
    assert 60.0 < test_s < length.s


def test_where_a_test_was_let_pass_by_an_end_that_came_early_it_is_a_little_longer() -> None:
    length = Length(10.0, 20.06)
    length.opened(14.02, tested=True)
    assert length.s == 14.0
    length.refused(14.05)
    assert length.s == 15.0
    length = Length(20.0, 44.0)
    length.opened(32.0, tested=True)
    length.refused(32.1)
    assert 32.1 < length.s < 35.0, "and not half as long again"
    length.refused(35.0)
    assert 37.0 < length.s < 41.0, "twice as much"
