"""Writes one entry into the journal's tables, within a transaction of the caller's."""

from __future__ import annotations

import json
import sqlite3

from bulk.journal import tables
from bulk.journal.entries import (
    AttemptEnded,
    CancelAsked,
    Entry,
    Intent,
    Reconciled,
    SentAgain,
    Surplus,
    Withdrawn,
)
from bulk.journal.records import parameters_of
from bulk.model import Found, Missing


def write_entry(sql: sqlite3.Connection, entry: Entry, session: int) -> int | None:
    """Write it, as of this session. Raises sqlite3's errors.

    Returns the `seq` of the trigger to which the entry gave a run, None where it gave none.
    """
    fields = parameters_of(entry)
    match entry:
        case Intent():
            sql.execute(tables.INSERT_INTENT, fields | {"session": session})
        case Withdrawn():
            sql.execute(tables.DELETE_INTENT, fields)
        case AttemptEnded():
            sql.execute(tables.END_ATTEMPT, fields | {"headers": json.dumps(entry.headers)})
            if entry.outcome is not None:
                if entry.run_id is not None:
                    sql.execute(tables.YIELD_ADOPTED, fields)
                ended = sql.execute(tables.END_TRIGGER, fields)
                return entry.seq if entry.run_id is not None and ended.rowcount else None
        case Reconciled():
            return _reconcile(sql, entry)
        case SentAgain():
            sql.execute(tables.REOPEN_UNKNOWN, fields)
        case Surplus():
            sql.execute(tables.INSERT_SURPLUS, fields)
        case CancelAsked():
            sql.execute(tables.NOTE_CANCELLED, fields)
    return None


def _reconcile(sql: sqlite3.Connection, entry: Reconciled) -> int | None:
    judged = entry.judged
    fields = parameters_of(judged) | {"at": entry.at}
    match judged:
        case Found():
            fields["origin"] = "by_count" if judged.by_count else "adopted"
            return judged.seq if sql.execute(tables.ADOPT, fields).rowcount else None
        case Missing():
            sql.execute(tables.NOTE_ABSENT, fields)
            sql.execute(tables.REOPEN_UNKNOWN, fields)
        case _:
            fields["candidates"] = json.dumps(judged.candidates)
            sql.execute(tables.NOTE_UNDECIDED, fields)
    return None
