"""Lives a world through: process after process on one journal, until nothing is left to do."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import trio

from bulk.batch.folder import BatchFolder
from bulk.journal import Journal
from bulk.model import AttemptRecord, Trigger, TriggerResult
from bulk.sandbox import Sandbox, parse_spec
from tests.simulation.process import Process
from tests.simulation.world import World
from tests.virtual import T0, a_batch

PROCESSES_MAX = 12  # after the last crash, a batch is through with its second one as a rule


def memory_folder() -> str | None:
    """Where files cost no disk, if there is such a place: a crash here is a copy, no power cut."""
    return "/dev/shm" if Path("/dev/shm").is_dir() else None


@dataclass
class Batch:
    """One batch of a life, and what its journal says in the end."""

    folder: BatchFolder
    triggers: tuple[Trigger, ...]
    results: list[TriggerResult] = field(default_factory=list)
    attempts: list[AttemptRecord] = field(default_factory=list)
    at_rest: bool = False  # nothing is left to do, or can be done

    def begin(self) -> None:
        """Write its journal."""
        self.folder.make()
        born = a_batch(name=self.folder.name)
        Journal.create(self.folder.journal, born, self.triggers).close()

    def end(self) -> None:
        """Read its journal."""
        with Journal.open(self.folder.journal) as journal:
            self.results = list(journal.results())
            self.attempts = list(journal.attempts())
        assert all(attempt.end != "open" for attempt in self.attempts)

    @property
    def done(self) -> bool:
        """Whether each trigger has an end that is known."""
        with Journal.open(self.folder.journal) as journal:
            tally = journal.tally()
        return not tally.left + tally.unknown


@dataclass
class Life:
    """The result of a world. `sends` are the instants at which triggers left.

    `slept_s`: how far our steady clock is behind the server's.
    """

    world: World
    sandbox: Sandbox
    batches: list[Batch]
    sends: list[float] = field(default_factory=list)
    interrupted_at: float | None = None
    sent_after_stop: int = 0
    sent_late: int = 0
    sent_too_fast: int = 0
    processes: int = 0
    crashes: int = 0
    slept: bool = False
    slept_s: float = 0.0

    @property
    def results(self) -> list[TriggerResult]:
        """Of all batches."""
        return [result for batch in self.batches for result in batch.results]

    @property
    def attempts(self) -> list[AttemptRecord]:
        """Of all batches."""
        return [attempt for batch in self.batches for attempt in batch.attempts]

    @property
    def cancelled(self) -> set[str]:
        """The runs that were cancelled, as the server has it."""
        return set(self.sandbox.cancelled_run_ids)


def live(world: World, folder: Path) -> Life:
    """Live it through in `folder`, which is empty."""
    _schedule_by(world.seed)
    sandbox = Sandbox(parse_spec(world.spec), start_unix_s=T0)
    life = Life(world, sandbox, [Batch(BatchFolder(folder / "a"), world.triggers)])
    if world.others:
        life.batches.append(Batch(BatchFolder(folder / "b"), world.others))
    for batch in life.batches:
        batch.begin()
    clock_s, step_s = 0.0, 0.0
    crashes, commands = list(world.crashes), list(world.commands)
    while open_ones := [batch for batch in life.batches if not batch.at_rest]:
        batch = open_ones[life.processes % len(open_ones)]
        crash = crashes.pop(0) if crashes else None
        command = commands.pop(0) if commands else "resume"
        life.processes += 1
        process = Process(life, batch.folder, command, crash, clock_s, step_s)
        clock_s = process.run()
        if process.died:
            life.crashes += 1
            assert crash is not None
            clock_s += crash.gap_s
            step_s += crash.step_s
        elif not commands:
            idle = process.idle and command == "resume" and not crashes
            too_many = life.processes > PROCESSES_MAX * len(life.batches)
            batch.at_rest = idle or too_many or batch.done
    for batch in life.batches:
        batch.end()
    return life


def _schedule_by(seed: int) -> None:
    """Let trio take tasks that are ready at once in an order that the seed decides.

    pytest-trio does the same for hypothesis; trio has no public name for it.
    """
    scheduler = trio._core._run
    vars(scheduler)["_ALLOW_DETERMINISTIC_SCHEDULING"] = True
    scheduler._r.seed(seed)
