"""Cancels the runs of a batch's triggers, several at once, at their own pace.

Cancelling a run twice is safe, so `PacedRequests` may repeat the request. The result for each run
is durable before it is counted. A run without a clear answer is left for the next time.
"""

from __future__ import annotations

import json
from collections import Counter, deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial

import trio

from bulk.dispatch.paced_requests import NOT_OFFERED, PacedRequests, Reply
from bulk.dispatch.shell import ProgressLine, Shell
from bulk.dispatch.stopping import Stopping
from bulk.errors import StorageError
from bulk.http.answers import Answer, classify
from bulk.http.client import Client
from bulk.journal import CancelAsked, GroupCommit, QueuedRun
from bulk.journal.tally import Tally
from bulk.model import CANCEL_SETTLED, Cancelled, StopCode
from bulk.pacing import Controller

SUBJECT = "cancel"  # what the controller knows all requests by
UNANSWERED_MAX = 10  # runs in a row without a clear answer: the server is down, the rest can wait
READ_AGAIN_S = 0.5  # runs queued by the drain are not left until its end, which may never come
NOT_OVER = ("queued", "running")  # the statuses of a run that has not ended


@dataclass(frozen=True, slots=True)
class CancelEnd:
    """How cancelling ended. Of `runs` runs to cancel, `settled` are cancelled or had ended.

    `stop`: why not all were tried, None if they were; `detail` explains it to people.
    """

    runs: int
    settled: int
    stop: StopCode | None = None
    detail: str = ""


class Canceller:
    """One process's cancelling of one batch's runs. Build it, then call `run` once.

    It uses one worker for each entry of `pools`, which are the client's connection pools.
    """

    def __init__(
        self,
        *,
        journal: GroupCommit,
        client: Client,
        controller: Controller,
        pools: Sequence[int],
        drain_timeout_s: float,
        wall: Callable[[], float],
        progress: ProgressLine | None = None,
        interrupts: AsyncIterator[StopCode] | None = None,
    ) -> None:
        """`wall` returns Unix time in seconds."""
        self._journal = journal
        self._client = client
        self._controller = controller
        self._pools = pools
        self._progress = progress
        self._requests = PacedRequests(controller, SUBJECT, wall=wall)
        self._stopping = Stopping(
            drain_timeout_s=drain_timeout_s, fail_fast=False, on_stop=self._requests.close
        )
        self._shell = Shell(
            show=None if progress is None else self._show,
            interrupts=interrupts,
            on_interrupt=self._interrupt,
        )
        self._waiting: deque[QueuedRun] = deque()
        self._seen: set[int] = set()
        self._counts: Counter[Cancelled] = Counter()
        self._unanswered = 0  # runs in a row
        self._endpoint_check = trio.Lock()
        self._endpoint_exists = False  # as an answer has shown

    async def run(self, all_queued: trio.Event | None = None) -> CancelEnd:
        """Cancel the runs that are queued, and those queued until `all_queued` is set.

        Raises LeaveNow on a second interrupt. Everything else is in the result, a failed journal
        included.
        """
        await self._shell.run(partial(self._cancel_all, all_queued))
        return CancelEnd(len(self._seen), self._settled, self._stopping.code, self._stopping.detail)

    def _interrupt(self, code: StopCode) -> None:
        if not self._stopping.interrupt(code):
            self._shell.leave(code)

    async def _cancel_all(self, all_queued: trio.Event | None) -> None:
        while True:
            last = all_queued is None or all_queued.is_set()
            await self._cancel_queued()
            if last or all_queued is None or self._stopping.requested:
                break
            with trio.move_on_after(READ_AGAIN_S):
                await all_queued.wait()

    async def _cancel_queued(self) -> None:
        """Cancel the runs that are queued by now and were not tried yet."""
        try:
            runs = await self._journal.uncancelled()
        except StorageError as error:
            self._stopping.stop_for(StopCode.STORAGE, str(error))
            return
        self._waiting.extend(run for run in runs if run.seq not in self._seen)
        self._seen.update(run.seq for run in runs)
        async with trio.open_nursery() as workers:
            for pool in self._pools[: len(self._waiting)]:
                workers.start_soon(self._work, pool)

    async def _work(self, pool: int) -> None:
        try:
            while self._waiting and not self._stopping.requested:
                await self._cancel(self._waiting.popleft(), pool)
        except StorageError as error:
            self._stopping.stop_for(StopCode.STORAGE, str(error))

    # --- one run --------------------------------------------------------------------------------

    async def _cancel(self, run: QueuedRun, pool: int) -> None:
        reply = await self._request(lambda drain: self._client.cancel(run.run_id, pool, drain))
        cancelled = await self._result(run, reply)
        if cancelled is not None:
            await self._journal.record(CancelAsked(run.seq, run.run_id, cancelled))
            self._counts[cancelled] += 1

    async def _request(self, send: Callable[[trio.CancelScope], Awaitable[Answer]]) -> Reply:
        """Send it, each time with a scope that ends when an interrupt's time to drain is over."""

        async def once() -> Answer:
            drain = self._stopping.drain()
            try:
                return await send(drain)
            finally:
                self._stopping.drained(drain)

        return await self._requests.request(once)

    async def _result(self, run: QueuedRun, reply: Reply) -> Cancelled | None:
        """What the reply says about the run; None if the request cannot have had any effect."""
        answer = reply.answer
        if answer is None:
            self._note_unanswered(reply)
            return Cancelled.UNCLEAR if reply.lost else None
        status = answer.status or 0
        stop = classify(answer).stop
        if stop is not None:  # usually a rejected key
            self._stopping.stop_for(stop, _describe(answer))
            return None
        if status == 409:
            self._endpoint_exists = True
            return await self._result_of_ended(run)
        self._unanswered = 0
        if 200 <= status < 300:
            self._endpoint_exists = True
            return Cancelled.YES if _run_status(answer) == "cancelled" else Cancelled.UNCLEAR
        if status == 404 or status in NOT_OFFERED:
            return await self._result_of_not_found(run, answer)
        return Cancelled.NOT_FOUND if status == 410 else Cancelled.REFUSED

    def _note_unanswered(self, reply: Reply) -> None:
        if reply.stop is not None:
            self._stopping.stop_for(reply.stop, reply.why)
        elif not self._stopping.requested:
            self._unanswered += 1
            if self._unanswered >= UNANSWERED_MAX:
                detail = f"{UNANSWERED_MAX} runs in a row had no clear answer: {reply.why}"
                self._stopping.stop_for(StopCode.UNREACHABLE, detail)

    async def _result_of_ended(self, run: QueuedRun) -> Cancelled:
        """Whether a run that has ended was cancelled.

        An earlier request of ours may have cancelled it even if its answer was lost, or its process
        was killed before it could record the answer.
        """
        reply = await self._get_run(run)
        if reply.answer is None:
            self._note_unanswered(reply)
            return Cancelled.UNCLEAR
        self._unanswered = 0
        status, run_status = reply.answer.status, _run_status(reply.answer)
        if status == 200 and run_status == "cancelled":
            return Cancelled.YES
        over = run_status not in NOT_OVER if status == 200 else status in (404, *NOT_OFFERED)
        return Cancelled.HAD_ENDED if over else Cancelled.UNCLEAR

    async def _result_of_not_found(self, run: QueuedRun, answer: Answer) -> Cancelled | None:
        """Whether it is the run that the server does not know, or the endpoint."""
        async with self._endpoint_check:
            exists: bool | None = False
            if answer.status == 404 and not self._endpoint_exists:
                exists = await self._check_endpoint(run)
            if self._endpoint_exists:  # another run's answer may have shown it meanwhile
                exists = True
            if self._stopping.requested:
                return None
            if exists is None:
                return Cancelled.UNCLEAR
            if exists:
                self._endpoint_exists = True
                return Cancelled.NOT_FOUND
            self._stopping.stop_for(
                StopCode.ALL_REJECTED,
                f"the server cannot cancel runs (HTTP {answer.status}): it is an older version, or "
                "--base-url is wrong",
            )
            return None

    async def _check_endpoint(self, run: QueuedRun) -> bool | None:
        """Whether the server can cancel runs, judged by other endpoints; None if that is unclear.

        A server that shows the run and still cannot find it to cancel has no such endpoint. One
        without even a list of runs is older than both.
        """
        shown = (await self._get_run(run)).answer
        if shown is not None and shown.status == 200:
            pool = self._client.spare_pool
            again = await self._request(lambda drain: self._client.cancel(run.run_id, pool, drain))
            not_found = again.answer is not None and again.answer.status == 404
            return False if not_found else None  # the first 404 came before the run was visible
        url = f"{self._client.base_url}/v1/runs?limit=1"
        listed = (await self._request(lambda drain: self._client.get(url, drain=drain))).answer
        return None if listed is None else listed.status == 200

    async def _get_run(self, run: QueuedRun) -> Reply:
        url = f"{self._client.base_url}/v1/runs/{run.run_id}"
        return await self._request(lambda drain: self._client.get(url, drain=drain))

    # --- progress -------------------------------------------------------------------------------

    @property
    def _settled(self) -> int:
        return sum(self._counts[result] for result in CANCEL_SETTLED)

    def _show(self) -> None:
        if self._progress is not None and self._seen:
            failed = self._counts.total() - self._settled
            tally = Tally(len(self._seen), queued=self._settled, rejected=failed)
            now = trio.current_time()
            self._progress.show(tally, self._controller.view(now), now)


def _run_status(answer: Answer) -> object:
    """The run's status in the answer; None if there is none."""
    try:
        fields = json.loads(answer.body)
    except (ValueError, RecursionError):
        return None
    return fields.get("status") if isinstance(fields, dict) else None


def _describe(answer: Answer) -> str:
    classification = classify(answer)
    why = classification.message or classification.error or "no reason was given"
    return f"HTTP {answer.status}: {why}"
