"""Hostile answers over real sockets: a server that gives each request the answer of its number.

The number stands in the request, so the server remembers nothing and any order will do. Where it
keeps the connection, a second request follows, which may meet what the first answer left there; so
what a number does depends on no other.
"""

from __future__ import annotations

import re
import struct
import traceback
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from functools import partial
from socket import SO_LINGER, SOL_SOCKET

import trio

from bulk.http.answers import (
    Answer,
    Classification,
    Failure,
    classify,
)
from bulk.http.api_key import ApiKey
from bulk.http.client import (
    BODY_BYTES_MAX,
    SHOWN_CHARACTERS_MAX,
    Client,
    Timeouts,
)
from bulk.http.rate_limit_headers import (
    KEPT_HEADERS_MAX,
    KEPT_VALUE_CHARACTERS_MAX,
    read_rate_limit_headers,
)
from bulk.model import UUID_PATTERN, Outcome, Trigger
from bulk.reconcile.listing import Listing
from bulk.reconcile.run_page import read_page
from tests.fuzz.answers import Script, make_answer
from tests.fuzz.canary import CANARY, shows_canary
from tests.fuzz.messages import RUN

# Loopback answers in a millisecond; what is slow on purpose shall not be waited for long.
TIMEOUTS = Timeouts(connect_s=0.5, answer_s=0.25)
EXCHANGE_S_MAX = 30.0  # the client's own bound is 2.3 s; a shared machine is slow at times
AT_ONCE = 16  # most of them wait for time-outs
ENDLESS_PIECES_MAX = 100_000  # the client has gone long before, or the test has failed
LISTINGS = 4  # one exchange in so many asks for the list of runs
WALL = 1_790_035_200.0
_NUMBER = re.compile(rb"(?:tests/|seed=)([0-9a-f]{8})-000([01])")
_STATUS_LINE = re.compile(rb"HTTP/\d\.\d (\d{3})")


class HostileServer:
    """Counts the requests of each number, and answers as `tests.fuzz.answers` says."""

    def __init__(self) -> None:
        self.base_url = ""
        self.requests: Counter[tuple[int, int]] = Counter()
        self.headers_beside: Counter[bytes] = Counter()

    async def __call__(self, stream: trio.SocketStream) -> None:
        try:
            while (number := await self._request(stream)) is not None:
                script = make_answer(*number)
                await self._send(stream, script)
                if script.ending == "reset":  # closing with a time of zero resets
                    stream.setsockopt(SOL_SOCKET, SO_LINGER, struct.pack("ii", 1, 0))
                if script.ending != "keep" or number[1]:
                    break
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass  # the client has had enough
        finally:
            await trio.aclose_forcefully(stream)

    async def _request(self, stream: trio.SocketStream) -> tuple[int, int] | None:
        request, missing = b"", 1
        while missing > 0:
            piece = await stream.receive_some(65_536)
            if not piece:
                return None
            request += piece
            head, end, content = request.partition(b"\r\n\r\n")
            if end:
                length = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
                missing = (int(length[1]) if length else 0) - len(content)
        named = _NUMBER.search(request)
        assert named is not None, request
        number = int(named[1], 16), int(named[2])
        self.requests[number] += 1
        self.headers_beside.update(name for name in (b"cookie:",) if name in request.lower())
        return number

    async def _send(self, stream: trio.SocketStream, script: Script) -> None:
        for place, piece in enumerate(script.pieces):
            if place:
                await trio.sleep(script.pause_s)
            await stream.send_all(piece)
        if script.ending == "endless":
            for _ in range(ENDLESS_PIECES_MAX):
                await stream.send_all(script.pieces[-1])
        if script.ending == "hold":
            await stream.receive_some(1)


@asynccontextmanager
async def hostile_server() -> AsyncIterator[HostileServer]:
    """A hostile server on a port of its own."""
    server = HostileServer()
    async with trio.open_nursery() as nursery:
        (listener,) = await nursery.start(partial(trio.serve_tcp, server, 0, host="127.0.0.1"))
        server.base_url = f"http://127.0.0.1:{listener.socket.getsockname()[1]}"
        yield server
        nursery.cancel_scope.cancel()


async def exchange_all(seeds: Iterable[int]) -> tuple[Counter[str], dict[int, list[str]]]:
    """Have all these exchanges, some at a time: how they ended, and what is wrong by number."""
    waiting = iter(seeds)
    ends: Counter[str] = Counter()
    found: dict[int, list[str]] = {}
    async with hostile_server() as server, trio.open_nursery() as nursery:

        async def work() -> None:
            key = ApiKey(CANARY, "the fuzzer")
            async with Client(server.base_url, key, timeouts=TIMEOUTS) as client:
                for seed in waiting:
                    try:
                        wrong = await _exchange(client, seed, 0, ends, server)
                        if make_answer(seed).ending == "keep":
                            wrong += await _exchange(client, seed, 1, ends, server)
                    except Exception:
                        wrong = [traceback.format_exc()]
                    if wrong:
                        found[seed] = wrong

        for _ in range(AT_ONCE):
            nursery.start_soon(work)
    if server.headers_beside:
        found[-1] = [f"cookies were sent back: {server.headers_beside}"]
    return ends, found


async def _exchange(
    client: Client, seed: int, turn: int, ends: Counter[str], server: HostileServer
) -> list[str]:
    began = trio.current_time()
    number = f"{seed:08x}-000{turn}-4000-8000-000000000000"
    if seed % LISTINGS == 0:
        answer = await client.get(f"{client.base_url}/v1/runs?seed={number}")
        what = "listing"
    else:
        answer = await client.trigger(Trigger(number), 0, trio.CancelScope())
        what = "trigger"
    took = trio.current_time() - began
    classification = classify(answer)
    ends[f"{what}: {classification.end or 'to be sent again'}"] += 1
    wrong = answer_problems(answer)
    wrong += classification_problems(answer, classification, make_answer(seed, turn))
    if took > EXCHANGE_S_MAX:
        wrong.append(f"took {took:.1f} s")
    got = server.requests[seed, turn]
    if got > 1:
        wrong.append(f"was sent {got} times")
    if got == 0 and answer.status is not None:
        wrong.append(f"took {answer.status} for its own, and the server never got it")
    if got and answer.failure is Failure.CONNECT:
        wrong.append("taken for never sent, and the server got it")
    return wrong


def answer_problems(answer: Answer) -> list[str]:
    """What is wrong with an answer, whatever was sent: its bounds, and whether it shows the key."""
    wrong = []
    if len(answer.body) > BODY_BYTES_MAX:
        wrong.append(f"a body of {len(answer.body)} bytes")
    if len(answer.location) > SHOWN_CHARACTERS_MAX:
        wrong.append(f"a location of {len(answer.location)} characters")
    if len(answer.failure_text) > SHOWN_CHARACTERS_MAX:
        wrong.append(f"a failure of {len(answer.failure_text)} characters")
    if len(answer.headers) > KEPT_HEADERS_MAX or any(
        len(name) > 100 or len(value) > KEPT_VALUE_CHARACTERS_MAX for name, value in answer.headers
    ):
        wrong.append("headers without a bound")
    signals = read_rate_limit_headers(answer.headers, WALL)
    page = read_page(answer.body)
    shown = [repr(answer.headers), answer.location, answer.failure_text, repr(signals), repr(page)]
    wrong += [f"shows the key: {text}" for text in shown if shows_canary(text)]
    if shows_canary(answer.body):
        wrong.append(f"shows the key: {answer.body!r}")
    if page is not None:
        listing = Listing(None, since=0.0)
        listing.add(page)
        listing.query(page.next_cursor)
        wrong += [f"the run {run}" for run in page.runs if not UUID_PATTERN.fullmatch(run.run_id)]
    for allowance in signals.allowances:
        if allowance.remaining < 0 or (allowance.reset_s or 0) < 0:
            wrong.append(f"{allowance}")
    return wrong


def classification_problems(
    answer: Answer, classification: Classification, script: Script
) -> list[str]:
    """What is wrong with a classification on what was sent for a trigger."""
    wrong = []
    sent = {int(status) for status in _STATUS_LINE.findall(script.content)}
    if answer.status is not None and answer.status not in sent:
        wrong.append(f"status {answer.status}, and {sent} was sent")
    if (
        classification.end is None
        and answer.status != 429
        and answer.failure is not Failure.CONNECT
    ):
        wrong.append(f"may be sent again after {answer.status or answer.failure}")
    if classification.end is Outcome.QUEUED and (
        classification.run_id != RUN or answer.status is None or not 200 <= answer.status < 300
    ):
        wrong.append(f"queued with {answer.status} and {classification.run_id!r}")
    if (classification.run_id is not None) != (classification.end is Outcome.QUEUED):
        wrong.append(f"{classification.end} with the run {classification.run_id}")
    for text in (classification.error, classification.message, classification.failure_code):
        if text is not None and (not text.isprintable() or len(text) > 1_100):
            wrong.append(f"words that are not fit to print: {text!r}")
        if text is not None and shows_canary(text):
            wrong.append(f"shows the key: {text}")
    return wrong
