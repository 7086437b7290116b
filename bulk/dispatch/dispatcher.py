"""The one trio nursery, its workers, and the way of a trigger through them.

The way of a trigger:

    next in line -> pacing allows it -> intent durable -> pacing confirms -> POST -> answer judged
      -> outcome durable, or back to where its test is next in line -> counted

A fixed set of workers takes triggers from the journal as they come up. Only one of them at a time
stands at the gate, where it waits for what pacing allows; all others queue behind it, so that
nothing wakes up in a herd. The only loop is "429, or never sent -> front of its test's line".

Whatever happens, a trigger whose intent is durable ends in one of three ways: its outcome is
durable; its intent is withdrawn because nothing was sent; or the process dies, and the open intent
says so to the next one.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import replace

import trio

from bulk.dispatch.stopping import Stopping
from bulk.dispatch.terms import DispatchEnd, DispatchSettings, LeaveNow, ProgressLine
from bulk.dispatch.trigger_queue import TriggerQueue, WaitingTrigger
from bulk.errors import StorageError
from bulk.http.answers import (
    Answer,
    Pace,
    Verdict,
    judge,
)
from bulk.http.client import Client
from bulk.http.rate_limit_headers import read_rate_limit_headers
from bulk.journal import AttemptEnded, GroupCommit, Intent, Pending, Withdrawn
from bulk.journal.tally import Tally
from bulk.model import FailureCode, Outcome, StopCode
from bulk.pacing import AnotherTest, Controller, Decision, Observation, Send, Stop

INTENT_LEAD_S = 0.02  # an intent takes a few milliseconds to become durable
WAKES_LATE_S = 5.0  # the machine slept, or the process was stopped: what was decided is too old
PROGRESS_S = 0.25  # often enough to look alive


class Dispatcher:
    """One process's work on one batch. Build it, then call `run` once."""

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
        """`run_ids` are those that answers gave; `wall` gives seconds since the epoch."""
        self._journal = journal
        self._client = client
        self._controller = controller
        self._settings = settings
        self._tally = tally
        self._next_attempt_id = first_attempt_id
        self._run_ids = run_ids
        self._progress = progress
        self._wall = wall
        self._line = TriggerQueue(journal)
        self._stopping = Stopping(
            drain_timeout_s=settings.drain_timeout_s,
            fail_fast=settings.fail_fast,
            on_stop=self._wake,
        )
        self._in_flight = 0
        self._gate = trio.Lock()
        self._changed = trio.Event()
        self._leave: StopCode | None = None
        self._everything: trio.CancelScope | None = None
        self._unsaved: list[tuple[str, str]] = []

    async def run(self) -> DispatchEnd:
        """Send what can be sent; return when nothing is under way any more.

        Raises LeaveNow on a second interrupt. All else is in the result, a failed journal too.
        """
        async with trio.open_nursery() as around:
            self._everything = around.cancel_scope
            around.start_soon(self._show_progress)
            async with trio.open_nursery() as workers:
                for number in range(min(self._settings.concurrency_max, max(1, self._tally.total))):
                    workers.start_soon(self._work, number % self._client.lanes)
            around.cancel_scope.cancel()
        if self._leave is not None:
            raise LeaveNow(self._leave)
        self._show()
        return DispatchEnd(
            self._tally, self._stopping.code, self._stopping.detail, tuple(self._unsaved)
        )

    def interrupt(self, code: StopCode) -> None:
        """The user wants to stop: at the first time drain what is under way, then leave at once."""
        if not self._stopping.interrupt(code):
            self._leave = code
            if self._everything is not None:
                self._everything.cancel()

    # --- the gate -------------------------------------------------------------------------------

    async def _work(self, lane: int) -> None:
        try:
            while (passed := await self._pass_gate()) is not None:
                await self._attempt(*passed, lane)
        except StorageError as error:
            self._stopping.stop_for(StopCode.STORAGE, str(error))

    async def _pass_gate(self) -> tuple[WaitingTrigger, Send] | None:
        """The next trigger and pacing's leave to send it; None when there is nothing more to do."""
        async with self._gate:
            while not self._stopping.asked:
                changed = self._changed
                decision = self._ask()
                if isinstance(decision, tuple):
                    return decision
                if isinstance(decision, AnotherTest):
                    if await self._line.read_on():
                        continue
                    if self._line.all_home:
                        if self._line.empty:
                            break
                        decision = decision.otherwise or decision
                if isinstance(decision, Stop):
                    self._stopping.stop_for(decision.code, decision.detail)
                    break
                with trio.move_on_at(decision.at):
                    await changed.wait()
        return None

    def _ask(self) -> tuple[WaitingTrigger, Send] | Decision:
        """A trigger and its leave to go, else what all in line have to wait for."""
        apart: list[AnotherTest] = []
        for waiting in self._line.firsts():
            test_id = waiting.pending.trigger.test_id
            decision = self._controller.ask(trio.current_time(), test_id)
            if isinstance(decision, Send):
                return self._line.take(test_id), decision
            if not isinstance(decision, AnotherTest):
                return decision
            apart.append(decision)
        stop = apart[0].otherwise if apart and all(one.otherwise for one in apart) else None
        return AnotherTest(min((one.at for one in apart), default=math.inf), stop)

    def _wake(self) -> None:
        self._changed.set()
        self._changed = trio.Event()

    # --- one attempt ----------------------------------------------------------------------------

    async def _attempt(self, waiting: WaitingTrigger, send: Send, lane: int) -> None:
        attempt_id = self._next_attempt_id
        self._next_attempt_id += 1
        again = False
        try:
            if await self._declare(waiting, send, attempt_id):
                again = await self._send(waiting, send.ticket, attempt_id, lane)
            else:
                again = True
        finally:
            if again:
                self._line.put_back(waiting)
            else:
                self._line.finish()
            self._wake()

    async def _declare(self, waiting: WaitingTrigger, send: Send, attempt_id: int) -> bool:
        """Make the intent durable just before its instant; False if nothing may leave after all."""
        may_leave = False
        try:
            await trio.sleep_until(send.at - INTENT_LEAD_S)
            if not self._stopping.asked:
                at = self._wall() + send.at - trio.current_time()
                number = waiting.attempts + 1
                intent = Intent(attempt_id, waiting.pending.seq, number, at, send.at)
                await self._journal.record(intent)
                may_leave = await self._confirmed(send)
                if not may_leave:
                    await self._journal.record(Withdrawn(attempt_id))
        finally:
            if not may_leave:
                self._controller.withdrawn(trio.current_time(), send.ticket)
        return may_leave

    async def _confirmed(self, send: Send) -> bool:
        decision = self._controller.confirm(trio.current_time(), send.ticket)
        if not isinstance(decision, Send):
            return False
        await trio.sleep_until(decision.at)
        return not self._stopping.asked and trio.current_time() <= decision.at + WAKES_LATE_S

    async def _send(self, waiting: WaitingTrigger, ticket: int, attempt_id: int, lane: int) -> bool:
        """POST it and make the end durable; whether the trigger has to be sent again."""
        sent, sent_at = trio.current_time(), self._wall()
        self._controller.sent(sent, ticket)
        waiting.attempts += 1
        self._in_flight += 1
        in_flight = self._in_flight
        try:
            answer = await self._post(waiting.pending, lane)
        finally:
            self._in_flight -= 1
        received, received_at = trio.current_time(), self._wall()
        verdict = self._own_run(judge(answer, waiting.pending.trigger.test_id))
        signals = read_rate_limit_headers(answer.headers, received_at)
        self._controller.answered(received, ticket, Observation(verdict.pace, signals))
        self._wake()
        outcome = self._outcome(waiting, verdict)
        ended = AttemptEnded(
            attempt_id=attempt_id,
            seq=waiting.pending.seq,
            end=_attempt_end(verdict),
            outcome=outcome,
            sent_at=sent_at,
            received_at=received_at,
            wait_ms=(sent - (sent if waiting.ready_at is None else waiting.ready_at)) * 1000,
            latency_ms=(received - sent) * 1000,
            in_flight=in_flight,
            http_status=answer.status,
            failure_code=verdict.failure_code,
            run_id=verdict.run_id,
            error=verdict.error,
            message=verdict.message,
            headers=answer.headers,
            steady_at=sent,
        )
        waiting.ready_at = received
        await self._make_durable(ended, waiting)
        self._tally = self._tally.plus(outcome)
        self._stopping.weigh(verdict, outcome, self._tally.queued)
        return outcome is None

    async def _post(self, pending: Pending, lane: int) -> Answer:
        drain = self._stopping.drain()
        try:
            return await self._client.trigger(pending.trigger, lane, drain)
        finally:
            self._stopping.drained(drain)

    def _own_run(self, verdict: Verdict) -> Verdict:
        """A run id has one owner: an answer with another trigger's is as good as none."""
        if verdict.run_id is None:
            return verdict
        if verdict.run_id in self._run_ids:
            return replace(
                verdict,
                end=Outcome.UNKNOWN,
                failure_code=FailureCode.BAD_RESPONSE,
                run_id=None,
                message=f"the server gave run id {verdict.run_id}, which another trigger has",
            )
        self._run_ids.add(verdict.run_id)
        return verdict

    def _outcome(self, waiting: WaitingTrigger, verdict: Verdict) -> Outcome | None:
        if verdict.end is not None:
            return verdict.end
        waiting.retries += 1
        if waiting.retries <= self._settings.retries_max:
            return None
        return Outcome.UNSENT if verdict.pace is Pace.UNREACHABLE else Outcome.THROTTLED

    async def _make_durable(self, ended: AttemptEnded, waiting: WaitingTrigger) -> None:
        try:
            await self._journal.record(ended)
        except StorageError:
            if ended.run_id is not None:
                self._unsaved.append((waiting.pending.trigger.key, ended.run_id))
            raise

    # --- around the workers ---------------------------------------------------------------------

    async def _show_progress(self) -> None:
        while self._progress is not None:
            self._show()
            await trio.sleep(PROGRESS_S)

    def _show(self) -> None:
        if self._progress is not None:
            now = trio.current_time()
            self._progress.show(self._tally, self._controller.view(now), now)


def _attempt_end(verdict: Verdict) -> Outcome:
    if verdict.end is not None:
        return verdict.end
    return Outcome.UNSENT if verdict.pace is Pace.UNREACHABLE else Outcome.THROTTLED
