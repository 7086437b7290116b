"""Reads what the journal holds: for dispatch, for reconciliation, for reports; writes nothing."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from bulk.journal import schema
from bulk.journal.connection import decoded, mapped
from bulk.journal.entries import Lost, Past, Pending, QueuedRun
from bulk.journal.rows import (
    answered,
    attempt_record,
    attempt_times,
    cell,
    lost_triggers,
    pending_trigger,
    queued_run,
    stamp,
    stamps,
    trigger_result,
)
from bulk.model import AttemptRecord, BatchFacts, ClockSample, Outcome, StopCode, TriggerResult


@dataclass(frozen=True, slots=True)
class NewBatch:
    """What a batch is born with. `sandbox` is the embedded sandbox's spec, or None.

    `simulated`: in virtual time, against a model of that sandbox; it is never continued.
    `fingerprint` says which cells it consists of; `settings` never hold the API key. `number` is
    higher than that of all batches that were begun before it in the same folder, whatever the clock
    said; 0 where an earlier build began it.
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
    number: int = 0


class SessionEnd(NamedTuple):
    """How a process ended its work on a batch, and how long it worked and asked; in seconds."""

    stop: StopCode | None
    detail: str
    elapsed_s: float
    asked_s: float


class JournalReader:
    """The reading half of an open journal."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self.path = path
        self._sql = connection
        self._ending: SessionEnd | None = None  # of this session

    @property
    def batch(self) -> NewBatch:
        """What the batch was born with."""
        with decoded(self.path):
            return batch_of(self._sql)

    def next_attempt_id(self) -> int:
        """The first id that no attempt has."""
        with mapped(self.path):
            (last,) = self._sql.execute("SELECT coalesce(max(id), 0) FROM attempt").fetchone()
        return int(last) + 1

    def run_ids(self, *, found: bool = True) -> set[str]:
        """All run ids that have an owner; without those `found` by looking, only the answered."""
        which = "" if found else " AND origin IS NULL"
        with mapped(self.path):
            rows = self._sql.execute(schema.SELECT_RUN_IDS + which)
            return {run_id for (run_id,) in rows}

    def sent_keys(self) -> set[str]:
        """The keys of the triggers that were executed, or may have been, and not cancelled."""
        with mapped(self.path):
            return {key for (key,) in self._sql.execute(schema.SELECT_SENT_KEYS)}

    def counts(self) -> dict[Outcome | None, int]:
        """How many triggers have which outcome; None counts those that still have to be sent."""
        with decoded(self.path):
            rows = self._sql.execute(schema.COUNT_OUTCOMES).fetchall()
            return {Outcome(outcome) if outcome else None: count for outcome, count in rows}

    def came_to_its_end(self) -> bool:
        """Whether the newest process that worked on the batch did all it could: nobody killed,
        interrupted or stopped it.
        """
        with mapped(self.path):
            row = self._sql.execute(schema.SELECT_LAST_ENDED).fetchone()
        return bool(row and row[0])

    def left_unasked(self) -> bool:
        """Whether a process was cut short, and none since has come to its end that asked the server
        what became of unknown triggers.
        """
        with mapped(self.path):
            row = self._sql.execute(schema.SELECT_LEFT_UNASKED).fetchone()
        return bool(row[0])

    def reported(self) -> bool:
        """Whether the reports were written since the newest process worked on the batch."""
        with mapped(self.path):
            row = self._sql.execute(schema.SELECT_REPORTED).fetchone()
        return bool(row and row[0])

    def pending(self, after_seq: int, rows_max: int) -> list[Pending]:
        """Triggers that still have to be sent, in order, from behind place `after_seq`."""
        with decoded(self.path):
            rows = self._sql.execute(schema.SELECT_PENDING, (after_seq, rows_max))
            return [pending_trigger(row) for row in rows]

    def uncancelled(self) -> list[QueuedRun]:
        """The runs of queued triggers that may still go on, in the manifest's order."""
        with mapped(self.path):
            return [queued_run(row) for row in self._sql.execute(schema.SELECT_UNCANCELLED)]

    # --- for reconciliation --------------------------------------------------------------------

    def lost(self) -> list[Lost]:
        """The triggers that may have been executed, in the manifest's order."""
        with decoded(self.path):
            return lost_triggers(self._sql.execute(schema.SELECT_LOST))

    def in_doubt(self) -> list[Lost]:
        """All triggers with an attempt that may have made a run which nobody owns."""
        with decoded(self.path):
            return lost_triggers(self._sql.execute(schema.SELECT_IN_DOUBT))

    def stamps(self) -> tuple[ClockSample, ...]:
        """All that was heard of the server's clock."""
        sql = self._sql
        with decoded(self.path):
            return (
                *stamps(sql.execute(schema.SELECT_DATED)),
                *map(stamp, sql.execute(schema.SELECT_STAMPS)),
            )

    def past(self) -> Past:
        """What else reconciliation has to know of the batch."""
        sql = self._sql
        with decoded(self.path):
            ends = [attempt_times(row) for row in sql.execute(schema.SELECT_OUTERMOST)]
            return Past(
                answered=tuple(answered(row) for row in sql.execute(schema.SELECT_ANSWERED)),
                stamps=self.stamps(),
                resent=tuple(lost_triggers(sql.execute(schema.SELECT_RESENT))),
                cells=tuple(cell(row) for row in sql.execute(schema.SELECT_CELLS)),
                first=ends[0] if ends else None,
                last=ends[-1] if ends else None,
            )

    # --- for reports ----------------------------------------------------------------------------

    def facts(self) -> BatchFacts:
        """What a report says of the batch. The stop is that of the newest session."""
        batch = self.batch
        with mapped(self.path):
            sessions = [SessionEnd(*row) for row in self._sql.execute(schema.SELECT_SESSION_ENDS)]
            surplus = tuple(run_id for run_id, *_ in self._sql.execute(schema.SELECT_SURPLUS))
        if self._ending is not None:  # known even where a full disk could not take it
            sessions[-1] = self._ending
        stop, detail, *_ = sessions[-1] if sessions else (None, None)
        return BatchFacts(
            name=batch.name,
            manifest=batch.manifest,
            base_url=batch.base_url,
            created_at=batch.created_at,
            elapsed_s=sum(max(0.0, session.elapsed_s) for session in sessions),
            asked_s=sum(session.asked_s for session in sessions),
            version=batch.version,
            stop=StopCode(stop) if stop else None,
            stop_detail=detail or "",
            sandbox=batch.sandbox is not None,
            simulated=batch.simulated,
            settings=batch.settings,
            notes=batch.notes,
            own_columns=batch.own_columns,
            surplus=surplus,
        )

    def results(self) -> Iterator[TriggerResult]:
        """Every trigger of the batch with how it ended, in the manifest's order."""
        stop = self.facts().stop
        with decoded(self.path):
            for row in self._sql.execute(schema.SELECT_RESULTS):
                yield trigger_result(row, stop)

    def attempts(self) -> Iterator[AttemptRecord]:
        """Every attempt of the batch, in the order in which they left."""
        with decoded(self.path):
            for row in self._sql.execute(schema.SELECT_ATTEMPTS):
                yield attempt_record(row)


def batch_of(sql: sqlite3.Connection) -> NewBatch:
    (text,) = sql.execute("SELECT value FROM meta WHERE name = 'batch'").fetchone()
    fields = json.loads(text)
    for name in ("settings", "notes", "own_columns"):
        fields[name] = tuple(tuple(v) if isinstance(v, list) else v for v in fields[name])
    return NewBatch(**fields)
