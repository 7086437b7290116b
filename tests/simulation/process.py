"""One process on a journal, and what befalls it: crashes, a sleeping machine, an interrupt.

A crash is a copy of the journal's files at that instant: no `finally` of ours matters for what the
next process finds. What is on its way to the server arrives there all the same; nothing more is
sent. A crash in the midst of a commit leaves as much of the log as had reached the disk, torn
anywhere.
"""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import trio
from trio.testing import MockClock

from bulk.dispatch import LeaveNow
from bulk.journal import Entry, Journal
from bulk.model import StopCode
from bulk.sandbox import SandboxTransport
from bulk.virtual import run_virtually
from tests.simulation.world import Crash, Sleep
from tests.virtual import EPOCH, KEY

if TYPE_CHECKING:
    from tests.simulation.life import Life

NAME = "journal.sqlite"


class Crashed(BaseException):
    """The process died."""


class Process:
    """One process: from opening the journal to its end, however that comes."""

    def __init__(
        self, life: Life, path: Path, crash: Crash | None, clock_s: float, step_s: float
    ) -> None:
        self.life = life
        self.path = path
        self.crash = crash
        self.died = False
        self.idle = False  # nothing was sent
        self.copied_to = path.parent.parent / str(life.processes) / NAME
        self._began_s = clock_s
        self._step_s = step_s
        self._writes = 0
        self._stopped = False
        self.under_way: set[trio.CancelScope] = set()

    def run(self) -> float:
        """Live until the end or the crash; the virtual clock then."""
        world, life = self.life.world, self.life
        journal = Journal.open(self.path)
        write = journal.write
        now_s = self._began_s
        before = len(life.sends)

        def writes(entries: Iterable[Entry]) -> None:
            if self.died:
                raise Crashed
            entries = list(entries)
            self._writes += 1
            at_last = self.crash is not None and self._writes == self.crash.writes
            if at_last and self.crash is not None and self.crash.during:
                self._die_during(lambda: write(entries), self.crash.torn)
            write(entries)
            if at_last:
                self._die()

        journal.write = writes  # type: ignore[method-assign]
        try:
            done = run_virtually(
                journal,
                life.sandbox,
                world.settings,
                epoch_s=EPOCH,
                clock_s=self._began_s,
                seed=world.seed,
                key=KEY,
                interrupts=self._befalls,
                wall=self._wall,
                transport=lambda: _MortalTransport(self),
                preflight=True,
            )
            now_s = done.clock_s
        except* Crashed:
            pass
        except* LeaveNow:
            pass
        finally:
            journal.abandon() if self.died else journal.close()
        self.idle = len(life.sends) == before
        return max(now_s, self._last_seen_s)

    _last_seen_s = 0.0

    def seen(self, now_s: float) -> None:
        """Remember how far the virtual clock came."""
        self._last_seen_s = max(self._last_seen_s, now_s)

    def _wall(self, now_s: float) -> float:
        self.seen(now_s)
        steps = sum(by_s for at_s, by_s in self.life.world.steps if at_s <= now_s)
        ahead_s = self.life.world.skew_s + self._step_s + steps + self.life.slept_s
        return EPOCH + ahead_s + now_s

    async def _befalls(self) -> AsyncIterator[StopCode]:
        """What time brings, as it comes: a sleep and the user's interrupt only once in a life."""
        for at_s, event in sorted(self._events(), key=lambda event: event[0]):
            await trio.sleep_until(max(at_s, trio.current_time()))
            if isinstance(event, Sleep):
                self._sleep(event)
            elif isinstance(event, Crash):
                self._die()
            else:
                self.life.interrupted_at = trio.current_time()
                self._stopped = True
                yield event
        await trio.sleep_forever()

    def _events(self) -> Iterator[tuple[float, Crash | Sleep | StopCode]]:
        world, crash = self.life.world, self.crash
        if world.sleep is not None and not self.life.slept:
            yield world.sleep.at_s, world.sleep
        if world.interrupt_at_s is not None and self.life.interrupted_at is None:
            yield trio.current_time() + world.interrupt_at_s, StopCode.INTERRUPTED
        if crash is not None and crash.after_s is not None:
            yield self._began_s + crash.after_s, crash

    def _sleep(self, sleep: Sleep) -> None:
        life = self.life
        life.slept = True
        if sleep.counted:
            clock = trio.lowlevel.current_clock()
            assert isinstance(clock, MockClock)
            clock.jump(sleep.for_s)
        else:
            if sleep.left:
                life.sandbox.settle()
            life.sandbox.pass_unseen(sleep.for_s)
            life.slept_s += sleep.for_s
        if sleep.cut:
            for scope in self.under_way:
                scope.cancel()

    def note_send(self) -> None:
        """A trigger leaves."""
        self.life.sends.append(trio.current_time())
        self.life.sent_after_stop += self._stopped

    # --- dying ----------------------------------------------------------------------------------

    def _die(self) -> None:
        self._copy()
        self.died = True
        raise Crashed

    def _die_during(self, commit: object, torn: float) -> None:
        """The commit runs, but only a part of what it appended to the log is on the disk."""
        log = self.path.with_name(NAME + "-wal")
        before = log.read_bytes() if log.exists() else b""
        main = self.path.read_bytes()
        assert callable(commit)
        commit()
        after = log.read_bytes()
        self._copy()
        if self.path.read_bytes() == main and after.startswith(before):
            kept = len(before) + int(torn * (len(after) - len(before)))
            copied = self.copied_to.with_name(NAME + "-wal")
            copied.write_bytes(after[:kept] + b"\xa5" * (100 if torn > 0.5 else 0))
        self.died = True
        raise Crashed

    def _copy(self) -> None:
        self.copied_to.parent.mkdir()
        for end in ("", "-wal"):
            source = self.path.with_name(NAME + end)
            if source.exists():
                shutil.copyfile(source, self.copied_to.with_name(NAME + end))


class _MortalTransport(httpx.AsyncBaseTransport):
    """Carries requests as long as the process lives."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._inner = SandboxTransport(process.life.sandbox)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self._process.seen(trio.current_time())
        if self._process.died:
            await trio.sleep_forever()
        if request.method == "POST" and request.url.path.endswith("/runs"):
            self._process.note_send()
        under_way = self._process.under_way
        with trio.CancelScope() as scope:
            under_way.add(scope)
            try:
                return await self._inner.handle_async_request(request)
            finally:
                under_way.discard(scope)
        raise httpx.ReadError("the connection was reset", request=request)

    async def aclose(self) -> None:
        self._process.seen(trio.current_time())
        await self._inner.aclose()
