"""Reconciliation in virtual time: the real dispatcher, client and journal, and a model server."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from bulk.batch.running import BatchSettings
from bulk.model import Mode, Origin, Outcome, Platform, StopCode, Trigger
from bulk.sandbox.wire import Request
from tests.virtual import Outcomes, VirtualRun, some_triggers

RECONCILES = BatchSettings()


def a_run(path: Path, spec: str, triggers: list[Trigger], **settings: object) -> VirtualRun:
    return VirtualRun(path / "journal.sqlite", spec, triggers, replace(RECONCILES, **settings))  # type: ignore[arg-type]


def outcomes(came: Outcomes) -> Counter[str]:
    return Counter(result.outcome for result in came.results)


def accepted(run: VirtualRun) -> Counter[tuple[str | None, ...]]:
    return Counter(
        (one.test_id, one.platform, one.mode, one.device_model)
        for one in run.sandbox.truth.accepted
    )


def reads(run: VirtualRun) -> int:
    """How many requests were not triggers."""
    counts = run.sandbox.truth.counts
    return counts.requests - counts.accepted - counts.throttled - counts.faulted


@pytest.mark.long
def test_a_batch_of_two_thousand_that_loses_three_in_a_hundred_ends_with_each_queued_once(
    tmp_path: Path,
) -> None:
    spec = "token-bucket 50/s burst 50; latency 60ms jitter 15ms; seed 2"
    spec += "; fault reset-before 1.5%; fault reset-after 1.5%"
    run = a_run(tmp_path, spec, some_triggers(2_000))
    came = run.go()
    assert outcomes(came) == {"queued": 2_000}
    assert set(accepted(run).values()) == {1}
    assert {result.run_id for result in came.results} == {
        one.run_id for one in run.sandbox.truth.accepted
    }
    assert 20 <= sum(result.origin is Origin.ADOPTED for result in came.results) <= 45
    assert 20 <= sum(attempt.end == "absent" for attempt in came.attempts) <= 45


def test_what_was_executed_is_found_at_once(tmp_path: Path) -> None:
    run = a_run(tmp_path, "none; latency 50ms; fault 500-queued every 10th", some_triggers(100))
    came = run.go()
    assert outcomes(came) == {"queued": 100}
    assert came.took_s < 3.0


@pytest.mark.parametrize(
    ("fault", "least_s", "most_s"),
    [("500", 10, 25), ("504", 120, 140), ("hang", 120, 200)],  # the time-out itself takes a minute
)
def test_what_was_not_executed_is_sent_again_once_its_run_cannot_be_created_any_more(
    tmp_path: Path, fault: str, least_s: float, most_s: float
) -> None:
    run = a_run(tmp_path, f"none; latency 50ms; fault {fault} first 3", some_triggers(50))
    came = run.go()
    assert outcomes(came) == {"queued": 50}
    assert set(accepted(run).values()) == {1}
    assert least_s <= came.took_s <= most_s
    assert 10 <= came.facts.reconcile_s < came.took_s == came.facts.elapsed_s


def test_a_list_that_lags_is_waited_for(tmp_path: Path) -> None:
    """No run is listed until eight seconds after it was made, ours neither."""
    spec = "none; latency 50ms; runs listed 8s; fault 500-queued 10%; fault 500 10%; seed 3"
    run = a_run(tmp_path, spec, some_triggers(100))
    came = run.go()
    assert outcomes(came) == {"queued": 100}
    assert set(accepted(run).values()) == {1}


def test_a_list_that_never_shows_our_runs_proves_nothing(tmp_path: Path) -> None:
    spec = "none; latency 50ms; runs listed 24h; fault 500 first 3"
    run = a_run(tmp_path, spec, some_triggers(100))
    came = run.go()
    assert outcomes(came) == {"queued": 97, "unknown": 3}
    assert all(
        "shows 0 of" in (result.message or "") for result in came.results if not result.run_id
    )


def test_a_server_without_a_list_leaves_them_unknown(tmp_path: Path) -> None:
    run = a_run(tmp_path, "none; latency 50ms; legacy; fault 500 first 3", some_triggers(20))
    came = run.go()
    assert outcomes(came) == {"queued": 17, "unknown": 3}


def test_with_on_unknown_report_no_runs_are_listed(tmp_path: Path) -> None:
    spec = "none; latency 50ms; fault 500 first 3"
    run = a_run(tmp_path, spec, some_triggers(20), on_unknown="report")
    assert outcomes(run.go()) == {"queued": 17, "unknown": 3}
    assert reads(run) == 0


def test_no_runs_are_listed_if_no_answer_was_lost(tmp_path: Path) -> None:
    run = a_run(tmp_path, "token-bucket 10/s burst 5; latency 50ms", some_triggers(50))
    assert outcomes(run.go()) == {"queued": 50}
    assert reads(run) == 0


def test_repetitions_are_resolved_by_count(tmp_path: Path) -> None:
    cell = some_triggers(1)[0]
    triggers = [replace(cell, repetition=number) for number in range(1, 21)]
    spec = "none; latency 50ms; fault 500 20%; fault 500-queued 20%; seed 5"
    run = a_run(tmp_path, spec, triggers)
    came = run.go()
    assert outcomes(came) == {"queued": 20}
    assert len(run.sandbox.truth.accepted) == 20
    assert any(result.origin is Origin.BY_COUNT for result in came.results)


def test_a_run_of_someone_else_leaves_the_trigger_unknown_with_its_candidates(
    tmp_path: Path,
) -> None:
    triggers = some_triggers(20)
    run = a_run(tmp_path, "none; latency 50ms; fault 500-queued first 1", triggers)
    body = b'{"platform": "web", "mode": "fast"}'
    path = f"/v1/tests/{triggers[0].test_id}/runs"
    request = Request("POST", path, "", "Bearer sk_other", "application/json", body)
    run.sandbox.send(0.02, request)  # at the same time as our own first one, which fails
    came = run.go()
    result = came.results[0]
    assert result.outcome is Outcome.UNKNOWN
    assert len(result.candidates) == 2
    assert "2 runs could belong to 1 trigger" in (result.message or "")


def test_surplus_runs_of_a_gateway_that_repeats_requests_are_named(tmp_path: Path) -> None:
    triggers = some_triggers(20)
    run = a_run(tmp_path, "none; latency 50ms; fault 500 every 10th", triggers)
    body = b'{"platform": "web", "mode": "fast"}'
    path = f"/v1/tests/{triggers[4].test_id}/runs"
    run.sandbox.send(0.3, Request("POST", path, "", "Bearer k", "application/json", body))
    came = run.go()
    assert outcomes(came) == {"queued": 20}
    assert len(run.sandbox.truth.accepted) == 21
    (surplus,) = came.facts.surplus
    assert surplus not in {result.run_id for result in came.results}


def test_an_interrupt_ends_reconciliation_at_once(tmp_path: Path) -> None:
    run = a_run(tmp_path, "none; latency 50ms; fault 504 first 3", some_triggers(20))
    run.interrupts = ((20.0, StopCode.INTERRUPTED),)
    came = run.go()
    assert came.end.stop is StopCode.INTERRUPTED
    assert came.took_s == pytest.approx(20.0, abs=0.01)
    assert outcomes(came) == {"queued": 17, "unknown": 3}
    run.interrupts = ()
    assert outcomes(run.go()) == {"queued": 20}
    assert set(accepted(run).values()) == {1}


def test_a_stop_keeps_absent_triggers_from_being_sent_until_the_batch_is_resumed(
    tmp_path: Path,
) -> None:
    spec = "none; latency 50ms; fault 500 every 10th"
    run = a_run(tmp_path, spec, some_triggers(100), fail_fast=True)
    came = run.go()
    assert came.end.stop is StopCode.FAIL_FAST
    assert outcomes(came)["unknown"] == 0
    run.settings = RECONCILES
    assert outcomes(run.go()) == {"queued": 100}
    assert set(accepted(run).values()) == {1}


def test_reconcile_only_sends_nothing(tmp_path: Path) -> None:
    run = a_run(tmp_path, "none; latency 50ms; fault 500 first 3", some_triggers(20))
    run.settings = replace(RECONCILES, on_unknown="report")
    run.go()
    run.settings = replace(RECONCILES, reconcile_only=True)
    came = run.go()
    assert outcomes(came) == {"queued": 17, "unsent": 3}
    assert len(run.sandbox.truth.accepted) == 17


def test_listings_are_read_at_the_pace_of_their_own_limit(tmp_path: Path) -> None:
    spec = "token-bucket 5/s burst 5; scope all; latency 50ms; fault 500-queued 10%; seed 4"
    run = a_run(tmp_path, spec, some_triggers(100, tests=25))
    came = run.go()
    assert outcomes(came) == {"queued": 100}
    assert len(run.sandbox.truth.accepted) == 100


def test_one_list_serves_many_tests(tmp_path: Path) -> None:
    run = a_run(tmp_path, "none; latency 50ms; fault 500-queued 20%; seed 4", some_triggers(400))
    assert outcomes(run.go()) == {"queued": 400}
    assert reads(run) <= 6  # 80 tests with unknown triggers, 400 runs


def test_a_cell_without_a_mode_is_not_confused_with_one_that_has_a_mode(
    tmp_path: Path,
) -> None:
    test_id = some_triggers(1)[0].test_id
    triggers = [
        Trigger(test_id=test_id, platform=Platform.WEB, mode=mode, line=line)
        for line, mode in enumerate([None, *Mode], 2)
    ]
    run = a_run(tmp_path, "none; latency 50ms; fault 500-queued first 1", triggers)
    came = run.go()
    modes = {one.run_id: one.mode for one in run.sandbox.truth.accepted}
    for result in came.results:
        if result.origin is Origin.ANSWER:
            assert modes[result.run_id or ""] == result.trigger.mode
    assert len(run.sandbox.truth.accepted) == 3
