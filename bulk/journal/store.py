"""The open journal: opened, locked and written; knows nothing of async.

While a batch runs, SQLite's write-ahead log makes a commit one sequential write and one fsync. A
clean end moves the log into the file, so that one file is left.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

from bulk.errors import StorageError
from bulk.journal import tables
from bulk.journal.connection import (
    connect,
    lock,
    mapped,
    migrate,
    retried,
)
from bulk.journal.create import create
from bulk.journal.entries import Entry, NewBatch
from bulk.journal.entry_writer import write_entry
from bulk.journal.integrity import check
from bulk.journal.journal_reader import JournalReader, SessionEnd
from bulk.journal.runs_file import RunsFile
from bulk.journal.wal import begin_wal, lost_its_wal, shm_path, wal_path
from bulk.model import ServerTime, StopCode, Trigger

LOGGED_MAX = 500  # entries in the log, of some four pages each, before a checkpoint


class Journal(JournalReader):
    """An open journal. Made by `create` or `open`; close it, or use it in a `with`."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        super().__init__(path, connection)
        self._file = _identity(path)
        self._session_id = 0
        self._logged = 0
        self._runs: RunsFile | None = None
        self._new_runs: list[sqlite3.Row] = []  # of this transaction

    @classmethod
    def create(cls, path: Path, batch: NewBatch, triggers: Iterable[Trigger]) -> Journal:
        """Write a new batch, all of its triggers in one transaction, and open it.

        Raises StorageError where the folder cannot hold a journal, and whatever `triggers` raises;
        in both cases no batch is left behind.
        """
        create(path, batch, triggers)
        with mapped(path):
            journal = cls(path, _opened(path))
            if batch.simulated:  # half a simulation is worth nothing, so it need not survive
                journal._sql.execute("PRAGMA synchronous = OFF")
        return journal

    @classmethod
    def open(cls, path: Path) -> Journal:
        """Open an existing batch for this process alone.

        Raises BatchInUseError, DamagedError, or StorageError for anything else.
        """
        check(path)
        with mapped(path):
            return cls(path, _opened(path))

    def close(self) -> None:
        """Move the log into the file and close it."""
        self._close_runs()
        if not self._in_place():  # the file at its path is another batch's, and so is the log
            self._sql.close()
            return
        with mapped(self.path):
            try:
                self._sql.execute("PRAGMA journal_mode = DELETE")
                with suppress(OSError):  # left by a process that died while it checked this file
                    shm_path(self.path).unlink(missing_ok=True)
            finally:
                _close(self._sql, self.path)

    def abandon(self) -> None:
        """Close the file without a further write, as where the disk is full."""
        self._close_runs()
        if self._in_place():
            _close(self._sql, self.path)
        else:
            self._sql.close()

    @property
    def displaced(self) -> bool:
        """Whether another file is at the path of this one, which was moved or removed."""
        return _identity(self.path) not in (None, self._file)

    def _in_place(self) -> bool:
        """Whether the open file is the one at its path: it was not moved or removed."""
        return self._file is not None and _identity(self.path) == self._file

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def begin_session(self, now: float, *, failed_again: bool = False) -> None:
        """A process begins to work on the batch, at Unix time `now`.

        Attempts that the last process left open become unknown. `failed_again`: rejected and
        throttled triggers are to be sent as well.
        """
        self._ending = None
        with self._transaction():
            self._sql.execute(tables.CLOSE_OPEN_TRIGGERS, {"message": tables.DIED})
            self._sql.execute(tables.CLOSE_OPEN_ATTEMPTS, {"message": tables.DIED})
            self._sql.execute(tables.REOPEN_UNSENT)
            if failed_again:
                self._sql.execute(tables.REOPEN_FAILED)
            self._session_id = self._sql.execute(tables.INSERT_SESSION, {"now": now}).lastrowid or 0
        self.complete_runs_file()

    def complete_runs_file(self) -> list[str]:
        """Add to `runs.txt` the runs that it lacks; why that failed, in a sentence, if it did.

        Raises StorageError where the journal cannot be read, but nothing where `runs.txt` fails.
        """
        if self.batch.simulated:  # its runs exist nowhere
            return []
        with mapped(self.path):
            if self._runs is None:
                created_with = self._sql.execute(tables.SELECT_BATCH).fetchone()["value"]
                name = self.batch.name
                self._runs = RunsFile(self.path, created_with, name, self._in_place)
            self._runs.complete(partial(self._sql.execute, tables.SELECT_RUNS))
        return [self._runs.problem] if self._runs.problem else []

    def _close_runs(self) -> None:
        if self._runs is not None:
            self._runs.close()

    def note_server_time(self, reading: ServerTime) -> None:
        """Record a reading of the server's clock from before this session's first attempt."""
        stamp = {
            "session": self._session_id,
            "attempt_id": self.next_attempt_id(),
            "sent_at": reading.sent.wall,
            "sent_steady": reading.sent.steady,
            "received_at": reading.received.wall,
            "received_steady": reading.received.steady,
            "server_at": reading.server,
        }
        with self._transaction():
            self._sql.execute(tables.INSERT_STAMP, stamp)

    @property
    def session(self) -> int:
        """The number of this process's session."""
        return self._session_id

    def end_session(
        self, elapsed_s: float, stop: StopCode | None, detail: str, *, reconcile_s: float = 0.0
    ) -> None:
        """The process ends its work on the batch after `elapsed_s` seconds, of which it spent
        `reconcile_s` on reconciliation.

        Raises StorageError where that cannot be written; `facts` of this journal has it even then.
        """
        self._ending = SessionEnd(stop, detail, elapsed_s, reconcile_s)
        with self._transaction():
            ending = self._ending._asdict() | {"session": self._session_id}
            self._sql.execute(tables.END_SESSION, ending)

    def note_finished(self, now: float) -> None:
        """At Unix time `now` nothing is left to do, so it no longer matters that the last process
        was cut short.
        """
        if not self.ended_by_itself():
            self.begin_session(now)
            self.end_session(0.0, None, "")

    def note_reported(self, now: float) -> None:
        """At Unix time `now` the reports were written from what the journal holds."""
        with self._transaction():
            self._sql.execute(tables.NOTE_REPORTED, {"now": now})

    def write(self, entries: Iterable[Entry]) -> None:
        """Make entries durable, all or none."""
        if self.checkpoint_due:
            self.checkpoint()
        with self._transaction():
            self._write_entries(entries)

    # `write` in parts, for a caller that has other things to do while the disk is at work. It waits
    # for `checkpoint` and `commit`, and calls `roll_back` where `stage` or `commit` failed.

    @property
    def checkpoint_due(self) -> bool:
        """Whether the log is so long that a checkpoint comes before the next entry."""
        return self._logged >= LOGGED_MAX

    def checkpoint(self) -> None:
        """Move the log into the file and begin a new one; waits for the disk."""
        with mapped(self.path):
            begin_wal(self._sql)
        self._logged = 0

    def stage(self, entries: Iterable[Entry]) -> None:
        """Begin a transaction of these; nothing is durable yet, and the disk is hardly used."""
        with mapped(self.path):
            self._begin()
            self._write_entries(entries)

    def commit(self) -> None:
        """Make the transaction durable, then list its queued runs; waits for the disk."""
        with mapped(self.path):
            self._sql.execute("COMMIT")
        if self._new_runs and self._runs is not None:
            self._runs.append(self._new_runs)
        self._new_runs = []

    def roll_back(self) -> None:
        """Undo the transaction, if there is one."""
        self._new_runs = []
        with mapped(self.path):
            if self._sql.in_transaction:
                self._sql.execute("ROLLBACK")

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        try:
            with mapped(self.path):
                self._begin()
                yield
            self.commit()
        except BaseException:
            self.roll_back()
            raise

    def _begin(self) -> None:
        if not self._in_place():
            raise StorageError(
                f"{self.path}: moved, removed or replaced while this process worked with it. Find "
                "where its folder is now, and continue there: bulk-trigger resume FOLDER"
            )
        self._sql.execute("BEGIN IMMEDIATE")

    def _write_entries(self, entries: Iterable[Entry]) -> None:
        for entry in entries:
            seq = write_entry(self._sql, entry, self._session_id)
            self._logged += 1
            if seq is not None:
                self._new_runs += self._sql.execute(tables.SELECT_RUN, {"seq": seq})


def _opened(path: Path) -> sqlite3.Connection:
    """A journal's file, locked, with a new log."""
    sql = retried(partial(_locked, path))
    try:
        sql.execute(tables.CLEAR_MARK)  # left where a disk was full
        sql.execute("PRAGMA journal_mode = WAL")
        sql.execute("PRAGMA wal_autocheckpoint = 0")
        begin_wal(sql)
    except BaseException:
        _close(sql, path)
        raise
    return sql


def _locked(path: Path) -> sqlite3.Connection:
    """A journal's file, of our format and whole, for this process alone."""
    sql = connect(path)
    try:
        lock(sql)
        for left in path.parent.glob(f".{path.name}.*"):  # by a process that died creating it
            with suppress(OSError):
                left.unlink()
        migrate(sql, path)
    except BaseException:
        sql.close()
        raise
    return sql


def _identity(path: Path) -> tuple[int, int] | None:
    """Device and inode, which differ from those of any other file; None where there is no file."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _close(sql: sqlite3.Connection, path: Path) -> None:
    """Close a journal that is whole, also where the disk takes no more.

    SQLite moves the log into the file and removes it. Where only half of `begin_wal` was done, the
    file still has the mark of a log. An empty log says that nothing is missing, and takes no room.
    """
    sql.close()
    with suppress(OSError):
        if lost_its_wal(path):
            wal_path(path).touch(mode=0o600)
