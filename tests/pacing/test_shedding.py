"""Refusals by chance: told from a limit's by what comes right after them."""

from __future__ import annotations

from bulk.pacing.shedding import AT_ONCE, MANY, ROW_MIN, SOON, TESTS, Shedding

TRIP_S = 0.01


def spiral(shedding: Shedding) -> None:
    """Refusals that come soon, each of which halves the rate."""
    for turn in range(ROW_MIN):
        for _ in range(10):
            shedding.accepted()
        assert not shedding.by_chance()
        shedding.counted(8.0 / 2**turn)


def known() -> Shedding:
    shedding = Shedding()
    spiral(shedding)
    for _ in range(TESTS):
        assert shedding.to_test(0.5, TRIP_S)
        found = [shedding.tested(passed=True) for _ in range(AT_ONCE)][-1]
    assert found
    for _ in range(20):
        shedding.accepted()
    return shedding


def test_a_spiral_is_put_to_the_test_only_where_a_test_tells() -> None:
    shedding = Shedding()
    spiral(shedding)
    assert not shedding.to_test(100.0, TRIP_S), "one more comes up in a round trip"
    assert not shedding.to_test(None, TRIP_S)
    assert shedding.to_test(1.0, TRIP_S)


def test_refusals_far_from_each_other_are_no_spiral() -> None:
    shedding = Shedding()
    for turn in range(3 * ROW_MIN):
        for _ in range(SOON):
            shedding.accepted()
        shedding.counted(8.0 / 2**turn)
    assert not shedding.to_test(0.5, TRIP_S)


def test_a_first_guess_that_was_too_high_is_no_spiral() -> None:
    shedding = Shedding()
    for rate in (5.0, 2.9, 2.6, 2.5, 2.5, 2.45, 2.4):
        shedding.counted(rate)
    assert not shedding.to_test(0.5, TRIP_S)


def test_a_rate_that_does_not_fall_is_no_spiral() -> None:
    shedding = Shedding()
    for _ in range(3 * ROW_MIN):
        shedding.counted(8.0)
    assert not shedding.to_test(8.0, TRIP_S)


def test_tests_in_vain_end_the_suspicion() -> None:
    shedding = Shedding()
    spiral(shedding)
    for _ in range(TESTS):
        assert shedding.to_test(0.5, TRIP_S)
        assert not shedding.tested(passed=False)
    assert not shedding.to_test(0.5, TRIP_S)


def test_a_test_is_passed_by_two_in_a_row_for_a_bucket_lets_one_pass() -> None:
    shedding = Shedding()
    spiral(shedding)
    for _ in range(TESTS):
        assert shedding.to_test(0.5, TRIP_S)
        assert not shedding.tested(passed=True)
        assert shedding.testing, "one more has to pass"
        assert not shedding.tested(passed=False)
    assert not shedding.to_test(0.5, TRIP_S), "it was a limit each time"


def test_many_refusals_in_the_long_run_are_not_by_chance() -> None:
    shedding = known()
    counted = 0
    for _ in range(100):
        for _ in range(5):
            shedding.accepted()
        if not shedding.by_chance():
            counted += 1
    assert counted > 50, "one in six is a limit's"


def test_single_refusals_then_count_for_nothing_and_many_do() -> None:
    shedding = known()
    assert all(shedding.by_chance() for _ in range(MANY - 1))
    assert not all(shedding.by_chance() for _ in range(MANY))


def test_where_hardly_any_is_refused_they_count_again() -> None:
    shedding = known()
    assert shedding.by_chance()
    for _ in range(1_000):
        shedding.accepted()
    assert not shedding.by_chance()
