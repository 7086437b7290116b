"""Sends a batch's triggers: a fixed set of workers, which take them from the queue.

The way of a trigger:

    first of the queue -> pacing permits it -> intent durable -> pacing confirms -> POST
      -> answer classified -> outcome durable, or back into the queue -> counted

The only loop is "429, or never sent -> back into the queue".

A trigger whose intent is durable always ends in one of three ways: its outcome is durable; its
intent is withdrawn because nothing was sent; or the process dies, and the next process finds the
open intent.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import trio

from bulk.dispatch.paced_gate import PacedGate, Permit
from bulk.dispatch.shell import ProgressLine, Shell
from bulk.dispatch.stopping import Stopping
from bulk.dispatch.trigger_queue import TriggerQueue, WaitingTrigger
from bulk.errors import StorageError
from bulk.http.answers import Answer, Classification, Pace, classify
from bulk.http.client import Client
from bulk.http.rate_limit_headers import read_rate_limit_headers
from bulk.journal import AttemptEnded, GroupCommit, Intent, Pending, Withdrawn
from bulk.journal.tally import Tally
from bulk.model import FailureCode, Outcome, StopCode
from bulk.pacing import Controller, Observation, Stop

INTENT_LEAD_S = 0.02  # an intent takes a few milliseconds to become durable


@dataclass(frozen=True, slots=True)
class DispatchSettings:
    """`retries_max` limits the resends of one trigger, after a 429 or a failed connection."""

    concurrency_max: int = 32
    retries_max: int = 20
    drain_timeout_s: float = 5.0
    fail_fast: bool = False


@dataclass(frozen=True, slots=True)
class DispatchEnd:
    """How dispatch ended. `unsaved`: key and run id of triggers that the journal failed to record.

    `not_cancelled`: why runs that the user wanted cancelled were not; empty if they were.
    """

    tally: Tally
    stop: StopCode | None = None
    stop_detail: str = ""
    unsaved: tuple[tuple[str, str], ...] = ()
    not_cancelled: str = ""


class Dispatcher:
    """One process's sending of one batch. Build it, then call `run` once."""

    def __init__(
        self,
        *,
        journal: GroupCommit,
        client: Client,
        controller: Controller,
        settings: DispatchSettings,
        tally: Tally,
        first_attempt_id: int,
        run_ids: set[str],
        progress: ProgressLine | None = None,
        wall: Callable[[], float] = time.time,
    ) -> None:
        """`run_ids` are those that answers gave so far; `wall` returns Unix time in seconds."""
        self._journal = journal
        self._client = client
        self._controller = controller
        self._settings = settings
        self._tally = tally
        self._next_attempt_id = first_attempt_id
        self._run_ids = run_ids
        self._progress = progress
        self._wall = wall
        self._queue = TriggerQueue(journal)
        self._gate = PacedGate(controller)
        self._stopping = Stopping(
            drain_timeout_s=settings.drain_timeout_s,
            fail_fast=settings.fail_fast,
            on_stop=self._gate.close,
        )
        self._shell = Shell(show=None if progress is None else self._show)
        self._in_flight = 0
        self._unsaved: list[tuple[str, str]] = []

    async def run(self) -> DispatchEnd:
        """Send what can be sent; return when nothing is in flight any more.

        Raises LeaveNow on a second interrupt. Everything else is in the result, a failed journal
        included.
        """
        await self._shell.run(self._run_workers)
        return DispatchEnd(
            self._tally, self._stopping.code, self._stopping.detail, tuple(self._unsaved)
        )

    def interrupt(self, code: StopCode) -> None:
        """The user wants to stop: the first time drain what is in flight, then leave at once."""
        if not self._stopping.interrupt(code):
            self._shell.leave(code)

    async def _run_workers(self) -> None:
        async with trio.open_nursery() as workers:
            for number in range(min(self._settings.concurrency_max, max(1, self._tally.total))):
                workers.start_soon(self._work, number % self._client.pools)

    async def _work(self, pool: int) -> None:
        try:
            while True:
                permit = await self._gate.next_permit(self._queue)
                if isinstance(permit, Stop):
                    self._stopping.stop_for(permit.code, permit.detail)
                if not isinstance(permit, Permit):
                    break
                await self._attempt(self._queue.take(permit.subject), permit, pool)
        except StorageError as error:
            self._stopping.stop_for(StopCode.STORAGE, str(error))

    # --- one attempt ----------------------------------------------------------------------------

    async def _attempt(self, waiting: WaitingTrigger, permit: Permit, pool: int) -> None:
        attempt_id = self._next_attempt_id
        self._next_attempt_id += 1
        again = False
        try:
            if await self._prepare(waiting, permit, attempt_id):
                again = await self._send(waiting, permit, attempt_id, pool)
            else:
                again = True
        finally:
            if again:
                self._queue.put_back(waiting)
            else:
                self._queue.finish()
            self._gate.ask_again()

    async def _prepare(self, waiting: WaitingTrigger, permit: Permit, attempt_id: int) -> bool:
        """Make the intent durable just before the permit's instant; whether to send it then."""
        confirmed = False
        try:
            await trio.sleep_until(permit.at - INTENT_LEAD_S)
            if not self._stopping.requested:
                at = self._wall() + permit.at - trio.current_time()
                number = waiting.attempts + 1
                intent = Intent(attempt_id, waiting.pending.seq, number, at, permit.at)
                await self._journal.record(intent)
                confirmed = await self._gate.confirm(permit)
                if not confirmed:
                    await self._journal.record(Withdrawn(attempt_id))
        finally:
            if not confirmed:
                self._gate.withdraw(permit)
        return confirmed

    async def _send(
        self, waiting: WaitingTrigger, permit: Permit, attempt_id: int, pool: int
    ) -> bool:
        """POST it and make the end durable; whether the trigger has to be sent again."""
        sent, sent_at = trio.current_time(), self._wall()
        self._gate.sent(permit)
        waiting.attempts += 1
        self._in_flight += 1
        in_flight = self._in_flight
        try:
            answer = await self._post(waiting.pending, pool)
        finally:
            self._in_flight -= 1
        received, received_at = trio.current_time(), self._wall()
        classification = self._own_run(classify(answer, waiting.pending.trigger.test_id))
        headers = read_rate_limit_headers(
            answer.headers, received_at, throttled=answer.status == 429
        )
        self._gate.answered(permit, Observation(classification.pace, headers))
        outcome = self._outcome(waiting, classification)
        ended = AttemptEnded(
            attempt_id=attempt_id,
            seq=waiting.pending.seq,
            end=_attempt_end(classification),
            outcome=outcome,
            sent_at=sent_at,
            received_at=received_at,
            wait_ms=(sent - (sent if waiting.ready_at is None else waiting.ready_at)) * 1000,
            latency_ms=(received - sent) * 1000,
            in_flight=in_flight,
            http_status=answer.status,
            failure_code=classification.failure_code,
            run_id=classification.run_id,
            error=classification.error,
            message=classification.message,
            headers=answer.headers,
            steady_at=sent,
        )
        waiting.ready_at = received
        await self._make_durable(ended, waiting)
        self._tally = self._tally.plus(outcome)
        self._stopping.consider(classification, outcome, self._tally.queued)
        return outcome is None

    async def _post(self, pending: Pending, pool: int) -> Answer:
        drain = self._stopping.drain()
        try:
            return await self._client.trigger(pending.trigger, pool, drain)
        finally:
            self._stopping.drained(drain)

    def _own_run(self, classification: Classification) -> Classification:
        """A run id has one owner: an answer with another trigger's run id counts as unknown."""
        if classification.run_id is None:
            return classification
        if classification.run_id in self._run_ids:
            return replace(
                classification,
                end=Outcome.UNKNOWN,
                failure_code=FailureCode.BAD_RESPONSE,
                run_id=None,
                message=f"the server gave run id {classification.run_id}, "
                "which belongs to another trigger",
            )
        self._run_ids.add(classification.run_id)
        return classification

    def _outcome(self, waiting: WaitingTrigger, classification: Classification) -> Outcome | None:
        """The trigger's outcome; None if it is to be sent again."""
        if classification.end is None:
            waiting.retries += 1
            if waiting.retries <= self._settings.retries_max:
                return None
        return _attempt_end(classification)

    async def _make_durable(self, ended: AttemptEnded, waiting: WaitingTrigger) -> None:
        try:
            await self._journal.record(ended)
        except StorageError:
            if ended.run_id is not None:
                self._unsaved.append((waiting.pending.trigger.key, ended.run_id))
            raise

    def _show(self) -> None:
        if self._progress is not None:
            now = trio.current_time()
            self._progress.show(self._tally, self._controller.view(now), now)


def _attempt_end(classification: Classification) -> Outcome:
    if classification.end is not None:
        return classification.end
    return Outcome.UNSENT if classification.pace is Pace.UNREACHABLE else Outcome.THROTTLED
