"""The plan alone: which windows it finds, and when a request fits them."""

from __future__ import annotations

import pytest

from bulk.pacing.plan import Plan
from bulk.pacing.told import Policy

TRIP_S = 0.05
UNTOLD = Policy()


def fill(plan: Plan, count: int, at: float, gap_s: float = 0.01) -> float:
    """Send so many from `at` on, all accepted; the instant behind the last."""
    for number in range(count):
        plan.sent(at + number * gap_s, probe=False)
        plan.accepted(at + number * gap_s)
    return at + count * gap_s


def refuse(plan: Plan, at: float) -> float | None:
    """A request that leaves at `at` is refused; when to probe."""
    plan.sent(at, probe=False)
    plan.history.uncounted(at, refused=True)
    if plan.known:
        return plan.refused(at, at + TRIP_S, TRIP_S, None)
    plan.noted(at, None)
    return None


def still_refused(plan: Plan, at: float) -> float | None:
    plan.sent(at, probe=True)
    plan.history.uncounted(at, refused=True)
    return plan.still_refused(at, at + TRIP_S, None)


def recover(
    plan: Plan, at: float, refused_at: float, *, telling: bool = True, policy: Policy = UNTOLD
) -> bool:
    plan.sent(at, probe=True)
    return plan.recovered(
        at,
        refused_at,
        trip_s=TRIP_S,
        jitter_s=0.0,
        per_s=None,
        telling=telling,
        policy=policy,
    )


def test_a_long_pause_makes_a_window_of_what_passed_before_it() -> None:
    plan = Plan()
    edge = fill(plan, 100, 0.0)
    refuse(plan, edge)
    assert still_refused(plan, 5.0) is None
    assert recover(plan, 10.02, edge)
    assert plan.sizes() == [(100, 10.0)]


def test_a_short_pause_is_no_windows_end() -> None:
    plan = Plan()
    edge = fill(plan, 100, 0.0)
    refuse(plan, edge)
    assert not recover(plan, edge + 0.2, edge)
    assert not plan.known


def test_as_many_after_a_short_pause_as_before_it_are_one_windows_each() -> None:
    plan = Plan()
    edge = fill(plan, 50, 0.0)
    refuse(plan, edge)
    still_refused(plan, edge + 0.1)
    assert not recover(plan, 0.7, edge), "its end came soon, as that of a fixed window may"
    refuse(plan, fill(plan, 49, 0.71))
    assert plan.refilled
    assert plan.begins == {0.7}
    assert recover(plan, 10.72, 1.2)
    assert plan.sizes() == [(50, 10.0)], "not 100: the first ones were of the window before"


def test_where_a_probe_passed_at_once_no_window_was_full() -> None:
    plan = Plan()
    edge = fill(plan, 50, 0.0)
    refuse(plan, edge)
    recover(plan, 0.7, edge)
    refuse(plan, fill(plan, 49, 0.71))
    assert not plan.refilled


def test_until_a_window_is_confirmed_half_of_it_may_be_its_limit() -> None:
    plan = Plan()
    edge = fill(plan, 100, 0.0)
    refuse(plan, edge)
    recover(plan, 10.02, edge)
    edge = fill(plan, 49, 10.03)
    assert plan.explains(edge, alone=True)
    assert not plan.explains(edge, alone=False)


def test_a_short_window_is_a_rate() -> None:
    plan = Plan()
    edge = fill(plan, 20, 0.0)
    refuse(plan, edge)
    assert not recover(plan, 1.02, edge)
    assert plan.average == (20, 1.0)


def a_plan() -> Plan:
    """A window of 100 in 10 s, of which the second has just been opened at 10.02."""
    plan = Plan()
    edge = fill(plan, 100, 0.0)
    refuse(plan, edge)
    recover(plan, 10.02, edge)
    return plan


def a_confirmed_plan() -> tuple[Plan, float]:
    """The same, three windows later, each of which ended when it was expected to."""
    plan, began = a_plan(), 10.02
    for _ in range(3):
        full_at = fill(plan, 99, began + 0.1)
        assert plan.test_at(full_at, began + 10.02, TRIP_S) is not None
        began += 10.02
        recover(plan, began, full_at)
    return plan, began


def test_each_window_may_be_filled_at_once_and_then_waits_for_the_next() -> None:
    plan = a_plan()
    assert plan.next_at(10.1, 0) < 10.1
    fill(plan, 99, 10.1)
    assert plan.next_at(11.2, 0) == pytest.approx(10.02 + 10 + 0.015)
    assert plan.next_at(11.2, 5) == pytest.approx(10.1 + 0.04 + 10 + 0.015)


def test_a_window_that_ends_later_than_thought_is_longer() -> None:
    plan = a_plan()
    fill(plan, 99, 10.1)
    until = refuse(plan, 20.05)
    assert until is not None
    still_refused(plan, until)
    still_refused(plan, 25.0)
    assert recover(plan, 40.03, 20.05)
    assert plan.sizes() == [(100, 30.0)]


def test_a_window_of_which_less_passes_has_a_lower_limit() -> None:
    plan = a_plan()
    edge = fill(plan, 59, 10.1)
    assert refuse(plan, edge) == pytest.approx(edge + TRIP_S + 2 * TRIP_S)
    still_refused(plan, edge + 0.3)
    assert recover(plan, 20.05, edge)
    assert plan.sizes() == [(60, 10.0)]


def test_a_window_that_is_open_for_one_request_only_was_none() -> None:
    plan = a_plan()
    assert refuse(plan, 10.2) is None
    assert not plan.known


def test_one_request_more_is_tried_now_and_then_and_raises_the_limit() -> None:
    plan, began = a_plan(), 10.02
    limits = []
    for _ in range(6):
        plan_full_at = fill(plan, 99, began + 0.1)
        while plan.next_at(plan_full_at, 0) < plan_full_at:
            plan_full_at = fill(plan, 1, plan_full_at, 0.1)
        limits.append(plan.sizes()[0][0])
        test_at = plan.test_at(plan_full_at, began + 10.02, TRIP_S)
        began += 10.02
        assert test_at is not None
        recover(plan, began, plan_full_at)
    assert limits[:3] == [100, 100, 100]
    assert limits[-1] > 110  # doubled with each success, within one window


def test_a_pause_far_longer_than_a_known_window_shows_another_around_it() -> None:
    plan, began = a_confirmed_plan()
    edge = fill(plan, 50, began + 0.1)
    refuse(plan, edge)
    for at in (edge + 0.3, began + 10.1, 60.2):
        still_refused(plan, at)
    assert recover(plan, 90.0, edge)
    assert [limit for limit, _ in plan.sizes()] == [100, 451]


def test_what_the_server_tells_of_a_limit_spares_finding_it_out() -> None:
    plan = Plan()
    fill(plan, 60, 0.0)
    edge = fill(plan, 60, 2.0)  # around the end of a fixed window
    refuse(plan, edge)
    assert recover(plan, 12.0, edge, policy=Policy(60, 10.0))
    assert plan.sizes() == [(60, 10.0)]


def test_a_limit_that_does_not_fit_what_passed_is_another_ones() -> None:
    plan = Plan()
    edge = fill(plan, 100, 0.0)
    refuse(plan, edge)
    assert recover(plan, 10.02, edge, policy=Policy(20, 60.0))
    assert plan.sizes() == [(100, 10.0)]


def test_one_of_many_that_leave_at_once_may_come_before_the_end() -> None:
    plan, began = a_confirmed_plan()
    fill(plan, 99, began + 0.1)
    turn = began + 10.02
    for _ in range(20):
        plan.sent(turn, probe=False)
    plan.history.uncounted(turn, refused=True)
    assert plan.refused(turn, turn + TRIP_S, TRIP_S, None) is not None
    assert recover(plan, turn + 0.15, turn)  # soon, and the others had passed
    assert plan.sizes() == [(100, 10.0)]
    assert plan.next_at(turn + 0.5, 0) < turn + 0.5  # there is room for the rest


def test_a_window_that_has_refused_is_tested_for_an_earlier_end_as_well() -> None:
    plan = Plan()
    edge = fill(plan, 100, 0.0)
    refuse(plan, edge)
    still_refused(plan, 5.0)
    recover(plan, 10.02, edge)
    edge = fill(plan, 99, 10.03)  # and the one that opened it
    refuse(plan, edge)
    until = still_refused(plan, edge + 0.1)
    assert until is not None
    assert until == pytest.approx(10.02 + 9.5, abs=0.1)
    end = still_refused(plan, until)
    assert end is not None
    assert end == pytest.approx(10.02 + 10.0, abs=0.1), "one test in each window"
