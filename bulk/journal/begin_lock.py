"""Lets processes that begin batches in one folder do so one after the other."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from bulk.journal.connection import BatchInUseError, mapped

FILE = (
    ".begin.lock"  # empty, and never removed: that could remove a lock that another process holds
)
WAIT_S = 10.0  # reading the other batches and creating a journal takes seconds at most


@contextmanager
def begin_lock(folder: Path) -> Iterator[None]:
    """Hold the folder's begin lock. The operating system releases it when the process dies.

    Raises BatchInUseError if another process holds it for longer than `WAIT_S`, StorageError if
    the lock's file cannot be created.
    """
    path = folder / FILE
    with mapped(path):
        with suppress(FileExistsError):
            path.touch(exist_ok=False)
            path.chmod(folder.stat().st_mode & 0o666)  # for all who may begin batches here
        lock = sqlite3.connect(path, timeout=WAIT_S, isolation_level=None)
    with closing(lock):
        with mapped(path):
            try:
                lock.execute("BEGIN EXCLUSIVE")
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
                    raise
                raise BatchInUseError(
                    f"{folder}: another bulk-trigger is beginning a batch here and has not "
                    "finished; wait for it, or end it"
                ) from error
        yield
