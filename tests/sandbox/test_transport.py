"""The in-memory transport under trio's mock clock: exact instants and httpx's exceptions."""

from __future__ import annotations

import httpx
import pytest
import trio
from trio.testing import MockClock

from bulk.sandbox import DEFAULT_SPEC, Sandbox, SandboxTransport, parse_spec

RUNS = "/v1/tests/5a3b1e00-0000-4000-8000-000000000001/runs"


def client(
    spec: str, *, timeout: httpx.Timeout | None = None, connections_max: int | None = None
) -> tuple[Sandbox, httpx.AsyncClient]:
    sandbox = Sandbox(parse_spec(spec), started_at_s=trio.current_time())
    transport = SandboxTransport(sandbox, connections_max=connections_max)
    return sandbox, httpx.AsyncClient(
        transport=transport,
        base_url="http://sandbox",
        headers={"Authorization": "Bearer k"},
        timeout=timeout or httpx.Timeout(5.0),
    )


async def test_a_response_arrives_after_the_latency(autojump_clock: MockClock) -> None:
    _, http = client("latency 60ms")
    async with http:
        before_s = trio.current_time()
        response = await http.post(RUNS, json={"mode": "fast"})
    assert response.status_code == 202
    assert response.headers["content-length"] == str(len(response.content))
    assert trio.current_time() - before_s == pytest.approx(0.06)


async def test_concurrent_requests_are_limited_at_their_arrival(autojump_clock: MockClock) -> None:
    sandbox, http = client("token-bucket 1/s burst 3; latency 60ms; headers retry-after-fractional")
    statuses: list[tuple[int, float]] = []

    async def post() -> None:
        response = await http.post(RUNS)
        statuses.append((response.status_code, round(trio.current_time(), 9)))

    async with http, trio.open_nursery() as nursery:
        for _ in range(5):
            nursery.start_soon(post)
    assert sorted(statuses) == [(202, 0.06)] * 3 + [(429, 0.03)] * 2
    assert sandbox.truth.counts.in_flight_peak == 3


async def test_a_queue_holds_back_requests_that_arrive_too_fast(autojump_clock: MockClock) -> None:
    _, http = client("queue 2/s")
    ends_s: list[float] = []

    async def post() -> None:
        await http.post(RUNS)
        ends_s.append(round(trio.current_time(), 9))

    async with http, trio.open_nursery() as nursery:
        for _ in range(3):
            nursery.start_soon(post)
    assert sorted(ends_s) == [0.0, 0.5, 1.0]


FAULTS: list[tuple[str, type[httpx.TransportError], float, int]] = [
    ("connect-refused", httpx.ConnectError, 0.0, 0),
    ("connect-hang", httpx.ConnectTimeout, 2.0, 0),
    ("reset-before", httpx.ReadError, 0.1, 0),
    ("reset-after", httpx.ReadError, 0.1, 1),
    ("hang", httpx.ReadTimeout, 3.0, 0),
    ("hang-queued", httpx.ReadTimeout, 3.0, 1),
    ("truncated", httpx.RemoteProtocolError, 0.1, 1),
    ("not-http", httpx.RemoteProtocolError, 0.1, 1),
]


@pytest.mark.parametrize(("fault", "error", "after_s", "queued"), FAULTS)
async def test_a_fault_raises_what_a_real_connection_raises(
    fault: str,
    error: type[httpx.TransportError],
    after_s: float,
    queued: int,
    autojump_clock: MockClock,
) -> None:
    limits = httpx.Timeout(connect=2.0, read=3.0, write=1.0, pool=1.0)
    sandbox, http = client(f"latency 100ms; fault {fault} first 1", timeout=limits)
    async with http:
        with pytest.raises(error) as caught:
            await http.post(RUNS)
        assert type(caught.value) is error
        assert trio.current_time() == pytest.approx(after_s)
        assert len(sandbox.truth.accepted) == queued
        assert (await http.post(RUNS)).status_code == 202


async def test_a_slow_response_ends_in_a_read_timeout(autojump_clock: MockClock) -> None:
    sandbox, http = client("latency 10s", timeout=httpx.Timeout(1.0))
    with pytest.raises(httpx.ReadTimeout):
        await http.post(RUNS)
    assert trio.current_time() == pytest.approx(1.0)
    assert not sandbox.truth.accepted, "the request has not arrived yet"
    await http.aclose()
    assert len(sandbox.truth.accepted) == 1, "it arrives although nobody waits"


async def test_a_cancelled_request_arrives_nevertheless(autojump_clock: MockClock) -> None:
    sandbox, http = client("latency 1s")
    async with http:
        with trio.move_on_after(0.1):
            await http.post(RUNS)
        await trio.sleep(1)
        await http.get("/v1/runs")
        assert len(sandbox.truth.accepted) == 1


async def test_no_single_read_of_a_dripping_body_times_out(autojump_clock: MockClock) -> None:
    _, http = client("fault drip first 1", timeout=httpx.Timeout(1.5))
    async with http:
        response = await http.post(RUNS)
    assert response.json()["status"] == "queued"
    assert trio.current_time() == pytest.approx(float(len(response.content)))


async def test_a_dripping_body_exceeds_a_shorter_read_timeout(autojump_clock: MockClock) -> None:
    _, http = client("fault drip first 1", timeout=httpx.Timeout(0.5))
    async with http:
        with pytest.raises(httpx.ReadTimeout):
            await http.post(RUNS)
    assert trio.current_time() == pytest.approx(0.5)


async def test_an_endless_body_continues_until_the_client_closes_it(
    autojump_clock: MockClock,
) -> None:
    transport = SandboxTransport(
        Sandbox(parse_spec("fault endless-body first 1")), connections_max=1
    )
    request = httpx.Request("POST", f"http://sandbox{RUNS}", headers={"Authorization": "Bearer k"})
    response = await transport.handle_async_request(request)
    assert isinstance(response.stream, httpx.AsyncByteStream)
    received = 0
    async for chunk in response.stream:
        received += len(chunk)
        if received > 1_000_000:
            break
    await response.aclose()
    assert (await transport.handle_async_request(request)).status_code == 202, (
        "the connection is free again"
    )


async def test_a_full_pool_ends_in_a_pool_timeout(autojump_clock: MockClock) -> None:
    limits = httpx.Timeout(10.0, pool=1.0)
    _, http = client("latency 5s", timeout=limits, connections_max=1)
    async with http, trio.open_nursery() as nursery:
        nursery.start_soon(http.post, RUNS)
        await trio.testing.wait_all_tasks_blocked()
        with pytest.raises(httpx.PoolTimeout):
            await http.post(RUNS)
        assert trio.current_time() == pytest.approx(1.0)


async def test_without_a_timeout_a_request_waits_until_it_is_cancelled(
    autojump_clock: MockClock,
) -> None:
    _, http = client("fault hang 100%", timeout=httpx.Timeout(None))
    async with http:
        with trio.move_on_after(1_000_000) as scope:
            await http.post(RUNS)
    assert scope.cancelled_caught


async def test_a_closed_transport_sends_nothing() -> None:
    _, http = client("none")
    transport = SandboxTransport(Sandbox(parse_spec("none")))
    await transport.aclose()
    with pytest.raises(RuntimeError, match="closed"):
        await transport.handle_async_request(httpx.Request("GET", "http://sandbox/"))
    await http.aclose()


async def test_head_returns_the_length_and_no_body() -> None:
    _, http = client("none")
    async with http:
        head, whole = await http.head("/v1/runs"), await http.get("/v1/runs")
    assert head.content == b""
    assert head.headers["content-length"] == str(len(whole.content))


async def test_the_default_spec_takes_a_naive_client_about_two_seconds(
    autojump_clock: MockClock,
) -> None:
    sandbox, http = client(DEFAULT_SPEC)

    async def post_until_queued() -> None:
        while (response := await http.post(RUNS)).status_code == 429:  # noqa: ASYNC110 - a client
            await trio.sleep(float(response.headers["retry-after"]))

    async with http, trio.open_nursery() as nursery:
        for _ in range(14):
            nursery.start_soon(post_until_queued)
    assert trio.current_time() < 3.0
    assert (len(sandbox.truth.accepted), sandbox.truth.throttled > 0) == (14, True)
