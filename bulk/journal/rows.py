"""Turns the journal's rows into records and back; knows the column order and nothing else."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Any

from bulk.http.rate_limit_headers import server_date
from bulk.journal.entries import Answered, Lost, Pending, QueuedRun
from bulk.journal.schema import DIED
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

Row = tuple[Any, ...]
# A trigger's columns, in the order in which all queries select them.
CELL = (
    *("test_id", "platform", "mode", "device_model", "app_id", "environment_id", "repetition"),
    *("name", "tags", "line", "own"),
)


def trigger_row(trigger: Trigger) -> Row:
    """A trigger in the order of `schema.INSERT_TRIGGER`."""
    return (
        *(trigger.key, trigger.test_id, trigger.platform, trigger.mode, trigger.device_model),
        *(trigger.app_id, trigger.environment_id, trigger.repetition, trigger.name),
        *(json.dumps(trigger.tags), trigger.line, json.dumps(trigger.own)),
    )


def pending_trigger(row: Row) -> Pending:
    """A row of `schema.SELECT_PENDING`."""
    return Pending(seq=row[0], trigger=_trigger(row[1:12]), attempts=row[12])


def trigger_result(row: Row, stop: StopCode | None) -> TriggerResult:
    """A row of `schema.SELECT_RESULTS`. `stop` says why what was not sent was not."""
    outcome, failure_code, run_id, http_status, error, message, finished_at = row[12:19]
    origin, candidates, undecided, cancelled = row[19:23]
    attempts, throttles, wait_ms, latency_ms, total_ms, first_sent_at, last_end = row[23:30]
    if outcome is None and last_end == "open":  # died between an intent and its end
        outcome, failure_code = Outcome.UNKNOWN, FailureCode.INTERRUPTED
        message = DIED
    elif outcome is None:
        outcome = Outcome.UNSENT
        failure_code = FailureCode.INTERRUPTED if stop is None else UNSENT_BECAUSE[stop]
    return TriggerResult(
        trigger=_trigger(row[1:12]),
        outcome=Outcome(outcome),
        failure_code=failure_code,
        run_id=run_id,
        http_status=http_status,
        error=error,
        message=_with_why(message, undecided),
        origin=None if run_id is None else Origin(origin or Origin.ANSWER),
        candidates=tuple(json.loads(candidates)) if candidates else (),
        cancelled=Cancelled(cancelled) if cancelled else None,
        attempts=attempts,
        throttles=throttles,
        wait_ms=wait_ms,
        latency_ms=latency_ms,
        total_ms=total_ms,
        first_sent_at=first_sent_at,
        finished_at=finished_at,
    )


def _with_why(message: str | None, undecided: str | None) -> str | None:
    """What was heard of it, and why it is not known what became of it."""
    if message and undecided:
        return f"{message.rstrip('.')}; {undecided}"
    return message or undecided or None


def attempt_record(row: Row) -> AttemptRecord:
    """A row of `schema.SELECT_ATTEMPTS`."""
    (key, test_id, number, end, sent_at, received_at, wait_ms, latency_ms, in_flight) = row[:9]
    http_status, failure_code, run_id, error, message, headers, absent_at = row[9:]
    return AttemptRecord(
        key=key,
        test_id=test_id,
        number=number,
        end=end if absent_at is None else "absent",
        sent_at=sent_at,
        received_at=received_at,
        wait_ms=wait_ms,
        latency_ms=latency_ms,
        in_flight=in_flight,
        http_status=http_status,
        failure_code=failure_code,
        run_id=run_id,
        error=error,
        message=message,
        headers=tuple((name, value) for name, value in json.loads(headers)),
    )


def lost_triggers(rows: Iterable[Row]) -> list[Lost]:
    """The rows of `schema.SELECT_LOST`, one trigger's attempts behind each other."""
    lost = []
    for seq, same in groupby(rows, key=lambda row: row[0]):
        attempts = list(same)
        lost.append(
            Lost(
                seq=seq,
                trigger=_trigger(attempts[0][1:12]),
                attempts=tuple(attempt_times(row[12:19]) for row in attempts),
            )
        )
    return lost


def answered(row: Row) -> Answered:
    """A row of `schema.SELECT_ANSWERED`."""
    return Answered(run_id=row[0], cell=cell(row[1:7]), attempt=attempt_times(row[7:14]))


def queued_run(row: Row) -> QueuedRun:
    """A row of `schema.SELECT_UNCANCELLED`."""
    return QueuedRun(*row)


def stamps(rows: Iterable[Row]) -> Iterator[ClockSample]:
    """The rows of `schema.SELECT_DATED` whose date can be read."""
    for *row, headers in rows:
        date = server_date(json.loads(headers))
        times = attempt_times(tuple(row))
        if date is not None and times.received is not None:
            yield ClockSample(times.sent, times.received, date, times.attempt_id, times.session)


def stamp(row: Row) -> ClockSample:
    """A row of `schema.SELECT_STAMPS`."""
    place, session, sent_at, sent_steady, received_at, received_steady, server_at = row
    sent, received = Instant(sent_at, sent_steady), Instant(received_at, received_steady)
    return ClockSample(sent, received, server_at, place, session)


def attempt_times(row: Row) -> AttemptTimes:
    """Id, session, times and failure code of an attempt."""
    place, session, sent_at, steady_at, received_at, latency_ms, failure_code = row
    latency_s = None if latency_ms is None else latency_ms / 1000
    received = None
    if received_at is not None and latency_s is not None:
        steady = None if steady_at is None else steady_at + latency_s
        received = Instant(received_at, steady)
    sent = Instant(sent_at, steady_at)
    return AttemptTimes(place, session, sent, received, latency_s, failure_code)


def cell(row: Row) -> Trigger:
    """A row of `schema.SELECT_CELLS`: all that is sent, and nothing of the manifest."""
    return _trigger((*row, 1, "", "[]", 0, "[]"))


def check_key(row: Row) -> None:
    """Raise ValueError unless a row of `schema.SELECT_CELLS_AND_KEYS` is the cell of its key."""
    if _trigger(row[:11]).key != row[11]:
        raise ValueError(f"the cell of trigger {row[11]} is another's")


def salvaged_trigger(row: Row) -> Trigger | None:
    """The trigger of a damaged file's row, from its test to its own columns; None if broken."""
    for told in (row, (*row[:7], "", "[]", 0, "[]")):  # the cell counts more than its name
        try:
            return _trigger(told)
        except (ValueError, TypeError):
            continue
    return None


def _trigger(row: Row) -> Trigger:
    (test_id, platform, mode, device_model, app_id, environment_id, repetition) = row[:7]
    name, tags, line, own = row[7:]
    return Trigger(
        test_id=test_id,
        platform=Platform(platform) if platform else None,
        mode=Mode(mode) if mode else None,
        device_model=DeviceModel(device_model) if device_model else None,
        app_id=app_id,
        environment_id=environment_id,
        repetition=repetition,
        name=name,
        tags=tuple(json.loads(tags)),
        line=line,
        own=tuple((column, value) for column, value in json.loads(own)),
    )
