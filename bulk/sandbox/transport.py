"""The in-memory transport to the model, for httpx: no socket, no thread, trio's clock.

It applies `request.extensions["timeout"]` as a real transport does, with the same exceptions, so
that a client can be tested to the exact instant under a mock clock.
"""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Callable
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
    Exchange,
    Request,
    Response,
)


class SandboxTransport(httpx.AsyncBaseTransport):
    """Carries requests to a sandbox in memory, in trio's time.

    `connections_max`: how many requests may be in flight at once, None for no limit; a further
    request waits until the pool time-out. A request is in flight until its response body is read
    or closed. Connecting and writing take no time: only a fault can cause a connect time-out, and
    nothing causes a write time-out.
    """

    def __init__(self, sandbox: Sandbox, *, connections_max: int | None = None) -> None:
        self._sandbox = sandbox
        self._pool = trio.Semaphore(connections_max) if connections_max is not None else None
        self._closed = False

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request and return its response; the body is read from its stream.

        Raises httpx's PoolTimeout, ConnectError, ConnectTimeout, ReadTimeout, ReadError and
        RemoteProtocolError as real connections do, and RuntimeError once closed.
        """
        if self._closed:
            raise RuntimeError("the transport is closed")
        body = await request.aread()
        limits = _Timeouts(request)
        await self._enter_pool(limits.pool_s, request)
        try:
            exchange = self._sandbox.send(trio.current_time(), _request(request, body))
            await _connect(exchange, limits.connect_s, request)
            response = await self._receive(exchange, limits.read_s, request)
        except BaseException:
            self._leave_pool()
            raise
        sent = replace(response, body=b"") if request.method == "HEAD" else response
        content = _Content(sent, limits.read_s, request, self._leave_pool)
        return httpx.Response(response.status, headers=_headers(response), stream=content)

    async def aclose(self) -> None:
        """Let every request in flight arrive: a client that leaves does not call them back."""
        self._closed = True
        self._sandbox.settle()

    async def _enter_pool(self, pool_s: float, request: httpx.Request) -> None:
        if self._pool is None:
            await trio.lowlevel.checkpoint()
            return
        with trio.move_on_after(pool_s) as scope:
            await self._pool.acquire()
        if scope.cancelled_caught:
            raise httpx.PoolTimeout("no connection became free in time", request=request)

    def _leave_pool(self) -> None:
        if self._pool is not None:
            self._pool.release()

    async def _receive(self, exchange: Exchange, read_s: float, request: httpx.Request) -> Response:
        """Wait for the response's first byte, for at most `read_s`."""
        gives_up_at_s = trio.current_time() + read_s
        if exchange.arrives_at_s > gives_up_at_s:
            await trio.sleep_until(gives_up_at_s)
            raise httpx.ReadTimeout("the response took too long", request=request)
        await trio.sleep_until(exchange.arrives_at_s)
        self._sandbox.advance(exchange.arrives_at_s)
        response = exchange.response
        assert response is not None, "the model was advanced to the arrival"
        if response.delivery is Delivery.HANG or exchange.received_at_s > gives_up_at_s:
            await _sleep_until(gives_up_at_s)
            raise httpx.ReadTimeout("the response took too long", request=request)
        await trio.sleep_until(exchange.received_at_s)
        if response.delivery is Delivery.RESET:
            raise httpx.ReadError("the connection was reset", request=request)
        if response.delivery is Delivery.NOT_HTTP:
            raise httpx.RemoteProtocolError("illegal status line", request=request)
        return response


class _Timeouts:
    """A request's time-outs in seconds; infinite if the request sets none."""

    def __init__(self, request: httpx.Request) -> None:
        found = request.extensions.get("timeout", {})
        self.connect_s = _seconds(found.get("connect"))
        self.read_s = _seconds(found.get("read"))
        self.pool_s = _seconds(found.get("pool"))


class _Content(httpx.AsyncByteStream, AsyncIterator[bytes]):
    """A response body, as slow and as broken as its delivery demands."""

    def __init__(
        self,
        response: Response,
        read_s: float,
        request: httpx.Request,
        release: Callable[[], None],
    ) -> None:
        self._response = response
        self._read_s = read_s
        self._request = request
        self._release = release
        self._open = True
        self._chunks = 0

    # Not an async generator: if a client left one half read, the garbage collector would finalize
    # it with a warning that is not the client's fault.
    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        if not self._open:
            raise httpx.ReadError("the client closed the connection", request=self._request)
        index = self._chunks
        self._chunks += 1
        body = self._response.body
        match self._response.delivery:
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
        """Return the connection to the pool."""
        if self._open:
            self._open = False
            self._release()

    async def _pause(self, gap_s: float) -> None:
        if gap_s > self._read_s:
            await trio.sleep(self._read_s)
            raise httpx.ReadTimeout("the body took too long", request=self._request)
        await trio.sleep(gap_s)


async def _connect(exchange: Exchange, connect_s: float, request: httpx.Request) -> None:
    if exchange.connect is Delivery.CONNECT_REFUSED:
        raise httpx.ConnectError("connection refused", request=request)
    if exchange.connect is Delivery.CONNECT_HANG:
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


def _headers(response: Response) -> list[tuple[str, str]]:
    framing = ("Content-Length", str(len(response.body)))
    if response.delivery is Delivery.ENDLESS:
        framing = ("Transfer-Encoding", "chunked")
    return [*response.headers, framing]
