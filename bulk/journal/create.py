"""Creates the journal's file: whole, or not at all; knows nothing of what comes after."""

from __future__ import annotations

import os
import secrets
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

from bulk.errors import DamagedError, StorageError
from bulk.journal import tables
from bulk.journal.connection import (
    connect,
    in_use,
    mapped,
    publish,
)
from bulk.journal.entries import NewBatch
from bulk.journal.network_fs import network_file_system
from bulk.journal.records import batch_parameters, trigger_parameters
from bulk.journal.wal import wal_path
from bulk.model import Trigger


def create(path: Path, batch: NewBatch, triggers: Iterable[Trigger]) -> None:
    """Write a new batch's journal, all of its triggers in one transaction; see `Journal.create`."""
    kind = network_file_system(path.parent)
    if kind is not None:
        raise StorageError(
            f"{path.parent} is on {kind}, where the journal's locks and writes cannot be trusted: "
            "two processes could trigger the same tests twice, and a crash could lose what was "
            "sent. "
            "Name a local folder with --output"
        )
    with mapped(path):
        if wal_path(path).exists():  # SQLite would take it for the new journal's log
            if path.exists():
                raise in_use(path)
            raise DamagedError(path, f"it is missing, and {wal_path(path).name} is there")
        made = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        # Owner only, from the first byte: SQLite gives its log files the same rights.
        os.close(os.open(made, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        try:
            _write(made, path, batch, triggers)
            publish(made, path)
        except (FileExistsError, FileNotFoundError) as error:  # another process was faster
            raise in_use(path) from error
        finally:
            made.unlink(missing_ok=True)


def _write(made: Path, path: Path, batch: NewBatch, triggers: Iterable[Trigger]) -> None:
    """Write the file that becomes the journal at `path`."""
    try:
        with closing(connect(made)) as sql:
            _fill(sql, batch, triggers)
    except sqlite3.Error as error:
        if path.exists():  # the faster process removed our file, which breaks a first write
            raise in_use(path) from error
        raise


def _fill(sql: sqlite3.Connection, batch: NewBatch, triggers: Iterable[Trigger]) -> None:
    """Write a new batch's file."""
    sql.execute(f"PRAGMA application_id = {tables.APPLICATION_ID}")
    sql.execute(f"PRAGMA user_version = {tables.FORMAT_VERSION}")
    sql.execute("BEGIN")
    for statement in tables.TABLES.split(";\n"):
        sql.execute(statement)
    sql.execute(tables.INSERT_BATCH, batch_parameters(batch))
    sql.executemany(tables.INSERT_TRIGGER, map(trigger_parameters, triggers))
    sql.execute("COMMIT")
