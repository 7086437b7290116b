"""Lets processes that begin batches in one folder do so one after the other."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from bulk.journal.connection import BatchInUseError, mapped

FILE = ".begin.lock"  # of no bytes, and left there: whoever removed it could remove another's lock
WAIT_S = 10.0  # to look at what is there and to write a journal takes seconds at most


@contextmanager
def begin_lock(folder: Path) -> Iterator[None]:
    """Keep others from it meanwhile. The operating system lifts the lock when the process dies.

    Raises BatchInUseError where another has it for too long, StorageError where there is no place
    for the lock.
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
                    f"{folder}: another bulk-trigger is beginning a batch here and does not get "
                    "on; wait for it, or end it"
                ) from error
        yield
