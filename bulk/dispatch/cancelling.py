"""Cancels the runs that a batch's triggers own, several at once, at a pace of its own.

Cancelling twice does no harm, so `asking` may repeat it. What came of each run is durable before it
counts; what had no clear answer is for the next time.
"""

from __future__ import annotations

import json
from collections import Counter, deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass

import trio

from bulk.dispatch import LeaveNow, ProgressLine, Stopping
from bulk.dispatch.paced_requests import NOT_OFFERED, Asked, PacedRequests
from bulk.errors import StorageError
from bulk.http.answers import Answer, judge
from bulk.http.client import Client
from bulk.journal import CancelAsked, GroupCommit, QueuedRun
from bulk.journal.tally import Tally
from bulk.model import CANCEL_SETTLED, Cancelled, StopCode
from bulk.pacing import Controller

SUBJECT = "cancel"  # what the controller takes all requests for
SILENT_MAX = 10  # runs in a row without a clear answer: the server is down, the rest can wait
READ_AGAIN_S = 0.5  # what the drain brings shall not wait for its end, which may come too late
GOING_ON = ("queued", "running")  # the statuses of a run that is not over
PROGRESS_S = 0.25  # often enough to look alive


@dataclass(frozen=True, slots=True)
class CancelEnd:
    """How cancelling ended. `runs` were to be cancelled, `settled` of them are or had ended.

    `stop`: why not all were asked, None where all were; `detail` says it in words.
    """

    runs: int
    settled: int
    stop: StopCode | None = None
    detail: str = ""


class Cancelling:
    """One process's cancelling of one batch's runs. Build it, call `run` once.

    `lanes` are those of the client's to use, one for each run that is asked about at once.
    """

    def __init__(
        self,
        *,
        journal: GroupCommit,
        client: Client,
        controller: Controller,
        lanes: Sequence[int],
        drain_timeout_s: float,
        wall: Callable[[], float],
        progress: ProgressLine | None = None,
        interrupts: AsyncIterator[StopCode] | None = None,
    ) -> None:
        self._journal = journal
        self._client = client
        self._controller = controller
        self._lanes = lanes
        self._progress = progress
        self._interrupts = interrupts
        self._asking = PacedRequests(controller, SUBJECT, wall=wall)
        self._stopping = Stopping(
            drain_timeout_s=drain_timeout_s, fail_fast=False, on_stop=self._asking.close
        )
        self._waiting: deque[QueuedRun] = deque()
        self._seen: set[int] = set()
        self._counts: Counter[Cancelled] = Counter()
        self._silent = 0
        self._probe = trio.Lock()
        self._offered = False  # the endpoint is known to exist
        self._leave: StopCode | None = None
        self._everything: trio.CancelScope | None = None

    async def run(self, all_queued: trio.Event | None = None) -> CancelEnd:
        """Cancel what can be cancelled, and what is queued until `all_queued` is set.

        Raises LeaveNow on a second interrupt. All else is in the result, a failed journal too.
        """
        async with trio.open_nursery() as around:
            self._everything = around.cancel_scope
            around.start_soon(self._watch_interrupts)
            around.start_soon(self._show_progress)
            while True:
                last = all_queued is None or all_queued.is_set()
                await self._cancel_all()
                if last or all_queued is None or self._stopping.asked:
                    break
                with trio.move_on_after(READ_AGAIN_S):
                    await all_queued.wait()
            around.cancel_scope.cancel()
        if self._leave is not None:
            raise LeaveNow(self._leave)
        self._show()
        settled = sum(self._counts[word] for word in CANCEL_SETTLED)
        return CancelEnd(len(self._seen), settled, self._stopping.code, self._stopping.detail)

    async def _cancel_all(self) -> None:
        """Cancel what is queued by now and was not asked about yet."""
        try:
            runs = await self._journal.uncancelled()
        except StorageError as error:
            self._stopping.stop_for(StopCode.STORAGE, str(error))
            return
        self._waiting.extend(run for run in runs if run.seq not in self._seen)
        self._seen.update(run.seq for run in runs)
        async with trio.open_nursery() as workers:
            for lane in self._lanes[: len(self._waiting)]:
                workers.start_soon(self._work, lane)

    async def _work(self, lane: int) -> None:
        try:
            while self._waiting and not self._stopping.asked:
                await self._cancel(self._waiting.popleft(), lane)
        except StorageError as error:
            self._stopping.stop_for(StopCode.STORAGE, str(error))

    # --- one run --------------------------------------------------------------------------------

    async def _cancel(self, run: QueuedRun, lane: int) -> None:
        asked = await self._ask(lambda drain: self._client.cancel(run.run_id, lane, drain))
        cancelled = await self._judge(run, asked)
        if cancelled is not None:
            await self._journal.record(CancelAsked(run.seq, run.run_id, cancelled))
            self._counts[cancelled] += 1

    async def _ask(self, send: Callable[[trio.CancelScope], Awaitable[Answer]]) -> Asked:
        """Ask, each time with a scope that ends with an interrupt's drain."""

        async def once() -> Answer:
            drain = self._stopping.drain()
            try:
                return await send(drain)
            finally:
                self._stopping.drained(drain)

        return await self._asking.ask(once)

    async def _judge(self, run: QueuedRun, asked: Asked) -> Cancelled | None:
        """What came of it; None where that is not known and nothing can have come of it either."""
        answer = asked.answer
        if answer is None:
            self._weigh_silence(asked)
            return Cancelled.UNCLEAR if asked.lost else None
        status = answer.status or 0
        stop = judge(answer).stop
        if stop is not None:  # a refused key, as a rule
            self._stopping.stop_for(stop, _said(answer))
            return None
        if status == 409:
            self._offered = True
            return await self._ended(run)
        self._silent = 0
        if 200 <= status < 300:
            self._offered = True
            return Cancelled.YES if _run_status(answer) == "cancelled" else Cancelled.UNCLEAR
        if status == 404 or status in NOT_OFFERED:
            return await self._unknown(run, answer)
        return Cancelled.NOT_FOUND if status == 410 else Cancelled.REFUSED

    def _weigh_silence(self, asked: Asked) -> None:
        if asked.stop is not None:
            self._stopping.stop_for(asked.stop, asked.why)
        elif not self._stopping.asked:
            self._silent += 1
            if self._silent >= SILENT_MAX:
                detail = f"{SILENT_MAX} runs in a row had no clear answer: {asked.why}"
                self._stopping.stop_for(StopCode.UNREACHABLE, detail)

    async def _ended(self, run: QueuedRun) -> Cancelled:
        """Of a run that is over: whether it was cancelled. A try of ours may have done so, although
        no answer says it and, where its process was killed, the journal neither.
        """
        asked = await self._show_run(run)
        if asked.answer is None:
            self._weigh_silence(asked)
            return Cancelled.UNCLEAR
        self._silent = 0
        status, now = asked.answer.status, _run_status(asked.answer)
        if status == 200 and now == "cancelled":
            return Cancelled.YES
        over = now not in GOING_ON if status == 200 else status in (404, *NOT_OFFERED)
        return Cancelled.HAD_ENDED if over else Cancelled.UNCLEAR

    async def _unknown(self, run: QueuedRun, answer: Answer) -> Cancelled | None:
        """Of a 404: whether it is the run that the server does not know, or the endpoint."""
        async with self._probe:
            offered: bool | None = False
            if answer.status == 404 and not self._offered:
                offered = await self._is_offered(run)
            if self._offered:  # as another run's answer may have shown meanwhile
                offered = True
            if self._stopping.asked:
                return None
            if offered is None:
                return Cancelled.UNCLEAR
            if offered:
                self._offered = True
                return Cancelled.NOT_FOUND
            self._stopping.stop_for(
                StopCode.ALL_REJECTED,
                f"the server cannot cancel runs (HTTP {answer.status}): it is an older one, or "
                "--base-url is wrong",
            )
            return None

    async def _is_offered(self, run: QueuedRun) -> bool | None:
        """Whether the server cancels runs, by what else it knows of them; None where that is open.

        One that shows the run, and then still knows of no cancelling, has no endpoint for it; one
        that has not even a list of runs is older than both.
        """
        shown = (await self._show_run(run)).answer
        if shown is not None and shown.status == 200:
            lane = self._client.aside
            again = await self._ask(lambda drain: self._client.cancel(run.run_id, lane, drain))
            gone = again.answer is not None and again.answer.status == 404
            return False if gone else None  # it was only late to know the run
        url = f"{self._client.base_url}/v1/runs?limit=1"
        listed = (await self._ask(lambda drain: self._client.get(url, drain=drain))).answer
        return None if listed is None else listed.status == 200

    async def _show_run(self, run: QueuedRun) -> Asked:
        url = f"{self._client.base_url}/v1/runs/{run.run_id}"
        return await self._ask(lambda drain: self._client.get(url, drain=drain))

    # --- around the workers ---------------------------------------------------------------------

    async def _watch_interrupts(self) -> None:
        if self._interrupts is None:
            return
        async for code in self._interrupts:
            if not self._stopping.interrupt(code):
                self._leave = code
                assert self._everything is not None
                self._everything.cancel()

    async def _show_progress(self) -> None:
        while self._progress is not None:
            self._show()
            await trio.sleep(PROGRESS_S)

    def _show(self) -> None:
        if self._progress is not None and self._seen:
            settled = sum(self._counts[word] for word in CANCEL_SETTLED)
            failed = self._counts.total() - settled
            tally = Tally(len(self._seen), queued=settled, rejected=failed)
            now = trio.current_time()
            self._progress.show(tally, self._controller.view(now), now)


def _run_status(answer: Answer) -> object:
    """The status that the answer gives a run; None where it gives none."""
    try:
        fields = json.loads(answer.body)
    except (ValueError, RecursionError):
        return None
    return fields.get("status") if isinstance(fields, dict) else None


def _said(answer: Answer) -> str:
    verdict = judge(answer)
    return f"HTTP {answer.status}: {verdict.message or verdict.error or 'no reason was given'}"
