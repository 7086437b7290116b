"""Turns the journal's rows into records and back; knows the column order and nothing else."""

from __future__ import annotations

import json
from typing import Any

from bulk.journal.entries import Pending
from bulk.model import (
    UNSENT_BECAUSE,
    AttemptRecord,
    DeviceModel,
    FailureCode,
    Mode,
    Outcome,
    Platform,
    StopCode,
    Trigger,
    TriggerResult,
)

Row = tuple[Any, ...]


def trigger_row(trigger: Trigger) -> Row:
    """A trigger in the order of `schema.INSERT_TRIGGER`."""
    return (
        *(trigger.key, trigger.test_id, trigger.platform, trigger.mode, trigger.device_model),
        *(trigger.app_id, trigger.environment_id, trigger.repetition, trigger.name),
        *(json.dumps(trigger.tags), trigger.line, json.dumps(trigger.own)),
    )


def pending_trigger(row: Row) -> Pending:
    """A row of `schema.SELECT_PENDING`."""
    return Pending(seq=row[0], trigger=_trigger(row[1:12]))


def trigger_result(row: Row, stop: StopCode | None) -> TriggerResult:
    """A row of `schema.SELECT_RESULTS`. `stop` says why what was not sent was not."""
    outcome, failure_code, run_id, http_status, error, message, finished_at = row[12:19]
    attempts, throttles, wait_ms, latency_ms, total_ms, first_sent_at, last_end = row[19:26]
    if outcome is None and last_end == "open":  # died between an intent and its end
        outcome, failure_code = Outcome.UNKNOWN, FailureCode.INTERRUPTED
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
        message=message,
        attempts=attempts,
        throttles=throttles,
        wait_ms=wait_ms,
        latency_ms=latency_ms,
        total_ms=total_ms,
        first_sent_at=first_sent_at,
        finished_at=finished_at,
    )


def attempt_record(row: Row) -> AttemptRecord:
    """A row of `schema.SELECT_ATTEMPTS`."""
    (key, test_id, number, end, sent_at, received_at, wait_ms, latency_ms, in_flight) = row[:9]
    http_status, failure_code, run_id, error, message, headers = row[9:]
    return AttemptRecord(
        key=key,
        test_id=test_id,
        number=number,
        end=end,
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
