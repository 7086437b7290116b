"""The journal's SQLite file: made, opened, locked and written; knows nothing of async.

While a batch runs, SQLite's write-ahead log makes a commit one sequential write and one fsync; a
clean end folds the log back, so that one file is left.
"""

from __future__ import annotations

import json
import os
import secrets
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from functools import partial
from pathlib import Path

from bulk.errors import DamagedError, StorageError
from bulk.journal import schema
from bulk.journal.checking import check, check_complete, index_of, lacks_its_log, log_of
from bulk.journal.entries import Entry
from bulk.journal.opening import connect, in_use, lock, mapped, patiently, put, to_our_format
from bulk.journal.place import network_file_system
from bulk.journal.reading import JournalReader, NewBatch, SessionEnd
from bulk.journal.rows import trigger_row
from bulk.journal.writing import write_entry
from bulk.model import StopCode, Trigger
from bulk.reconcile import Heard

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
        """Write a new batch, all of its triggers in one transaction.

        Raises StorageError where the folder cannot hold a journal, and whatever `triggers` raises;
        in both cases no batch is left behind.
        """
        kind = network_file_system(path.parent)
        if kind is not None:
            raise StorageError(
                f"{path.parent} is on a network file system ({kind}), where the journal's lock "
                "cannot be trusted: two processes could trigger the same tests twice. "
                "Name a local folder with --output"
            )
        with mapped(path):
            if log_of(path).exists():  # SQLite would take it for the new journal's
                if path.exists():
                    raise in_use(path)
                raise DamagedError(path, f"it is missing, and {log_of(path).name} is there")
            made = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
            # Owner only, from the first byte: SQLite gives its log files the same rights.
            os.close(os.open(made, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
            try:
                _make(made, path, batch, triggers)
                put(made, path)
            except (FileExistsError, FileNotFoundError) as error:  # another process was faster
                raise in_use(path) from error
            finally:
                made.unlink(missing_ok=True)
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
        with mapped(self.path), self._transaction():
            self._sql.execute(schema.SETTLE_OPEN_TRIGGERS, (schema.DIED,))
            self._sql.execute(schema.SETTLE_OPEN_ATTEMPTS, (schema.DIED,))
            self._sql.execute(schema.REOPEN_UNSENT)
            if failed_again:
                self._sql.execute(schema.REOPEN_FAILED)
            cursor = self._sql.execute("INSERT INTO session (started_at) VALUES (?)", (now,))
            self._session_id = cursor.lastrowid or 0

    def note_heard(self, heard: Heard) -> None:
        """Keep what was heard of the server's clock before this session's first attempt."""
        sent, received = heard.sent, heard.received
        row = (
            *(self._session_id, self.next_attempt_id(), sent.wall, sent.steady),
            *(received.wall, received.steady, heard.server),
        )
        with mapped(self.path), self._transaction():
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
        with mapped(self.path), self._transaction():
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
        with mapped(self.path), self._transaction():
            self._sql.execute(schema.NOTE_REPORTED, (now,))

    def write(self, entries: Iterable[Entry]) -> None:
        """Make entries durable, all or none."""
        with mapped(self.path):
            if self._logged >= LOGGED_MAX:
                _begin_log(self._sql)
                self._logged = 0
            with self._transaction():
                for entry in entries:
                    write_entry(self._sql, entry, self._session_id)
                    self._logged += 1

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        if not self._in_place():
            raise StorageError(
                f"{self.path}: moved, removed or replaced while this process worked with it. Find "
                "where its folder is now, and go on there: bulk-trigger resume FOLDER"
            )
        try:
            self._sql.execute("BEGIN IMMEDIATE")
            yield
            self._sql.execute("COMMIT")
        except BaseException:
            if self._sql.in_transaction:
                self._sql.execute("ROLLBACK")
            raise


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


def _make(made: Path, path: Path, batch: NewBatch, triggers: Iterable[Trigger]) -> None:
    """Write what is to become the journal at `path`."""
    try:
        with closing(connect(made)) as sql:
            _fill(sql, batch, triggers)
    except sqlite3.Error as error:
        if path.exists():  # whoever was faster has cleared ours away, which breaks a first write
            raise in_use(path) from error
        raise


def _fill(sql: sqlite3.Connection, batch: NewBatch, triggers: Iterable[Trigger]) -> None:
    """Write a new batch's file."""
    sql.execute(f"PRAGMA application_id = {schema.APPLICATION_ID}")
    sql.execute(f"PRAGMA user_version = {schema.FORMAT_VERSION}")
    sql.execute("BEGIN")
    for statement in schema.TABLES.split(";\n"):
        sql.execute(statement)
    fields = {name: getattr(batch, name) for name in NewBatch.__slots__}
    sql.execute("INSERT INTO meta VALUES ('batch', ?)", (json.dumps(fields),))
    sql.executemany(schema.INSERT_TRIGGER, map(trigger_row, triggers))
    sql.execute("COMMIT")
