"""Runs a batch in one process: reconcile what is unknown, dispatch, reconcile again.

    resumed with unknown triggers  -> reconcile; without waiting if there is something to send
    something to send              -> dispatch -> unknown triggers -> reconcile -> absent: dispatch

Reconciliation begins when nothing is in flight any more. After a stop, absent triggers are not sent
in this process, but the unknown ones are still reconciled. After an interrupt they are not.

If the user wants it, an interrupt cancels the runs that were queued. That begins at once, while
requests in flight drain, because a process that was interrupted may soon be killed.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import trio

from bulk.dispatch.cancelling import Canceller
from bulk.dispatch.dispatcher import DispatchEnd, Dispatcher
from bulk.dispatch.shell import LeaveNow, Shell
from bulk.journal import Journal, SentAgain
from bulk.journal.tally import Tally
from bulk.model import INTERRUPTS, OnUnknown, StopCode
from bulk.reconcile.reconciler import Reconciler

# Each sends only triggers that the one before lost and the server has no run of: soon none.
DISPATCHES_MAX = 10
# After these the rest is not reconciled: the user wants to leave, or answers can no longer be
# fetched or stored.
NOT_RECONCILED_AFTER = INTERRUPTS | {
    StopCode.STORAGE,
    StopCode.AUTH,
    StopCode.UNREACHABLE,
    StopCode.BLOCKED,
}


def to_reconcile(tally: Tally, on_unknown: OnUnknown) -> int:
    """How many triggers are to be looked for in the server's list of runs."""
    return 0 if on_unknown == "report" else tally.unknown


class Interruption:
    """A block that an interrupt ends. `code` is the interrupt, None if there was none."""

    def __init__(self) -> None:
        self.code: StopCode | None = None
        self.scope = trio.CancelScope()

    def interrupt(self, code: StopCode) -> None:
        """End the block."""
        self.code = code
        self.scope.cancel()


class BatchRunner:
    """Build it, then call `run` once. `say` prints a line for people.

    `canceller` starts on an interrupt, None if runs are left alone. It and dispatch write the
    journal concurrently, through the same group commit.
    """

    def __init__(
        self,
        *,
        journal: Journal,
        new_dispatcher: Callable[[], Dispatcher],
        new_reconciler: Callable[[], Reconciler],
        canceller: Canceller | None,
        on_unknown: OnUnknown,
        reconcile_only: bool,
        interrupts: AsyncIterator[StopCode] | None,
        say: Callable[[str], None],
    ) -> None:
        self.reconcile_s = 0.0  # the time spent reconciling
        self._journal = journal
        self._new_dispatcher = new_dispatcher
        self._new_reconciler = new_reconciler
        self._canceller = canceller
        self._on_unknown = on_unknown
        self._reconcile_only = reconcile_only
        self._say = say
        self._shell = Shell(interrupts=interrupts, on_interrupt=self._interrupt)
        # What is running: one of these, or none of them.
        self._dispatcher: Dispatcher | None = None
        self._interruptible: Interruption | None = None
        self._sent_again: set[int] = set()
        self._cancelling = False  # it has begun
        self._all_queued = trio.Event()
        self._cancelled = trio.Event()
        self._not_cancelled = ""

    async def run(self) -> DispatchEnd:
        """Do what can be done; return when nothing is in flight any more.

        Raises LeaveNow on a second interrupt, StorageError if the journal fails during
        reconciliation. Everything else is in the result.
        """
        end = await self._shell.run(self._run)
        return replace(end, tally=self._tally())

    async def _run(self) -> DispatchEnd:
        end = await self._dispatch_and_reconcile()
        if self._canceller is not None and end.stop in INTERRUPTS:
            await self._finish_cancelling()
            end = replace(end, not_cancelled=self._not_cancelled)
        return end

    async def _dispatch_and_reconcile(self) -> DispatchEnd:
        end = DispatchEnd(self._tally())
        if self._has_unknown():  # what must be waited for can be waited for while the rest is sent
            patient = self._reconcile_only or not self._tally().left
            end = replace(end, stop=await self._reconcile(patient=patient))
            if end.stop is not None or self._reconcile_only or not self._tally().left:
                return end
        for _ in range(DISPATCHES_MAX):
            end = await self._dispatch()
            if end.stop in NOT_RECONCILED_AFTER or not self._has_unknown():
                break
            stop = await self._reconcile()
            if stop is not None:
                return replace(end, stop=stop, stop_detail="")
            if end.stop is not None or not self._tally().left:
                break
        return end

    async def _dispatch(self) -> DispatchEnd:
        self._dispatcher = self._new_dispatcher()
        try:
            return await self._dispatcher.run()
        finally:
            self._dispatcher = None

    def _tally(self) -> Tally:
        return self._journal.tally()

    def _has_unknown(self) -> bool:
        """Whether there is something to reconcile."""
        return to_reconcile(self._tally(), self._on_unknown) > 0

    async def _reconcile(self, *, patient: bool = True) -> StopCode | None:
        """Reconcile and, if `patient`, wait for what cannot be reconciled at once.

        Return the interrupt that ended it, None if none did.
        """
        count = self._tally().unknown
        triggers = "1 unknown trigger" if count == 1 else f"{count:,} unknown triggers"
        self._say(f"looking for {triggers} in the server's list of runs")
        began = trio.current_time()
        with self._until_interrupt() as interruption:
            try:
                counts = await self._new_reconciler().run(patient=patient)
            finally:
                self.reconcile_s += trio.current_time() - began
            self._say(counts.describe())
        if interruption.code is None and self._on_unknown == "resend" and patient:
            self._send_again()
        return interruption.code

    def _send_again(self) -> None:
        """Let what is still unknown be sent once more, because the user wants that."""
        seqs = {lost.seq for lost in self._journal.lost()} - self._sent_again
        self._sent_again |= seqs
        self._journal.write([SentAgain(seq) for seq in sorted(seqs)])

    # --- interrupts -----------------------------------------------------------------------------

    def _interrupt(self, code: StopCode) -> None:
        if self._dispatcher is not None:
            self._dispatcher.interrupt(code)
            self._begin_cancelling()
        elif self._interruptible is not None:
            self._interruptible.interrupt(code)

    @contextmanager
    def _until_interrupt(self) -> Iterator[Interruption]:
        """A block that the next interrupt ends."""
        self._interruptible = Interruption()
        try:
            with self._interruptible.scope:
                yield self._interruptible
        finally:
            self._interruptible = None

    def _begin_cancelling(self) -> None:
        """Begin it, once."""
        if self._canceller is not None and not self._cancelling:
            self._cancelling = True
            self._shell.start_soon(self._cancel)

    async def _cancel(self) -> None:
        assert self._canceller is not None
        end = await self._canceller.run(self._all_queued)
        self._not_cancelled = end.detail
        self._cancelled.set()

    async def _finish_cancelling(self) -> None:
        """Nothing is in flight any more: cancel the rest. Raises LeaveNow on an interrupt."""
        self._begin_cancelling()
        self._all_queued.set()
        with self._until_interrupt() as interruption:
            await self._cancelled.wait()
        if interruption.code is not None:
            raise LeaveNow(interruption.code)
