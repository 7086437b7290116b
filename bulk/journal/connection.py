"""Opens and locks the journal's file, and maps SQLite's errors to ours; knows none of its rows.

One process at a time: the file stays locked while it is open (`locking_mode=EXCLUSIVE`), and the
operating system lifts the lock when the process dies, however it dies.
"""

from __future__ import annotations

import errno
import os
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import SystemRandom

from bulk.errors import BulkError, DamagedError, DiskError, StorageError
from bulk.journal import tables


class BatchInUseError(BulkError):
    """Another process has the batch open. Not raised for a process that died."""

    code = "in_use"


# Two processes that look at a file at the same moment keep each other from its lock. Both let go
# and try again, at random moments. A process that works with the file keeps it for longer.
TRIES = 6
PAUSE_S = (0.01, 0.1)
# SQLite's codes where a file's content, or the disk below it, cannot be right.
DAMAGE = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
DISK_DAMAGE = frozenset({sqlite3.SQLITE_IOERR_READ, sqlite3.SQLITE_IOERR_SHORT_READ})
DISK_FAILURES = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EIO})
NO_TEXT = "Could not decode to UTF-8"  # Python's own message, without a code of SQLite's


def connect(path: Path) -> sqlite3.Connection:
    """A connection that syncs every commit. It holds no lock yet."""
    # Statements run in the event loop's thread and commits in others, never two at once.
    sql = sqlite3.connect(path, timeout=0, isolation_level=None, check_same_thread=False)
    sql.row_factory = sqlite3.Row
    try:
        sql.execute("PRAGMA locking_mode = EXCLUSIVE")
        sql.execute("PRAGMA synchronous = FULL")  # reads the file, so it meets another's lock
        if sys.platform == "darwin":  # there, fsync alone leaves the data in the drive's cache
            sql.execute("PRAGMA fullfsync = 1")
            sql.execute("PRAGMA checkpoint_fullfsync = 1")
    except BaseException:
        sql.close()
        raise
    return sql


def lock(sql: sqlite3.Connection) -> None:
    """Lock the file for this process alone."""
    sql.execute("BEGIN EXCLUSIVE")
    sql.execute("COMMIT")


def retried(opened: Callable[[], sqlite3.Connection]) -> sqlite3.Connection:
    """What `opened` opens and locks, retried while another process has the file for a moment."""
    for _ in range(TRIES - 1):
        try:
            return opened()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
                raise
        time.sleep(SystemRandom().uniform(*PAUSE_S))
    return opened()


def migrate(sql: sqlite3.Connection, path: Path) -> None:
    """Bring a journal of an earlier format to ours.

    Raises StorageError where it is of a format we do not know.
    """
    version = sql.execute("PRAGMA user_version").fetchone()["user_version"]
    if version in tables.MIGRATIONS:
        sql.execute("BEGIN")
        for step in range(version, tables.FORMAT_VERSION):
            for statement in tables.MIGRATIONS[step].split(";\n"):
                sql.execute(statement)
        sql.execute(f"PRAGMA user_version = {tables.FORMAT_VERSION}")
        sql.execute("COMMIT")
    elif version != tables.FORMAT_VERSION:
        raise StorageError(
            f"{path}: the journal's format is {version}, and this bulk-trigger knows "
            f"{tables.FORMAT_VERSION}; use the version that made it"
        )


def publish(made: Path, path: Path) -> None:
    """Give a complete, closed journal its name. Raises FileExistsError where that is taken."""
    try:
        os.link(made, path)
    except FileExistsError:
        raise
    except OSError:  # a file system without links
        if path.exists():
            raise FileExistsError(path) from None
        made.rename(path)
    else:
        made.unlink()
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make the folder's new entry durable, where the system lets a folder be synced."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def in_use(path: Path) -> BatchInUseError:
    """The error that says that another process has the batch open."""
    return BatchInUseError(
        f"{path}: another bulk-trigger is at work on this batch; wait for it to end"
    )


@contextmanager
def mapped(path: Path) -> Iterator[None]:
    """Turn foreign errors into BatchInUseError or a StorageError that names the file."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        detail = getattr(error, "sqlite_errorcode", 0)
        code = detail & 0xFF
        if code in DAMAGE or detail in DISK_DAMAGE or NO_TEXT in str(error):
            raise DamagedError(path, str(error)) from error
        if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM):
            raise StorageError(
                f"{path}: no permission to write here, which opening a batch takes; "
                "copy its folder to where you may write, and name that"
            ) from error
        if code == sqlite3.SQLITE_BUSY:
            raise in_use(path) from error
        raise DiskError(path, str(error)) from error
    except OSError as error:
        if error.errno in DISK_FAILURES:
            raise DiskError(path, str(error.strerror)) from error
        raise StorageError(f"{path}: {error.strerror or error}") from error


@contextmanager
def decoded(path: Path) -> Iterator[None]:
    """As `mapped`, for rows that become records: a row that cannot was not written by us."""
    with mapped(path):
        try:
            yield
        except (ValueError, TypeError, KeyError) as error:
            raise DamagedError(path, f"a row is not as it was written: {error}") from error
