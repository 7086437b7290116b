"""The classification table, row by row: what an answer means for the trigger and for the pace."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk.http.answers import (
    Answer,
    Failure,
    Pace,
    classify,
)
from bulk.model import Outcome, StopCode

RUN = "0b9c3a54-5d3c-4a8e-9a53-0d6a6a1f0c11"
GOOD = json.dumps({"status": "queued", "runId": RUN, "testId": RUN}).encode()


def error(code: str) -> bytes:
    return json.dumps({"error": code, "message": "the server's message"}).encode()


# status, body, the trigger's end (None: may be sent again), pace, failure code, stop
TABLE = [
    # Executed: any 2xx with a valid run id.
    (202, GOOD, Outcome.QUEUED, Pace.ACCEPTED, None, None),
    (200, GOOD, Outcome.QUEUED, Pace.ACCEPTED, None, None),
    (
        201,
        GOOD.replace(RUN.encode(), RUN.upper().encode()),
        Outcome.QUEUED,
        Pace.ACCEPTED,
        None,
        None,
    ),
    # Perhaps executed: a 2xx that does not say which run.
    (202, b"", Outcome.UNKNOWN, Pace.ACCEPTED, "bad_response", None),
    (202, b"<html>", Outcome.UNKNOWN, Pace.ACCEPTED, "bad_response", None),
    (202, b"[1]", Outcome.UNKNOWN, Pace.ACCEPTED, "bad_response", None),
    (202, b'{"runId": null}', Outcome.UNKNOWN, Pace.ACCEPTED, "bad_response", None),
    (202, b'{"runId": "run-1"}', Outcome.UNKNOWN, Pace.ACCEPTED, "bad_response", None),
    (202, b"[" * 100_000, Outcome.UNKNOWN, Pace.ACCEPTED, "bad_response", None),
    (204, b"", Outcome.UNKNOWN, Pace.ACCEPTED, "bad_response", None),
    # Declined for good.
    (301, b"", Outcome.REJECTED, Pace.NEUTRAL, "http_301", None),
    (400, error("bad_request"), Outcome.REJECTED, Pace.NEUTRAL, "http_400", None),
    (404, error("not_found"), Outcome.REJECTED, Pace.NEUTRAL, "http_404", None),
    (409, b"", Outcome.REJECTED, Pace.NEUTRAL, "http_409", None),
    (413, b"", Outcome.REJECTED, Pace.NEUTRAL, "http_413", None),
    (422, b"", Outcome.REJECTED, Pace.NEUTRAL, "http_422", None),
    # Declined for all: stop, and keep the trigger for later.
    (401, error("unauthorized"), Outcome.UNSENT, Pace.NEUTRAL, "auth", StopCode.AUTH),
    (403, b"", Outcome.UNSENT, Pace.NEUTRAL, "auth", StopCode.AUTH),
    (402, b"", Outcome.UNSENT, Pace.NEUTRAL, "quota_exhausted", StopCode.QUOTA_EXHAUSTED),
    (407, b"", Outcome.UNSENT, Pace.NEUTRAL, "blocked", StopCode.BLOCKED),
    (451, b"", Outcome.UNSENT, Pace.NEUTRAL, "blocked", StopCode.BLOCKED),
    (511, b"<html>", Outcome.UNSENT, Pace.NEUTRAL, "blocked", StopCode.BLOCKED),
    (403, b"<html>", Outcome.UNSENT, Pace.NEUTRAL, "blocked", StopCode.BLOCKED),
    (401, b"<html>", Outcome.UNSENT, Pace.NEUTRAL, "auth", StopCode.AUTH),
    (403, error("forbidden"), Outcome.UNSENT, Pace.NEUTRAL, "auth", StopCode.AUTH),
    # Not executed: to be sent again.
    (429, error("rate_limited"), None, Pace.THROTTLED, "rate_limited", None),
    (429, b"<html>slow down", None, Pace.THROTTLED, "rate_limited", None),
    (429, error("usage_limit_exceeded"), None, Pace.QUOTA, "quota_exhausted", None),
    (429, error("Insufficient-Quota"), None, Pace.QUOTA, "quota_exhausted", None),
    # Perhaps executed: never sent again.
    (408, b"", Outcome.UNKNOWN, Pace.NEUTRAL, "request_timeout", None),
    (500, error("internal"), Outcome.UNKNOWN, Pace.OVERLOADED, "server_error", None),
    (502, b"", Outcome.UNKNOWN, Pace.OVERLOADED, "server_error", None),
    (503, b"", Outcome.UNKNOWN, Pace.OVERLOADED, "server_error", None),
    (504, b"", Outcome.UNKNOWN, Pace.OVERLOADED, "gateway_timeout", None),
    (599, b"", Outcome.UNKNOWN, Pace.OVERLOADED, "server_error", None),
]


@pytest.mark.parametrize(("status", "body", "end", "pace", "code", "stop"), TABLE)
def test_each_status_has_an_outcome_and_a_meaning_for_the_pace(
    status: int,
    body: bytes,
    end: Outcome | None,
    pace: Pace,
    code: str | None,
    stop: StopCode | None,
) -> None:
    classification = classify(Answer(status=status, body=body))
    assert (
        classification.end,
        classification.pace,
        classification.failure_code,
        classification.stop,
    ) == (
        end,
        pace,
        code,
        stop,
    )
    assert classification.run_id == (RUN if end is Outcome.QUEUED else None)


@pytest.mark.parametrize(
    ("failure", "end", "pace", "code"),
    [
        (Failure.CONNECT, None, Pace.UNREACHABLE, "connect_failed"),
        (Failure.TIMED_OUT, Outcome.UNKNOWN, Pace.OVERLOADED, "read_timeout"),
        (Failure.LOST, Outcome.UNKNOWN, Pace.OVERLOADED, "connection_lost"),
        (Failure.CUT_OFF, Outcome.UNKNOWN, Pace.NEUTRAL, "interrupted"),
    ],
)
def test_only_a_failure_to_connect_may_be_sent_again(
    failure: Failure, end: Outcome | None, pace: Pace, code: str
) -> None:
    classification = classify(Answer(failure=failure, failure_text="why"))
    assert (classification.end, classification.pace, classification.failure_code) == (
        end,
        pace,
        code,
    )
    assert classification.message == "why"


@pytest.mark.parametrize(
    ("body", "texts"),
    [
        (error("x"), ("x", "the server's message")),
        (b'{"error": {"code": "x", "message": "m"}}', ("x", "m")),
        (b'{"error": {"type": "x"}, "message": "m"}', ("x", "m")),
        (b'{"error": 7, "message": ["no"]}', ("7", "no")),
        (b"plain words\nsecond line", (None, "plain words")),
        (b"\xff\xfe\x00", (None, "ÿþ")),
        (b'{"error": "a\\u0000b\\ud800c"}', ("a b c", None)),
        (b"", (None, None)),
    ],
)
def test_the_servers_texts_are_kept_printable(
    body: bytes, texts: tuple[str | None, str | None]
) -> None:
    classification = classify(Answer(status=400, body=body))
    assert (classification.error, classification.message) == texts


@pytest.mark.parametrize(
    ("status", "body", "after_a_listing", "after_a_trigger"),
    [
        (403, b"<h1>403 Forbidden</h1>Blocked.", StopCode.BLOCKED, StopCode.BLOCKED),
        (403, b"", StopCode.BLOCKED, StopCode.BLOCKED),
        (403, error("access_denied"), StopCode.AUTH, StopCode.BLOCKED),  # it may read only
        (401, b"<html>Log in to the proxy</html>", StopCode.BLOCKED, StopCode.BLOCKED),
        (401, error("unauthorized"), StopCode.AUTH, StopCode.AUTH),  # it has expired meanwhile
    ],
)
def test_a_key_that_was_accepted_before_is_not_taken_to_be_rejected(
    status: int, body: bytes, after_a_listing: StopCode, after_a_trigger: StopCode
) -> None:
    listed = classify(Answer(status=status, body=body, key_accepted=True))
    assert (listed.end, listed.stop) == (Outcome.UNSENT, after_a_listing)
    triggered = Answer(status=status, body=body, key_accepted=True, triggers_accepted=True)
    assert classify(triggered).stop is after_a_trigger


def test_a_registered_problem_type_names_no_used_up_quota() -> None:
    """The draft calls any limit that was exceeded a quota."""
    problem = {
        "type": "https://iana.org/assignments/http-problem-types#quota-exceeded",
        "title": "Request cannot be satisfied as assigned quota has been exceeded",
        "violated-policies": ["daily", "burst"],
    }
    words = classify(Answer(status=429, body=json.dumps(problem).encode()))
    assert (words.pace, words.error) == (Pace.THROTTLED, "quota-exceeded")
    assert words.message == f"{problem['title']}; violated policies: daily, burst"


@pytest.mark.parametrize(
    "body",
    [
        {"error": {"code": None, "type": "insufficient_quota", "message": "Pay."}},
        {"error": {"errors": [{"reason": "quotaExceeded", "message": "Quota exceeded."}]}},
        {"type": "https://api.example/errors/out-of-credits", "title": "Out of credits"},
    ],
)
def test_a_used_up_quota_is_seen_wherever_its_code_stands(body: object) -> None:
    assert classify(Answer(status=429, body=json.dumps(body).encode())).pace is Pace.QUOTA


def test_a_redirect_says_where_to() -> None:
    classification = classify(Answer(status=308, location="https://other.example/"))
    assert (
        classification.message == "redirected to https://other.example/; redirects are not followed"
    )


@given(st.integers(100, 999), st.binary(max_size=300))
def test_no_answer_crashes_and_only_a_429_is_sent_again(status: int, body: bytes) -> None:
    classification = classify(Answer(status=status, body=body))
    assert (classification.end is None) == (status == 429)
    assert (classification.end is Outcome.QUEUED) == (classification.run_id is not None)
    assert (classification.end is Outcome.QUEUED) == (classification.failure_code is None)
    for text in (classification.error, classification.message):
        assert text is None or (text.isprintable() and text.encode("utf-8"))


def test_an_answer_is_a_status_or_a_failure() -> None:
    with pytest.raises(ValueError, match="a status or a failure"):
        Answer()
    with pytest.raises(ValueError, match="a status or a failure"):
        Answer(status=200, failure=Failure.LOST)


@pytest.mark.parametrize(
    ("test_id", "end"),
    [(RUN, Outcome.QUEUED), (None, Outcome.QUEUED), (RUN.replace("0", "1"), Outcome.UNKNOWN)],
)
def test_an_answer_for_another_test_queues_nothing(test_id: str | None, end: Outcome) -> None:
    classification = classify(Answer(202, body=GOOD), test_id)
    assert classification.end is end
    assert (classification.run_id is None) == (end is Outcome.UNKNOWN)


@pytest.mark.parametrize("of_test", ["", None, 7, "test 1", []])
def test_an_answer_without_a_test_id_is_accepted(of_test: object) -> None:
    body = json.dumps({"runId": RUN, "testId": of_test}).encode()
    assert classify(Answer(202, body=body), RUN).end is Outcome.QUEUED
