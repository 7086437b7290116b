"""When, by the server's clock, an attempt's run can have been created, whatever ours did."""

from __future__ import annotations

import pytest

from bulk.model import AttemptTimes, ClockSample, Instant
from bulk.reconcile.server_clock import DEAD_S, LATE_OTHERWISE_S, SLACK_S, ServerClock

AHEAD_S = 1_000.0  # the server's clock against ours


def a_sample(
    at: float, attempt_id: int, *, wall_step: float = 0.0, session: int = 1
) -> ClockSample:
    """An answer that took 0.1 s, its `Date` cut to whole seconds; `at` on the steady clock."""
    server = float(int(at + AHEAD_S))
    sent, received = Instant(at + wall_step, at), Instant(at + 0.1 + wall_step, at + 0.1)
    return ClockSample(sent, received, server, attempt_id, session)


def lost(at: float, attempt_id: int, *, wall_step: float = 0.0, session: int = 1) -> AttemptTimes:
    sent, received = Instant(at + wall_step, at), Instant(at + 2.0 + wall_step, at + 2.0)
    return AttemptTimes(attempt_id, session, sent, received, 2.0)


def test_dates_narrow_the_difference_down() -> None:
    clock = ServerClock([a_sample(10.0 + number * 0.3, number) for number in range(10)])
    window = clock.window(lost(20.0, 11))
    truth = 20.0 + AHEAD_S
    assert truth - SLACK_S - 1.0 <= window.opens <= truth - SLACK_S
    latest = truth + 2.0 + SLACK_S + LATE_OTHERWISE_S
    assert latest <= window.closes <= latest + 1.0


@pytest.mark.parametrize("step", [-3_600.0, 3_600.0, 40.0])
def test_the_window_is_right_if_the_wall_clock_was_set_before_the_attempt(step: float) -> None:
    clock = ServerClock([a_sample(10.0, 1)])
    window = clock.window(lost(20.0, 2, wall_step=step))
    assert window.contains(20.0 + AHEAD_S)
    assert window.contains(22.0 + AHEAD_S)


def test_the_window_is_right_if_the_machine_slept_before_the_attempt() -> None:
    """The steady clock stopped for an hour; the wall clock did not."""
    clock = ServerClock([a_sample(10.0, 1)])
    window = clock.window(lost(20.0, 2, wall_step=3_600.0))
    assert window.contains(20.0 + AHEAD_S + 3_600.0)


def test_the_window_is_right_if_the_machine_slept_during_the_attempt() -> None:
    clock = ServerClock([a_sample(10.0, 1), a_sample(30.0, 3, wall_step=3_600.0)])
    slept = AttemptTimes(2, 1, Instant(20.0, 20.0), Instant(3_622.0, 22.0), 2.0)
    window = clock.window(slept)
    assert window.contains(20.0 + AHEAD_S)
    assert window.contains(20.0 + AHEAD_S + 3_602.0)


def test_an_attempt_without_an_end_may_have_taken_longer_than_any_answer() -> None:
    dead = AttemptTimes(2, 1, Instant(20.0, 20.0))
    quick = ServerClock([a_sample(10.0, 1)]).window(dead)
    assert quick.contains(20.0 + DEAD_S + AHEAD_S)
    assert not quick.contains(20.0 + 79.0 + AHEAD_S)
    late = ClockSample(Instant(5.0, 5.0), Instant(45.0, 45.0), 5.0 + AHEAD_S, 1, 1)
    assert ServerClock([late]).window(dead).contains(20.0 + 79.0 + AHEAD_S)


def test_a_process_that_was_stopped_may_have_sent_it_until_the_next_one_began() -> None:
    dead = AttemptTimes(2, 1, Instant(20.0, 20.0))
    samples = [a_sample(10.0, 1), a_sample(9_000.0, 3, session=4), a_sample(9_900.0, 4, session=4)]
    window = ServerClock(samples).window(dead)
    assert window.contains(20.0 + AHEAD_S)
    assert not window.contains(5_000.0 + AHEAD_S)
    assert window.contains_late(5_000.0 + AHEAD_S)
    assert window.contains_late(9_000.0 + DEAD_S + AHEAD_S)
    assert not window.contains_late(9_100.0 + AHEAD_S)
    assert window.over_at > 9_000.0 + DEAD_S + AHEAD_S
    alone = ServerClock([a_sample(10.0, 1)]).window(dead)
    assert not alone.clock_known, "it is not known when the process was dead"


def test_an_attempt_that_ended_was_sent_before_its_end() -> None:
    clock = ServerClock([a_sample(10.0, 1), a_sample(9_000.0, 3, session=4)])
    window = clock.window(lost(20.0, 2))
    assert window.over_at == window.closes
    assert not window.contains_late(5_000.0 + AHEAD_S)


def test_a_sample_from_another_process_does_not_count() -> None:
    clock = ServerClock([a_sample(10.0, 1, session=1)])
    assert not clock.window(lost(20.0, 2, session=2)).clock_known
    assert clock.window(lost(20.0, 2, session=1)).clock_known


def test_a_gateways_time_out_waits_longest() -> None:
    clock = ServerClock([a_sample(10.0, 1)])
    plain = lost(20.0, 2)
    timed_out = AttemptTimes(2, 1, plain.sent, plain.received, 2.0, "gateway_timeout")
    assert clock.window(timed_out).closes > clock.window(plain).closes + 60.0
