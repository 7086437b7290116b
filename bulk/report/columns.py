"""The tables' columns and what each means; the docs are tested against it. Knows no values."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Column:
    """A column's name and its definition, in one line."""

    name: str
    definition: str


REPORT_COLUMNS = (
    Column("line", "the manifest's line the trigger came from"),
    Column("key", "what tells cells apart: a hash of all that is sent, and of the repetition"),
    Column("test_id", "the saved test"),
    Column("name", "the test's name, as the manifest has it"),
    Column("platform", "web, ios or android; empty where the manifest set none"),
    Column("mode", "fast or deep; empty where the manifest set none"),
    Column("device_model", "iphone or ipad; empty means the platform's default"),
    Column("app_id", "the app under test"),
    Column("environment_id", "the project environment"),
    Column("tags", "the manifest's tags, joined with |"),
    Column("repetition", "which repetition of the cell, from 1"),
    Column("outcome", "queued, rejected, throttled, unknown or unsent"),
    Column("run_id", "the server's run; only where the outcome is queued"),
    Column("http_status", "the status of the answer that decided the outcome"),
    Column("failure_code", "why it was not queued"),
    Column("error", "the server's error code"),
    Column("message", "the server's message, or what went wrong on the way"),
    Column("attempts", "how often the trigger was sent"),
    Column("throttles", "how often it was refused with 429"),
    Column("wait_ms", "how long it was ready but held back by pacing, over all attempts"),
    Column("latency_ms", "the last attempt: from its first byte out to its last byte in"),
    Column("total_ms", "the waits and latencies of all attempts"),
    Column("first_sent", "when it was first sent, UTC"),
    Column("finished", "when its outcome was known, UTC"),
    Column(
        "origin",
        "how the run id is known: answer; adopted, found at the server after the answer was lost; "
        "by_count, found so and this trigger's or an equal one's",
    ),
    Column("candidates", "of an unknown trigger: runs that could be its, separated by blanks"),
    Column(
        "cancelled",
        "yes; had ended, before it could be; not found, at the server; refused, by the server; "
        "unclear, asked without a clear answer; empty where nobody asked",
    ),
)
ATTEMPT_COLUMNS = (
    Column("key", "the trigger's key"),
    Column("test_id", "the saved test"),
    Column("number", "which attempt of the trigger, from 1"),
    Column(
        "end",
        "what became of it; open: no answer was recorded; absent: the server's list shows that it "
        "was never executed",
    ),
    Column("sent", "when it left, UTC"),
    Column("received", "when its answer was complete, UTC"),
    Column("wait_ms", "how long the trigger was held back before it"),
    Column("latency_ms", "from its first byte out to its last byte in"),
    Column("in_flight", "how many requests were under way when it left, itself included"),
    Column("http_status", "the answer's status"),
    Column("failure_code", "why it did not queue the trigger"),
    Column("run_id", "the run it queued"),
    Column("error", "the server's error code"),
    Column("message", "the server's message, or what went wrong on the way"),
    Column("server_date", "the answer's Date header, as it came"),
)


def names(columns: Iterable[Column]) -> list[str]:
    """Just the names."""
    return [column.name for column in columns]


def apart_from(names_taken: Iterable[str], wanted: Iterable[str], origin: str) -> list[str]:
    """The names `wanted`, each changed where it is taken: `outcome (manifest)`."""
    taken = set(names_taken)
    given = []
    for name in wanted:
        candidate, number = name, 1
        while candidate in taken:
            candidate = f"{name} ({origin})" if number == 1 else f"{name} ({origin} {number})"
            number += 1
        taken.add(candidate)
        given.append(candidate)
    return given
