"""Records to make reports from: one of each kind, and some with hostile text."""

from __future__ import annotations

from hypothesis import strategies as st

from bulk.model import (
    AttemptRecord,
    BatchFacts,
    DeviceModel,
    FailureCode,
    Mode,
    Origin,
    Outcome,
    Platform,
    StopCode,
    Trigger,
    TriggerResult,
)

ID = "0b9c3a54-5d3c-4a8e-9a53-0d6a6a1f0c11"
RUN = "7f1c2b3a-0000-4000-8000-00000000abcd"
T0 = 1_790_035_200.0
HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</style><script>alert(1)</script>",
    "=cmd|'/c calc'!A1",
    "@SUM(1)",
    "'=1",
    "{{ 7 * 7 }}",
    "]]><x/>",
    "\u202eright to left",
    "a\x00b\x1b[31mc\ud800d",
    "line\nbreak\r\n, \"quoted\"; 'semi'",
    "| pipe ` tick [link](javascript:alert(1))",
    "x" * 10_000,
]

any_text = st.one_of(st.sampled_from(HOSTILE), st.text(max_size=40))


def facts(**changes: object) -> BatchFacts:
    """A batch's facts; `changes` are the fields that a test cares about."""
    fields: dict[str, object] = {
        "name": "nightly",
        "cli_name": "nightly",
        "manifest": "release.csv",
        "base_url": "https://tester.army",
        "created_at": T0,
        "elapsed_s": 12.34,
        "version": "0.1.0",
        "settings": (("--max-concurrency", "32"),),
        "own_columns": ("owner",),
    }
    return BatchFacts(**(fields | changes))  # type: ignore[arg-type]


def trigger(number: int = 1, **changes: object) -> Trigger:
    """A cell of the manifest."""
    fields: dict[str, object] = {
        "test_id": ID,
        "platform": Platform.IOS,
        "mode": Mode.DEEP,
        "device_model": DeviceModel.IPAD,
        "name": "Log in",
        "tags": ("smoke", "login"),
        "line": number + 1,
        "repetition": number,
        "own": (("owner", "Ana"),),
    }
    return Trigger(**(fields | changes))  # type: ignore[arg-type]


def queued(number: int = 1, **changes: object) -> TriggerResult:
    """A trigger that was throttled once and then queued."""
    fields: dict[str, object] = {
        "trigger": trigger(number),
        "outcome": Outcome.QUEUED,
        "run_id": f"{RUN[:-4]}{number:04x}",
        "origin": Origin.ANSWER,
        "http_status": 202,
        "attempts": 2,
        "throttles": 1,
        "wait_ms": 1000.04,
        "latency_ms": 61.25,
        "total_ms": 1111.5,
        "first_sent_at": T0,
        "finished_at": T0 + 1.1115,
    }
    return TriggerResult(**(fields | changes))  # type: ignore[arg-type]


def failed(number: int, outcome: Outcome, code: str, **changes: object) -> TriggerResult:
    """A trigger that was not queued."""
    fields: dict[str, object] = {
        "trigger": trigger(number),
        "outcome": outcome,
        "failure_code": code,
        "message": "the server's message",
    }
    return TriggerResult(**(fields | changes))  # type: ignore[arg-type]


MIXED = [
    queued(1),
    failed(2, Outcome.REJECTED, "http_404", http_status=404, error="not_found", attempts=1),
    failed(3, Outcome.UNKNOWN, FailureCode.SERVER_ERROR, http_status=500, attempts=1),
    failed(4, Outcome.THROTTLED, FailureCode.RATE_LIMITED, http_status=429, attempts=3),
    failed(5, Outcome.UNSENT, FailureCode.INTERRUPTED, message=None),
    failed(6, Outcome.UNSENT, FailureCode.INTERRUPTED, message=None),
]
STOPPED = facts(stop=StopCode.INTERRUPTED)


def attempt(number: int, **changes: object) -> AttemptRecord:
    """One accepted attempt."""
    fields: dict[str, object] = {
        "key": trigger().key,
        "test_id": ID,
        "number": number,
        "end": "queued",
        "sent_at": T0,
        "received_at": T0 + 0.06,
        "wait_ms": 0.0,
        "latency_ms": 10.0 * number,
        "http_status": 202,
        "run_id": RUN,
        "headers": (("date", "Tue, 22 Sep 2026 00:00:00 GMT"), ("retry-after", "1")),
    }
    return AttemptRecord(**(fields | changes))  # type: ignore[arg-type]


def hostile_results(texts: list[str]) -> list[TriggerResult]:
    """One result per text, with the text in every field that others can fill in."""
    return [
        failed(
            number,
            Outcome.REJECTED,
            "http_400",
            trigger=trigger(number, name=hostile, tags=(hostile,), own=(("owner", hostile),)),
            error=hostile,
            message=hostile,
        )
        for number, hostile in enumerate(texts, 1)
    ]
