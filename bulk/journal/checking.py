"""Tells whether a journal is sound before anything is written to it; writes nothing itself.

SQLite folds a log back into its file when the last connection that may write is closed, and would
so spread a log's damage. Hence a connection of its own, which may only read.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from pathlib import Path

from bulk.errors import DamagedError, StorageError
from bulk.journal import schema
from bulk.journal.connection import decoded
from bulk.journal.reading import NewBatch, batch_of
from bulk.journal.rows import check_key

LOG_VERSION_AT = 18  # this byte of the file is 2 where SQLite expects a log beside it
LOG_VERSION = 2
EMPTY_BYTES_MAX = 1  # a file of one byte is empty for SQLite, as some file systems want that one
ABOUT = """
SELECT application_id, user_version, (SELECT count(*) FROM sqlite_master WHERE name = 'meta')
FROM pragma_application_id, pragma_user_version
"""
TOLD_BY_OPENING = frozenset(
    {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM}
)


def check(path: Path) -> None:
    """Raise DamagedError where the journal is not sound, StorageError where it is no file.

    Says nothing of a file that is in use, of another format, or may not be opened: to open it for
    work tells that.

    For 100,000 triggers it takes 1.3 s, against the minutes that they take to be sent. SQLite's
    full check takes 0.3 s of that; its quick one would take 0.1 s, but does not see a run id that
    differs between table and index. The rest of the time is for each cell's key, without which a
    test id that a disk altered would trigger another test.
    """
    if path.is_dir():
        raise StorageError(f"{path}: this is a folder, where the journal's file should be")
    if not path.is_file():
        raise StorageError(f"{path}: there is no journal here")
    if not path.stat().st_size:
        raise DamagedError(path, "it is empty")
    with decoded(path), _for_reading(path) as sql:
        try:
            marked, version, tables = sql.execute(ABOUT).fetchone()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF in TOLD_BY_OPENING:
                return
            raise
        if marked != schema.APPLICATION_ID:
            raise DamagedError(path, "it is not marked as one of ours")
        if not tables:
            raise DamagedError(path, "there is no batch in it")
        if version not in (*schema.MIGRATIONS, schema.FORMAT_VERSION):
            return
        (first,) = sql.execute("PRAGMA integrity_check(1)").fetchone()
        if first != "ok":
            raise DamagedError(path, first.splitlines()[-1])
        for row in sql.execute(schema.SELECT_CELLS_AND_KEYS):
            check_key(row)
        for valid, *_ in sql.execute(schema.SELECT_ALL_OF_ATTEMPTS):
            if not valid:
                raise DamagedError(path, "an attempt's headers cannot be what was written")
        alone = _born_by(path, _by_itself)
        if alone is not None and alone != batch_of(sql):
            raise DamagedError(path, f"{path.name}-wal beside it is another batch's")


def lacks_its_log(path: Path) -> bool:
    """Whether the file was last open with a log, as when a process died, and that is gone."""
    if log_of(path).exists():  # as whenever a process has it open; reading would lift its lock
        return False
    with path.open("rb") as file:
        return file.read(LOG_VERSION_AT + 1)[LOG_VERSION_AT:] == bytes([LOG_VERSION])


def check_complete(sql: sqlite3.Connection, path: Path) -> None:
    """Raise DamagedError where the file says that there is a log beside it, as that is gone."""
    if sql.execute(schema.SELECT_MARK).fetchone() is not None:
        raise DamagedError(path, f"{path.name}-wal is missing, which held the newest outcomes")


def log_of(path: Path) -> Path:
    """Where SQLite keeps the write-ahead log of the file."""
    return path.with_name(path.name + "-wal")


def index_of(path: Path) -> Path:
    """Where SQLite keeps a reader's index of the log."""
    return path.with_name(path.name + "-shm")


def past_the_log(path: Path) -> sqlite3.Connection:
    """A connection that reads the file alone, past its log and all locks."""
    return sqlite3.connect(f"{path.absolute().as_uri()}?immutable=1", uri=True)


def born_of(path: Path) -> NewBatch | None:
    """What a batch was born with, also while another process has it open; None if unreadable.

    It is in the file from before the log comes into use and never changes, so the file tells it by
    itself, past all locks. Where a power cut tore the file in a fold, the log beside it tells it.
    """
    return _born_by(path, _by_itself) or _born_by(path, _for_reading)


def keys_of(path: Path) -> frozenset[str] | None:
    """The keys of a batch's triggers, also while another process has it open; None if unreadable.

    Like what it was born with they are in the file itself and never change.
    """
    for opened in (_by_itself, _for_reading):
        with suppress(sqlite3.Error, OSError), opened(path) as sql:
            return frozenset(key for (key,) in sql.execute(schema.SELECT_KEYS))
    return None


def _born_by(
    path: Path, opened: Callable[[Path], AbstractContextManager[sqlite3.Connection]]
) -> NewBatch | None:
    with suppress(sqlite3.Error, OSError, ValueError, TypeError, KeyError), opened(path) as sql:
        return batch_of(sql)
    return None


@contextmanager
def _by_itself(path: Path) -> Iterator[sqlite3.Connection]:
    """The file past its log, also where it is shorter than it says, as when that is folded back."""
    with closing(past_the_log(path)) as sql:
        sql.execute("PRAGMA writable_schema = ON")  # SQLite's way to allow just that
        yield sql


@contextmanager
def _for_reading(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection that writes neither file nor log; its index of the log is cleared away."""
    index = index_of(path)
    before = index.exists()
    # A reader would make the log that is missing, and SQLite removes that of an empty file.
    alone = not log_of(path).exists() or path.stat().st_size <= EMPTY_BYTES_MAX
    uri = f"{path.absolute().as_uri()}?mode=ro"
    try:
        with closing(
            past_the_log(path) if alone else sqlite3.connect(uri, uri=True, timeout=0)
        ) as sql:
            yield sql
    finally:
        if not before:
            with suppress(OSError):
                index.unlink(missing_ok=True)
