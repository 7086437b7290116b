"""Judges each answer or failure twice: for the trigger, and for the pace. Pure; sends nothing.

The two verdicts stand side by side in one table and are used in two places: `Verdict.end` says
what becomes of the trigger (may it be sent again?), `Verdict.pace` tells the pacing controller
what the server's answer means for its speed.

May a trigger be sent again? Only where the server cannot have executed it:

    429                     refused; taken to mean "not executed"      -> resend
    connect or pool failed  no byte left this machine                  -> resend
    401, 403                refused; stops the batch, resumable        -> unsent
    other 4xx, 3xx          refused for good                           -> rejected
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

# Codes seen in the wild for "your plan is used up", as against "too fast". Compared after folding
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

    CONNECT = "connect"  # nothing was sent: name lookup, refusal, TLS, proxy, no free connection
    TIMED_OUT = "timed_out"  # something may have been sent; no whole answer in time
    LOST = "lost"  # something may have been sent; the connection broke
    CUT_OFF = "cut_off"  # we stopped waiting: the drain's time was over


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back for one attempt: a status with headers and body, or a failure.

    `headers` are those that `rate_limit_headers.kept_headers` keeps; `location` is the target of a
    redirect. `body` is at most what the client reads. `failure_text` names the foreign error, for
    people.
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
    THROTTLED = "throttled"  # a 429 that time heals
    QUOTA = "quota"  # a 429 that says it does not heal
    OVERLOADED = "overloaded"  # a 5xx or a time-out: the server is in trouble
    UNREACHABLE = "unreachable"  # no connection
    NEUTRAL = "neutral"  # an answer that says nothing about speed


@dataclass(frozen=True, slots=True)
class Verdict:
    """The double judgement of one attempt.

    `end` is the trigger's outcome; None means it was not executed and may be sent again. `stop`
    stops the whole batch. `error` and `message` are the server's words, or the failure's.
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


def judge(answer: Answer, test_id: str | None = None) -> Verdict:
    """Both verdicts on one answer to a trigger of `test_id`; None where that does not matter.

    That a run id is new, the caller must still see to.
    """
    if answer.failure is not None:
        end, pace, code = _FAILURES[answer.failure]
        return Verdict(end, pace, code, message=answer.failure_text or None)
    status = answer.status
    assert status is not None
    fields = _json_object(answer.body)
    error, message = _server_words(fields, answer.body)
    if 200 <= status < 300:
        run_id, of_test = _uuid(fields.get("runId")), _uuid(fields.get("testId"))
        # A gateway that mixes answers up hands out another test's.
        of_another = None not in (test_id, of_test) and test_id != of_test
        if run_id is not None and not of_another:
            return Verdict(Outcome.QUEUED, Pace.ACCEPTED, run_id=run_id)
        said = message or "the answer is not the JSON that was promised"
        if of_another:
            said = f"the answer is of test {of_test}"
        return Verdict(
            Outcome.UNKNOWN,
            Pace.ACCEPTED,
            FailureCode.BAD_RESPONSE,
            error=error,
            message=f"HTTP {status} without a valid runId: {said}"[:MESSAGE_CHARACTERS_MAX],
        )
    end, pace, failure_code, stop = _by_status(status, error)
    if 300 <= status < 400 and answer.location:
        place = _printable(answer.location, MESSAGE_CHARACTERS_MAX)
        message = f"redirected to {place}; redirects are not followed"
    return Verdict(end, pace, failure_code, error=error, message=message, stop=stop)


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
    """Whether a 429's `error` says that the account's quota, not its speed, is the trouble."""
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


def _server_words(fields: dict[str, object], body: bytes) -> tuple[str | None, str | None]:
    """The server's error code and message, bounded; the body's first line where it is no JSON."""
    error, message = fields.get("error"), fields.get("message")
    if isinstance(error, dict):  # {"error": {"code": ..., "message": ...}}: a common other shape
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
    """A text without control characters or lone surrogates, which no file of ours could hold."""
    if not isinstance(value, str | int | float) or isinstance(value, bool):
        return None
    text = "".join(c if c.isprintable() else " " for c in str(value)[: characters_max * 2])
    return text.strip()[:characters_max] or None
