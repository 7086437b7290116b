"""The in-memory transport under trio's mock clock: exact instants and httpx's own exceptions."""

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


async def test_an_answer_comes_when_the_latency_says(autojump_clock: MockClock) -> None:
    _, http = client("latency 60ms")
    async with http:
        before_s = trio.current_time()
        answer = await http.post(RUNS, json={"mode": "fast"})
    assert answer.status_code == 202
    assert answer.headers["content-length"] == str(len(answer.content))
    assert trio.current_time() - before_s == pytest.approx(0.06)


async def test_requests_at_once_are_limited_by_their_arrival(autojump_clock: MockClock) -> None:
    sandbox, http = client("token-bucket 1/s burst 3; latency 60ms; headers retry-after-fractional")
    statuses: list[tuple[int, float]] = []

    async def post() -> None:
        answer = await http.post(RUNS)
        statuses.append((answer.status_code, round(trio.current_time(), 9)))

    async with http, trio.open_nursery() as nursery:
        for _ in range(5):
            nursery.start_soon(post)
    assert sorted(statuses) == [(202, 0.06)] * 3 + [(429, 0.03)] * 2
    assert sandbox.truth.counts.in_flight_peak == 3


async def test_a_queue_holds_back_what_comes_too_fast(autojump_clock: MockClock) -> None:
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
async def test_a_fault_raises_what_real_connections_raise(
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


async def test_a_slow_answer_is_given_up_at_the_read_timeout(autojump_clock: MockClock) -> None:
    sandbox, http = client("latency 10s", timeout=httpx.Timeout(1.0))
    with pytest.raises(httpx.ReadTimeout):
        await http.post(RUNS)
    assert trio.current_time() == pytest.approx(1.0)
    assert not sandbox.truth.accepted, "it is still on its way"
    await http.aclose()
    assert len(sandbox.truth.accepted) == 1, "it arrives although no one waits"


async def test_a_cancelled_request_arrives_all_the_same(autojump_clock: MockClock) -> None:
    sandbox, http = client("latency 1s")
    async with http:
        with trio.move_on_after(0.1):
            await http.post(RUNS)
        await trio.sleep(1)
        await http.get("/v1/runs")
        assert len(sandbox.truth.accepted) == 1


async def test_a_dripping_body_outlasts_each_read(autojump_clock: MockClock) -> None:
    _, http = client("fault drip first 1", timeout=httpx.Timeout(1.5))
    async with http:
        answer = await http.post(RUNS)
    assert answer.json()["status"] == "queued"
    assert trio.current_time() == pytest.approx(float(len(answer.content)))


async def test_a_dripping_body_ends_a_shorter_read_timeout(autojump_clock: MockClock) -> None:
    _, http = client("fault drip first 1", timeout=httpx.Timeout(0.5))
    async with http:
        with pytest.raises(httpx.ReadTimeout):
            await http.post(RUNS)
    assert trio.current_time() == pytest.approx(0.5)


async def test_an_endless_body_goes_on_until_the_client_has_enough(
    autojump_clock: MockClock,
) -> None:
    transport = SandboxTransport(
        Sandbox(parse_spec("fault endless-body first 1")), connections_max=1
    )
    request = httpx.Request("POST", f"http://sandbox{RUNS}", headers={"Authorization": "Bearer k"})
    answer = await transport.handle_async_request(request)
    assert isinstance(answer.stream, httpx.AsyncByteStream)
    received = 0
    async for chunk in answer.stream:
        received += len(chunk)
        if received > 1_000_000:
            break
    await answer.aclose()
    assert (await transport.handle_async_request(request)).status_code == 202, "it is free again"


async def test_a_full_pool_raises_at_the_pool_timeout(autojump_clock: MockClock) -> None:
    limits = httpx.Timeout(10.0, pool=1.0)
    _, http = client("latency 5s", timeout=limits, connections_max=1)
    async with http, trio.open_nursery() as nursery:
        nursery.start_soon(http.post, RUNS)
        await trio.testing.wait_all_tasks_blocked()
        with pytest.raises(httpx.PoolTimeout):
            await http.post(RUNS)
        assert trio.current_time() == pytest.approx(1.0)


async def test_no_timeout_waits_for_ever_and_can_be_cancelled(autojump_clock: MockClock) -> None:
    _, http = client("fault hang 100%", timeout=httpx.Timeout(None))
    async with http:
        with trio.move_on_after(1_000_000) as scope:
            await http.post(RUNS)
    assert scope.cancelled_caught


async def test_a_closed_transport_carries_nothing() -> None:
    _, http = client("none")
    transport = SandboxTransport(Sandbox(parse_spec("none")))
    await transport.aclose()
    with pytest.raises(RuntimeError, match="closed"):
        await transport.handle_async_request(httpx.Request("GET", "http://sandbox/"))
    await http.aclose()


async def test_head_has_the_length_and_no_body() -> None:
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
        while (answer := await http.post(RUNS)).status_code == 429:  # noqa: ASYNC110 - a client
            await trio.sleep(float(answer.headers["retry-after"]))

    async with http, trio.open_nursery() as nursery:
        for _ in range(14):
            nursery.start_soon(post_until_queued)
    assert trio.current_time() < 3.0
    assert (len(sandbox.truth.accepted), sandbox.truth.refused > 0) == (14, True)
