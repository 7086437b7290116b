"""A bug planted in each guarantee is caught by the simulation, within a few hundred seeds."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import bulk.answers
import bulk.dispatch.core
import bulk.reconcile
import bulk.reconcile.clocks
import bulk.reconcile.judgement
import bulk.recovery.rounds
from bulk.answers import Answer, Failure, Verdict
from bulk.dispatch.stopping import Stopping
from bulk.errors import StorageError
from bulk.journal import Ended, Entry, GroupCommit, Intent, Journal
from bulk.model import Trigger
from bulk.reconcile import ListedRun
from tests.simulation.judge import problems
from tests.simulation.life import live, memory_folder
from tests.simulation.world import make_world

SEEDS_MAX = 400


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
    judge = bulk.answers.judge

    def eager(answer: Answer, *more: Any) -> Verdict:
        verdict = judge(answer, *more)
        return replace(verdict, end=None) if answer.failure is Failure.TIMED_OUT else verdict

    patch.setattr(bulk.dispatch.core, "judge", eager)


def drop_an_outcome(patch: pytest.MonkeyPatch) -> None:
    """Each twentieth outcome is counted, and never written."""
    write = Journal.write
    count = 0

    def leaky(self: Journal, entries: Iterable[Entry]) -> None:
        nonlocal count
        kept = []
        for entry in entries:
            count += isinstance(entry, Ended)
            if not (isinstance(entry, Ended) and entry.outcome and count % 20 == 0):
                kept.append(entry)
        write(self, kept)

    patch.setattr(Journal, "write", leaky)


def forget_an_owner(patch: pytest.MonkeyPatch) -> None:
    """Runs that a trigger owns are free for others."""
    judge = bulk.reconcile.judge

    def forgetful(*arguments: object, owned: set[str], **more: object) -> object:
        return judge(*arguments, owned=set(sorted(owned)[::2]), **more)  # type: ignore[arg-type]

    patch.setattr(bulk.recovery.rounds, "judge", forgetful)


def adopt_a_siblings_run(patch: pytest.MonkeyPatch) -> None:
    """A run of the same test will do, whatever its platform and mode."""

    def careless(trigger: Trigger, run: ListedRun, sources: object = ()) -> bool:
        return run.test_id == trigger.test_id

    patch.setattr(bulk.reconcile.judgement, "compatible", careless)


def believe_one_look(patch: pytest.MonkeyPatch) -> None:
    """What the first listing lacks is sent again at once, though it may still be on its way."""

    patch.setattr(bulk.recovery.rounds, "SETTLE_S", 0.0)
    patch.setattr(bulk.reconcile.clocks, "LATE_S", {})
    patch.setattr(bulk.reconcile.clocks, "LATE_OTHERWISE_S", -1e6)


def send_after_the_stop(patch: pytest.MonkeyPatch) -> None:
    """An interrupt is noted, and the line goes on."""
    patch.setattr(Stopping, "asked", property(lambda self: False))


BUGS: tuple[Callable[[pytest.MonkeyPatch], None], ...] = (
    skip_the_intent,
    resend_on_time_out,
    drop_an_outcome,
    forget_an_owner,
    adopt_a_siblings_run,
    believe_one_look,
    send_after_the_stop,
)


def seeds_until_caught() -> tuple[int, list[str]]:
    """How many worlds it takes until something is wrong, and what."""
    for seed in range(SEEDS_MAX):
        with tempfile.TemporaryDirectory(dir=memory_folder()) as folder:
            try:
                found = problems(live(make_world(seed), Path(folder)))
            except StorageError as error:  # the journal itself refused it
                found = [str(error)]
            except AssertionError:
                found = ["a life ended with an attempt open"]
        if found:
            return seed + 1, found
    return 0, []


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.__name__)
def test_a_planted_bug_is_caught(
    bug: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    bug(monkeypatch)
    seeds, found = seeds_until_caught()
    sys.stdout.write(f"{bug.__name__}: caught by world {seeds}: {found}\n")
    assert seeds, f"{SEEDS_MAX} worlds did not show it"
