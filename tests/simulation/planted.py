"""A bug planted in each guarantee, and how many worlds the simulation needs to catch it."""

from __future__ import annotations

import multiprocessing
import os
import sys
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import bulk.batch.other_batches
import bulk.dispatch.dispatcher
import bulk.http.answers
import bulk.reconcile
import bulk.reconcile.reconciler
import bulk.reconcile.rules
import bulk.reconcile.server_clock
from bulk.dispatch.paced_gate import PacedGate
from bulk.dispatch.stopping import Stopping
from bulk.errors import StorageError
from bulk.http.answers import Answer, Classification, Failure
from bulk.journal import (
    AttemptEnded,
    Entry,
    GroupCommit,
    Intent,
    Journal,
)
from bulk.model import Trigger
from bulk.reconcile.claims import Claims
from bulk.reconcile.run_page import ListedRun
from tests.simulation.judge import problems
from tests.simulation.life import live, memory_folder
from tests.simulation.world import make_world

SEEDS_MAX = 1_000


def skip_the_intent(patch: pytest.MonkeyPatch) -> None:
    """The request leaves though nothing says so on the disk."""
    record = GroupCommit.record

    async def forgetful(self: GroupCommit, entry: Entry) -> None:
        if isinstance(entry, Intent):
            self.skipped = [*getattr(self, "skipped", []), entry]  # type: ignore[attr-defined]
            return
        skipped = {one.attempt_id: one for one in getattr(self, "skipped", [])}
        late = skipped.get(getattr(entry, "attempt_id", -1))
        if late is not None:
            await record(self, late)
        await record(self, entry)

    patch.setattr(GroupCommit, "record", forgetful)


def resend_on_time_out(patch: pytest.MonkeyPatch) -> None:
    """A time-out is taken for "not executed"."""
    classify = bulk.http.answers.classify

    def eager(answer: Answer, *more: Any) -> Classification:
        classification = classify(answer, *more)
        if answer.failure is Failure.TIMED_OUT:
            return replace(classification, end=None)
        return classification

    patch.setattr(bulk.dispatch.dispatcher, "classify", eager)


def drop_an_outcome(patch: pytest.MonkeyPatch) -> None:
    """Each twentieth outcome is counted, and never written."""
    stage = Journal.stage
    count = 0

    def leaky(self: Journal, entries: Iterable[Entry]) -> None:
        nonlocal count
        kept = []
        for entry in entries:
            count += isinstance(entry, AttemptEnded)
            if not (isinstance(entry, AttemptEnded) and entry.outcome and count % 20 == 0):
                kept.append(entry)
        stage(self, kept)

    patch.setattr(Journal, "stage", leaky)


def forget_an_owner(patch: pytest.MonkeyPatch) -> None:
    """Runs that a trigger owns are free for others."""
    resolve = bulk.reconcile.rules.resolve

    def forgetful(*arguments: object, owned: set[str], **more: object) -> object:
        return resolve(*arguments, owned=set(sorted(owned)[::2]), **more)  # type: ignore[arg-type]

    patch.setattr(bulk.reconcile.reconciler, "resolve", forgetful)


def overlook_other_batches(patch: pytest.MonkeyPatch) -> None:
    """Runs that another batch owns, or may have made, are free for this one."""
    patch.setattr(bulk.batch.other_batches, "claims_of", lambda *_: Claims())


def adopt_a_siblings_run(patch: pytest.MonkeyPatch) -> None:
    """A run of the same test will do, whatever its platform and mode."""

    def careless(trigger: Trigger, run: ListedRun, sources: object = ()) -> bool:
        return run.test_id == trigger.test_id

    patch.setattr(bulk.reconcile.rules, "compatible", careless)


def believe_one_look(patch: pytest.MonkeyPatch) -> None:
    """What the first listing lacks is sent again at once, though it may still be on its way."""

    patch.setattr(bulk.reconcile.reconciler, "SETTLE_S", 0.0)
    patch.setattr(bulk.reconcile.server_clock, "LATE_S", {})
    patch.setattr(bulk.reconcile.server_clock, "LATE_OTHERWISE_S", -1e6)


def trust_the_wall_clock(patch: pytest.MonkeyPatch) -> None:
    """As if nobody ever set it."""
    patch.setattr(bulk.reconcile.server_clock, "steady_of", lambda instant: None)


def trust_the_steady_clock(patch: pytest.MonkeyPatch) -> None:
    """As if no machine ever slept."""
    patch.setattr(bulk.reconcile.server_clock, "wall_of", lambda instant: instant.steady)


def send_after_the_stop(patch: pytest.MonkeyPatch) -> None:
    """An interrupt is recorded, and dispatch continues."""
    patch.setattr(Stopping, "requested", property(lambda self: False))
    patch.setattr(PacedGate, "closed", property(lambda self: False))


BUGS: dict[str, Callable[[pytest.MonkeyPatch], None]] = {
    bug.__name__: bug
    for bug in (
        skip_the_intent,
        resend_on_time_out,
        drop_an_outcome,
        forget_an_owner,
        overlook_other_batches,
        adopt_a_siblings_run,
        believe_one_look,
        trust_the_wall_clock,
        trust_the_steady_clock,
        send_after_the_stop,
    )
}


def catch(name: str, first: int = 0) -> tuple[str, int, list[str]]:
    """The bug, how many worlds it takes from the first until something is wrong, and what is.

    0 where too many worlds show nothing.
    """
    with pytest.MonkeyPatch.context() as patch:
        BUGS[name](patch)
        for seed in range(first, first + SEEDS_MAX):
            with tempfile.TemporaryDirectory(dir=memory_folder()) as folder:
                try:
                    found = problems(live(make_world(seed), Path(folder)))
                except StorageError as error:  # the journal itself refused it
                    found = [str(error)]
                except AssertionError:
                    found = ["a life ended with an attempt open"]
            if found:
                return name, seed - first + 1, found
    return name, 0, []


def main() -> int:
    """0 where all were caught."""
    missed = 0
    with multiprocessing.Pool(os.cpu_count()) as pool:
        for name, worlds, found in pool.imap(catch, BUGS):
            missed += not found
            words = f"caught by world {worlds}" if found else f"not caught by {SEEDS_MAX} worlds"
            sys.stdout.write(f"{name}: {words}\n")
    return bool(missed)


if __name__ == "__main__":
    sys.exit(main())
