"""Reads the runs of another batch that no process has open, without locking it."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from bulk.journal import tables
from bulk.journal.connection import BatchInUseError, mapped
from bulk.journal.entries import LostTrigger
from bulk.journal.journal_reader import JournalReader
from bulk.journal.store import Journal
from bulk.journal.unlocked import immutable
from bulk.journal.wal import wal_path
from bulk.model import ClockSample


@dataclass(frozen=True, slots=True)
class ClosedBatch:
    """The runs that a batch owns, and the triggers that may have made runs without an owner.

    `clock_samples` say when that was by the server's clock; empty if every trigger is resolved.
    """

    run_ids: frozenset[str]
    in_doubt: tuple[LostTrigger, ...]
    clock_samples: tuple[ClockSample, ...]


def read_closed_batch(path: Path) -> ClosedBatch | None:
    """Read the batch's runs; None where another process has the batch open.

    A closed batch is one file that no process writes, so it needs no lock. If a process died while
    it had the batch open, or an earlier version wrote it, the batch is opened and closed first:
    that moves the log into the file and migrates it. Raises StorageError if the batch cannot be
    read.
    """
    with mapped(path):
        log = wal_path(path)
        if (log.exists() and log.stat().st_size) or _version(path) in tables.MIGRATIONS:
            try:
                Journal.open(path).close()
            except BatchInUseError:
                return None
        with closing(immutable(path)) as sql:
            reader = JournalReader(path, sql)
            in_doubt = tuple(reader.in_doubt())
            return ClosedBatch(
                run_ids=frozenset(reader.run_ids()),
                in_doubt=in_doubt,
                clock_samples=reader.clock_samples() if in_doubt else (),
            )


def _version(path: Path) -> int:
    with closing(immutable(path)) as sql:
        return int(sql.execute("PRAGMA user_version").fetchone()["user_version"])
