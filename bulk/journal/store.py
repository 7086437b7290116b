"""The journal's SQLite file: made, opened, locked, written and read; knows nothing of async.

While a batch runs, SQLite's write-ahead log makes a commit one sequential write and one fsync; a
clean end folds the log back, so that one file is left.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bulk.errors import StorageError
from bulk.journal import schema
from bulk.journal.entries import Ended, Entry, Intent, Pending
from bulk.journal.opening import check_format, connect, lock, mapped, sync_folder
from bulk.journal.place import network_file_system
from bulk.journal.rows import attempt_record, pending_trigger, trigger_result, trigger_row
from bulk.model import AttemptRecord, BatchFacts, Outcome, StopCode, Trigger, TriggerResult


@dataclass(frozen=True, slots=True)
class NewBatch:
    """What a batch is born with. `sandbox` is the embedded sandbox's spec, or None.

    `simulated`: in virtual time, against a model of that sandbox; it is never continued.
    `fingerprint` says which cells it consists of; `settings` never hold the API key.
    """

    name: str
    manifest: str
    base_url: str
    created_at: float
    version: str
    fingerprint: str
    sandbox: str | None = None
    simulated: bool = False
    settings: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()
    own_columns: tuple[str, ...] = ()


class Journal:
    """An open journal. Made by `create` or `open`; close it, or use it in a `with`."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self.path = path
        self._sql = connection
        self._session_id = 0
        self._ending: tuple[StopCode | None, str, float] | None = None  # of this session

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
            # Owner only, from the first byte: SQLite gives its log files the same rights.
            os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
            journal = cls(path, connect(path))
            try:
                journal._fill(batch, triggers)
                if batch.simulated:  # half a simulation is worth nothing, so it need not survive
                    journal._sql.execute("PRAGMA synchronous = OFF")
            except BaseException:
                journal._sql.close()
                path.unlink(missing_ok=True)
                raise
            sync_folder(path.parent)
        return journal

    def _fill(self, batch: NewBatch, triggers: Iterable[Trigger]) -> None:
        sql = self._sql
        lock(sql)
        sql.execute(f"PRAGMA application_id = {schema.APPLICATION_ID}")
        sql.execute(f"PRAGMA user_version = {schema.FORMAT_VERSION}")
        sql.execute("BEGIN")
        for statement in schema.TABLES.split(";\n"):
            sql.execute(statement)
        fields = {name: getattr(batch, name) for name in NewBatch.__slots__}
        sql.execute("INSERT INTO meta VALUES ('batch', ?)", (json.dumps(fields),))
        sql.executemany(schema.INSERT_TRIGGER, map(trigger_row, triggers))
        sql.execute("COMMIT")
        sql.execute("PRAGMA journal_mode = WAL")

    @classmethod
    def open(cls, path: Path) -> Journal:
        """Open an existing batch for this process alone.

        Raises BatchInUseError, EmptyJournalError, or StorageError for anything else.
        """
        with mapped(path):
            if not path.is_file():
                raise StorageError(f"{path}: there is no journal here")
            connection = connect(path)
            try:
                lock(connection)
                check_format(connection, path)
                connection.execute("PRAGMA journal_mode = WAL")
            except BaseException:
                connection.close()
                raise
        return cls(path, connection)

    @classmethod
    def peek(cls, path: Path) -> NewBatch | None:
        """What a batch was born with, also while another process has it open; None if unreadable.

        That part is written before the write-ahead log comes into use and never changes, so it can
        be read past all locks.
        """
        try:
            with closing(
                sqlite3.connect(f"{path.absolute().as_uri()}?immutable=1", uri=True)
            ) as sql:
                return _batch(sql)
        except (sqlite3.Error, OSError, ValueError, TypeError, KeyError):
            return None

    def close(self) -> None:
        """Fold the log back into the one file and let go of it."""
        with mapped(self.path):
            try:
                self._sql.execute("PRAGMA journal_mode = DELETE")
            finally:
                self._sql.close()

    def abandon(self) -> None:
        """Let go of the file without a further write, as where the disk is full."""
        self._sql.close()

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def batch(self) -> NewBatch:
        """What the batch was born with."""
        with mapped(self.path):
            return _batch(self._sql)

    def begin_session(self, now: float) -> None:
        """A process takes the batch up at wall time `now`: settle what the last one left open."""
        self._ending = None
        with mapped(self.path), self._transaction():
            self._sql.execute(schema.SETTLE_OPEN_TRIGGERS)
            self._sql.execute(schema.SETTLE_OPEN_ATTEMPTS)
            self._sql.execute(schema.REOPEN_UNSENT)
            cursor = self._sql.execute("INSERT INTO session (started_at) VALUES (?)", (now,))
            self._session_id = cursor.lastrowid or 0

    def end_session(self, elapsed_s: float, stop: StopCode | None, detail: str) -> None:
        """The process is done with the batch, after `elapsed_s` seconds.

        Raises StorageError where that cannot be written; this journal's own `facts` tell it still.
        """
        self._ending = (stop, detail, elapsed_s)
        with mapped(self.path), self._transaction():
            self._sql.execute(
                "UPDATE session SET elapsed_s = ?, stop = ?, stop_detail = ? WHERE id = ?",
                (elapsed_s, stop, detail, self._session_id),
            )

    def next_attempt_id(self) -> int:
        """The first id that no attempt has."""
        with mapped(self.path):
            (last,) = self._sql.execute("SELECT coalesce(max(id), 0) FROM attempt").fetchone()
        return int(last) + 1

    def run_ids(self) -> set[str]:
        """All run ids that have an owner."""
        with mapped(self.path):
            rows = self._sql.execute("SELECT run_id FROM trigger WHERE run_id IS NOT NULL")
            return {run_id for (run_id,) in rows}

    def counts(self) -> dict[Outcome | None, int]:
        """How many triggers have which outcome; None counts those that still have to be sent."""
        with mapped(self.path):
            rows = self._sql.execute(schema.COUNT_OUTCOMES).fetchall()
        return {Outcome(outcome) if outcome else None: count for outcome, count in rows}

    def pending(self, after_seq: int, rows_max: int) -> list[Pending]:
        """Triggers that still have to be sent, in order, from behind place `after_seq`."""
        with mapped(self.path):
            rows = self._sql.execute(schema.SELECT_PENDING, (after_seq, rows_max))
            return [pending_trigger(row) for row in rows]

    def write(self, entries: Iterable[Entry]) -> None:
        """Make entries durable, all or none."""
        with mapped(self.path), self._transaction():
            for entry in entries:
                self._write(entry)

    def _write(self, entry: Entry) -> None:
        sql = self._sql
        if isinstance(entry, Intent):
            row = (entry.attempt_id, entry.seq, entry.number, entry.at)
            sql.execute(schema.INSERT_INTENT, row)
        elif isinstance(entry, Ended):
            said = (entry.failure_code, entry.run_id, entry.error, entry.message)
            sql.execute(
                schema.END_ATTEMPT,
                (
                    *(entry.end, entry.sent_at, entry.received_at, entry.wait_ms),
                    *(entry.latency_ms, entry.in_flight, entry.http_status, *said),
                    *(json.dumps(entry.headers), entry.attempt_id),
                ),
            )
            if entry.outcome is not None:
                code, run_id, error, message = said
                sql.execute(
                    schema.END_TRIGGER,
                    (
                        *(entry.outcome, code, run_id, entry.http_status, error, message),
                        *(entry.received_at, entry.seq),
                    ),
                )
        else:
            sql.execute("DELETE FROM attempt WHERE id = ?", (entry.attempt_id,))

    def facts(self) -> BatchFacts:
        """What a report says of the batch. The stop is that of the newest session."""
        batch = self.batch
        with mapped(self.path):
            sessions = self._sql.execute(schema.SELECT_SESSION_ENDS).fetchall()
        if self._ending is not None:  # known even where a full disk could not take it
            sessions[-1] = self._ending
        stop, detail, _ = sessions[-1] if sessions else (None, None, None)
        return BatchFacts(
            name=batch.name,
            manifest=batch.manifest,
            base_url=batch.base_url,
            created_at=batch.created_at,
            elapsed_s=sum(seconds or 0.0 for *_, seconds in sessions),
            version=batch.version,
            stop=StopCode(stop) if stop else None,
            stop_detail=detail or "",
            sandbox=batch.sandbox is not None,
            simulated=batch.simulated,
            settings=batch.settings,
            notes=batch.notes,
            own_columns=batch.own_columns,
        )

    def results(self) -> Iterator[TriggerResult]:
        """Every trigger of the batch with how it ended, in the manifest's order."""
        stop = self.facts().stop
        with mapped(self.path):
            for row in self._sql.execute(schema.SELECT_RESULTS):
                yield trigger_result(row, stop)

    def attempts(self) -> Iterator[AttemptRecord]:
        """Every attempt of the batch, in the order in which they left."""
        with mapped(self.path):
            for row in self._sql.execute(schema.SELECT_ATTEMPTS):
                yield attempt_record(row)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._sql.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._sql.execute("COMMIT")
        except BaseException:
            if self._sql.in_transaction:
                self._sql.execute("ROLLBACK")
            raise


def _batch(sql: sqlite3.Connection) -> NewBatch:
    (text,) = sql.execute("SELECT value FROM meta WHERE name = 'batch'").fetchone()
    fields = json.loads(text)
    for name in ("settings", "notes", "own_columns"):
        fields[name] = tuple(tuple(v) if isinstance(v, list) else v for v in fields[name])
    return NewBatch(**fields)
