"""Turns the journal's rows into records and back; knows the columns and nothing else."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from itertools import groupby
from operator import itemgetter
from sqlite3 import Row
from typing import Any

from bulk.http.rate_limit_headers import server_date
from bulk.journal.entries import Answered, LostTrigger, NewBatch, Pending, QueuedRun
from bulk.journal.tables import CELL_COLUMNS, DIED, TRIGGER_COLUMNS
from bulk.model import (
    UNSENT_BECAUSE,
    AttemptRecord,
    AttemptTimes,
    Cancelled,
    ClockSample,
    DeviceModel,
    FailureCode,
    Instant,
    Mode,
    Origin,
    Outcome,
    Platform,
    StopCode,
    Trigger,
    TriggerResult,
)

Parameters = dict[str, Any]


def parameters_of(record: Any) -> Parameters:
    """The fields of a slotted dataclass by name, as a statement's parameters."""
    return {name: getattr(record, name) for name in record.__slots__}


def batch_parameters(batch: NewBatch) -> Parameters:
    """For `tables.INSERT_BATCH`."""
    return {"fields": json.dumps(parameters_of(batch))}


def new_batch(text: str) -> NewBatch:
    """The value of `tables.SELECT_BATCH`. Raises ValueError, TypeError or KeyError for others."""
    fields = json.loads(text)
    for name in ("settings", "notes", "own_columns"):
        fields[name] = tuple(tuple(v) if isinstance(v, list) else v for v in fields[name])
    return NewBatch(**fields)


def trigger_parameters(trigger: Trigger) -> Parameters:
    """For `tables.INSERT_TRIGGER`."""
    return {
        **{name: getattr(trigger, name) for name in TRIGGER_COLUMNS},
        "key": trigger.key,
        "tags": json.dumps(trigger.tags),
        "own": json.dumps(trigger.own),
    }


def trigger_of(row: Row | Parameters) -> Trigger:
    """The trigger of a row that has all of `TRIGGER_COLUMNS`.

    Raises ValueError or TypeError where that was never written.
    """
    platform, mode, device_model = row["platform"], row["mode"], row["device_model"]
    return Trigger(
        test_id=row["test_id"],
        platform=Platform(platform) if platform else None,
        mode=Mode(mode) if mode else None,
        device_model=DeviceModel(device_model) if device_model else None,
        app_id=row["app_id"],
        environment_id=row["environment_id"],
        repetition=row["repetition"],
        name=row["name"],
        tags=tuple(json.loads(row["tags"])),
        line=row["line"],
        own=tuple((column, value) for column, value in json.loads(row["own"])),
    )


def checked_trigger(row: Row | Parameters) -> Trigger:
    """As `trigger_of`; raises ValueError unless it is the trigger that the row's key stands for."""
    trigger = trigger_of(row)
    if trigger.key != row["key"]:
        raise ValueError(f"the cell of trigger {row['key']} is another's")
    return trigger


def salvaged_trigger(row: Row) -> Trigger | None:
    """The checked trigger of a damaged file's row, without its name where only that is broken."""
    plain = dict.fromkeys(TRIGGER_COLUMNS, "") | {"tags": "[]", "line": 0, "own": "[]"}
    cell = {name: row[name] for name in ("key", *CELL_COLUMNS, "repetition")}
    for found in (row, plain | cell):
        try:
            return checked_trigger(found)
        except (ValueError, TypeError):
            continue
    return None


def cell_of(row: Row) -> Trigger:
    """The cell of a row that has `CELL_COLUMNS`: all that is sent, and nothing of the manifest."""
    platform, mode, device_model = row["platform"], row["mode"], row["device_model"]
    return Trigger(
        test_id=row["test_id"],
        platform=Platform(platform) if platform else None,
        mode=Mode(mode) if mode else None,
        device_model=DeviceModel(device_model) if device_model else None,
        app_id=row["app_id"],
        environment_id=row["environment_id"],
    )


def pending_trigger(row: Row) -> Pending:
    """A row of `tables.SELECT_PENDING`."""
    return Pending(seq=row["seq"], trigger=trigger_of(row), attempts=row["attempts"])


def trigger_result(row: Row, stop: StopCode | None) -> TriggerResult:
    """A row of `tables.SELECT_RESULTS`. `stop` says why what was not sent was not."""
    outcome, failure_code, message = row["outcome"], row["failure_code"], row["message"]
    run_id, origin, cancelled = row["run_id"], row["origin"], row["cancelled"]
    candidates = row["candidates"]
    if outcome is None and row["last_end"] == "open":  # died between an intent and its end
        outcome, failure_code = Outcome.UNKNOWN, FailureCode.INTERRUPTED
        message = DIED
    elif outcome is None:
        outcome = Outcome.UNSENT
        failure_code = FailureCode.INTERRUPTED if stop is None else UNSENT_BECAUSE[stop]
    return TriggerResult(
        trigger=trigger_of(row),
        outcome=Outcome(outcome),
        failure_code=failure_code,
        run_id=run_id,
        http_status=row["http_status"],
        error=row["error"],
        message=_with_reason(message, row["undecided"]),
        origin=None if run_id is None else Origin(origin or Origin.ANSWER),
        candidates=tuple(json.loads(candidates)) if candidates else (),
        cancelled=Cancelled(cancelled) if cancelled else None,
        attempts=row["attempts"],
        throttles=row["throttles"],
        wait_ms=row["wait_ms"],
        latency_ms=row["latency_ms"],
        total_ms=row["total_ms"],
        first_sent_at=row["first_sent_at"],
        finished_at=row["finished_at"],
    )


def _with_reason(message: str | None, undecided: str | None) -> str | None:
    """The message of the attempt, and why reconciliation could not decide."""
    if message and undecided:
        return f"{message.rstrip('.')}; {undecided}"
    return message or undecided or None


def attempt_record(row: Row) -> AttemptRecord:
    """A row of `tables.SELECT_ATTEMPTS`."""
    return AttemptRecord(
        key=row["key"],
        test_id=row["test_id"],
        number=row["number"],
        end=row["end"] if row["absent_at"] is None else "absent",
        sent_at=row["sent_at"],
        received_at=row["received_at"],
        wait_ms=row["wait_ms"],
        latency_ms=row["latency_ms"],
        in_flight=row["in_flight"],
        http_status=row["http_status"],
        failure_code=row["failure_code"],
        run_id=row["run_id"],
        error=row["error"],
        message=row["message"],
        headers=tuple((name, value) for name, value in json.loads(row["headers"])),
    )


def lost_triggers(rows: Iterable[Row]) -> list[LostTrigger]:
    """The rows of `tables.SELECT_LOST`: an attempt each, a trigger's attempts in a row."""
    lost = []
    for seq, same in groupby(rows, key=itemgetter("seq")):
        attempts = list(same)
        lost.append(
            LostTrigger(
                seq=seq,
                trigger=trigger_of(attempts[0]),
                attempts=tuple(map(attempt_times, attempts)),
            )
        )
    return lost


def answered(row: Row) -> Answered:
    """A row of `tables.SELECT_ANSWERED`."""
    return Answered(run_id=row["run_id"], cell=cell_of(row), attempt=attempt_times(row))


def queued_run(row: Row) -> QueuedRun:
    """A row of `tables.SELECT_UNCANCELLED`."""
    return QueuedRun(seq=row["seq"], run_id=row["run_id"])


def dated_samples(rows: Iterable[Row]) -> Iterator[ClockSample]:
    """The rows of `tables.SELECT_DATED` whose date can be read."""
    for row in rows:
        date = server_date(json.loads(row["headers"]))
        times = attempt_times(row)
        if date is not None and times.received is not None:
            yield ClockSample(times.sent, times.received, date, times.attempt_id, times.session)


def clock_sample(row: Row) -> ClockSample:
    """A row of `tables.SELECT_STAMPS`."""
    return ClockSample(
        sent=Instant(row["sent_at"], row["sent_steady"]),
        received=Instant(row["received_at"], row["received_steady"]),
        server=row["server_at"],
        attempt_id=row["attempt_id"],
        session=row["session"],
    )


def attempt_times(row: Row) -> AttemptTimes:
    """A row with an attempt's number, session, times and failure code."""
    received_at, latency_ms, steady_at = row["received_at"], row["latency_ms"], row["steady_at"]
    latency_s = None if latency_ms is None else latency_ms / 1000
    received = None
    if received_at is not None and latency_s is not None:
        received = Instant(received_at, None if steady_at is None else steady_at + latency_s)
    return AttemptTimes(
        attempt_id=row["attempt_id"],
        session=row["session"],
        sent=Instant(row["sent_at"], steady_at),
        received=received,
        latency_s=latency_s,
        failure_code=row["failure_code"],
    )
