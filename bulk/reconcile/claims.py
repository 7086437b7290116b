"""Which runs another batch owns or may have made; read past its lock where that is safe."""

from __future__ import annotations

import math
import sqlite3
from collections import defaultdict
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from bulk.errors import StorageError
from bulk.journal import schema
from bulk.journal.checking import log_of, past_the_log
from bulk.journal.connection import BatchInUseError
from bulk.journal.reading import JournalReader
from bulk.journal.store import Journal
from bulk.reconcile.rules import UnresolvedTrigger
from bulk.reconcile.run_page import ListedRun
from bulk.reconcile.server_clock import CreationWindow, ServerClock

ALWAYS = CreationWindow(-math.inf, math.inf)


@dataclass(frozen=True, slots=True)
class Claims:
    """`run_ids` have an owner. `doubts` are triggers in doubt, by test, whose runs have none yet.

    Of the tests `at_work` (of all: `all_busy`) any run may have been made.
    """

    run_ids: frozenset[str] = frozenset()
    doubts: Mapping[str, tuple[UnresolvedTrigger, ...]] = field(default_factory=dict)
    at_work: frozenset[str] = frozenset()
    all_busy: bool = False

    def may_own(self, run: ListedRun, test_id: str) -> bool:
        """Whether the run, which is of that test if of any of ours, may be one of theirs."""
        return (
            self.all_busy
            or test_id in self.at_work
            or any(doubt.may_have(run) for doubt in self.doubts.get(test_id, ()))
        )

    def __or__(self, other: Claims) -> Claims:
        tests = self.doubts.keys() | other.doubts.keys()
        return Claims(
            self.run_ids | other.run_ids,
            {test: self.doubts.get(test, ()) + other.doubts.get(test, ()) for test in tests},
            self.at_work | other.at_work,
            self.all_busy or other.all_busy,
        )


def claims_of(path: Path, since: float) -> Claims:
    """The claims of the batch at `path` on runs made from wall time `since` on.

    A batch that was closed is one file that nobody writes, so it is read past all locks. One that
    another process has open may have made any run of its tests, and one that cannot be read may
    have made any run at all, if it was written to since then.
    """
    log = log_of(path)
    try:
        if (log.exists() and log.stat().st_size) or _version(path) in schema.MIGRATIONS:
            try:
                Journal.open(path).close()  # folds a dead process's log back, brings a format up
            except BatchInUseError:
                return _at_work(path)
        return _read(path)
    except (sqlite3.Error, OSError, StorageError):
        return Claims(all_busy=_written_at(path) >= since)


def _written_at(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return math.inf


def _version(path: Path) -> int:
    with closing(past_the_log(path)) as sql:
        return int(sql.execute("PRAGMA user_version").fetchone()[0])


def _at_work(path: Path) -> Claims:
    try:
        with closing(past_the_log(path)) as sql:
            tests = frozenset(test_id for (test_id,) in sql.execute(schema.SELECT_TESTS))
        return Claims(at_work=tests)
    except sqlite3.DatabaseError:  # it was just being written
        return Claims(all_busy=True)


def _read(path: Path) -> Claims:
    with closing(past_the_log(path)) as sql:
        reader = JournalReader(path, sql)
        in_doubt = reader.in_doubt()
        clock = ServerClock(reader.stamps() if in_doubt else ())
        doubts: defaultdict[str, tuple[UnresolvedTrigger, ...]] = defaultdict(tuple)
        for lost in in_doubt:
            windows = tuple(_widest(clock.window(attempt)) for attempt in lost.attempts)
            doubts[lost.trigger.test_id] += (UnresolvedTrigger(lost.seq, lost.trigger, windows),)
        return Claims(frozenset(reader.run_ids()), dict(doubts))


def _widest(window: CreationWindow) -> CreationWindow:
    """What is surely not theirs is outside of it. Untold: it sent who knows when."""
    return window if window.clock_known else ALWAYS
