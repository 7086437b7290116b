"""Classifies each answer or failure, for its trigger and for the pace. Pure; sends nothing.

The two parts are used in two places: `Classification.end` decides whether the trigger is sent
again, and `Classification.pace` tells the pacing controller whether to slow down.

A trigger is sent again only if the server cannot have executed it:

    429                     throttled; taken to mean "not executed"    -> resend
    connect or pool failed  no byte left this machine                  -> resend
    401 to 403, 407, 451, 511 declined; stops the batch, resumable       -> unsent
    other 4xx but 408, 3xx  declined for good                          -> rejected
    2xx with a new run id   executed                                   -> queued
    anything else           may have been executed: 5xx, 408, a 2xx without a run id, an answer
                            lost after a byte was sent                 -> unknown, never resent
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from enum import StrEnum

from bulk.http.error_words import MESSAGE_CHARACTERS_MAX, ErrorWords, error_words, printable
from bulk.http.rate_limit_headers import Headers
from bulk.model import UUID_PATTERN, FailureCode, Outcome, StopCode

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


# By their definition these come from a proxy, a filter or a captive portal, before the API.
NOT_THE_APIS = (407, 451, 511)


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
    message, for people. `key_accepted`: with this key, the server has answered an earlier request
    of this client; `triggers_accepted`: one that has an effect.
    """

    status: int | None = None
    headers: Headers = ()
    body: bytes = b""
    location: str = ""
    failure: Failure | None = None
    failure_text: str = ""
    key_accepted: bool = False
    triggers_accepted: bool = False

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
    if 200 <= status < 300:
        fields = _json_object(answer.body)
        run_id, answer_test_id = _uuid(fields.get("runId")), _uuid(fields.get("testId"))
        # A gateway that mixes up answers may return another test's.
        other_test = None not in (test_id, answer_test_id) and test_id != answer_test_id
        if run_id is not None and not other_test:
            return Classification(Outcome.QUEUED, Pace.ACCEPTED, run_id=run_id)
        words = error_words(answer.body)
        why = words.message or "the answer is not the documented JSON"
        if other_test:
            why = f"the answer is for test {answer_test_id}"
        return Classification(
            Outcome.UNKNOWN,
            Pace.ACCEPTED,
            FailureCode.BAD_RESPONSE,
            error=words.error,
            message=f"HTTP {status} without a valid runId: {why}"[:MESSAGE_CHARACTERS_MAX],
        )
    words = error_words(answer.body)
    end, pace, failure_code, stop = _by_status(answer, words)
    message = words.message
    if 300 <= status < 400 and answer.location:
        target = printable(answer.location, MESSAGE_CHARACTERS_MAX)
        message = f"redirected to {target}; redirects are not followed"
    return Classification(end, pace, failure_code, error=words.error, message=message, stop=stop)


def _by_status(
    answer: Answer, words: ErrorWords
) -> tuple[Outcome | None, Pace, str, StopCode | None]:
    status = answer.status
    assert status is not None
    if status == 429:
        if _says_quota(words):
            return None, Pace.QUOTA, FailureCode.QUOTA_EXHAUSTED, None
        return None, Pace.THROTTLED, FailureCode.RATE_LIMITED, None
    if status in NOT_THE_APIS or (status in (401, 403) and not _about_key(answer)):
        return Outcome.UNSENT, Pace.NEUTRAL, FailureCode.BLOCKED, StopCode.BLOCKED
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


def _about_key(answer: Answer) -> bool:
    """Whether a 401 or 403 says that the key is rejected, and not that something blocks us.

    The API itself says so in JSON: that the key is not valid, or may read and not trigger. Anything
    else is believed only of a key that the API has not accepted yet, and no page is with a 403.
    """
    if _json_object(answer.body):
        return answer.status == 401 or not answer.triggers_accepted
    return not answer.key_accepted and (answer.status == 401 or not answer.body.strip())


def _says_quota(words: ErrorWords) -> bool:
    """Whether a 429's code says that the account's quota is used up, not that it is too fast."""
    return any(_folded(code) in QUOTA_CODES for code in words.codes)


def _folded(code: str) -> str:
    return re.sub(r"[^a-z]+", "_", re.sub(r"(?<=[a-z])(?=[A-Z])", "_", code).lower()).strip("_")


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
