"""Which runs another batch owns or may have made; reads its journal without locking it."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from bulk.errors import StorageError
from bulk.journal import ClosedBatch, peek_tests, read_closed_batch
from bulk.reconcile.rules import UnresolvedTrigger
from bulk.reconcile.run_page import ListedRun
from bulk.reconcile.server_clock import CreationWindow, ServerClock

ALWAYS = CreationWindow(-math.inf, math.inf)


@dataclass(frozen=True, slots=True)
class Claims:
    """What other batches claim: `run_ids` have an owner there.

    `unresolved` are their triggers, by test id, that may have made runs without an owner. Any run
    of the tests `at_work` may be theirs; with `all_busy`, any run at all.
    """

    run_ids: frozenset[str] = frozenset()
    unresolved: Mapping[str, tuple[UnresolvedTrigger, ...]] = field(default_factory=dict)
    at_work: frozenset[str] = frozenset()
    all_busy: bool = False

    def may_own(self, run: ListedRun, test_id: str) -> bool:
        """Whether the run may be one of theirs; `test_id` is its test if it is one of our tests."""
        return (
            self.all_busy
            or test_id in self.at_work
            or any(trigger.may_have(run) for trigger in self.unresolved.get(test_id, ()))
        )

    def __or__(self, other: Claims) -> Claims:
        mine, theirs = self.unresolved, other.unresolved
        return Claims(
            self.run_ids | other.run_ids,
            {
                test: mine.get(test, ()) + theirs.get(test, ())
                for test in mine.keys() | theirs.keys()
            },
            self.at_work | other.at_work,
            self.all_busy or other.all_busy,
        )


def claims_of(path: Path, since: float) -> Claims:
    """The claims of the batch whose journal is at `path` on runs made from Unix time `since` on.

    A batch that another process has open may have made any run of its tests. One that cannot be
    read may have made any run at all, if its journal was written to since then.
    """
    try:
        batch = read_closed_batch(path)
    except StorageError:
        return Claims(all_busy=_written_at(path) >= since)
    if batch is not None:
        return _claims(batch)
    tests = peek_tests(path)
    return Claims(all_busy=True) if tests is None else Claims(at_work=tests)


def _written_at(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return math.inf


def _claims(batch: ClosedBatch) -> Claims:
    clock = ServerClock(batch.clock_samples)
    unresolved: defaultdict[str, tuple[UnresolvedTrigger, ...]] = defaultdict(tuple)
    for lost in batch.in_doubt:
        windows = tuple(_widest(clock.window(attempt)) for attempt in lost.attempts)
        unresolved[lost.trigger.test_id] += (UnresolvedTrigger(lost.seq, lost.trigger, windows),)
    return Claims(batch.run_ids, dict(unresolved))


def _widest(window: CreationWindow) -> CreationWindow:
    """A run outside of this window is surely not theirs. Without a server clock: no limits."""
    return window if window.clock_known else ALWAYS
