"""Lives a world through: process after process on one journal, until nothing is left to do.

A crash is a copy of the journal's files at that instant: no `finally` of ours matters for what the
next process finds. What is on its way to the server arrives there all the same; nothing more is
sent. A crash in the midst of a commit leaves as much of the log as had reached the disk, torn
anywhere.
"""

from __future__ import annotations

import math
import shutil
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import trio

from bulk.dispatch import LeaveNow
from bulk.journal import Entry, Journal
from bulk.model import AttemptRecord, StopCode, TriggerResult
from bulk.sandbox import Sandbox, SandboxTransport, parse_spec
from bulk.tally import Tally
from bulk.virtual import run_virtually
from tests.simulation.world import Crash, World
from tests.virtual import EPOCH, KEY, a_batch

PROCESSES_MAX = 12  # after the last crash, a batch is through with its second one as a rule
NAME = "journal.sqlite"


def memory_folder() -> str | None:
    """Where files cost no disk, if there is such a place: a crash here is a copy, no power cut."""
    return "/dev/shm" if Path("/dev/shm").is_dir() else None


class Crashed(BaseException):
    """The process died."""


@dataclass
class Life:
    """What came of a world. `sends` are the instants at which triggers left."""

    world: World
    sandbox: Sandbox
    results: list[TriggerResult] = field(default_factory=list)
    attempts: list[AttemptRecord] = field(default_factory=list)
    sends: list[float] = field(default_factory=list)
    interrupted_at: float | None = None
    sent_after_stop: int = 0
    processes: int = 0
    crashes: int = 0

    @property
    def cancelled(self) -> set[str]:
        """The runs that were cancelled, as the server has it."""
        runs = self.sandbox._runs.newest_first(math.inf)
        return {run.run_id for run in runs if run.cancelled_at_s is not None}


def live(world: World, folder: Path) -> Life:
    """Live it through in `folder`, which is empty."""
    _schedule_by(world.seed)
    sandbox = Sandbox(parse_spec(world.spec), epoch_s=EPOCH)
    life = Life(world, sandbox)
    path = folder / "0" / NAME
    path.parent.mkdir()
    Journal.create(path, a_batch(), world.triggers).close()
    clock_s, step_s = 0.0, 0.0
    crashes = list(world.crashes)
    while True:
        crash = crashes.pop(0) if crashes else None
        life.processes += 1
        process = _Process(life, path, crash, clock_s, step_s)
        clock_s = process.run()
        if process.died:
            life.crashes += 1
            assert crash is not None
            path = process.copied_to
            clock_s += crash.gap_s
            step_s += crash.step_s
            continue
        with Journal.open(path) as journal:
            tally = Tally.of(journal.counts())
            through = not tally.left + tally.unknown or life.processes > PROCESSES_MAX
            if through or (process.idle and not crashes):
                life.results = list(journal.results())
                life.attempts = list(journal.attempts())
                assert all(attempt.end != "open" for attempt in life.attempts)
                return life


def _schedule_by(seed: int) -> None:
    """Let trio take tasks that are ready at once in an order that the seed decides.

    pytest-trio does the same for hypothesis; trio has no public name for it.
    """
    scheduler = trio._core._run
    vars(scheduler)["_ALLOW_DETERMINISTIC_SCHEDULING"] = True
    scheduler._r.seed(seed)


class _Process:
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
        return EPOCH + self.life.world.skew_s + self._step_s + steps + now_s

    async def _befalls(self) -> AsyncIterator[StopCode]:
        """Time's crash and the user's interrupt, as they come; that only once in a life."""
        at_s = self.life.world.interrupt_at_s
        crash = self.crash
        if at_s is not None and self.life.interrupted_at is None:
            if crash is not None and crash.after_s is not None and crash.after_s < at_s:
                await trio.sleep(crash.after_s)
                self._die()
            await trio.sleep(at_s)
            self.life.interrupted_at = trio.current_time()
            self._stopped = True
            yield StopCode.INTERRUPTED
        if crash is not None and crash.after_s is not None:
            await trio.sleep_until(max(self._began_s + crash.after_s, trio.current_time()))
            self._die()
        await trio.sleep_forever()

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

    def __init__(self, process: _Process) -> None:
        self._process = process
        self._inner = SandboxTransport(process.life.sandbox)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self._process.seen(trio.current_time())
        if self._process.died:
            await trio.sleep_forever()
        if request.method == "POST" and request.url.path.endswith("/runs"):
            self._process.note_send()
        return await self._inner.handle_async_request(request)

    async def aclose(self) -> None:
        self._process.seen(trio.current_time())
        await self._inner.aclose()
