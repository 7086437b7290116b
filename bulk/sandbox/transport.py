"""Owns the in-memory way to the model, as an httpx transport: no socket, no thread, trio's clock.

It does by itself what a real transport does with `request.extensions["timeout"]`, in the same
exceptions; so a client can be tested to the exact instant under a mock clock.
"""

from __future__ import annotations

import math
from collections.abc import AsyncIterator
from dataclasses import replace

import httpx
import trio

from bulk.sandbox.simulation import Sandbox
from bulk.sandbox.trigger_body import BODY_BYTES_MAX
from bulk.sandbox.wire import (
    DRIP_GAP_S,
    ENDLESS_CHUNK,
    ENDLESS_GAP_S,
    Delivery,
    Reply,
    Request,
    Ticket,
)


class SandboxTransport(httpx.AsyncBaseTransport):
    """Carries requests to a sandbox in memory, in trio's time.

    `connections_max`: how many requests are under way at once, None for any number; one more waits
    for the pool time-out. Connecting and writing take no time, so of their time-outs only connect
    can be met, by a fault. A request is under way until its answer's body is read or closed.
    """

    def __init__(self, sandbox: Sandbox, *, connections_max: int | None = None) -> None:
        self._sandbox = sandbox
        self._pool = trio.Semaphore(connections_max) if connections_max is not None else None
        self._closed = False

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Raises httpx's PoolTimeout, ConnectError, ConnectTimeout, ReadTimeout, ReadError and
        RemoteProtocolError where real connections would; RuntimeError once closed.
        """
        if self._closed:
            raise RuntimeError("the transport is closed")
        body = await request.aread()
        limits = _Timeouts(request)
        await self._enter_pool(limits.pool_s, request)
        try:
            ticket = self._sandbox.send(trio.current_time(), _request(request, body))
            await _connect(ticket, limits.connect_s, request)
            reply = await self._answer(ticket, limits.read_s, request)
        except BaseException:
            self._leave_pool()
            raise
        sent = replace(reply, body=b"") if request.method == "HEAD" else reply
        content = _Content(self, sent, limits.read_s, request)
        return httpx.Response(reply.status, headers=_headers(reply), stream=content)

    async def aclose(self) -> None:
        """Lets all that is on its way arrive: a client's leaving calls nothing back."""
        self._closed = True
        self._sandbox.settle()

    async def _enter_pool(self, pool_s: float, request: httpx.Request) -> None:
        if self._pool is None:
            await trio.lowlevel.checkpoint()
            return
        with trio.move_on_after(pool_s) as scope:
            await self._pool.acquire()
        if scope.cancelled_caught:
            raise httpx.PoolTimeout("no connection came free in time", request=request)

    def _leave_pool(self) -> None:
        if self._pool is not None:
            self._pool.release()

    async def _answer(self, ticket: Ticket, read_s: float, request: httpx.Request) -> Reply:
        """Waits for the answer's first byte, at most `read_s` from now."""
        gives_up_at_s = trio.current_time() + read_s
        if ticket.arrives_at_s > gives_up_at_s:
            await trio.sleep_until(gives_up_at_s)
            raise httpx.ReadTimeout("the answer took too long", request=request)
        await trio.sleep_until(ticket.arrives_at_s)
        self._sandbox.advance(ticket.arrives_at_s)
        reply = ticket.reply
        assert reply is not None, "the model was advanced to the arrival"
        if reply.delivery is Delivery.HANG or ticket.received_at_s > gives_up_at_s:
            await _sleep_until(gives_up_at_s)
            raise httpx.ReadTimeout("the answer took too long", request=request)
        await trio.sleep_until(ticket.received_at_s)
        if reply.delivery is Delivery.RESET:
            raise httpx.ReadError("the connection was reset", request=request)
        if reply.delivery is Delivery.NOT_HTTP:
            raise httpx.RemoteProtocolError("illegal status line", request=request)
        return reply


class _Timeouts:
    """A request's time-outs in seconds; infinite where it sets none."""

    def __init__(self, request: httpx.Request) -> None:
        found = request.extensions.get("timeout", {})
        self.connect_s = _seconds(found.get("connect"))
        self.read_s = _seconds(found.get("read"))
        self.pool_s = _seconds(found.get("pool"))


class _Content(httpx.AsyncByteStream, AsyncIterator[bytes]):
    """An answer's body, as slow and as broken as its delivery has it."""

    def __init__(
        self, transport: SandboxTransport, reply: Reply, read_s: float, request: httpx.Request
    ) -> None:
        self._transport = transport
        self._reply = reply
        self._read_s = read_s
        self._request = request
        self._open = True
        self._chunks = 0

    # An iterator by hand: an async generator that a client leaves half read would be finished by
    # the garbage collector, with a warning that is not the client's fault.
    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        if not self._open:
            raise httpx.ReadError("the connection was closed here", request=self._request)
        index = self._chunks
        self._chunks += 1
        body = self._reply.body
        match self._reply.delivery:
            case Delivery.TRUNCATED:
                half = len(body) // 2
                if index == 0:
                    return body[:half]
                raise httpx.RemoteProtocolError(
                    "peer closed connection without sending complete message body "
                    f"(received {half} bytes, expected {len(body)})",
                    request=self._request,
                )
            case Delivery.DRIP if index < len(body):
                await self._pause(DRIP_GAP_S)
                return body[index : index + 1]
            case Delivery.ENDLESS:
                await self._pause(ENDLESS_GAP_S)
                return ENDLESS_CHUNK
            case Delivery.WHOLE if index == 0:
                return body
        raise StopAsyncIteration

    async def aclose(self) -> None:
        """Gives the connection back to the pool."""
        if self._open:
            self._open = False
            self._transport._leave_pool()

    async def _pause(self, gap_s: float) -> None:
        if gap_s > self._read_s:
            await trio.sleep(self._read_s)
            raise httpx.ReadTimeout("the body took too long", request=self._request)
        await trio.sleep(gap_s)


async def _connect(ticket: Ticket, connect_s: float, request: httpx.Request) -> None:
    if ticket.connect is Delivery.CONNECT_REFUSED:
        raise httpx.ConnectError("connection refused", request=request)
    if ticket.connect is Delivery.CONNECT_HANG:
        await _sleep_until(trio.current_time() + connect_s)
        raise httpx.ConnectTimeout("no connection in time", request=request)


async def _sleep_until(instant_s: float) -> None:
    if math.isinf(instant_s):
        await trio.sleep_forever()
    await trio.sleep_until(instant_s)


def _seconds(value: float | None) -> float:
    return math.inf if value is None else value


def _request(request: httpx.Request, body: bytes) -> Request:
    path, _, query = request.url.raw_path.decode("ascii").partition("?")
    return Request(
        request.method,
        path,
        query,
        request.headers.get("authorization"),
        request.headers.get("content-type"),
        body[: BODY_BYTES_MAX + 1],
        len(body) > BODY_BYTES_MAX,
    )


def _headers(reply: Reply) -> list[tuple[str, str]]:
    framing = ("Content-Length", str(len(reply.body)))
    if reply.delivery is Delivery.ENDLESS:
        framing = ("Transfer-Encoding", "chunked")
    return [*reply.headers, framing]
