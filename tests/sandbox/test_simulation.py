"""The model without a transport: effects, faults, lists and the truth."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bulk.sandbox.simulation import START_UNIX_S
from bulk.sandbox.wire import Delivery, Request
from tests.sandbox.direct import OTHER, RUNS, TEST, body_of, sandbox_of, send


def test_a_trigger_is_queued_and_recorded_in_the_truth() -> None:
    sandbox = sandbox_of()
    body = {
        "mode": "deep",
        "platform": "ios",
        "deviceModel": "ipad",
        "appId": OTHER.upper(),
        "projectEnvironmentId": OTHER,
    }
    response = send(sandbox, "POST", RUNS, json.dumps(body).encode(), now_s=2.5)
    assert response.status == 202
    assert ("Date", "Thu, 01 Jan 2026 00:00:02 GMT") in response.headers
    found = body_of(response)
    assert found == {"status": "queued", "runId": found["runId"], "testId": TEST}
    (accepted,) = sandbox.truth.accepted
    assert accepted.run_id == found["runId"]
    assert accepted.test_id == TEST
    assert (accepted.mode, accepted.platform, accepted.device_model) == ("deep", "ios", "ipad")
    assert (accepted.app_id, accepted.environment_id) == (OTHER, OTHER)
    assert (accepted.at_s, accepted.fault) == (START_UNIX_S + 2.5, None)


def test_pages_of_runs_are_newest_first_without_repeats() -> None:
    sandbox = sandbox_of()
    ids = [body_of(send(sandbox, "POST", RUNS, now_s=float(n)))["runId"] for n in range(45)]
    send(sandbox, "POST", f"/v1/tests/{OTHER}/runs", now_s=50.0)
    seen: list[str] = []
    cursor: Any = ""
    for _ in range(3):
        query = f"?testId={TEST}" + (f"&cursor={cursor}" if cursor else "")
        found = body_of(send(sandbox, "GET", f"/v1/runs{query}", now_s=60.0))
        seen += [run["id"] for run in found["runs"]]
        cursor = found["nextCursor"]
    assert seen == ids[::-1]
    assert cursor is None
    everything = body_of(send(sandbox, "GET", "/v1/runs?limit=100", now_s=60.0))
    assert len(everything["runs"]) == 46


def test_a_list_that_lags_shows_a_run_later_than_it_exists() -> None:
    sandbox = sandbox_of("runs listed 3s")
    run_id = body_of(send(sandbox, "POST", RUNS))["runId"]
    assert body_of(send(sandbox, "GET", "/v1/runs", now_s=2.9))["runs"] == []
    assert body_of(send(sandbox, "GET", f"/v1/runs/{run_id}", now_s=2.9))["id"] == run_id
    (listed,) = body_of(send(sandbox, "GET", "/v1/runs", now_s=3.0))["runs"]
    assert listed["id"] == run_id


def test_a_run_progresses_over_time_and_can_be_cancelled_until_its_end() -> None:
    sandbox = sandbox_of("runs queued 1s running 10s failed 0%")
    run_id = body_of(send(sandbox, "POST", RUNS))["runId"]
    statuses = [
        body_of(send(sandbox, "GET", f"/v1/runs/{run_id}", now_s=now_s))["status"]
        for now_s in (0.0, 0.9, 1.0, 10.9, 11.0)
    ]
    assert statuses == ["queued", "queued", "running", "running", "completed"]
    done = body_of(send(sandbox, "GET", f"/v1/runs/{run_id}", now_s=20.0))
    assert done["output"]["result"] == "PASS"
    assert done["durationMs"] == 10_000
    assert done["createdAt"] == "2026-01-01T00:00:00.000Z"
    assert done["completedAt"] == "2026-01-01T00:00:11.000Z"
    assert send(sandbox, "POST", f"/v1/runs/{run_id}/cancel", now_s=20.0).status == 409
    other = body_of(send(sandbox, "POST", RUNS, now_s=30.0))["runId"]
    cancelled = send(sandbox, "POST", f"/v1/runs/{other}/cancel", now_s=32.0)
    assert body_of(cancelled) == {"id": other, "status": "cancelled"}
    assert sandbox.cancelled_run_ids == {other}
    assert send(sandbox, "POST", f"/v1/runs/{other}/cancel", now_s=33.0).status == 409
    kept = body_of(send(sandbox, "GET", "/v1/runs?status=cancelled", now_s=99.0))["runs"]
    assert [run["id"] for run in kept] == [other]


def test_some_tests_fail_and_some_runners_break() -> None:
    sandbox = sandbox_of("runs failed 30% broken 20%")
    for _ in range(100):
        send(sandbox, "POST", RUNS)
    runs = body_of(send(sandbox, "GET", "/v1/runs?limit=100", now_s=99.0))["runs"]
    results = [run["output"]["result"] if run["output"] else run["status"] for run in runs]
    assert {result: results.count(result) > 5 for result in set(results)} == {
        "PASS": True,
        "FAILED": True,
        "failed": True,
    }


@pytest.mark.parametrize(
    ("kind", "media", "text"),
    [
        ("json", "application/json", b'"error": "rate_limited"'),
        ("html", "text/html; charset=utf-8", b"<h1>429"),
        ("plain", "text/plain; charset=utf-8", b"Too Many Requests\n"),
        ("empty", None, b""),
    ],
)
def test_a_429_has_the_body_that_the_spec_names(kind: str, media: str | None, text: bytes) -> None:
    sandbox = sandbox_of(f"strict-spacing 1/s; headers retry-after draft-6; refusal-body {kind}")
    accepted = send(sandbox, "POST", RUNS)
    throttled = send(sandbox, "POST", RUNS, now_s=0.5)
    assert "Retry-After" not in dict(accepted.headers)
    assert dict(accepted.headers)["RateLimit-Remaining"] == "0"
    assert throttled.status == 429
    assert dict(throttled.headers)["Retry-After"] == "1"
    assert dict(throttled.headers).get("Content-Type") == media
    assert text in throttled.body
    assert [(r.test_id, r.reason, r.at_s) for r in sandbox.truth.throttles] == [
        (TEST, "strict-spacing", START_UNIX_S + 0.5)
    ]


def test_a_used_up_quota_has_an_error_code_of_its_own() -> None:
    sandbox = sandbox_of("quota 1; headers retry-after; quota-code insufficient_quota")
    send(sandbox, "POST", RUNS)
    throttled = send(sandbox, "POST", RUNS)
    assert body_of(throttled)["error"] == "insufficient_quota"
    assert "Retry-After" not in dict(throttled.headers)


def test_retry_after_can_be_a_constant_and_can_be_sent_always() -> None:
    constant = sandbox_of("strict-spacing 1/s; headers retry-after=77")
    responses = [send(constant, "POST", RUNS) for _ in range(2)]
    assert [dict(response.headers).get("Retry-After") for response in responses] == [None, "77"]
    always = sandbox_of("strict-spacing 1/s; headers retry-after-always")
    assert dict(send(always, "POST", RUNS).headers)["Retry-After"] == "1"


def test_reading_is_limited_only_with_scope_all() -> None:
    for spec, status in (("quota 1", 200), ("quota 1; scope all", 429)):
        sandbox = sandbox_of(spec)
        send(sandbox, "POST", RUNS)
        assert send(sandbox, "GET", "/v1/runs").status == status


@pytest.mark.parametrize(
    ("fault", "status", "delivery", "queued"),
    [
        ("500", 500, Delivery.WHOLE, 0),
        ("500-queued", 500, Delivery.WHOLE, 1),
        ("429", 429, Delivery.WHOLE, 0),
        ("503", 503, Delivery.WHOLE, 0),
        ("504-queued", 504, Delivery.WHOLE, 1),
        ("reset-before", 202, Delivery.RESET, 0),
        ("reset-after", 202, Delivery.RESET, 1),
        ("hang", 202, Delivery.HANG, 0),
        ("hang-queued", 202, Delivery.HANG, 1),
        ("truncated", 202, Delivery.TRUNCATED, 1),
        ("endless-body", 202, Delivery.ENDLESS, 1),
        ("drip", 202, Delivery.DRIP, 1),
        ("not-http", 202, Delivery.NOT_HTTP, 1),
    ],
)
def test_a_fault_queues_a_run_or_does_not(
    fault: str, status: int, delivery: Delivery, queued: int
) -> None:
    sandbox = sandbox_of(f"fault {fault} first 1")
    response = send(sandbox, "POST", RUNS)
    assert (response.status, response.delivery) == (status, delivery)
    assert [accepted.fault for accepted in sandbox.truth.accepted] == [fault] * queued
    assert sandbox.truth.counts.faulted == 1
    assert sandbox.truth.counts.accepted_unanswered == queued
    assert send(sandbox, "POST", RUNS).status == 202


def test_each_malformed_202_is_malformed_as_named() -> None:
    bodies = {}
    for fault in ("not-json", "no-run-id", "bad-run-id", "duplicate-run-id"):
        sandbox = sandbox_of(f"fault {fault} every 2nd")
        intact = body_of(send(sandbox, "POST", RUNS))["runId"]
        bodies[fault] = send(sandbox, "POST", RUNS).body.replace(intact.encode(), b"THE-FIRST")
        assert len(sandbox.truth.accepted) == 2
    assert bodies["not-json"].startswith(b"<html>")
    assert b"runId" not in bodies["no-run-id"]
    assert b'"run-1"' in bodies["bad-run-id"]
    assert b"THE-FIRST" in bodies["duplicate-run-id"]


def test_requests_take_effect_in_order_of_arrival_even_if_nobody_waits() -> None:
    sandbox = sandbox_of("quota 1; latency uniform 0ms..100ms")
    exchanges = [sandbox.send(0.0, Request("POST", RUNS, "", "Bearer k")) for _ in range(20)]
    assert not sandbox.truth.accepted
    sandbox.settle()
    by_arrival = sorted(exchanges, key=lambda exchange: exchange.arrives_at_s)
    statuses = [one.response.status for one in by_arrival if one.response is not None]
    assert statuses == [202] + [429] * 19


def test_limits_apply_at_arrival_and_the_client_waits_for_the_round_trip() -> None:
    sandbox = sandbox_of("latency 100ms split 20/50/30")
    exchange = sandbox.send(1.0, Request("POST", RUNS, "", "Bearer k"))
    assert exchange.arrives_at_s == pytest.approx(1.02)
    sandbox.advance(1.02)
    assert exchange.received_at_s == pytest.approx(1.1)


def test_the_same_seed_gives_the_same_responses() -> None:
    def bodies(spec: str) -> list[bytes]:
        sandbox = sandbox_of(spec)
        return [send(sandbox, "POST", RUNS).body for _ in range(5)]

    assert bodies("seed 1") == bodies("seed 1")
    assert bodies("seed 1") != bodies("seed 2")


def test_the_truth_is_served_whole_or_as_counts_and_does_not_count_itself() -> None:
    sandbox = sandbox_of("concurrency 2; latency 1s")
    for _ in range(3):
        send(sandbox, "POST", RUNS)
    summary = body_of(send(sandbox, "GET", "/sandbox/truth?summary=1", key=None, now_s=0.25))
    assert summary == {
        "counts": {
            "accepted": 2,
            "accepted_unanswered": 0,
            "throttled": 1,
            "invalid": 0,
            "faulted": 0,
            "requests": 3,
            "in_flight_peak": 2,
        }
    }
    whole = body_of(send(sandbox, "GET", "/sandbox/truth", key=None))
    assert [row["run_id"] for row in whole["accepted"]] == [
        accepted.run_id for accepted in sandbox.truth.accepted
    ]
    assert [row["reason"] for row in whole["throttles"]] == ["concurrency"]
