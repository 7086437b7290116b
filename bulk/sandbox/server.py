"""Serves a sandbox over real sockets: HTTP/1.1 on trio and h11. The model decides the rest."""

from __future__ import annotations

import ipaddress
import socket
import struct
import sys
import time
import warnings
from dataclasses import dataclass
from http import HTTPStatus

import h11
import trio

from bulk.sandbox.config import SandboxConfig
from bulk.sandbox.simulation import Sandbox
from bulk.sandbox.trigger_body import BODY_BYTES_MAX
from bulk.sandbox.wire import (
    DRIP_GAP_S,
    ENDLESS_CHUNK,
    ENDLESS_GAP_S,
    NOT_HTTP,
    Delivery,
    Exchange,
    Request,
    Response,
)

# As in nginx: a client that sleeps longer finds its connection closed, a case worth testing.
IDLE_S = 75.0
RECEIVE_BYTES_MAX = 65_536
# A body that is too large is read for a while, since a client still sending ignores the response.
DISCARDED_BYTES_MAX = 1_048_576
BACKLOG = 1024  # a burst of connections must not be refused; the kernel applies its own limit


@dataclass(frozen=True, slots=True)
class Served:
    """A sandbox that listens: its model, whose truth can be read, and its address."""

    sandbox: Sandbox
    host: str
    port: int

    @property
    def url(self) -> str:
        """The base URL for a client."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach `host`. Of names, only localhost is taken to be local."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


async def serve(
    config: SandboxConfig,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    task_status: trio.TaskStatus[Served] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve until cancelled; start it with `nursery.start`. Port 0 picks a free port.

    Warns if others can reach the host. Raises OSError if the address cannot be bound.
    """
    if not is_loopback(host):
        warnings.warn(
            f"the sandbox listens on {host}: others on the network can reach it", stacklevel=2
        )
    listeners = await trio.open_tcp_listeners(port, host=host, backlog=BACKLOG)
    # With port 0, a name with several addresses gets a port for each; one is enough.
    for spare in listeners[1:]:
        await spare.aclose()
    bound_port: int = listeners[0].socket.getsockname()[1]
    sandbox = Sandbox(config, started_at_s=trio.current_time(), start_unix_s=time.time())

    async def handle(stream: trio.SocketStream) -> None:
        await _ServerConnection(sandbox, stream).run()

    try:
        async with trio.open_nursery() as nursery:
            await nursery.start(trio.serve_listeners, handle, listeners[:1])
            task_status.started(Served(sandbox, host, bound_port))
    finally:
        sandbox.settle()


class _ServerConnection:
    """One connection, from its first byte to its last."""

    def __init__(self, sandbox: Sandbox, stream: trio.SocketStream) -> None:
        self._sandbox = sandbox
        self._stream = stream
        self._http = h11.Connection(h11.SERVER)

    async def run(self) -> None:
        """Serve requests until either side closes. No input from the client makes it raise."""
        try:
            while await self._serve_one():
                self._http.start_next_cycle()
        except h11.RemoteProtocolError as error:
            await self._send_protocol_error(error.error_status_hint)
        except trio.BrokenResourceError:
            return  # the client is gone; its requests have taken effect regardless

    async def _serve_one(self) -> bool:
        """Serve one request. Return whether the connection can be used for another."""
        request = await self._receive()
        if request is None:
            return False
        exchange = self._sandbox.send(trio.current_time(), request)
        if exchange.connect is not Delivery.WHOLE:
            self._reset()
            return False
        await _sleep_until(exchange.arrives_at_s)
        self._sandbox.advance(max(trio.current_time(), exchange.arrives_at_s))
        await _sleep_until(exchange.received_at_s)
        return await self._deliver(exchange)

    async def _receive(self) -> Request | None:
        head: h11.Request | None = None
        body = bytearray()
        read_bytes = 0
        too_large = False
        while True:
            event = self._http.next_event()
            if event is h11.NEED_DATA:
                if self._http.they_are_waiting_for_100_continue:
                    proceed = h11.InformationalResponse(status_code=100, headers=[])
                    await self._stream.send_all(self._http.send(proceed) or b"")
                received = b""
                with trio.move_on_after(IDLE_S):
                    received = await self._stream.receive_some(RECEIVE_BYTES_MAX)
                if not received and head is None:
                    return None
                self._http.receive_data(received)
            elif isinstance(event, h11.Request):
                head = event
            elif isinstance(event, h11.Data):
                read_bytes += len(event.data)
                too_large = read_bytes > BODY_BYTES_MAX
                if not too_large:
                    body += event.data
                elif read_bytes > DISCARDED_BYTES_MAX:
                    break
            elif isinstance(event, h11.EndOfMessage):
                break
            else:
                return None
        return _request(head, bytes(body), too_large) if head is not None else None

    async def _deliver(self, exchange: Exchange) -> bool:
        response = exchange.response
        assert response is not None, "the model was advanced to the arrival"
        match response.delivery:
            case Delivery.RESET:
                self._reset()
                return False
            case Delivery.HANG:
                while await self._stream.receive_some(RECEIVE_BYTES_MAX):
                    pass
                return False
            case Delivery.NOT_HTTP:
                await self._stream.send_all(NOT_HTTP)
                return False
            case Delivery.ENDLESS:
                await self._send_endless(response)
            case Delivery.TRUNCATED:
                half = len(response.body) // 2
                await self._stream.send_all(self._head(response) + response.body[:half])
                return False
            case Delivery.DRIP:
                await self._drip(response)
            case _:
                await self._send_whole(exchange.request, response)
        return self._http.our_state is h11.DONE and self._http.their_state is h11.DONE

    async def _send_whole(self, request: Request, response: Response) -> None:
        parts = [self._head(response)]
        if request.method != "HEAD":
            parts.append(self._http.send(h11.Data(data=response.body)) or b"")
        parts.append(self._http.send(h11.EndOfMessage()) or b"")
        await self._stream.send_all(b"".join(parts))

    async def _drip(self, response: Response) -> None:
        await self._stream.send_all(self._head(response))
        for index in range(len(response.body)):
            await trio.sleep(DRIP_GAP_S)
            data = h11.Data(data=response.body[index : index + 1])
            await self._stream.send_all(self._http.send(data) or b"")
        await self._stream.send_all(self._http.send(h11.EndOfMessage()) or b"")

    async def _send_endless(self, response: Response) -> None:
        headers = [*response.headers, ("Transfer-Encoding", "chunked")]
        head = _h11_response(response.status, headers)
        await self._stream.send_all(self._http.send(head) or b"")
        while True:  # until the client closes the connection, which breaks the stream
            await self._stream.send_all(self._http.send(h11.Data(data=ENDLESS_CHUNK)) or b"")
            await trio.sleep(ENDLESS_GAP_S)

    def _head(self, response: Response) -> bytes:
        headers = [*response.headers, ("Content-Length", str(len(response.body)))]
        if self._http.their_state is not h11.DONE:
            headers.append(("Connection", "close"))
        return self._http.send(_h11_response(response.status, headers)) or b""

    def _reset(self) -> None:
        """Close with RST: a linger time of 0 discards unsent data and resets the connection."""
        # On Windows the two fields are shorts.
        layout = "hh" if sys.platform == "win32" else "ii"
        self._stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack(layout, 1, 0))
        self._stream.socket.close()

    async def _send_protocol_error(self, status: int) -> None:
        if self._http.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
            return
        body = b'{"error": "bad_request", "message": "This is not an HTTP/1.1 request."}'
        headers = [
            ("Content-Type", "application/json"),
            ("Content-Length", str(len(body))),
            ("Connection", "close"),
        ]
        head = self._http.send(_h11_response(status, headers)) or b""
        try:
            await self._stream.send_all(head + body)
        except trio.BrokenResourceError:
            return


def _h11_response(status: int, headers: list[tuple[str, str]]) -> h11.Response:
    reason = HTTPStatus(status).phrase.encode("ascii")
    return h11.Response(status_code=status, headers=headers, reason=reason)


def _request(head: h11.Request, body: bytes, too_large: bool) -> Request:
    authorization: str | None = None
    content_type: str | None = None
    for name, value in head.headers:
        if name == b"authorization":
            authorization = value.decode("latin-1")
        elif name == b"content-type":
            content_type = value.decode("latin-1")
    target = head.target.decode("ascii")
    if target.startswith(
        ("http://", "https://")
    ):  # the absolute form, which servers must accept too (RFC 9112, section 3.2.2)
        target = "/" + target.split("://", 1)[1].partition("/")[2]
    path, _, query = target.partition("?")
    method = head.method.decode("ascii")
    return Request(method, path, query, authorization, content_type, body, too_large)


async def _sleep_until(instant_s: float) -> None:
    # A sleep of 0 s still passes through the scheduler, most of the cost of a fast response.
    if instant_s > trio.current_time():
        await trio.sleep_until(instant_s)
