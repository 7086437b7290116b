"""The columns of report.csv and attempts.csv: each has a name, a definition and its value.

The tests compare the documentation with these definitions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

from bulk.model import AttemptRecord, TriggerResult

Record = TypeVar("Record", TriggerResult, AttemptRecord)

# pandas' nullable types, and "time": Unix seconds in the record, ISO 8601 in UTC in the table.
Dtype = Literal["string", "Int64", "Float64", "time"]


@dataclass(frozen=True, slots=True)
class Column(Generic[Record]):
    """One column of a table. `value` reads its cell from a record; None is an empty cell.

    `dtype` is stated, never inferred: pandas would turn "007" into 7.0 and "NA" into NaN.
    """

    name: str
    definition: str
    dtype: Dtype
    value: Callable[[Record], object]


REPORT_COLUMNS: tuple[Column[TriggerResult], ...] = (
    Column(
        "line", "the manifest's line the trigger came from", "Int64", lambda row: row.trigger.line
    ),
    Column(
        "key",
        "identifies the cell: a hash of all that is sent, and of the repetition",
        "string",
        lambda row: row.trigger.key,
    ),
    Column("test_id", "the saved test", "string", lambda row: row.trigger.test_id),
    Column(
        "name", "the test's name, as the manifest has it", "string", lambda row: row.trigger.name
    ),
    Column(
        "platform",
        "web, ios or android; empty where the manifest set none",
        "string",
        lambda row: row.trigger.platform,
    ),
    Column(
        "mode",
        "fast or deep; empty where the manifest set none",
        "string",
        lambda row: row.trigger.mode,
    ),
    Column(
        "device_model",
        "iphone or ipad; empty means the platform's default",
        "string",
        lambda row: row.trigger.device_model,
    ),
    Column("app_id", "the app under test", "string", lambda row: row.trigger.app_id),
    Column(
        "environment_id",
        "the project environment",
        "string",
        lambda row: row.trigger.environment_id,
    ),
    Column(
        "tags",
        "the manifest's tags, joined with |",
        "string",
        lambda row: "|".join(row.trigger.tags),
    ),
    Column(
        "repetition",
        "which repetition of the cell, from 1",
        "Int64",
        lambda row: row.trigger.repetition,
    ),
    Column(
        "outcome",
        "queued, rejected, throttled, unknown or unsent",
        "string",
        lambda row: row.outcome,
    ),
    Column(
        "run_id",
        "the server's run; only where the outcome is queued",
        "string",
        lambda row: row.run_id,
    ),
    Column(
        "http_status",
        "the status of the answer that decided the outcome",
        "Int64",
        lambda row: row.http_status,
    ),
    Column("failure_code", "why it was not queued", "string", lambda row: row.failure_code),
    Column("error", "the server's error code", "string", lambda row: row.error),
    Column(
        "message",
        "the server's message, or what went wrong",
        "string",
        lambda row: row.message,
    ),
    Column("attempts", "how often the trigger was sent", "Int64", lambda row: row.attempts),
    Column("throttles", "how often the server answered 429", "Int64", lambda row: row.throttles),
    Column(
        "wait_ms",
        "how long pacing held it back while it was ready, summed over its attempts",
        "Float64",
        lambda row: row.wait_ms,
    ),
    Column(
        "latency_ms",
        "of the last attempt: from the first byte sent to the last byte received",
        "Float64",
        lambda row: row.latency_ms,
    ),
    Column(
        "total_ms",
        "the sum of the waits and latencies of all attempts",
        "Float64",
        lambda row: row.total_ms,
    ),
    Column("first_sent", "when it was first sent, UTC", "time", lambda row: row.first_sent_at),
    Column("finished", "when its outcome was known, UTC", "time", lambda row: row.finished_at),
    Column(
        "origin",
        "where the run id comes from: answer; adopted, found at the server after the answer was "
        "lost; by_count, found in the same way, but the run may belong to an equal trigger",
        "string",
        lambda row: row.origin,
    ),
    Column(
        "candidates",
        "of an unknown trigger: the runs that may be its own, separated by spaces",
        "string",
        lambda row: " ".join(row.candidates) or None,
    ),
    Column(
        "cancelled",
        "the result of cancelling the run: yes, had ended, not found, refused or unclear; empty if "
        "cancelling was not requested",
        "string",
        lambda row: row.cancelled,
    ),
)
ATTEMPT_COLUMNS: tuple[Column[AttemptRecord], ...] = (
    Column("key", "the trigger's key", "string", lambda row: row.key),
    Column("test_id", "the saved test", "string", lambda row: row.test_id),
    Column("number", "which attempt of the trigger, from 1", "Int64", lambda row: row.number),
    Column(
        "end",
        "how it ended: an outcome; open, no answer was recorded; absent, the server's list shows "
        "that it was never executed",
        "string",
        lambda row: row.end,
    ),
    Column("sent", "when it was sent, UTC", "time", lambda row: row.sent_at),
    Column("received", "when its answer was complete, UTC", "time", lambda row: row.received_at),
    Column(
        "wait_ms",
        "how long pacing held the trigger back before this attempt",
        "Float64",
        lambda row: row.wait_ms,
    ),
    Column(
        "latency_ms",
        "from the first byte sent to the last byte received",
        "Float64",
        lambda row: row.latency_ms,
    ),
    Column(
        "in_flight",
        "how many requests were in flight when it was sent, itself included",
        "Int64",
        lambda row: row.in_flight,
    ),
    Column("http_status", "the answer's status", "Int64", lambda row: row.http_status),
    Column(
        "failure_code",
        "why it did not queue the trigger",
        "string",
        lambda row: row.failure_code,
    ),
    Column("run_id", "the run it queued", "string", lambda row: row.run_id),
    Column("error", "the server's error code", "string", lambda row: row.error),
    Column(
        "message",
        "the server's message, or what went wrong",
        "string",
        lambda row: row.message,
    ),
    Column(
        "server_date",
        "the answer's Date header, as received",
        "string",
        lambda row: dict(row.headers).get(DATE_HEADER),
    ),
)
# Has a column of its own; the other headers follow as columns that depend on the server.
DATE_HEADER = "date"


def names(columns: Iterable[Column[Record]]) -> list[str]:
    """The columns' names, in order."""
    return [column.name for column in columns]


def distinct_names(reserved: Iterable[str], wanted: Iterable[str], origin: str) -> list[str]:
    """The names `wanted`; a name that is already used gets a suffix: `outcome (manifest)`.

    `reserved` are the names used before the first of `wanted`; `origin` is the suffix's word.
    """
    used = set(reserved)
    distinct = []
    for name in wanted:
        candidate, number = name, 1
        while candidate in used:
            candidate = f"{name} ({origin})" if number == 1 else f"{name} ({origin} {number})"
            number += 1
        used.add(candidate)
        distinct.append(candidate)
    return distinct
