"""Cancelling in virtual time: its pace, its retries, and how an interrupt starts it."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Literal

import httpx
import pytest
import trio

from bulk.batch.running import BatchSettings, cancel_runs, run_batch
from bulk.batch.virtual import run_virtually
from bulk.dispatch import DispatchEnd, LeaveNow, ProgressLine
from bulk.dispatch.cancelling import UNANSWERED_MAX, CancelEnd
from bulk.journal import Journal
from bulk.journal.tally import Tally
from bulk.model import Outcome, StopCode, TriggerResult
from bulk.pacing import PaceView
from bulk.sandbox import Sandbox, SandboxTransport, parse_spec
from tests.virtual import T0, a_batch, some_triggers

LONG = "latency 60ms; runs queued 1h running 1s"  # none ends by itself
# What happens to a cancel request: answered with this status, its answer lost, or nothing.
Fate = int | Literal["lost"] | None


@dataclass
class FaultyTransport(httpx.AsyncBaseTransport):
    """A transport to a sandbox that fails some cancels: `fate` says which, by number from 1.

    It answers each GET of a run with the status `shows`, unless that is None.
    """

    sandbox: Sandbox
    fate: Callable[[int], Fate] = lambda number: None
    shows: int | None = None
    instants: list[float] = field(default_factory=list)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        inner = SandboxTransport(self.sandbox)
        if self.shows is not None and request.method == "GET":
            return httpx.Response(self.shows, stream=httpx.ByteStream(b"{}"))
        if not request.url.path.endswith("/cancel"):
            return await inner.handle_async_request(request)
        self.instants.append(trio.current_time())
        fate = self.fate(len(self.instants))
        if isinstance(fate, int):
            await trio.sleep(0.06)
            body = b'{"error": "fault", "message": "injected"}'
            return httpx.Response(fate, stream=httpx.ByteStream(body))
        answer = await inner.handle_async_request(request)
        if fate == "lost":
            await answer.aclose()
            raise httpx.ReadError("the connection was reset", request=request)
        return answer


@dataclass
class Batch:
    """A batch against one sandbox; virtual time continues from one step to the next."""

    path: Path
    spec: str
    count: int
    clock_s: float = 0.0

    def __post_init__(self) -> None:
        self.sandbox = Sandbox(parse_spec(self.spec), start_unix_s=T0)
        self.transport = FaultyTransport(self.sandbox)
        Journal.create(self.path, a_batch(), some_triggers(self.count)).close()

    def trigger(self, settings: BatchSettings, *interrupts: tuple[float, StopCode]) -> DispatchEnd:
        """Send its triggers, with interrupts after the given seconds."""
        began = self.clock_s

        async def interrupt() -> AsyncIterator[StopCode]:
            for after_s, code in interrupts:
                await trio.sleep_until(began + after_s)
                yield code
            await trio.sleep_forever()

        with Journal.open(self.path) as journal:
            done = run_virtually(
                run_batch,
                journal,
                self.sandbox,
                settings,
                t0_unix_s=T0,
                clock_s=began,
                interrupts=interrupt,
                transport=lambda: self.transport,
            )
        self.clock_s = done.clock_s
        return done.end

    def cancel(
        self, settings: BatchSettings | None = None, progress: ProgressLine | None = None
    ) -> CancelEnd:
        """Cancel its runs."""
        with Journal.open(self.path) as journal:
            done = run_virtually(
                cancel_runs,
                journal,
                self.sandbox,
                settings or BatchSettings(),
                t0_unix_s=T0,
                clock_s=self.clock_s,
                progress=progress,
                transport=lambda: self.transport,
            )
        self.clock_s = done.clock_s
        return done.end

    @property
    def results(self) -> list[TriggerResult]:
        """The triggers as the journal has them."""
        with Journal.open(self.path) as journal:
            return list(journal.results())

    @property
    def cancelled(self) -> Counter[str | None]:
        """How many runs have which result."""
        return Counter(result.cancelled for result in self.results)


@pytest.fixture
def batch_of(tmp_path: Path) -> Callable[..., Batch]:
    """Creates a batch whose triggers are all queued."""

    def make(count: int, spec: str = f"none; {LONG}") -> Batch:
        batch = Batch(tmp_path / "journal.sqlite", spec, count)
        batch.trigger(BatchSettings(on_unknown="report"))
        return batch

    return make


def test_a_limit_on_cancelling_is_found_and_obeyed(batch_of: Callable[..., Batch]) -> None:
    spec = f"token-bucket 10/s burst 5; scope all; headers retry-after; {LONG}"
    batch = batch_of(200, spec)
    began, throttled = batch.clock_s, batch.sandbox.truth.throttled
    end = batch.cancel()
    assert (end.runs, end.settled, end.stop) == (200, 200, None)
    assert batch.cancelled == {"yes": 200}
    took_s = batch.clock_s - began
    throttled = batch.sandbox.truth.throttled - throttled
    assert took_s < 25.0, f"200 at 10/s take 20 s, and it took {took_s}"
    assert throttled < 20


class Shown:
    """Remembers what a progress line showed: how many of how many."""

    def __init__(self) -> None:
        self.counts: list[tuple[int, int]] = []

    def show(self, tally: Tally, view: PaceView, now: float) -> None:
        self.counts.append((tally.done, tally.total))

    def say(self, line: str) -> None:
        raise AssertionError(line)


def test_progress_counts_the_runs_from_the_first_to_the_last(
    batch_of: Callable[..., Batch],
) -> None:
    shown = Shown()
    batch = batch_of(100)
    batch.transport.fate = lambda number: 400 if number % 10 == 0 else None
    batch.cancel(BatchSettings(rate_per_s=20.0), shown)
    assert {total for _, total in shown.counts} == {100}
    assert [done for done, _ in shown.counts] == sorted(done for done, _ in shown.counts)
    assert shown.counts[0][0] < 10
    assert shown.counts[-1][0] == 100
    assert len(shown.counts) > 15


def test_a_known_rate_is_never_exceeded(batch_of: Callable[..., Batch]) -> None:
    batch = batch_of(30)
    batch.cancel(BatchSettings(rate_per_s=5.0))
    gaps = [b - a for a, b in pairwise(batch.transport.instants)]
    assert min(gaps) >= 0.2 - 1e-9


def test_a_server_in_trouble_is_retried_with_growing_pauses(
    batch_of: Callable[..., Batch],
) -> None:
    batch = batch_of(1)
    batch.transport.fate = lambda number: 503 if number <= 3 else None
    assert batch.cancel().settled == 1
    sent = batch.transport.instants
    assert [round(b - a) for a, b in pairwise(sent)] == [1, 2, 4]
    assert batch.cancelled == {"yes": 1}


def test_a_cancel_whose_answer_was_lost_is_distinguished_from_a_run_that_had_ended(
    batch_of: Callable[..., Batch],
) -> None:
    batch = batch_of(20)
    batch.transport.fate = lambda number: "lost" if number % 3 == 0 else None
    assert batch.cancel().settled == 20
    assert batch.cancelled == {"yes": 20}


def test_a_run_that_ended_by_itself_before_the_retry_had_ended(
    batch_of: Callable[..., Batch],
) -> None:
    batch = batch_of(1, "none; latency 60ms; runs queued 0s running 0.5s")
    batch.transport.fate = lambda number: 502 if number == 1 else None
    assert batch.cancel().settled == 1
    assert batch.cancelled == {"had ended": 1}


def test_a_server_that_stays_down_stops_cancelling_and_the_rest_is_left_for_the_next_time(
    batch_of: Callable[..., Batch],
) -> None:
    batch = batch_of(100)
    batch.transport.fate = lambda number: 500
    end = batch.cancel(BatchSettings(concurrency_max=4))
    assert (end.stop, end.settled) == (StopCode.UNREACHABLE, 0)
    assert f"{UNANSWERED_MAX} runs in a row had no clear answer: HTTP 500" in end.detail
    tried = batch.cancelled["unclear"]
    assert UNANSWERED_MAX <= tried <= UNANSWERED_MAX + 4
    assert batch.cancelled == {"unclear": tried, None: 100 - tried}
    assert len(batch.transport.instants) <= 5 * tried
    batch.transport.fate = lambda number: None
    assert batch.cancel().settled == 100
    assert batch.cancelled == {"yes": 100}


def test_a_cancel_with_no_clear_answer_is_not_taken_for_ended_the_next_time(
    batch_of: Callable[..., Batch],
) -> None:
    batch = batch_of(1)
    batch.transport.fate = lambda number: "lost" if number == 1 else 500
    batch.cancel()
    assert batch.cancelled == {"unclear": 1}
    batch.transport.fate = lambda number: None
    batch.cancel()  # a 409, because the very first try took effect
    assert batch.cancelled == {"yes": 1}


def test_cancelling_again_after_a_process_was_killed_before_it_recorded_the_results(
    batch_of: Callable[..., Batch],
) -> None:
    batch = batch_of(20)
    before = batch.path.read_bytes()
    batch.cancel()
    batch.path.write_bytes(before)
    assert batch.cancel().settled == 20
    assert batch.cancelled == {"yes": 20}


@pytest.mark.parametrize(
    ("shows", "word"), [(404, "had ended"), (501, "had ended"), (500, "unclear"), (403, "unclear")]
)
def test_a_run_that_is_over_and_cannot_be_read_is_unclear_unless_the_server_shows_no_runs(
    batch_of: Callable[..., Batch], shows: int, word: str
) -> None:
    batch = batch_of(30)
    batch.transport.shows, batch.transport.fate = shows, lambda number: 409
    end = batch.cancel(BatchSettings(concurrency_max=4))
    if shows == 500:
        assert end.stop is StopCode.UNREACHABLE
        assert UNANSWERED_MAX <= batch.cancelled[word] <= UNANSWERED_MAX + 4
    else:
        assert batch.cancelled == {word: 30}
    batch.transport.shows = None
    if word == "unclear":
        batch.cancel()
        assert batch.cancelled["unclear"] == batch.cancelled.total(), (
            "because each is shown as running"
        )
    batch.transport.fate = lambda number: None
    batch.cancel()
    assert batch.cancelled == ({"had ended": 30} if word == "had ended" else {"yes": 30})


def test_a_rejected_key_stops_at_once_and_earlier_results_are_kept(
    batch_of: Callable[..., Batch],
) -> None:
    batch = batch_of(50)
    batch.transport.fate = lambda number: 401 if number > 7 else None
    end = batch.cancel(BatchSettings(concurrency_max=4))
    assert (end.stop, end.detail) == (StopCode.AUTH, "HTTP 401: injected")
    assert batch.cancelled == {"yes": 7, None: 43}
    assert len(batch.transport.instants) <= 7 + 4


@pytest.mark.parametrize(
    ("status", "result"), [(400, "refused"), (410, "not found"), (202, "unclear")]
)
def test_other_answers_have_a_result_each(
    batch_of: Callable[..., Batch], status: int, result: str
) -> None:
    batch = batch_of(3)
    batch.transport.fate = lambda number: status
    end = batch.cancel()
    assert (end.runs, end.settled, end.stop) == (3, 0, None)
    assert batch.cancelled == {result: 3}


def test_a_server_that_shows_a_run_but_cannot_cancel_it_is_an_older_version(
    batch_of: Callable[..., Batch],
) -> None:
    batch = batch_of(30)
    batch.transport.fate = lambda number: 404
    end = batch.cancel(BatchSettings(concurrency_max=4))
    assert end.stop is StopCode.ALL_REJECTED
    assert "the server cannot cancel runs (HTTP 404)" in end.detail
    assert batch.cancelled == {None: 30}
    assert len(batch.transport.instants) <= 4 + 1  # and once more of the run that it shows


def test_a_server_that_shows_a_run_late_is_not_taken_for_an_older_version(
    batch_of: Callable[..., Batch],
) -> None:
    batch = batch_of(1)
    batch.transport.fate = lambda number: 404 if number == 1 else None
    assert batch.cancel().stop is None
    assert batch.cancelled == {"unclear": 1}
    assert batch.cancel().settled == 1
    assert batch.cancelled == {"yes": 1}


def test_a_single_run_that_the_server_lost_does_not_stop_the_others(
    batch_of: Callable[..., Batch],
) -> None:
    batch = batch_of(30)
    batch.transport.fate = lambda number: 404 if number == 20 else None
    end = batch.cancel(BatchSettings(concurrency_max=4))
    assert (end.settled, end.stop) == (29, None)
    assert batch.cancelled == {"yes": 29, "not found": 1}


# --- on an interrupt -----------------------------------------------------------------------------

CANCEL = BatchSettings(on_interrupt="cancel")


def test_an_interrupt_cancels_during_the_drain(tmp_path: Path) -> None:
    spec = f"token-bucket 40/s burst 5; fault hang every 9th; {LONG}"
    batch = Batch(tmp_path / "journal.sqlite", spec, 400)
    batch.trigger(CANCEL, (3.0, StopCode.TERMINATED))
    queued = [result for result in batch.results if result.outcome is Outcome.QUEUED]
    assert len(queued) > 60
    assert {result.cancelled for result in queued} == {"yes"}
    assert batch.cancelled["yes"] == len(queued)
    assert 8.0 <= batch.clock_s < 8.5  # what hangs is drained for five seconds
    assert 3.0 <= batch.transport.instants[0] < 3.1
    assert (
        batch.transport.instants[-1] < 5.5
    )  # runs queued during the drain do not wait for its end


def test_a_second_interrupt_leaves_at_once_even_if_only_cancelling_continues(
    tmp_path: Path,
) -> None:
    batch = Batch(tmp_path / "journal.sqlite", f"token-bucket 40/s burst 5; {LONG}", 100)
    batch.transport.fate = lambda number: None if number == 1 else 503
    with pytest.raises(LeaveNow) as left:
        batch.trigger(CANCEL, (1.0, StopCode.INTERRUPTED), (3.0, StopCode.TERMINATED))
    assert left.value.code is StopCode.TERMINATED
    assert batch.cancelled["yes"] == 1
    assert 2.0 < max(batch.transport.instants) < 3.1
    batch.transport.fate = lambda number: None
    batch.clock_s = 4.0
    assert batch.cancel().stop is None
    assert batch.cancelled["yes"] == sum(one.outcome is Outcome.QUEUED for one in batch.results)


def test_the_end_says_why_an_interrupt_could_not_cancel(tmp_path: Path) -> None:
    batch = Batch(tmp_path / "journal.sqlite", f"token-bucket 40/s burst 5; {LONG}", 100)
    batch.transport.fate = lambda number: 403
    end = batch.trigger(CANCEL, (1.0, StopCode.INTERRUPTED))
    assert (end.stop, end.not_cancelled) == (StopCode.INTERRUPTED, "HTTP 403: injected")
    assert batch.cancelled == {None: 100}


def test_detached_runs_are_left_alone(tmp_path: Path) -> None:
    batch = Batch(tmp_path / "journal.sqlite", "token-bucket 40/s burst 5; latency 60ms", 100)
    batch.trigger(BatchSettings(), (1.0, StopCode.INTERRUPTED))
    assert batch.transport.instants == []
    assert batch.cancelled == {None: 100}


def test_an_interrupt_during_reconciliation_cancels_the_queued_runs(tmp_path: Path) -> None:
    batch = Batch(tmp_path / "journal.sqlite", "none; latency 60ms; fault 500 first 2", 20)
    batch.trigger(CANCEL, (5.0, StopCode.INTERRUPTED))
    assert batch.cancelled == {"yes": 18, None: 2}
    assert 5.0 <= batch.transport.instants[0] < 5.1
    assert batch.clock_s < 7.0


def test_resuming_an_interrupted_batch_leaves_cancelled_runs_cancelled(tmp_path: Path) -> None:
    batch = Batch(tmp_path / "journal.sqlite", "token-bucket 40/s burst 5; latency 60ms", 100)
    batch.trigger(CANCEL, (1.0, StopCode.INTERRUPTED))
    cancelled = batch.cancelled["yes"]
    batch.trigger(BatchSettings())
    assert {result.outcome for result in batch.results} == {Outcome.QUEUED}
    assert batch.cancelled == {"yes": cancelled, None: 100 - cancelled}
