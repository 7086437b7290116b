"""Reads what the journal holds: for dispatch, for reconciliation, for reports; writes nothing."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from bulk.journal import tables
from bulk.journal.connection import decoded, mapped
from bulk.journal.entries import BatchHistory, LostTrigger, NewBatch, Pending, QueuedRun
from bulk.journal.records import (
    answered,
    attempt_record,
    attempt_times,
    cell_of,
    clock_sample,
    dated_samples,
    lost_triggers,
    new_batch,
    pending_trigger,
    queued_run,
    trigger_result,
)
from bulk.journal.tally import Tally
from bulk.model import AttemptRecord, BatchFacts, ClockSample, Outcome, StopCode, TriggerResult


class SessionEnd(NamedTuple):
    """How a process ended its work on a batch.

    It worked for `elapsed_s` seconds, and reconciled for `reconcile_s` of them.
    """

    stop: StopCode | None
    stop_detail: str
    elapsed_s: float
    reconcile_s: float


class JournalReader:
    """The reading half of an open journal. All methods raise StorageError if it cannot be read."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self.path = path
        self._sql = connection
        self._ending: SessionEnd | None = None  # of this session

    @property
    def batch(self) -> NewBatch:
        """What the batch was created with."""
        with decoded(self.path):
            return new_batch(self._sql.execute(tables.SELECT_BATCH).fetchone()["value"])

    def next_attempt_id(self) -> int:
        """The first id that no attempt has."""
        with mapped(self.path):
            return int(self._sql.execute(tables.SELECT_LAST_ATTEMPT_ID).fetchone()["id"]) + 1

    def run_ids(self, *, found: bool = True) -> set[str]:
        """All run ids that have an owner; with `found=False` only those that an answer named."""
        select = tables.SELECT_RUN_IDS if found else tables.SELECT_ANSWERED_RUN_IDS
        with mapped(self.path):
            return {row["run_id"] for row in self._sql.execute(select)}

    def sent_keys(self) -> set[str]:
        """The keys of the triggers that were executed, or may have been, and not cancelled."""
        with mapped(self.path):
            return {row["key"] for row in self._sql.execute(tables.SELECT_SENT_KEYS)}

    def counts(self) -> dict[Outcome | None, int]:
        """How many triggers have which outcome; None counts those that still have to be sent."""
        with decoded(self.path):
            return {
                Outcome(row["outcome"]) if row["outcome"] else None: row["count"]
                for row in self._sql.execute(tables.COUNT_OUTCOMES)
            }

    def tally(self) -> Tally:
        """The counts by outcome, from which dispatch and the progress line count on."""
        return Tally.of(self.counts())

    def ended_by_itself(self) -> bool:
        """Whether the newest process that worked on the batch did all it could: it was not killed,
        interrupted or stopped.
        """
        return self._says(tables.SELECT_ENDED_BY_ITSELF)

    def reconciliation_due(self) -> bool:
        """Whether a process was cut short, and none that ended by itself has asked the server about
        unknown triggers since.
        """
        return self._says(tables.SELECT_RECONCILIATION_DUE)

    def reported(self) -> bool:
        """Whether the reports were written since the newest process worked on the batch."""
        return self._says(tables.SELECT_REPORTED)

    def _says(self, question: str) -> bool:
        with mapped(self.path):
            row = self._sql.execute(question).fetchone()
        return bool(row and row["answer"])

    def pending(self, after_seq: int, rows_max: int) -> list[Pending]:
        """At most `rows_max` triggers that still have to be sent, in order, after `after_seq`."""
        with decoded(self.path):
            asked = {"after_seq": after_seq, "rows_max": rows_max}
            return [pending_trigger(row) for row in self._sql.execute(tables.SELECT_PENDING, asked)]

    def uncancelled(self) -> list[QueuedRun]:
        """The runs of queued triggers that may still be in progress, in the manifest's order."""
        with mapped(self.path):
            return [queued_run(row) for row in self._sql.execute(tables.SELECT_UNCANCELLED)]

    # --- for reconciliation --------------------------------------------------------------------

    def lost(self) -> list[LostTrigger]:
        """The triggers that may have been executed, in the manifest's order."""
        with decoded(self.path):
            return lost_triggers(self._sql.execute(tables.SELECT_LOST))

    def in_doubt(self) -> list[LostTrigger]:
        """All triggers with an attempt that may have made a run that no trigger owns."""
        with decoded(self.path):
            return lost_triggers(self._sql.execute(tables.SELECT_IN_DOUBT))

    def clock_samples(self) -> tuple[ClockSample, ...]:
        """All readings of the server's clock."""
        sql = self._sql
        with decoded(self.path):
            return (
                *dated_samples(sql.execute(tables.SELECT_DATED)),
                *map(clock_sample, sql.execute(tables.SELECT_STAMPS)),
            )

    def history(self) -> BatchHistory:
        """What reconciliation needs to know of the batch besides its lost triggers."""
        sql = self._sql
        with decoded(self.path):
            ends = [attempt_times(row) for row in sql.execute(tables.SELECT_OUTERMOST)]
            return BatchHistory(
                answered=tuple(answered(row) for row in sql.execute(tables.SELECT_ANSWERED)),
                clock_samples=self.clock_samples(),
                resent=tuple(lost_triggers(sql.execute(tables.SELECT_RESENT))),
                cells=tuple(cell_of(row) for row in sql.execute(tables.SELECT_CELLS)),
                first=ends[0] if ends else None,
                last=ends[-1] if ends else None,
            )

    # --- for reports ----------------------------------------------------------------------------

    def facts(self) -> BatchFacts:
        """What a report says of the batch. The stop is that of the newest session."""
        batch = self.batch
        with mapped(self.path):
            sessions = [SessionEnd(**row) for row in self._sql.execute(tables.SELECT_SESSION_ENDS)]
            surplus = tuple(row["run_id"] for row in self._sql.execute(tables.SELECT_SURPLUS))
        if self._ending is not None:  # known even where a full disk could not take it
            sessions[-1] = self._ending
        last = sessions[-1] if sessions else SessionEnd(None, "", 0.0, 0.0)
        return BatchFacts(
            name=batch.name,
            manifest=batch.manifest,
            base_url=batch.base_url,
            created_at=batch.created_at,
            elapsed_s=sum(max(0.0, session.elapsed_s) for session in sessions),
            reconcile_s=sum(session.reconcile_s for session in sessions),
            version=batch.version,
            stop=StopCode(last.stop) if last.stop else None,
            stop_detail=last.stop_detail or "",
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
            for row in self._sql.execute(tables.SELECT_RESULTS):
                yield trigger_result(row, stop)

    def attempts(self) -> Iterator[AttemptRecord]:
        """Every attempt of the batch, in the order in which they left."""
        with decoded(self.path):
            for row in self._sql.execute(tables.SELECT_ATTEMPTS):
                yield attempt_record(row)
