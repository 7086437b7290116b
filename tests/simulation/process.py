"""One process on a journal, and what befalls it: crashes, a sleeping machine, an interrupt.

A crash leaves the journal's files as they are at that instant: no `finally` of ours matters for
what the next process finds. What is on its way to the server arrives there all the same; nothing
more is sent. A crash in the midst of a commit leaves as much of the log as had reached the disk,
torn anywhere.
"""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

import httpx
import trio
from trio.testing import MockClock

from bulk.batch.folder import BatchFolder
from bulk.batch.other_batches import other_claims
from bulk.batch.running import BatchSettings, cancel_runs, run_batch
from bulk.batch.virtual import Work, run_virtually
from bulk.dispatch import LeaveNow
from bulk.journal import Entry, Journal, runs_path
from bulk.model import ServerTime, StopCode
from bulk.sandbox import SandboxTransport
from tests.simulation.world import Command, Crash, Sleep
from tests.virtual import KEY, T0

if TYPE_CHECKING:
    from tests.simulation.life import Life

WORK_BEGINS_S = 5.0  # after the process: it asks the server something harmless first


class Crashed(BaseException):
    """The process died."""


class MortalJournal(Journal):
    """A journal whose process may die of a commit, and that a dead process writes no more."""

    _process: Process

    @classmethod
    def open_by(cls, process: Process, path: Path) -> MortalJournal:
        """Open an existing batch for this process."""
        journal = cls.open(path)
        assert isinstance(journal, cls)
        journal._process = process
        return journal

    def begin_session(self, *arguments: Any, **more: Any) -> None:
        self._process.check_alive()
        super().begin_session(*arguments, **more)

    def note_server_time(self, reading: ServerTime) -> None:
        self._process.check_alive()
        super().note_server_time(reading)

    def end_session(self, *arguments: Any, **more: Any) -> None:
        self._process.check_alive()
        super().end_session(*arguments, **more)

    def write(self, entries: Iterable[Entry]) -> None:
        self._process.check_alive()
        self._process.note_write()
        super().write(entries)

    def stage(self, entries: Iterable[Entry]) -> None:
        self._process.check_alive()
        self._process.note_write()
        super().stage(entries)

    def commit(self) -> None:
        self._process.commit(super().commit)


class Process:
    """One process: from opening the journal to its end, however that comes."""

    def __init__(
        self,
        life: Life,
        folder: BatchFolder,
        command: Command,
        crash: Crash | None,
        clock_s: float,
        step_s: float,
    ) -> None:
        self.life = life
        self.folder = folder
        self.path = folder.journal
        self.command = command
        self.crash = crash
        self._left: _Files | None = None  # by a crash
        self.idle = False  # nothing was sent
        self.under_way: set[trio.CancelScope] = set()
        self._settings = settings_of(life.world.settings, command)
        self._began_s = clock_s
        self._step_s = step_s
        self._writes, self._commits = 0, 0
        self._doomed = False  # the next commit is the last one
        self._stopped = False
        self._sends: list[float] = []
        self._reaching: list[float] = []  # those that the server may have seen

    def run(self) -> float:
        """Live until the end or the crash; the virtual clock then."""
        world, life = self.life.world, self.life
        journal = MortalJournal.open_by(self, self.path)
        now_s = self._began_s
        work: Work[object] = cancel_runs if self.command == "cancel" else run_batch
        try:
            done = run_virtually(
                work,
                journal,
                life.sandbox,
                self._settings,
                t0_unix_s=T0,
                clock_s=self._began_s,
                seed=world.seed,
                key=KEY,
                interrupts=self._befalls,
                wall=self._wall,
                transport=lambda: _MortalTransport(self),
                preflight=True,
                other_claims=partial(other_claims, self.folder),
            )
            now_s = done.clock_s
        except* Crashed:
            pass
        except* LeaveNow:
            pass
        finally:
            if self._left is None:
                journal.close()
            else:
                journal.abandon()  # SQLite folds the log back, which a dead process does not
                self._left.put(self.path)
        self.idle = not self._sends
        self._check_budgets()
        return max(now_s, self._last_seen_s)

    @property
    def died(self) -> bool:
        """Whether it has come to a crash."""
        return self._left is not None

    def check_alive(self) -> None:
        """Raise Crashed if it is dead: a dead process does nothing."""
        if self.died:
            raise Crashed

    def note_write(self) -> None:
        """Entries are about to be written."""
        self._writes += 1
        self._doomed |= self.crash is not None and self._writes == self.crash.writes

    def commit(self, commit: Callable[[], None]) -> None:
        """Commit, and die of it if that is to be."""
        crash = self.crash
        self._commits += 1
        self._doomed |= crash is not None and self._commits == crash.commits
        before = self._files() if self._doomed else None
        commit()
        if before is not None:
            assert crash is not None
            self._die(torn=(before, crash.torn) if crash.during else None)

    def _check_budgets(self) -> None:
        settings = self._settings
        self.life.sends += self._sends
        if settings.deadline_s is not None:
            until_s = self._began_s + settings.deadline_s + WORK_BEGINS_S
            self.life.sent_late += sum(at_s > until_s for at_s in self._sends)
        if settings.rate_per_s is not None:
            tokens, last_s = float(settings.burst), -math.inf
            for at_s in self._reaching:
                refill = (at_s - last_s) * settings.rate_per_s
                tokens, last_s = min(float(settings.burst), tokens + refill) - 1.0, at_s
                self.life.sent_too_fast += tokens < -1e-6

    _last_seen_s = 0.0

    def seen(self, now_s: float) -> None:
        """Remember how far the virtual clock came."""
        self._last_seen_s = max(self._last_seen_s, now_s)

    def _wall(self, now_s: float) -> float:
        self.seen(now_s)
        steps = sum(by_s for at_s, by_s in self.life.world.steps if at_s <= now_s)
        ahead_s = self.life.world.skew_s + self._step_s + steps + self.life.slept_s
        return T0 + ahead_s + now_s

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
            life.sandbox.let_client_sleep(sleep.for_s)
            life.slept_s += sleep.for_s
        if sleep.cut:
            for scope in self.under_way:
                scope.cancel()

    def note_send(self, at_s: float) -> None:
        """A trigger leaves."""
        self._sends.append(at_s)
        self._reaching.append(at_s)
        self.life.sent_after_stop += self._stopped

    def note_unreached(self, at_s: float) -> None:
        """The trigger that left then found no connection."""
        self._reaching.remove(at_s)

    # --- dying ----------------------------------------------------------------------------------

    def _die(self, torn: tuple[_Files, float] | None = None) -> NoReturn:
        """Leave the files as they are; of what the last commit appended to the log, only a part.

        `torn`: the files before that commit, and how much of it had reached the disk.
        """
        files = self._files()
        if torn is not None:
            (main, log, runs), share = torn
            if files.main == main and log is not None and (files.log or b"").startswith(log):
                after = files.log or b""
                kept = len(log) + int(share * (len(after) - len(log)))
                # The runs of a commit are listed once it is whole.
                files = _Files(main, after[:kept] + b"\xa5" * (100 if share > 0.5 else 0), runs)
        self._left = files
        raise Crashed

    def _files(self) -> _Files:
        log, runs = _log_of(self.path), runs_path(self.path)
        return _Files(
            self.path.read_bytes(),
            log.read_bytes() if log.exists() else None,
            runs.read_bytes() if runs.exists() else None,
        )


class _Files(NamedTuple):
    """What is on the disk."""

    main: bytes
    log: bytes | None
    runs: bytes | None

    def put(self, path: Path) -> None:
        """Have the disk hold this, and nothing else of that journal."""
        for left in path.parent.glob(path.name + "*"):
            left.unlink()
        path.write_bytes(self.main)
        if self.log is not None:
            _log_of(path).write_bytes(self.log)
        runs_path(path).unlink(missing_ok=True)
        if self.runs is not None:
            runs_path(path).write_bytes(self.runs)


def _log_of(path: Path) -> Path:
    return path.with_name(path.name + "-wal")


def settings_of(settings: BatchSettings, command: Command) -> BatchSettings:
    """What the command makes of a world's settings."""
    match command:
        case "last-failed":
            return replace(settings, failed_again=True)
        case "reconcile-only":
            return replace(settings, reconcile_only=True)
        case "report" | "resend":
            return replace(settings, on_unknown=command)
    return settings


class _MortalTransport(httpx.AsyncBaseTransport):
    """Carries requests as long as the process lives."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._inner = SandboxTransport(process.life.sandbox)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self._process.seen(trio.current_time())
        if self._process.died:
            await trio.sleep_forever()
        sent_at = trio.current_time()
        triggers = request.method == "POST" and request.url.path.endswith("/runs")
        if triggers:
            self._process.note_send(sent_at)
        under_way = self._process.under_way
        with trio.CancelScope() as scope:
            under_way.add(scope)
            try:
                return await self._inner.handle_async_request(request)
            except (httpx.ConnectError, httpx.ConnectTimeout):
                if triggers:
                    self._process.note_unreached(sent_at)
                raise
            finally:
                under_way.discard(scope)
        raise httpx.ReadError("the connection was reset", request=request)

    async def aclose(self) -> None:
        self._process.seen(trio.current_time())
        await self._inner.aclose()
