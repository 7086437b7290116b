"""A process's work on a batch: reconcile what is unknown, dispatch, reconcile what came of that.

    resumed, something unknown -> reconcile, without waiting where there is something to send
    something to send          -> dispatch -> something unknown -> reconcile -> absent: again

Reconciling begins when nothing is under way any more. A stop keeps absent triggers from being sent
in this process, but not the others from being found; after an interrupt the server is not asked.

Where the user wants it, an interrupt cancels the runs that were queued: from its first instant on,
beside the drain, for whoever sends a signal may kill soon.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from functools import partial

import trio

from bulk.dispatch import INTERRUPTS, DispatchEnd, Dispatcher, LeaveNow
from bulk.dispatch.cancelling import Cancelling
from bulk.errors import StorageError
from bulk.journal import Journal, SentAgain
from bulk.journal.tally import Tally
from bulk.model import OnUnknown, StopCode
from bulk.reconcile.evidence import Resolved
from bulk.reconcile.reconciler import Reconciler

# Each sends only what the one before lost and the server has no run of: a handful, and then none.
DISPATCHES_MAX = 10
# After these nobody is asked what became of the rest: the user wants to leave, or an answer can
# neither be had nor kept.
NOT_ASKED_AFTER = INTERRUPTS | {StopCode.STORAGE, StopCode.AUTH, StopCode.UNREACHABLE}


def to_ask(tally: Tally, on_unknown: OnUnknown) -> int:
    """How many triggers the server is to be asked about."""
    return 0 if on_unknown == "report" else tally.unknown


class BatchRunner:
    """Build it, call `run` once. `say` takes a line for people.

    `cancelling` is what an interrupt begins, None where runs are left alone. It and dispatch write
    the journal side by side, by the same group commit.
    """

    def __init__(
        self,
        *,
        journal: Journal,
        dispatch: Callable[[], Dispatcher],
        rounds: Callable[[], Reconciler],
        cancelling: Cancelling | None,
        on_unknown: OnUnknown,
        reconcile_only: bool,
        interrupts: AsyncIterator[StopCode] | None,
        say: Callable[[str], None],
    ) -> None:
        self._journal = journal
        self._dispatch = dispatch
        self._rounds = rounds
        self._cancelling = cancelling
        self._on_unknown = on_unknown
        self._reconcile_only = reconcile_only
        self._interrupts = interrupts
        self._say = say
        self._interrupt: Callable[[StopCode], None] = lambda code: None
        self._sent_again: set[int] = set()
        self.asked_s = 0.0  # the time for which the server was asked
        self._begin_cancelling: Callable[[], None] = lambda: None
        self._all_queued = trio.Event()
        self._cancelled = trio.Event()
        self._not_cancelled = ""

    async def run(self) -> DispatchEnd:
        """Do what can be done; return when nothing is under way any more.

        Raises LeaveNow on a second interrupt, StorageError where the journal fails while the server
        is asked. All else is in the result.
        """
        failure: LeaveNow | StorageError | None = None
        end = DispatchEnd(self._tally())
        async with trio.open_nursery() as around:
            around.start_soon(self._watch_interrupts)
            self._begin_cancelling = partial(self._start_cancelling, around)
            try:
                end = await self._run()
                if self._cancelling is not None and end.stop in INTERRUPTS:
                    await self._end_cancelling()
                    end = replace(end, not_cancelled=self._not_cancelled)
            except (LeaveNow, StorageError) as error:  # out of the nursery's sight
                failure = error
            around.cancel_scope.cancel()
        if failure is not None:
            raise failure
        return replace(end, tally=self._tally())

    async def _run(self) -> DispatchEnd:
        end = DispatchEnd(self._tally())
        if self._asks():  # what is to be waited for can be while the rest is sent
            patient = self._reconcile_only or not self._tally().left
            end = replace(end, stop=await self._reconcile(patient=patient))
            if end.stop is not None or self._reconcile_only or not self._tally().left:
                return end
        for _ in range(DISPATCHES_MAX):
            dispatch = self._dispatch()
            self._interrupt = partial(self._stop, dispatch)
            end = await dispatch.run()
            if end.stop in NOT_ASKED_AFTER or not self._asks():
                break
            stop = await self._reconcile()
            if stop is not None:
                return replace(end, stop=stop, stop_detail="")
            if end.stop is not None or not self._tally().left:
                break
        return end

    def _tally(self) -> Tally:
        return Tally.of(self._journal.counts())

    def _asks(self) -> bool:
        """Whether there is something to ask the server about."""
        return to_ask(self._tally(), self._on_unknown) > 0

    async def _reconcile(self, *, patient: bool = True) -> StopCode | None:
        """Find out what can be found out, or at once; the interrupt that ended it, if one did."""
        count = self._tally().unknown
        triggers = "1 unknown trigger" if count == 1 else f"{count:,} unknown triggers"
        self._say(f"asking the server what became of {triggers}")
        began = trio.current_time()
        interrupted: list[StopCode] = []
        resolved: Resolved | None = None
        with trio.CancelScope() as asking:

            def leave(code: StopCode) -> None:
                interrupted.append(code)
                asking.cancel()

            self._interrupt = leave
            try:
                resolved = await self._rounds().run(patient=patient)
            finally:
                self.asked_s += trio.current_time() - began
        if interrupted:
            return interrupted[0]
        assert resolved is not None
        self._say(resolved.describe())
        if self._on_unknown == "resend" and patient:
            self._send_again()
        return None

    def _send_again(self) -> None:
        """Let what is unknown still be sent once more, as the user wants it."""
        seqs = {lost.seq for lost in self._journal.lost()} - self._sent_again
        self._sent_again |= seqs
        self._journal.write([SentAgain(seq) for seq in sorted(seqs)])

    # --- interrupts -----------------------------------------------------------------------------

    def _stop(self, dispatch: Dispatcher, code: StopCode) -> None:
        dispatch.interrupt(code)
        self._begin_cancelling()

    def _start_cancelling(self, around: trio.Nursery) -> None:
        """Begin it, once."""
        self._begin_cancelling = lambda: None
        if self._cancelling is not None:
            around.start_soon(self._cancel, self._cancelling)

    async def _cancel(self, cancelling: Cancelling) -> None:
        end = await cancelling.run(self._all_queued)
        self._not_cancelled = end.detail
        self._cancelled.set()

    async def _end_cancelling(self) -> None:
        """Nothing is under way any more: cancel what is left. Raises LeaveNow on an interrupt."""
        self._begin_cancelling()
        self._all_queued.set()
        interrupted: list[StopCode] = []
        with trio.CancelScope() as waiting:

            def leave(code: StopCode) -> None:
                interrupted.append(code)
                waiting.cancel()

            self._interrupt = leave
            await self._cancelled.wait()
        if interrupted:
            raise LeaveNow(interrupted[0])

    async def _watch_interrupts(self) -> None:
        if self._interrupts is not None:
            async for code in self._interrupts:
                self._interrupt(code)
