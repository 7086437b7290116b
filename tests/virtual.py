"""Batches in virtual time, as tests state them: see `bulk.batch.virtual` for what runs them.

Tests state what a manifest, a server and an interrupt are; they get back what dispatch said, what
the journal holds and what the server counted.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import trio

from bulk.batch.running import BatchSettings, run_batch
from bulk.batch.virtual import run_virtually
from bulk.dispatch import DispatchEnd
from bulk.http.api_key import ApiKey
from bulk.journal import Journal, NewBatch
from bulk.model import AttemptRecord, BatchFacts, Mode, Platform, StopCode, Trigger, TriggerResult
from bulk.sandbox import Sandbox, parse_spec

T0 = 1_790_035_200.0  # a whole day, so that aligned windows begin with the clock
KEY = ApiKey("sk_test_canary", "the test's key")


def some_triggers(count: int, *, tests: int | None = None) -> list[Trigger]:
    """That many different cells, of `tests` different tests (of as many, if not said)."""
    cells = [(platform, mode) for platform in Platform for mode in Mode]
    made = []
    for number in range(count):
        test, turn = (number, 0) if tests is None else (number % tests, number // tests)
        platform, mode = cells[turn % len(cells)]
        made.append(
            Trigger(
                test_id=str(UUID(int=(0x4000 << 64) + (0x8000 << 48) + test)),
                platform=platform,
                mode=mode,
                repetition=1 + turn // len(cells),
                name=f"test {test}",
                line=number + 2,
            )
        )
    return made


def a_batch(**changes: object) -> NewBatch:
    """A batch's birth certificate, with what a test cares about."""
    fields: dict[str, object] = {
        "name": "batch",
        "manifest": "release.csv",
        "base_url": "http://sandbox.test",
        "created_at": T0,
        "version": "0",
        "fingerprint": "f",
    }
    return NewBatch(**(fields | changes))  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class Outcomes:
    """The result of a virtual run. `took_s` is virtual."""

    end: DispatchEnd
    took_s: float
    facts: BatchFacts
    results: list[TriggerResult]
    attempts: list[AttemptRecord]


@dataclass
class VirtualRun:
    """A batch at `path` against one sandbox, which lives on from one `go` to the next."""

    path: Path
    spec: str
    triggers: Sequence[Trigger] = ()
    settings: BatchSettings = BatchSettings(on_unknown="report")  # noqa: RUF009 - frozen
    interrupts: tuple[tuple[float, StopCode], ...] = ()
    seed: int = 0

    def __post_init__(self) -> None:
        self.sandbox = Sandbox(parse_spec(self.spec), start_unix_s=T0)
        self._clock_s = 0.0
        if not self.path.exists():
            Journal.create(self.path, a_batch(), self.triggers).close()

    def go(self, around: Callable[[Journal], Journal] = lambda journal: journal) -> Outcomes:
        """Run the batch until dispatch ends; virtual time continues from where it was."""
        began = self._clock_s
        journal = around(Journal.open(self.path))
        try:
            done = run_virtually(
                run_batch,
                journal,
                self.sandbox,
                self.settings,
                t0_unix_s=T0,
                clock_s=began,
                seed=self.seed,
                key=KEY,
                interrupts=(lambda: self._interrupts(began)) if self.interrupts else None,
            )
            self._clock_s = done.clock_s
            return Outcomes(
                end=done.end,
                took_s=done.clock_s - began,
                facts=journal.facts(),
                results=list(journal.results()),
                attempts=list(journal.attempts()),
            )
        finally:
            journal.close()

    async def _interrupts(self, began: float) -> AsyncIterator[StopCode]:
        for after_s, code in self.interrupts:
            await trio.sleep_until(began + after_s)
            yield code
        await trio.sleep_forever()
