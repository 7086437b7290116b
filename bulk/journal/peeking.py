"""What can be read of a batch while another process may have it open; writes nothing.

A batch's triggers and what it was created with are in the file itself from before the log comes
into use and never change. So the file alone has them, past all locks. Where a power cut tore the
file during a checkpoint, the log beside it has them.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from pathlib import Path

from bulk.journal import tables
from bulk.journal.entries import NewBatch
from bulk.journal.records import new_batch
from bulk.journal.unlocked import file_alone, with_log

# ValueError: also of a message of SQLite's with broken text in it.
UNREADABLE = (sqlite3.Error, OSError, ValueError)
Opened = Callable[[Path], AbstractContextManager[sqlite3.Connection]]


def peek_batch(path: Path) -> NewBatch | None:
    """What the batch was created with; None where that cannot be read."""
    return batch_in(path, file_alone) or batch_in(path, with_log)


def peek_keys(path: Path) -> frozenset[str] | None:
    """The keys of the batch's triggers; None where they cannot be read."""
    return _column(path, tables.SELECT_KEYS, "key")


def peek_tests(path: Path) -> frozenset[str] | None:
    """The ids of the batch's tests; None where they cannot be read."""
    return _column(path, tables.SELECT_TESTS, "test_id")


def batch_in(path: Path, opened: Opened) -> NewBatch | None:
    """What the batch was created with, by that connection; None where that cannot be read."""
    text = batch_text(path, opened)
    with suppress(ValueError, TypeError, KeyError):
        return None if text is None else new_batch(text)
    return None


def batch_text(path: Path, opened: Opened) -> str | None:
    """As `batch_in`, in the words of the file."""
    with suppress(*UNREADABLE), opened(path) as sql:
        row = sql.execute(tables.SELECT_BATCH).fetchone()
        return None if row is None else str(row["value"])
    return None


def _column(path: Path, select: str, name: str) -> frozenset[str] | None:
    for opened in (file_alone, with_log):
        with suppress(*UNREADABLE), opened(path) as sql:
            return frozenset(row[name] for row in sql.execute(select))
    return None
