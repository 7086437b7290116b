"""Writes one entry into the journal's tables, within a transaction of the caller's."""

from __future__ import annotations

import json
import sqlite3

from bulk.journal import schema
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
from bulk.model import Found, Missing


def write_entry(sql: sqlite3.Connection, entry: Entry, session: int) -> None:
    """Write it, as of this session. Raises sqlite3's errors."""
    match entry:
        case Intent():
            when = (entry.at, entry.steady_at, session)
            sql.execute(schema.INSERT_INTENT, (entry.attempt_id, entry.seq, entry.number, *when))
        case Withdrawn():
            sql.execute("DELETE FROM attempt WHERE id = ?", (entry.attempt_id,))
        case AttemptEnded():
            _end(sql, entry)
        case Reconciled():
            _reconcile(sql, entry)
        case SentAgain():
            sql.execute(schema.REOPEN_UNKNOWN, (entry.seq,))
        case Surplus():
            sql.execute(schema.INSERT_SURPLUS, (entry.run_id, entry.test_id, entry.created_at))
        case CancelAsked():
            sql.execute(schema.NOTE_CANCELLED, (entry.cancelled, entry.seq, entry.run_id))


def _end(sql: sqlite3.Connection, entry: AttemptEnded) -> None:
    said = (entry.failure_code, entry.run_id, entry.error, entry.message)
    sql.execute(
        schema.END_ATTEMPT,
        (
            *(entry.end, entry.sent_at, entry.steady_at, entry.received_at, entry.wait_ms),
            *(entry.latency_ms, entry.in_flight, entry.http_status, *said),
            *(json.dumps(entry.headers), entry.attempt_id),
        ),
    )
    if entry.outcome is None:
        return
    code, run_id, error, message = said
    if run_id is not None:
        sql.execute(schema.YIELD_ADOPTED, (run_id,))
    sql.execute(
        schema.END_TRIGGER,
        (
            *(entry.outcome, code, run_id, entry.http_status, error, message),
            *(entry.received_at, entry.seq),
        ),
    )


def _reconcile(sql: sqlite3.Connection, entry: Reconciled) -> None:
    judged = entry.judged
    match judged:
        case Found():
            origin = "by_count" if judged.by_count else "adopted"
            sql.execute(schema.ADOPT, (judged.run_id, origin, entry.at, judged.seq))
        case Missing():
            sql.execute(schema.NOTE_ABSENT, (entry.at, judged.seq))
            sql.execute(schema.REOPEN_UNKNOWN, (judged.seq,))
        case _:
            candidates = json.dumps(judged.candidates)
            sql.execute(schema.NOTE_UNDECIDED, (candidates, judged.why, judged.seq))
