"""Classifies each answer or failure, for its trigger and for the pace. Pure; sends nothing.

The two parts are used in two places: `Classification.end` decides whether the trigger is sent
again, and `Classification.pace` tells the pacing controller whether to slow down.

A trigger is sent again only if the server cannot have executed it:

    429                     throttled; taken to mean "not executed"    -> resend
    connect or pool failed  no byte left this machine                  -> resend
    401, 402, 403           declined; stops the batch, resumable       -> unsent
    other 4xx but 408, 3xx  declined for good                          -> rejected
    2xx with a new run id   executed                                   -> queued
    anything else           may have been executed: 5xx, 408, a 2xx without a run id, an answer
                            lost after a byte was sent                 -> unknown, never resent
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum

from bulk.http.rate_limit_headers import Headers
from bulk.model import UUID_PATTERN, FailureCode, Outcome, StopCode

ERROR_CHARACTERS_MAX = 200
MESSAGE_CHARACTERS_MAX = 1_000

# Codes that APIs use for "your plan is used up", as opposed to "too fast". Compared after folding
# case and separators.
QUOTA_CODES = frozenset(
    {
        "insufficient_quota",
        "quota_exceeded",
        "quota_exhausted",
        "usage_limit_exceeded",
        "usage_limit_reached",
        "monthly_limit_exceeded",
        "plan_limit_exceeded",
        "billing_hard_limit_reached",
        "payment_required",
        "out_of_credits",
    }
)


class Failure(StrEnum):
    """How a request ended without an answer."""

    # Nothing was sent: name lookup, connection refused, TLS, proxy, no free connection.
    CONNECT = "connect"
    TIMED_OUT = "timed_out"  # something may have been sent; the answer was not complete in time
    LOST = "lost"  # something may have been sent; the connection broke
    CUT_OFF = "cut_off"  # we stopped waiting: the time to drain was over


@dataclass(frozen=True, slots=True)
class Answer:
    """The server's answer to one request, a status with headers and body, or a failure.

    `headers` are those that `rate_limit_headers.kept_headers` keeps; `location` is the target of a
    redirect. `body` is no longer than the client reads. `failure_text` is the library's error
    message, for people.
    """

    status: int | None = None
    headers: Headers = ()
    body: bytes = b""
    location: str = ""
    failure: Failure | None = None
    failure_text: str = ""

    def __post_init__(self) -> None:
        if (self.status is None) == (self.failure is None):
            raise ValueError("an answer has a status or a failure, and not both")


class Pace(StrEnum):
    """What an answer means for the speed."""

    ACCEPTED = "accepted"
    THROTTLED = "throttled"  # a 429: too fast, later requests will pass
    QUOTA = "quota"  # a 429 that says the account's quota is used up
    OVERLOADED = "overloaded"  # a 5xx or a time-out: the server is in trouble
    UNREACHABLE = "unreachable"  # no connection
    NEUTRAL = "neutral"  # an answer that says nothing about speed


@dataclass(frozen=True, slots=True)
class Classification:
    """What one attempt's answer means.

    `end` is the trigger's outcome; None means it was not executed and may be sent again. `stop`
    stops the whole batch. `error` and `message` are the server's, or the failure's.
    """

    end: Outcome | None
    pace: Pace
    failure_code: str | None = None
    run_id: str | None = None
    error: str | None = None
    message: str | None = None
    stop: StopCode | None = None


_FAILURES = {
    Failure.CONNECT: (None, Pace.UNREACHABLE, FailureCode.CONNECT_FAILED),
    Failure.TIMED_OUT: (Outcome.UNKNOWN, Pace.OVERLOADED, FailureCode.READ_TIMEOUT),
    Failure.LOST: (Outcome.UNKNOWN, Pace.OVERLOADED, FailureCode.CONNECTION_LOST),
    Failure.CUT_OFF: (Outcome.UNKNOWN, Pace.NEUTRAL, FailureCode.INTERRUPTED),
}


def classify(answer: Answer, test_id: str | None = None) -> Classification:
    """Classify the answer to a trigger of `test_id`; with None, an answer for any test will do.

    The caller must still check that the run id is new.
    """
    if answer.failure is not None:
        end, pace, code = _FAILURES[answer.failure]
        return Classification(end, pace, code, message=answer.failure_text or None)
    status = answer.status
    assert status is not None
    fields = _json_object(answer.body)
    error, message = _error_and_message(fields, answer.body)
    if 200 <= status < 300:
        run_id, answer_test_id = _uuid(fields.get("runId")), _uuid(fields.get("testId"))
        # A gateway that mixes up answers may return another test's.
        other_test = None not in (test_id, answer_test_id) and test_id != answer_test_id
        if run_id is not None and not other_test:
            return Classification(Outcome.QUEUED, Pace.ACCEPTED, run_id=run_id)
        why = message or "the answer is not the documented JSON"
        if other_test:
            why = f"the answer is for test {answer_test_id}"
        return Classification(
            Outcome.UNKNOWN,
            Pace.ACCEPTED,
            FailureCode.BAD_RESPONSE,
            error=error,
            message=f"HTTP {status} without a valid runId: {why}"[:MESSAGE_CHARACTERS_MAX],
        )
    end, pace, failure_code, stop = _by_status(status, error)
    if 300 <= status < 400 and answer.location:
        target = _printable(answer.location, MESSAGE_CHARACTERS_MAX)
        message = f"redirected to {target}; redirects are not followed"
    return Classification(end, pace, failure_code, error=error, message=message, stop=stop)


def _by_status(status: int, error: str | None) -> tuple[Outcome | None, Pace, str, StopCode | None]:
    if status == 429:
        if is_quota_code(error):
            return None, Pace.QUOTA, FailureCode.QUOTA_EXHAUSTED, None
        return None, Pace.THROTTLED, FailureCode.RATE_LIMITED, None
    if status in (401, 403):
        return Outcome.UNSENT, Pace.NEUTRAL, FailureCode.AUTH, StopCode.AUTH
    if status == 402:
        return (
            Outcome.UNSENT,
            Pace.NEUTRAL,
            FailureCode.QUOTA_EXHAUSTED,
            StopCode.QUOTA_EXHAUSTED,
        )
    if status == 504:
        return Outcome.UNKNOWN, Pace.OVERLOADED, FailureCode.GATEWAY_TIMEOUT, None
    if status >= 500:
        return Outcome.UNKNOWN, Pace.OVERLOADED, FailureCode.SERVER_ERROR, None
    if status == 408:
        return Outcome.UNKNOWN, Pace.NEUTRAL, FailureCode.REQUEST_TIMEOUT, None
    if status < 200:
        return Outcome.UNKNOWN, Pace.NEUTRAL, FailureCode.BAD_RESPONSE, None
    return Outcome.REJECTED, Pace.NEUTRAL, f"http_{status}", None


def is_quota_code(error: str | None) -> bool:
    """Whether a 429's `error` says that the account's quota is used up, not that it is too fast."""
    if error is None:
        return False
    return error.strip().lower().replace("-", "_").replace(" ", "_") in QUOTA_CODES


def _json_object(body: bytes) -> dict[str, object]:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _uuid(value: object) -> str | None:
    if not isinstance(value, str):
        return None
    value = value.strip().lower()
    return value if UUID_PATTERN.fullmatch(value) else None


def _error_and_message(fields: dict[str, object], body: bytes) -> tuple[str | None, str | None]:
    """The server's error code and message, bounded; the body's first line if it is not JSON."""
    error, message = fields.get("error"), fields.get("message")
    if isinstance(error, dict):  # {"error": {"code": ..., "message": ...}} is common too
        message = error.get("message", message)
        error = error.get("code", error.get("type"))
    if not fields:
        text = body[:4_096].decode("utf-8", "replace").strip()
        message = text.splitlines()[0] if text else None
    return (
        _printable(error, ERROR_CHARACTERS_MAX),
        _printable(message, MESSAGE_CHARACTERS_MAX),
    )


def _printable(value: object, characters_max: int) -> str | None:
    """A text without control characters and lone surrogates, which our files cannot hold."""
    if not isinstance(value, str | int | float) or isinstance(value, bool):
        return None
    text = "".join(c if c.isprintable() else " " for c in str(value)[: characters_max * 2])
    return text.strip()[:characters_max] or None
