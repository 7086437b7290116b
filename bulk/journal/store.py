"""The journal's SQLite file: opened, locked and written; knows nothing of async.

While a batch runs, SQLite's write-ahead log makes a commit one sequential write and one fsync; a
clean end folds the log back, so that one file is left.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

from bulk.errors import StorageError
from bulk.journal import schema
from bulk.journal.checking import check, check_complete, index_of, lacks_its_log, log_of
from bulk.journal.connection import (
    connect,
    lock,
    mapped,
    patiently,
    to_our_format,
)
from bulk.journal.create import make
from bulk.journal.entries import Entry
from bulk.journal.reading import JournalReader, NewBatch, SessionEnd
from bulk.journal.writing import write_entry
from bulk.model import ServerTime, StopCode, Trigger

LOGGED_MAX = 500  # entries in the log, of some four pages each, before it is begun anew


class Journal(JournalReader):
    """An open journal. Made by `create` or `open`; close it, or use it in a `with`."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        super().__init__(path, connection)
        self._file = _identity(path)
        self._session_id = 0
        self._logged = 0

    @classmethod
    def create(cls, path: Path, batch: NewBatch, triggers: Iterable[Trigger]) -> Journal:
        """Write a new batch, all of its triggers in one transaction, and open it.

        Raises StorageError where the folder cannot hold a journal, and whatever `triggers` raises;
        in both cases no batch is left behind.
        """
        make(path, batch, triggers)
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
        """Fold the log back into the one file and let go of it."""
        if not self._in_place():  # what lies at its path is another batch's, log and all
            self._sql.close()
            return
        with mapped(self.path):
            try:
                self._sql.execute("PRAGMA journal_mode = DELETE")
                with suppress(OSError):  # of a process that died as it looked whether this is sound
                    index_of(self.path).unlink(missing_ok=True)
            finally:
                _let_go(self._sql, self.path)

    def abandon(self) -> None:
        """Let go of the file without a further write, as where the disk is full."""
        if self._in_place():
            _let_go(self._sql, self.path)
        else:
            self._sql.close()

    @property
    def displaced(self) -> bool:
        """Whether another file lies at the path of this one, which was moved or removed."""
        return _identity(self.path) not in (None, self._file)

    def _in_place(self) -> bool:
        """Whether the open file is the one at its path: nobody has moved or removed it."""
        return self._file is not None and _identity(self.path) == self._file

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def begin_session(self, now: float, *, failed_again: bool = False) -> None:
        """A process takes the batch up at wall time `now`: settle what the last one left open.

        `failed_again`: what was rejected or throttled is to be sent as well.
        """
        self._ending = None
        with self._transaction():
            self._sql.execute(schema.SETTLE_OPEN_TRIGGERS, (schema.DIED,))
            self._sql.execute(schema.SETTLE_OPEN_ATTEMPTS, (schema.DIED,))
            self._sql.execute(schema.REOPEN_UNSENT)
            if failed_again:
                self._sql.execute(schema.REOPEN_FAILED)
            cursor = self._sql.execute("INSERT INTO session (started_at) VALUES (?)", (now,))
            self._session_id = cursor.lastrowid or 0

    def note_server_time(self, heard: ServerTime) -> None:
        """Keep what was heard of the server's clock before this session's first attempt."""
        sent, received = heard.sent, heard.received
        row = (
            *(self._session_id, self.next_attempt_id(), sent.wall, sent.steady),
            *(received.wall, received.steady, heard.server),
        )
        with self._transaction():
            self._sql.execute(schema.INSERT_STAMP, row)

    @property
    def session(self) -> int:
        """The number of this process's session."""
        return self._session_id

    def end_session(
        self, elapsed_s: float, stop: StopCode | None, detail: str, *, asked_s: float = 0.0
    ) -> None:
        """The process is done with the batch, after `elapsed_s` seconds. For `asked_s` of them it
        asked the server what had become of lost answers.

        Raises StorageError where that cannot be written; this journal's own `facts` tell it still.
        """
        self._ending = SessionEnd(stop, detail, elapsed_s, asked_s)
        with self._transaction():
            self._sql.execute(schema.END_SESSION, (*self._ending, self._session_id))

    def note_finished(self, now: float) -> None:
        """At wall time `now` nothing is left to do: that the last process was cut short before its
        end counts no more.
        """
        if not self.came_to_its_end():
            self.begin_session(now)
            self.end_session(0.0, None, "")

    def note_reported(self, now: float) -> None:
        """At wall time `now` the reports tell what is in here."""
        with self._transaction():
            self._sql.execute(schema.NOTE_REPORTED, (now,))

    def write(self, entries: Iterable[Entry]) -> None:
        """Make entries durable, all or none."""
        if self.has_long_log:
            self.begin_log()
        with self._transaction():
            self._write_entries(entries)

    # `write` in parts, for a caller that has to go on with other things as the disk is at work: it
    # waits for `begin_log` and `commit`, and calls `roll_back` where `stage` or `commit` failed.

    @property
    def has_long_log(self) -> bool:
        """Whether the log is to be begun anew before more is written."""
        return self._logged >= LOGGED_MAX

    def begin_log(self) -> None:
        """Fold the log back into the file and begin it anew; waits for the disk."""
        with mapped(self.path):
            _begin_log(self._sql)
        self._logged = 0

    def stage(self, entries: Iterable[Entry]) -> None:
        """Begin a transaction of these; nothing is durable yet, and the disk is hardly used."""
        with mapped(self.path):
            self._begin()
            self._write_entries(entries)

    def commit(self) -> None:
        """Make durable what is in the transaction; waits for the disk."""
        with mapped(self.path):
            self._sql.execute("COMMIT")

    def roll_back(self) -> None:
        """Forget the transaction, if there is one."""
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
                "where its folder is now, and go on there: bulk-trigger resume FOLDER"
            )
        self._sql.execute("BEGIN IMMEDIATE")

    def _write_entries(self, entries: Iterable[Entry]) -> None:
        for entry in entries:
            write_entry(self._sql, entry, self._session_id)
            self._logged += 1


def _opened(path: Path) -> sqlite3.Connection:
    """A journal's file, locked, with a log that is begun."""
    sql = patiently(partial(_locked, path))
    try:
        sql.execute(schema.UNMARK)  # left where a disk was full
        sql.execute("PRAGMA journal_mode = WAL")
        sql.execute("PRAGMA wal_autocheckpoint = 0")
        _begin_log(sql)
    except BaseException:
        _let_go(sql, path)
        raise
    return sql


def _locked(path: Path) -> sqlite3.Connection:
    """A journal's file, of our format and whole, for this process alone."""
    without_log = lacks_its_log(path)
    sql = connect(path)
    try:
        lock(sql)
        for left in path.parent.glob(f".{path.name}.*"):  # of a process that died making it
            with suppress(OSError):
                left.unlink()
        to_our_format(sql, path)
        if without_log:
            check_complete(sql, path)
    except BaseException:
        sql.close()
        raise
    return sql


def _begin_log(sql: sqlite3.Connection) -> None:
    """Fold the log back into the file and begin it anew.

    From then on the file says that there is a log, and the log's first commit takes that back: a
    file that still says so without a log has lost it, and one that SQLite folded its log into, as
    whenever a connection goes, is whole. One call, so that no Ctrl-C comes between.
    """
    sql.executescript(schema.BEGIN_LOG)


def _identity(path: Path) -> tuple[int, int] | None:
    """What tells the file at a path from any other; None where there is none."""
    try:
        told = path.stat()
    except OSError:
        return None
    return told.st_dev, told.st_ino


def _let_go(sql: sqlite3.Connection, path: Path) -> None:
    """Close a journal that is whole, also where the disk takes no more.

    SQLite folds the log back and removes it; where only half of `_begin_log` was done, the file
    still says that there is one. An empty log says that nothing is missing, and takes no room.
    """
    sql.close()
    with suppress(OSError):
        if lacks_its_log(path):
            log_of(path).touch(mode=0o600)
