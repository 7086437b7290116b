"""Makes entries durable, many in one commit; knows nothing of what they mean.

The first task to record an entry leads its group: it waits for the commit before it to end, then
writes all entries that have gathered since in one transaction. So the slower the disk, the larger
the groups, and no task waits for more than two commits.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Protocol, TypeVar

import trio

from bulk.errors import StorageError
from bulk.journal.entries import Entry, Pending, QueuedRun
from bulk.journal.store import Journal

T = TypeVar("T")


class Runner(Protocol):
    """Runs blocking code for async callers: in a thread, or inline under a virtual clock."""

    def __call__(self, blocking: Callable[[], T], /) -> Awaitable[T]: ...


async def in_thread(blocking: Callable[[], T], /) -> T:
    """The runner for production."""
    return await trio.to_thread.run_sync(blocking)


async def inline(blocking: Callable[[], T], /) -> T:
    """The runner for virtual time, which would jump past a thread at work."""
    result = blocking()
    await trio.lowlevel.checkpoint()
    return result


class _Group:
    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.done = trio.Event()
        self.failure: StorageError | None = None


class GroupCommit:
    """What a batch's tasks use the journal through while it runs, one task at a time."""

    def __init__(self, journal: Journal, runner: Runner) -> None:
        self._journal = journal
        self._runner = runner
        self._lock = trio.Lock()
        self._gathering = _Group()

    async def record(self, entry: Entry) -> None:
        """Return when `entry` is durable.

        Raises StorageError when it is not and will not be. Cannot be cancelled: an entry half
        written would be neither.
        """
        group = self._gathering
        group.entries.append(entry)
        with trio.CancelScope(shield=True):
            if len(group.entries) > 1:
                await group.done.wait()
            else:
                await self._lead(group)
        if group.failure is not None:
            raise StorageError(str(group.failure)) from group.failure

    async def pending(self, after_seq: int, rows_max: int) -> list[Pending]:
        """The next triggers still to be sent, in order, after `after_seq`."""
        async with self._lock:
            return await self._runner(partial(self._journal.pending, after_seq, rows_max))

    async def uncancelled(self) -> list[QueuedRun]:
        """The runs of queued triggers that may still be in progress."""
        async with self._lock:
            return await self._runner(self._journal.uncancelled)

    async def _lead(self, group: _Group) -> None:
        async with self._lock:
            self._gathering = _Group()
            try:
                await self._write(group.entries)
            except StorageError as failure:
                group.failure = failure
            finally:
                group.done.set()

    async def _write(self, entries: list[Entry]) -> None:
        """As `Journal.write`. Statements run here and only the wait for the disk in the runner: a
        thread that alternates with this one at each statement costs half as much again.
        """
        journal = self._journal
        if journal.checkpoint_due:
            await self._runner(journal.checkpoint)
        try:
            journal.stage(entries)
            await self._runner(journal.commit)
        except BaseException:
            journal.roll_back()
            raise
