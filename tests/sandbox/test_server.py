"""The server over real sockets: valid HTTP, faults and garbage."""

from __future__ import annotations

import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest
import trio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from trio.testing import MockClock

from bulk.sandbox import Served, parse_spec, serve
from bulk.sandbox.server import is_loopback
from tests.properties import examples

pytestmark = pytest.mark.sockets

RUNS = "/v1/tests/5a3b1e00-0000-4000-8000-000000000001/runs"
HEAD = (
    f"POST {RUNS} HTTP/1.1\r\nHost: sandbox\r\nAuthorization: Bearer k\r\n"
    "Content-Type: application/json\r\n"
).encode()


@asynccontextmanager
async def serving(spec: str = "none", host: str = "127.0.0.1") -> AsyncIterator[Served]:
    async with trio.open_nursery() as nursery:

        async def start(task_status: trio.TaskStatus[Served]) -> None:
            await serve(parse_spec(spec), host=host, task_status=task_status)

        served: Served = await nursery.start(start)
        with trio.fail_after(10):
            yield served
        nursery.cancel_scope.cancel()


def client(served: Served) -> httpx.AsyncClient:
    headers = {"Authorization": "Bearer k"}
    return httpx.AsyncClient(base_url=served.url, headers=headers, trust_env=False)


async def exchange(served: Served, sent: bytes) -> bytes:
    """Send bytes, close that direction, and read to the end."""
    stream = await trio.open_tcp_stream(served.host, served.port)
    received = b""
    async with stream:
        try:
            await stream.send_all(sent)
            await stream.send_eof()
            async for chunk in stream:
                received += chunk
        except trio.BrokenResourceError:
            pass
    return received


async def test_triggers_and_lists_over_one_keep_alive_connection() -> None:
    async with serving("token-bucket 1/s burst 2; headers retry-after") as served:
        async with client(served) as http:
            responses = [await http.post(RUNS, json={"mode": "fast"}) for _ in range(3)]
            listed = (await http.get("/api/v1/runs")).json()
            truth = (await http.get("/sandbox/truth")).json()
        assert [response.status_code for response in responses] == [202, 202, 429]
        assert responses[2].headers["retry-after"] == "1"
        assert all("date" in response.headers for response in responses)
        queued = [response.json()["runId"] for response in responses[:2]]
        assert [run["id"] for run in listed["runs"]] == queued[::-1]
        assert [row["run_id"] for row in truth["accepted"]] == queued


async def test_head_returns_the_length_and_no_body_and_other_methods_are_405() -> None:
    async with serving() as served, client(served) as http:
        head = await http.head("/v1/runs")
        whole = await http.get("/v1/runs")
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["content-length"] == str(len(whole.content))
        wrong = await http.put(RUNS, json={})
        assert (wrong.status_code, wrong.headers["allow"]) == (405, "POST")


async def test_pipelined_requests_are_served_in_order() -> None:
    async with serving() as served:
        request = HEAD + b"Content-Length: 2\r\n\r\n{}"
        received = await exchange(served, request * 3)
        assert received.count(b"HTTP/1.1 202") == 3
        assert len(served.sandbox.truth.accepted) == 3


async def test_an_http_1_0_client_is_served_and_its_connection_closed() -> None:
    async with serving() as served:
        old = HEAD.replace(b"HTTP/1.1", b"HTTP/1.0") + b"Content-Length: 2\r\n\r\n{}"
        received = await exchange(served, old * 2)
        assert received.count(b" 202 Accepted\r\n") == 1
        assert b"Connection: close" in received


async def test_a_client_that_expects_100_continue_gets_it() -> None:
    async with serving() as served:
        stream = await trio.open_tcp_stream(served.host, served.port)
        async with stream:
            await stream.send_all(HEAD + b"Content-Length: 2\r\nExpect: 100-continue\r\n\r\n")
            assert (await stream.receive_some()).startswith(b"HTTP/1.1 100")
            await stream.send_all(b"{}")
            assert (await stream.receive_some()).startswith(b"HTTP/1.1 202")


async def test_a_large_body_is_rejected_and_the_connection_stays_open() -> None:
    async with serving() as served, client(served) as http:
        large = await http.post(RUNS, json={"mode": "x" * 100_000})
        assert (large.status_code, sorted(large.json())) == (413, ["error", "message"])
        assert (await http.post(RUNS, json={})).status_code == 202


async def test_an_endless_request_is_cut_off() -> None:
    async with serving() as served:
        received = await exchange(
            served, HEAD + b"Content-Length: 9000000\r\n\r\n" + b" " * 2_000_000
        )
        assert not served.sandbox.truth.accepted
        assert received == b"" or received.startswith(b"HTTP/1.1 413")


@pytest.mark.parametrize(
    ("fault", "error", "queued"),
    [
        ("reset-before", httpx.ReadError, 0),
        ("reset-after", httpx.ReadError, 1),
        ("connect-refused", httpx.ReadError, 0),
        ("truncated", httpx.RemoteProtocolError, 1),
        ("not-http", httpx.RemoteProtocolError, 1),
    ],
)
async def test_a_fault_breaks_the_connection(
    fault: str, error: type[httpx.TransportError], queued: int
) -> None:
    async with serving(f"fault {fault} first 1") as served, client(served) as http:
        with pytest.raises(error) as caught:
            await http.post(RUNS, json={})
        assert type(caught.value) is error
        assert len(served.sandbox.truth.accepted) == queued
        assert (await http.post(RUNS, json={})).status_code == 202


@pytest.mark.parametrize(("fault", "queued"), [("hang", 0), ("hang-queued", 1), ("drip", 1)])
async def test_a_fault_lasts_until_the_client_gives_up(
    fault: str, queued: int, mock_clock: MockClock
) -> None:
    mock_clock.rate = 1.0

    async def hurry() -> None:
        """Once the trigger meets the fault nothing but time has to pass, so let it pass faster."""
        while not served.sandbox.truth.faulted:  # noqa: ASYNC110 - it is a plain count
            await trio.sleep(0.001)
        mock_clock.rate = 20.0

    async with serving(f"fault {fault} first 1") as served, client(served) as http:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(hurry)
            with pytest.raises(httpx.ReadTimeout):
                await http.post(RUNS, json={}, timeout=0.5)
        mock_clock.rate = 1.0
        assert len(served.sandbox.truth.accepted) == queued
        assert (await http.post(RUNS, json={})).status_code == 202


async def test_an_endless_body_ends_when_the_client_closes() -> None:
    async with serving("fault endless-body first 1") as served, client(served) as http:
        stream = await trio.open_tcp_stream(served.host, served.port)
        received = b""
        async with stream:
            await stream.send_all(HEAD + b"Content-Length: 2\r\n\r\n{}")
            while len(received) < 100_000:
                received += await stream.receive_some()
        assert received.startswith(b"HTTP/1.1 202")
        assert (await http.post(RUNS, json={})).status_code == 202


GARBAGE = [
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    b"\x00" * 5000,
    b"GET / HTTP/9.9\r\n\r\n",
    b"GET  /  HTTP/1.1\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 100_000 + b"\r\n\r\n",
    b"GET /%ff%00/v1 HTTP/1.1\r\nHost: a\r\n\r\n",
    b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET http://a/v1/runs HTTP/1.1\r\nHost: a\r\n\r\n",
    HEAD + b"Content-Length: 50\r\n\r\n{",
]


async def test_garbage_gets_an_error_or_is_dropped_and_the_server_survives() -> None:
    async with serving() as served:
        for sent in GARBAGE:
            received = await exchange(served, sent)
            assert received == b"" or received.startswith(b"HTTP/1.1 4"), sent[:60]
        async with client(served) as http:
            assert (await http.post(RUNS, json={})).status_code == 202


@settings(max_examples=examples(5), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.binary(min_size=1, max_size=200), min_size=20, max_size=20))
async def test_the_server_survives_any_bytes(garbage: list[bytes]) -> None:
    async with serving() as served:
        for sent in garbage:
            await exchange(served, sent)
            await exchange(served, HEAD + sent)
        async with client(served) as http:
            assert (await http.get("/v1/runs")).status_code == 200


async def test_a_client_that_closes_early_does_no_harm() -> None:
    async with serving("latency 20ms") as served:
        for _ in range(5):
            stream = await trio.open_tcp_stream(served.host, served.port)
            await stream.send_all(HEAD + b"Content-Length: 2\r\n\r\n{}")
            await stream.aclose()
        async with client(served) as http:
            assert (await http.get("/v1/runs")).status_code == 200
    assert len(served.sandbox.truth.accepted) == 5


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


@pytest.mark.skipif(not has_ipv6(), reason="no IPv6 loopback here")
async def test_it_listens_on_ipv6_too() -> None:
    async with serving(host="::1") as served, client(served) as http:
        assert served.url.startswith("http://[::1]:")
        assert (await http.post(RUNS, json={})).status_code == 202


async def test_an_address_that_others_can_reach_causes_a_warning() -> None:
    with pytest.warns(UserWarning, match="others on the network"):
        async with serving(host="0.0.0.0"):
            pass


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("example.org", False),
    ],
)
def test_loopback_addresses_are_recognized(host: str, loopback: bool) -> None:
    assert is_loopback(host) == loopback


async def test_the_document_is_served_as_json() -> None:
    async with serving("base api") as served, client(served) as http:
        document = json.loads((await http.get("/openapi.json")).content)
    assert document["openapi"].startswith("3.1")
    assert document["servers"] == [{"url": "/api"}]
