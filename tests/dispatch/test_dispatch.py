"""Dispatch in virtual time: the real dispatcher, client and journal, against a model server."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from bulk.batch.running import BatchSettings
from bulk.dispatch import LeaveNow
from bulk.errors import StorageError
from bulk.journal import AttemptEnded, Entry, Journal
from bulk.model import Outcome, StopCode
from tests.virtual import Outcomes, VirtualRun, some_triggers


def outcomes(came: Outcomes) -> Counter[str]:
    """How many results have which outcome and failure code."""
    return Counter(
        result.outcome if result.failure_code is None else f"{result.outcome} {result.failure_code}"
        for result in came.results
    )


def check_truth(run: VirtualRun, came: Outcomes) -> None:
    """The report and the server agree: each cell at most once, each run with its owner."""
    accepted = run.sandbox.truth.accepted
    cells = Counter(
        (run.test_id, run.platform, run.mode, run.device_model, run.app_id) for run in accepted
    )
    assert set(cells.values()) <= {1}, "a cell was accepted twice"
    assert len({result.trigger.key for result in came.results}) == len(came.results)
    ours = {result.run_id: result.trigger.test_id for result in came.results if result.run_id}
    theirs = {run.run_id: run.test_id for run in accepted}
    assert ours.items() <= theirs.items(), "a run id that the server does not know"
    unknown = sum(result.outcome is Outcome.UNKNOWN for result in came.results)
    assert len(theirs) - len(ours) <= unknown, "a run that nobody owns or suspects"


LIMITERS = [
    "none",
    "token-bucket 10/s burst 20",
    "strict-spacing 10/s",
    "queue 20/s",
    "fixed-window 50/10s",
    "sliding-window 50/10s",
    "sliding-counter 50/10s",
    "concurrency 6",
    "token-bucket 10/s burst 20 + concurrency 3",
    "token-bucket 10/s burst 20 until 3s then token-bucket 5/s burst 5",
    "token-bucket 2/s burst 3 per-test",
    "token-bucket 10/s burst 20 counting-refusals",
]


@pytest.mark.long
@pytest.mark.parametrize("limiter", LIMITERS)
@pytest.mark.parametrize("headers", ["none", "retry-after", "draft-current"])
def test_every_trigger_is_queued_once_under_every_limiter(
    tmp_path: Path, limiter: str, headers: str
) -> None:
    spec = f"{limiter}; headers {headers}; latency 60ms jitter 10ms"
    run = VirtualRun(tmp_path / "journal.sqlite", spec, some_triggers(120, tests=30))
    came = run.go()
    assert outcomes(came) == {"queued": 120}
    assert came.end.stop is None
    assert len(run.sandbox.truth.accepted) == 120
    check_truth(run, came)


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ("500 10%", "server_error"),
        ("500-queued 10%", "server_error"),
        ("504-queued 10%", "gateway_timeout"),
        ("reset-before 10%", "connection_lost"),
        ("reset-after 10%", "connection_lost"),
        ("hang-queued 5%", "read_timeout"),
        ("not-json 10%", "bad_response"),
        ("no-run-id 10%", "bad_response"),
        ("bad-run-id 10%", "bad_response"),
        ("truncated 10%", "connection_lost"),
        ("endless-body 5%", "bad_response"),
        ("not-http 10%", "connection_lost"),
    ],
)
def test_what_may_have_been_executed_is_unknown_and_never_sent_again(
    tmp_path: Path, fault: str, code: str
) -> None:
    spec = f"none; latency 50ms; fault {fault}; seed 4"
    run = VirtualRun(tmp_path / "journal.sqlite", spec, some_triggers(100))
    came = run.go()
    found = outcomes(came)
    assert set(found) == {"queued", f"unknown {code}"}
    assert sum(found.values()) == 100
    assert {result.attempts for result in came.results} == {1}
    check_truth(run, came)


def test_a_run_id_that_belongs_to_another_trigger_leaves_this_one_unknown(tmp_path: Path) -> None:
    spec = "none; latency 50ms; fault duplicate-run-id every 10th"
    # One at a time, so that the rightful owner comes first.
    settings = BatchSettings(concurrency_max=1, on_unknown="report")
    run = VirtualRun(tmp_path / "journal.sqlite", spec, some_triggers(100), settings)
    came = run.go()
    assert outcomes(came) == {"queued": 90, "unknown bad_response": 10}
    assert any(
        "which belongs to another trigger" in (result.message or "") for result in came.results
    )
    check_truth(run, came)


@pytest.mark.parametrize("fault", ["connect-refused 20%", "connect-hang 5%"])
def test_what_was_never_sent_is_sent_again(tmp_path: Path, fault: str) -> None:
    spec = f"none; latency 50ms; fault {fault}; seed 4"
    run = VirtualRun(tmp_path / "journal.sqlite", spec, some_triggers(100))
    came = run.go()
    assert outcomes(came) == {"queued": 100}
    assert any(attempt.failure_code == "connect_failed" for attempt in came.attempts)
    check_truth(run, came)


def test_an_unreachable_server_stops_the_batch_and_leaves_it_resumable(tmp_path: Path) -> None:
    spec = "none; fault connect-refused 100%"
    run = VirtualRun(tmp_path / "journal.sqlite", spec, some_triggers(50))
    came = run.go()
    assert came.end.stop is StopCode.UNREACHABLE
    assert outcomes(came) == {"unsent connect_failed": 50}
    assert len(run.sandbox.truth.accepted) == 0


def test_a_rejected_key_stops_the_batch_at_once(tmp_path: Path) -> None:
    spec = "none; latency 50ms; reject-key sk_test_canary"
    run = VirtualRun(tmp_path / "journal.sqlite", spec, some_triggers(200))
    came = run.go()
    assert came.end.stop is StopCode.AUTH
    assert outcomes(came) == {"unsent auth": 200}
    assert len(came.attempts) <= 4


def test_twenty_equal_rejections_before_any_acceptance_stop_the_batch(
    tmp_path: Path,
) -> None:
    triggers = some_triggers(300)
    ids = ",".join(trigger.test_id for trigger in triggers)
    run = VirtualRun(tmp_path / "j.sqlite", f"none; latency 50ms; unknown-tests {ids}", triggers)
    came = run.go()
    found = outcomes(came)
    assert came.end.stop is StopCode.ALL_REJECTED
    assert 20 <= found["rejected http_404"] <= 20 + 32
    assert found["unsent aborted"] == 300 - found["rejected http_404"]


def test_single_rejections_do_not_stop_the_rest(tmp_path: Path) -> None:
    triggers = some_triggers(100)
    ids = ",".join(trigger.test_id for trigger in triggers[1:60:2])
    run = VirtualRun(tmp_path / "j.sqlite", f"none; latency 50ms; unknown-tests {ids}", triggers)
    assert outcomes(run.go()) == {"queued": 70, "rejected http_404": 30}


def test_fail_fast_stops_at_the_first_failure(tmp_path: Path) -> None:
    triggers = some_triggers(100)
    spec = f"none; latency 50ms; unknown-tests {triggers[10].test_id}"
    settings = BatchSettings(fail_fast=True)
    came = VirtualRun(tmp_path / "j.sqlite", spec, triggers, settings).go()
    found = outcomes(came)
    assert came.end.stop is StopCode.FAIL_FAST
    assert found["rejected http_404"] == 1
    assert found["unsent aborted"] > 0


def test_a_quota_stops_the_batch_and_resuming_continues_from_there(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    first = VirtualRun(path, "quota 40; latency 50ms", some_triggers(100))
    came = first.go()
    assert came.end.stop is StopCode.QUOTA_EXHAUSTED
    assert outcomes(came) == {"queued": 40, "unsent quota_exhausted": 60}
    second = VirtualRun(path, "none; latency 50ms; seed 1")
    assert outcomes(second.go()) == {"queued": 100}
    assert len(second.sandbox.truth.accepted) == 60


def test_a_trigger_whose_retries_run_out_is_throttled(tmp_path: Path) -> None:
    spec = "token-bucket 1/s burst 1; latency 50ms"
    settings = BatchSettings(retries_max=0)
    came = VirtualRun(tmp_path / "j.sqlite", spec, some_triggers(8), settings).go()
    found = outcomes(came)
    assert found["queued"] >= 1
    assert found["throttled rate_limited"] == 8 - found["queued"]
    assert all(result.attempts == 1 for result in came.results)


def test_a_deadline_stops_sending_and_says_so(tmp_path: Path) -> None:
    spec = "token-bucket 1/s burst 5; latency 50ms; headers retry-after"
    settings = BatchSettings(deadline_s=20.0)
    came = VirtualRun(tmp_path / "j.sqlite", spec, some_triggers(100), settings).go()
    found = outcomes(came)
    assert came.end.stop is StopCode.DEADLINE
    assert 15 <= found["queued"] <= 25
    assert found["unsent deadline"] == 100 - found["queued"]
    assert came.took_s <= 20.1


def test_a_wait_longer_than_allowed_stops_resumably_and_without_waiting(tmp_path: Path) -> None:
    spec = "token-bucket 0.001/s burst 3; headers retry-after"
    settings = BatchSettings(wait_max_s=60.0)
    came = VirtualRun(tmp_path / "j.sqlite", spec, some_triggers(5), settings).go()
    assert came.end.stop is StopCode.RATE_LIMITED
    assert "--max-wait is 60 s" in came.end.stop_detail
    assert outcomes(came)["queued"] == 3
    assert came.took_s < 10


def test_a_pause_longer_than_the_deadline_stops_without_waiting_for_it(tmp_path: Path) -> None:
    spec = "fixed-window 10/100s phase 50s; latency 50ms; headers retry-after"
    settings = BatchSettings(deadline_s=20.0)
    came = VirtualRun(tmp_path / "j.sqlite", spec, some_triggers(30), settings).go()
    assert came.end.stop is StopCode.DEADLINE
    assert "has to be left alone" in came.end.stop_detail
    assert came.took_s < 1


def test_an_interrupt_drains_what_is_in_flight_and_keeps_the_rest(tmp_path: Path) -> None:
    run = VirtualRun(
        tmp_path / "journal.sqlite",
        "none; latency 1s",
        some_triggers(100),
        interrupts=((1.5, StopCode.INTERRUPTED),),
    )
    came = run.go()
    assert came.end.stop is StopCode.INTERRUPTED
    assert came.took_s == pytest.approx(2.0, abs=0.001)
    assert outcomes(came) == {"queued": 10, "unsent interrupted": 90}
    check_truth(run, came)
    run.interrupts = ()
    again = run.go()
    assert outcomes(again) == {"queued": 100}
    check_truth(run, again)


def test_a_drain_ends_after_its_time_and_what_it_cuts_off_is_unknown(tmp_path: Path) -> None:
    run = VirtualRun(
        tmp_path / "journal.sqlite",
        "none; latency 30s",
        some_triggers(100),
        interrupts=((1.0, StopCode.TERMINATED),),
    )
    came = run.go()
    assert came.took_s == pytest.approx(6.0, abs=0.001)
    assert outcomes(came) == {"unknown interrupted": 4, "unsent interrupted": 96}
    run.interrupts = ()
    again = run.go()
    assert outcomes(again) == {"unknown interrupted": 4, "queued": 96}
    check_truth(run, again)


def test_a_second_interrupt_leaves_at_once_and_the_journal_is_intact(tmp_path: Path) -> None:
    run = VirtualRun(
        tmp_path / "journal.sqlite",
        "none; latency 30s",
        some_triggers(20),
        interrupts=((1.0, StopCode.INTERRUPTED), (1.5, StopCode.TERMINATED)),
    )
    with pytest.raises(LeaveNow) as caught:
        run.go()
    assert caught.value.code is StopCode.TERMINATED
    run.interrupts = ()
    again = run.go()
    assert outcomes(again) == {"unknown interrupted": 4, "queued": 16}
    check_truth(run, again)


class FullDisk:
    """Makes a journal fail as on a full disk, for entries of one kind, from the nth on."""

    def __init__(self, kind: type[Entry], spare: int) -> None:
        self._kind = kind
        self._spare = spare

    def __call__(self, journal: Journal) -> Journal:
        stage = journal.stage

        def stages(entries: list[Entry]) -> None:
            self._spare -= sum(isinstance(entry, self._kind) for entry in entries)
            if self._spare < 0:
                raise StorageError("the journal failed: database or disk is full")
            stage(entries)

        journal.stage = stages  # type: ignore[assignment,method-assign]
        return journal


def test_a_disk_that_fills_up_stops_sending_and_hands_over_the_run_ids_it_holds(
    tmp_path: Path,
) -> None:
    run = VirtualRun(tmp_path / "journal.sqlite", "none; latency 50ms", some_triggers(100))
    came = run.go(FullDisk(AttemptEnded, 30))
    assert came.end.stop is StopCode.STORAGE
    assert "disk is full" in came.end.stop_detail
    recorded = {result.run_id for result in came.results if result.run_id}
    handed_over = {run_id for _, run_id in came.end.unsaved}
    assert recorded | handed_over == {accepted.run_id for accepted in run.sandbox.truth.accepted}
    assert len(run.sandbox.truth.accepted) < 100
    again = run.go()
    assert outcomes(again)["unknown interrupted"] == len(handed_over)
    check_truth(run, again)


def test_the_times_of_a_trigger_are_its_waits_and_its_latencies(tmp_path: Path) -> None:
    spec = "token-bucket 1/s burst 1; latency 100ms; headers retry-after"
    settings = BatchSettings(concurrency_max=1)
    came = VirtualRun(tmp_path / "j.sqlite", spec, some_triggers(2), settings).go()
    first, second = came.results
    assert (first.wait_ms, first.latency_ms, first.total_ms) == (0.0, 100.0, 100.0)
    assert (second.attempts, second.throttles) == (2, 1)
    assert second.latency_ms == pytest.approx(100.0)
    # Throttled after a round trip of 50 ms, with a Retry-After of 1 s; jitter adds up to 70 ms.
    assert second.wait_ms is not None
    assert 1000.0 <= second.wait_ms <= 1070.0
    assert second.total_ms == pytest.approx(second.wait_ms + 50.0 + 100.0)
