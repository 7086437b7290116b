"""Makes the journal's file: whole, or not at all; knows nothing of what comes after."""

from __future__ import annotations

import json
import os
import secrets
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

from bulk.errors import DamagedError, StorageError
from bulk.journal import schema
from bulk.journal.checking import log_of
from bulk.journal.connection import (
    connect,
    in_use,
    mapped,
    put,
)
from bulk.journal.network_fs import network_file_system
from bulk.journal.reading import NewBatch
from bulk.journal.rows import trigger_row
from bulk.model import Trigger


def make(path: Path, batch: NewBatch, triggers: Iterable[Trigger]) -> None:
    """Write a new batch's journal, all of its triggers in one transaction; see `Journal.create`."""
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
            _write(made, path, batch, triggers)
            put(made, path)
        except (FileExistsError, FileNotFoundError) as error:  # another process was faster
            raise in_use(path) from error
        finally:
            made.unlink(missing_ok=True)


def _write(made: Path, path: Path, batch: NewBatch, triggers: Iterable[Trigger]) -> None:
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
