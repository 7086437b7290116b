"""The write-ahead log beside a journal: where it is, how it begins, and how its loss is noticed.

SQLite itself takes a file without its log for whole. So a mark in the file says that there is a
log, from each checkpoint on; the log's first commit clears the mark. A file that still has the mark
and no log has lost it. A file into which SQLite moved its log, as when a connection closes, is
whole and has no mark.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

from bulk.errors import DamagedError
from bulk.journal import tables

WRITE_VERSION_AT = 18  # this byte of the file is 2 while SQLite expects a log beside it
WRITE_VERSION_WAL = 2


def wal_path(path: Path) -> Path:
    """Where SQLite keeps the write-ahead log of the file."""
    return path.with_name(path.name + "-wal")


def shm_path(path: Path) -> Path:
    """Where SQLite keeps a reader's index of the log."""
    return path.with_name(path.name + "-shm")


def lost_its_wal(path: Path) -> bool:
    """Whether SQLite expects a log beside the file, as after a process died, and there is none.

    Such a file may be whole all the same: `check_mark` decides. Raises OSError.
    """
    # Where another process has the file open there is a log. Reading the file here and closing it
    # again would lift that process's lock.
    if wal_path(path).exists():
        return False
    with path.open("rb") as file:
        version = file.read(WRITE_VERSION_AT + 1)[WRITE_VERSION_AT:]
    return version == bytes([WRITE_VERSION_WAL])


def check_mark(sql: sqlite3.Connection, path: Path) -> None:
    """Raise DamagedError where the file has the mark; call it where there is no log."""
    if sql.execute(tables.SELECT_MARK).fetchone() is not None:
        raise DamagedError(
            path, f"{wal_path(path).name} is missing, which held the newest outcomes"
        )


def begin_wal(sql: sqlite3.Connection) -> None:
    """Move the log into the file and begin a new one. One call, so that no Ctrl-C comes between."""
    sql.executescript(tables.BEGIN_LOG)
