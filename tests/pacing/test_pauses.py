"""A pause alone: when its next probe leaves."""

from __future__ import annotations

from random import Random

from bulk.pacing.pauses import Pauses


def refused_at(now: float, fails: int) -> Pauses:
    pauses = Pauses(Random(1))
    pauses.begin(now, 0.1, None)
    for _ in range(fails):
        pauses.refused(None)
    return pauses


def test_soon_after_the_start_a_probe_waits_for_the_end_of_a_usual_window() -> None:
    assert 5.0 < refused_at(2.1, 3).guess(2.1, {0.0}, float("inf")) < 5.1


def test_late_in_a_batch_a_probe_does_not_wait_for_the_end_of_a_window_from_its_start() -> None:
    pauses = refused_at(204.5, 2)
    assert pauses.guess(204.5, {0.0}, float("inf")) < 208


def test_fruitless_probes_come_ever_later() -> None:
    now, waits = 204.5, []
    pauses = refused_at(now, 1)
    while now < 900:
        until = pauses.guess(now, {0.0}, float("inf"))
        waits.append(until - now)
        now = until
        pauses.refused(None)
    assert len(waits) <= 9
    assert waits[0] < 1
    assert waits[-1] > 100
