"""Which runs another batch owns or may have made; read past its lock where that is safe."""

from __future__ import annotations

import math
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from bulk.errors import StorageError
from bulk.journal import schema
from bulk.journal.checking import log_of, past_the_log
from bulk.journal.opening import BatchInUseError
from bulk.journal.store import Journal


@dataclass(frozen=True, slots=True)
class Claims:
    """`run_ids` have an owner. Of `busy` tests (of all: `all_busy`) runs may have been made."""

    run_ids: frozenset[str] = frozenset()
    busy: frozenset[str] = frozenset()
    all_busy: bool = False

    def may_have_run(self, test_id: str) -> bool:
        """Whether a run of that test may be one that nobody knows of yet."""
        return self.all_busy or test_id in self.busy

    def __or__(self, other: Claims) -> Claims:
        return Claims(
            self.run_ids | other.run_ids,
            self.busy | other.busy,
            self.all_busy or other.all_busy,
        )


def claims_of(path: Path, since: float, until: float) -> Claims:
    """The claims of the batch at `path` on runs made between two wall times.

    A batch that was closed is one file that nobody writes, so it is read past all locks. One that
    another process has open may have made any run of its tests, and one that cannot be read may
    have made any run at all, if it was written to since then.
    """
    log = log_of(path)
    try:
        if not log.exists() or not log.stat().st_size:
            return _read(path, since, until)
        try:
            Journal.open(path).close()  # it died: fold its log back
        except BatchInUseError:
            return _at_work(path)
        return _read(path, since, until)
    except (sqlite3.Error, OSError, StorageError):
        return Claims(all_busy=_written_at(path) >= since)


def _written_at(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return math.inf


def _at_work(path: Path) -> Claims:
    try:
        return Claims(busy=frozenset(_column(path, schema.SELECT_TESTS)))
    except sqlite3.DatabaseError:  # it was just being written
        return Claims(all_busy=True)


def _read(path: Path, since: float, until: float) -> Claims:
    return Claims(
        frozenset(_column(path, schema.SELECT_RUN_IDS)),
        frozenset(_column(path, schema.SELECT_TESTS_IN_DOUBT, since, until)),
    )


def _column(path: Path, query: str, *values: float) -> list[str]:
    with closing(past_the_log(path)) as sql:
        return [value for (value,) in sql.execute(query, values)]
