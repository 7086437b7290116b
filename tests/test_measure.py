"""What `measure` says of a log is what the limiter was; what a log cannot tell, it does not say.

The logs are those of workers that back off each on its own, against the sandbox's limiters: the
product's own are short of refusals, which is what it is for, and what a measurement lives on.
"""

from __future__ import annotations

import heapq
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk.http.rate_limit_headers import kept_headers, read_rate_limit_headers
from bulk.measure import measure, measurement_json, measurement_lines
from bulk.measure.epochs import find_epochs
from bulk.measure.log import AttemptLog
from bulk.measure.models import best_size, roundest
from bulk.model import AttemptRecord
from bulk.sandbox import Sandbox, parse_spec
from bulk.sandbox.wire import Request
from tests.virtual import T0, VirtualRun, some_triggers

LATENCY = "latency 60ms jitter 10ms"
TEST = "00000000-0000-4000-8000-000000000001"


def attempts_at(spec: str, count: int = 600, workers: int = 6) -> list[AttemptRecord]:
    """The log of `count` requests accepted by a sandbox of that spec, and all its refusals.

    Each worker doubles its wait from refusal to refusal, or waits for what `Retry-After` says.
    """
    sandbox = Sandbox(parse_spec(f"{spec}; {LATENCY}"), start_unix_s=T0)
    turns = [(0.001 * worker, worker, 0) for worker in range(workers)]
    log: list[AttemptRecord] = []
    left = count
    under_way: list[float] = []
    while left and len(log) < 4 * count:
        now, worker, refusals = heapq.heappop(turns)
        under_way = [end for end in under_way if end > now]
        body = b'{"platform": "web", "mode": "fast"}'
        request = Request(
            "POST", f"/v1/tests/{TEST}/runs", "", "Bearer k", "application/json", body
        )
        ticket = sandbox.send(now, request)
        sandbox.advance(ticket.arrives_at_s)
        reply, end = ticket.response, ticket.received_at_s
        assert reply is not None
        under_way.append(end)
        left -= reply.status == 202
        refusals = refusals + 1 if reply.status == 429 else 0
        log.append(
            attempt(
                T0 + now,
                reply.status,
                latency_ms=(end - now) * 1000,
                in_flight=len(under_way),
                headers=kept_headers(reply.headers),
            )
        )
        wait_s = read_rate_limit_headers(reply.headers, T0 + end).retry_after_s or 0.2 * 1.7 ** min(
            refusals, 9
        )
        heapq.heappush(turns, (end + wait_s if refusals else end, worker, refusals))
    return log


def attempt(sent: float, status: int, *, latency_ms: float = 50, **more: object) -> AttemptRecord:
    """An attempt that left at `sent` and was answered with `status`."""
    fields: dict[str, object] = {
        "key": "k",
        "test_id": "t",
        "number": 1,
        "end": "queued" if status == 202 else "throttled" if status == 429 else "unknown",
        "sent_at": sent,
        "received_at": sent + latency_ms / 1000,
        "latency_ms": latency_ms,
        "http_status": status,
    }
    return AttemptRecord(**(fields | more))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "limit",
    [
        "token-bucket 10/s burst 20",
        "token-bucket 50/s burst 100",
        "fixed-window 100/10s",
        "fixed-window 30/5s",
        "sliding-window 100/10s",
        "sliding-counter 100/10s",
        "quota 100",
    ],
)
def test_a_limit_that_shows_is_named_in_the_language_for_limits(limit: str) -> None:
    measured = measure(attempts_at(limit, 1000))
    assert measured.limit == limit
    parse_spec(measured.limit)


@pytest.mark.long
def test_a_queue_is_told_by_latency_that_climbs_for_nothing(tmp_path: Path) -> None:
    run = VirtualRun(tmp_path / "j.sqlite", f"queue 20/s; {LATENCY}", some_triggers(1000))
    assert measure(run.go().attempts).limit == "queue 20/s"


@pytest.mark.parametrize(
    ("spec", "among"),
    [
        ("concurrency 6", "concurrency 6"),
        ("fixed-window 100/10s; headers retry-after", "fixed-window 100/10s"),
    ],
)
def test_what_a_log_cannot_tell_apart_is_listed_and_not_named(spec: str, among: str) -> None:
    measured = measure(attempts_at(spec, workers=12))
    assert measured.limit is None
    assert among in measured.consistent
    assert len(measured.consistent) > 1


@pytest.mark.parametrize(
    "spec",
    [
        "token-bucket 10/s burst 20 + fixed-window 200/30s",
        "token-bucket 10/s burst 20 until 20s then token-bucket 20/s burst 20",
        "token-bucket 10/s burst 20 counting-refusals",
    ],
)
def test_a_limit_of_no_known_kind_is_not_given_a_name(spec: str) -> None:
    measured = measure(attempts_at(spec))
    assert (measured.limit, measured.consistent) == (None, ())
    assert measured.rate is not None
    lines = "\n".join(measurement_lines("b", measured))
    assert "none of the known kinds explains these answers" in lines


def test_a_limit_seen_too_seldom_is_listed_and_not_named() -> None:
    """It fits alone, but a window must have ended five times before it is named."""
    measured = measure(attempts_at("fixed-window 100/10s", 250))
    assert (measured.limit, measured.consistent) == (None, ("fixed-window 100/10s",))


def test_without_a_refusal_it_says_how_far_it_looked() -> None:
    measured = measure(attempts_at("none", workers=32))
    assert measured.limit is None
    assert re.search(
        r"no limit seen up to \d+/s with 32 in flight", "\n".join(measurement_lines("b", measured))
    )


def test_the_rate_lies_between_its_bounds() -> None:
    rate = measure(attempts_at("token-bucket 10/s burst 20")).rate
    assert rate is not None
    assert 9.9 < rate.low_per_s < 10 < rate.high_per_s < 10.1


def test_honest_and_dishonest_retry_after_are_told_apart() -> None:
    honest = measure(attempts_at("token-bucket 5/s burst 10; headers retry-after")).promises
    assert honest is not None
    assert honest.with_header == honest.refusals > 0
    assert (honest.kept > 0, honest.too_short) == (True, 0)
    lie: dict[str, Any] = {"headers": (("retry-after", "1"),)}
    said = measure([attempt(0, 429, **lie), attempt(1.1, 429, **lie), attempt(9, 202)]).promises
    assert said is not None
    assert (said.with_header, said.kept, said.too_short) == (2, 0, 1)


def test_refusals_of_one_congestion_are_one_epoch() -> None:
    log = AttemptLog.of(
        [
            attempt(0.00, 202),
            attempt(0.01, 429),
            attempt(0.02, 202),  # let in beside it: sent before the refusal was known
            attempt(0.03, 429),
            attempt(1.00, 429),  # the probe was refused: the same congestion
            attempt(2.00, 202),
            attempt(3.00, 429),
        ]
    )
    epochs = find_epochs(log)
    assert [(epoch.refusals, epoch.recovered) for epoch in epochs] == [(3, 5), (1, None)]


def test_answers_that_say_nothing_of_a_limit_are_counted_apart() -> None:
    measured = measure([attempt(0, 202), attempt(1, 500), attempt(2, 404, end="rejected")])
    assert (measured.attempts, measured.accepted, measured.undecided) == (3, 1, 2)


def test_a_stepped_clock_does_not_lengthen_a_latency() -> None:
    stepped = attempt(100, 202, received_at=4000.0)
    assert AttemptLog.of([stepped]).received[0] == pytest.approx(100.05)


def test_an_empty_log_is_no_error() -> None:
    measured = measure([])
    assert "nothing was accepted" in "\n".join(measurement_lines("b", measured))
    assert json.loads(measurement_json("b", measured))["limit"] is None


@given(st.lists(st.integers(1, 9)), st.lists(st.integers(0, 9)))
def test_the_best_size_contradicts_the_fewest(at_least: list[int], at_most: list[int]) -> None:
    size = best_size(np.array(at_least, dtype=np.float64), np.array(at_most, dtype=np.float64))
    against = {
        tried: sum(floor > tried for floor in at_least) + sum(top < tried for top in at_most)
        for tried in range(1, 10)
    }
    assert size.impossible == min(against.values())
    assert against[round(size.low)] == against[round(size.high)] == size.impossible


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [(9.98, 10.02, 10), (97, 103, 100), (44, 47, 45), (0.31, 0.34, 0.32), (3.7, 3.7, 3.7)],
)
def test_a_size_is_named_by_the_roundest_number_within(
    low: float, high: float, expected: float
) -> None:
    assert roundest(low, high) == pytest.approx(expected)
