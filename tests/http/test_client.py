"""The client over real sockets: exactly the vendor's request, bounded answers, and no repeats."""

from __future__ import annotations

import gzip
import json
import re
import socket
import tracemalloc
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import pytest
import trio

from bulk.errors import AuthError, OptionError, UnreachableError
from bulk.http.address import check_base_url, is_loopback
from bulk.http.answers import Answer, Failure, classify
from bulk.http.api_key import ApiKey
from bulk.http.client import (
    BODY_BYTES_MAX,
    SHOWN_CHARACTERS_MAX,
    Client,
    Timeouts,
    request_body,
)
from bulk.http.preflight import settle_base_url
from bulk.model import DeviceModel, Mode, Outcome, Platform, Trigger
from bulk.sandbox import Served, parse_spec, serve

ID = "0b9c3a54-5d3c-4a8e-9a53-0d6a6a1f0c11"
KEY = ApiKey("sk_test_CANARY", "the test's key")
PLAIN = Trigger(ID)

pytestmark = pytest.mark.sockets


class Peer:
    """A server on loopback that records what it receives and answers with the given bytes."""

    def __init__(self, *answers: bytes) -> None:
        self.received: list[bytes] = []
        self._answers = list(answers)
        self.base_url = ""

    async def __call__(self, stream: trio.SocketStream) -> None:
        async with stream:
            while self._answers:
                request = await self._request(stream)
                if not request:
                    return
                self.received.append(request)
                await stream.send_all(self._answers.pop(0))

    async def _request(self, stream: trio.SocketStream) -> bytes:
        """All of the next request, in however many pieces it arrives; empty if there is none."""
        request, missing = b"", 1
        while missing > 0:
            piece = await stream.receive_some(65_536)
            if not piece:
                return b""
            request += piece
            head, end, content = request.partition(b"\r\n\r\n")
            if end:
                length = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
                missing = (int(length[1]) if length else 0) - len(content)
        return request


@asynccontextmanager
async def listening(peer: Peer) -> AsyncIterator[Peer]:
    async with trio.open_nursery() as nursery:
        (listener,) = await nursery.start(partial(trio.serve_tcp, peer, 0, host="127.0.0.1"))
        peer.base_url = f"http://127.0.0.1:{listener.socket.getsockname()[1]}"
        yield peer
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def sandbox(spec: str) -> AsyncIterator[Served]:
    async with trio.open_nursery() as nursery:
        yield await nursery.start(partial(serve, parse_spec(spec)))
        nursery.cancel_scope.cancel()


def http(status: str, body: bytes, *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join([*lines, "", ""]).encode() + body


def client(base_url: str, **timeouts: float) -> Client:
    return Client(base_url, KEY, timeouts=Timeouts(**timeouts))


async def post(base_url: str, trigger: Trigger = PLAIN, **timeouts: float) -> Answer:
    async with client(base_url, **timeouts) as one:
        return await one.trigger(trigger, 0, trio.CancelScope())


async def test_the_request_is_exactly_as_the_vendor_documents_it() -> None:
    body = json.dumps({"status": "queued", "runId": ID, "testId": ID}).encode()
    async with listening(Peer(http("202 Accepted", body))) as peer:
        answer = await post(peer.base_url)
    assert classify(answer).run_id == ID
    (request,) = peer.received
    head, _, content = request.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    assert first == f"POST /v1/tests/{ID}/runs HTTP/1.1"
    assert headers["authorization"] == "Bearer sk_test_CANARY"
    assert headers["content-type"] == "application/json"
    assert content == b"{}"


@pytest.mark.parametrize(
    ("trigger", "body"),
    [
        (PLAIN, {}),
        (Trigger(ID, Platform.WEB, Mode.FAST), {"platform": "web", "mode": "fast"}),
        (
            Trigger(ID, Platform.IOS, Mode.DEEP, DeviceModel.IPAD, ID, ID, 3, "name", ("tag",), 7),
            {
                "platform": "ios",
                "mode": "deep",
                "deviceModel": "ipad",
                "appId": ID,
                "projectEnvironmentId": ID,
            },
        ),
    ],
)
def test_what_is_not_set_is_not_sent(trigger: Trigger, body: dict[str, str]) -> None:
    assert json.loads(request_body(trigger)) == body


async def test_redirects_are_not_followed() -> None:
    another = http("307 Temporary Redirect", b"", "Location: http://127.0.0.1:9/x")
    async with listening(Peer(another)) as peer:
        answer = await post(peer.base_url)
    assert (answer.status, answer.location) == (307, "http://127.0.0.1:9/x")
    assert len(peer.received) == 1


@pytest.mark.parametrize(
    "location", ["x:y", "http://xn--/", "http://[::1", "http://a\u2100b/", "?" * 70_000]
)
async def test_a_redirect_to_an_invalid_address_is_still_a_rejection(location: str) -> None:
    async with listening(Peer(http("307 Moved", b"", f"Location: {location}"))) as peer:
        answer = await post(peer.base_url)
    assert classify(answer).failure_code == "http_307"
    assert len(answer.location) <= SHOWN_CHARACTERS_MAX


async def test_no_cookie_is_kept() -> None:
    answer = http("429 Too Many Requests", b"", "Set-Cookie: a=b; Path=/")
    async with listening(Peer(answer, answer)) as peer, client(peer.base_url) as one:
        for _ in range(2):
            await one.trigger(PLAIN, 0, trio.CancelScope())
    assert not any(b"cookie" in request.lower() for request in peer.received)


async def test_a_compressed_answer_is_decompressed_only_up_to_the_limit() -> None:
    body = json.dumps({"runId": ID}).encode()
    bomb = zlib.compressobj(wbits=31)
    packed = b"".join(bomb.compress(b"x" * (1 << 20)) for _ in range(64)) + bomb.flush()
    compressed = http("202 Accepted", gzip.compress(body), "Content-Encoding: gzip")
    not_compressed = http("202 Accepted", body, "Content-Encoding: deflate")
    a_bomb = http("400 Bad Request", packed, "Content-Encoding: gzip")
    async with listening(Peer(compressed, not_compressed, a_bomb)) as peer:
        assert classify(await post(peer.base_url)).run_id == ID
        assert classify(await post(peer.base_url)).run_id == ID
        tracemalloc.start()
        answer = await post(peer.base_url)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert len(answer.body) == BODY_BYTES_MAX
    assert most < 8 << 20


async def test_an_answer_is_read_only_up_to_the_limit() -> None:
    async with listening(Peer(http("400 Bad Request", b"x" * 1_000_000))) as peer:
        answer = await post(peer.base_url)
    assert len(answer.body) == BODY_BYTES_MAX


async def test_the_key_is_scrubbed_from_everything_that_a_server_echoes() -> None:
    echo = http(
        "400 Bad Request",
        b'{"error": "sk_test_CANARY", "message": "Bearer sk_test_CANARY"}',
        "X-RateLimit-Policy: sk_test_CANARY",
        "X-RateLimit-sk_test_CANARY: 1",
        f"Retry-After: {'x' * 190}sk_test_CANARY",
        "Location: /sk_test_CANARY",
    )
    async with listening(Peer(echo)) as peer:
        answer = await post(peer.base_url)
    assert "sk_test" not in repr(answer).lower()
    assert "sk_test" not in repr(classify(answer))


async def test_a_body_is_not_cut_in_the_middle_of_the_key() -> None:
    echo = b"x" * (BODY_BYTES_MAX - 8) + b"sk_test_CANARY" * 9
    async with listening(Peer(http("400 Bad Request", echo))) as peer:
        answer = await post(peer.base_url)
    assert answer.body[-20:] == b"x" * 12 + b"[API key"


async def test_only_a_request_that_cannot_have_left_is_a_failure_to_connect() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        unused = f"http://127.0.0.1:{free.getsockname()[1]}"
    assert (await post(unused)).failure is Failure.CONNECT
    assert (await post("http://name.invalid")).failure is Failure.CONNECT
    # TLS spoken to a server that speaks none fails before the request is sent.
    async with listening(Peer(b"what?")) as peer:
        answer = await post(peer.base_url.replace("http:", "https:"))
    assert answer.failure is Failure.CONNECT
    async with listening(Peer(b"")) as peer:
        assert (await post(peer.base_url)).failure is Failure.LOST
    async with listening(Peer(b"SSH-2.0-OpenSSH\r\n")) as peer:
        assert (await post(peer.base_url)).failure is Failure.LOST


@pytest.mark.parametrize(
    ("fault", "failure"),
    [
        ("hang", Failure.TIMED_OUT),
        ("reset-before", Failure.LOST),
        ("reset-after", Failure.LOST),
        ("truncated", Failure.LOST),
        ("not-http", Failure.LOST),
    ],
)
async def test_a_lost_answer_is_data(fault: str, failure: Failure) -> None:
    async with sandbox(f"none; fault {fault} 100%") as served:
        answer = await post(served.url, answer_s=0.3)
    assert answer.failure is failure


@pytest.mark.parametrize("fault", ["endless-body", "drip"])
async def test_an_endless_answer_is_given_up(fault: str) -> None:
    async with sandbox(f"none; fault {fault} 100%") as served:
        answer = await post(served.url, connect_s=0.1, answer_s=0.6)
    assert classify(answer).end is Outcome.UNKNOWN


async def test_a_429_whose_body_is_lost_stays_a_429() -> None:
    cut = b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 3\r\nContent-Length: 99\r\n\r\nhalf"
    async with listening(Peer(cut)) as peer:
        answer = await post(peer.base_url)
    assert (answer.status, answer.headers) == (429, (("retry-after", "3"),))


OK = http("202 Accepted", json.dumps({"runId": ID, "testId": ID}).encode())


class ClosingPeer(Peer):
    """It announces for how long it keeps an idle connection, and closes it then."""

    def __init__(self, announced: str, closes_after_s: float) -> None:
        answer = OK.replace(b"\r\n", f"\r\nKeep-Alive: {announced}\r\n".encode(), 1)
        super().__init__(*[answer] * 20)
        self.connections = 0
        self._closes_after_s = closes_after_s

    async def __call__(self, stream: trio.SocketStream) -> None:
        self.connections += 1
        await super().__call__(stream)

    async def _request(self, stream: trio.SocketStream) -> bytes:
        with trio.move_on_after(self._closes_after_s):
            return await super()._request(stream)
        return b""


@pytest.mark.parametrize(
    # The first connection is one from before the announcement.
    ("announced", "idle_s", "connections"),
    [
        ("timeout=1", 0.3, 2),
        ("timeout=1", 0.7, 4),
        ("max=100, Timeout = 1", 0.7, 4),
        ("timeout=0", 0.0, 4),
        ("timeout=60", 0.7, 1),
        ("soon", 0.7, 1),
    ],
)
async def test_a_connection_is_not_reused_when_the_server_may_be_closing_it(
    announced: str, idle_s: float, connections: int
) -> None:
    async with listening(ClosingPeer(announced, 5.0)) as peer, client(peer.base_url) as one:
        for _ in range(4):
            answer = await one.trigger(PLAIN, 0, trio.CancelScope())
            assert classify(answer).run_id == ID
            await trio.sleep(idle_s)
    assert isinstance(peer, ClosingPeer)
    assert peer.connections == connections


async def test_a_request_in_flight_survives_that_another_answer_shortens_the_idle_time() -> None:
    slow, answered = trio.Event(), []

    class SlowPeer(ClosingPeer):
        async def _request(self, stream: trio.SocketStream) -> bytes:
            request = await super()._request(stream)
            if request and len(self.received) == 1:
                await slow.wait()
            return request

    async with (
        listening(SlowPeer("timeout=1", 5.0)) as peer,
        client(peer.base_url) as one,
        trio.open_nursery() as nursery,
    ):

        async def send() -> None:
            answered.append(await one.trigger(PLAIN, 0, trio.CancelScope()))

        await send()
        peer.received.append(b"")  # the next one waits no longer
        nursery.start_soon(send)
        await send()
        slow.set()
    assert [classify(answer).run_id for answer in answered] == [ID] * 3


async def test_a_request_cut_off_by_a_drain_says_so() -> None:
    async with sandbox("none; latency 10s") as served, client(served.url) as one:
        answer = await one.trigger(PLAIN, 0, trio.CancelScope(deadline=trio.current_time() + 0.2))
    assert answer.failure is Failure.CUT_OFF


@pytest.mark.parametrize(
    ("spec", "given", "found"),
    [
        ("none; base root", "", ""),
        ("none; base api", "", "/api"),
        ("none; base api", "/api", "/api"),
        ("none; base root", "/api", ""),
        ("none; base both", "/api", "/api"),
        ("none; legacy", "", ""),
        ("none; legacy", "/api", "/api"),
    ],
)
async def test_the_preflight_finds_the_base_url(spec: str, given: str, found: str) -> None:
    async with sandbox(spec) as served, client(served.url + given) as one:
        await settle_base_url(one)
        assert one.base_url == served.url + found


async def test_the_preflight_refuses_a_bad_key_and_a_dead_address() -> None:
    async with sandbox("none; reject-key sk_test_CANARY") as served, client(served.url) as one:
        with pytest.raises(AuthError, match="rejected the API key") as caught:
            await settle_base_url(one)
    assert "CANARY" not in str(caught.value)
    async with client("http://127.0.0.1:9") as one:
        with pytest.raises(UnreachableError, match=r"nothing answers at http://127\.0\.0\.1:9"):
            await settle_base_url(one)


@pytest.mark.parametrize(
    "answer",
    [
        http("403 Forbidden", b""),
        http("404 Not Found", b"<html>"),
        http("429 Too Many Requests", b""),
        http("500 Internal Server Error", b""),
        http("200 OK", b"<html>the company's site"),
        http("200 OK", b'{"runs": 1}'),
        http("302 Found", b"", "Location: /login"),
        b"rubbish\r\n\r\n",
    ],
)
async def test_a_preflight_without_a_clear_answer_changes_nothing(answer: bytes) -> None:
    async with listening(Peer(answer, answer)) as peer, client(peer.base_url) as one:
        await settle_base_url(one)
        assert one.base_url == peer.base_url


@pytest.mark.parametrize(
    ("given", "checked"),
    [
        ("https://tester.army", "https://tester.army"),
        (" https://tester.army/ ", "https://tester.army"),
        ("https://tester.army/api/", "https://tester.army/api"),
        ("https://tester.army/v1", "https://tester.army"),
        ("https://tester.army/api/v1/", "https://tester.army/api"),
        ("http://[::1]:8080", "http://[::1]:8080"),
    ],
)
def test_a_base_url_is_normalized(given: str, checked: str) -> None:
    assert check_base_url(given) == checked


@pytest.mark.parametrize(
    "given",
    [
        "",
        "tester.army",
        "ftp://tester.army",
        "https://",
        "https://user:secret@tester.army",
        "https://tester.army?x=1",
        "https://tester.army#x",
        "http://[::1",
        "https://tester.army:port",
        "https://tester.army:99999",
        "https://tester.army:0",
        "https://\x00",
        "https://h..h",
        f"https://{'a' * 64}.example",
        "https://h ost",
    ],
)
def test_an_invalid_base_url_is_a_clear_error(given: str) -> None:
    with pytest.raises(OptionError, match="--base-url") as caught:
        check_base_url(given)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "here"),
    [
        ("http://127.0.0.1:1", True),
        ("http://127.9.9.9", True),
        ("http://[::1]:1", True),
        ("http://localhost", True),
        ("http://api.localhost", True),
        ("https://tester.army", False),
        ("http://10.0.0.1", False),
        ("http://127.0.0.1.example.com", False),
        ("http://notlocalhost", False),
    ],
)
def test_only_this_machine_is_loopback(url: str, here: bool) -> None:
    assert is_loopback(url) is here
