"""Connections that read a journal past SQLite's lock. They write neither the file nor its log."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from bulk.journal.wal import shm_path, wal_path

EMPTY_BYTES_MAX = 1  # a file of one byte is empty for SQLite, as some file systems want that one


def immutable(path: Path) -> sqlite3.Connection:
    """A connection to the file without its log. Raises sqlite3's errors, as all of these."""
    sql = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True)
    sql.row_factory = sqlite3.Row
    return sql


@contextmanager
def file_alone(path: Path) -> Iterator[sqlite3.Connection]:
    """The file without its log, also where the file is shorter than it says: a checkpoint may be
    writing it just now.
    """
    with closing(immutable(path)) as sql:
        sql.execute("PRAGMA writable_schema = ON")  # SQLite then accepts a short file
        yield sql


@contextmanager
def with_log(path: Path) -> Iterator[sqlite3.Connection]:
    """The file and its log. Removes the index of the log that SQLite makes for a reader."""
    index = shm_path(path)
    before = index.exists()
    # A reader would create a missing log, and SQLite removes the log of an empty file.
    no_log = not wal_path(path).exists() or path.stat().st_size <= EMPTY_BYTES_MAX
    uri = f"{path.absolute().as_uri()}?mode=ro"
    try:
        with closing(
            immutable(path) if no_log else sqlite3.connect(uri, uri=True, timeout=0)
        ) as sql:
            sql.row_factory = sqlite3.Row
            yield sql
    finally:
        if not before:
            with suppress(OSError):
                index.unlink(missing_ok=True)
