"""A TCP proxy that resets, stalls and half-closes connections, as bad networks do."""

from __future__ import annotations

import socket
import struct
from collections import Counter
from random import Random

import trio

CHUNK_BYTES = 4_096
MISHAPS = ("reset", "stall", "half-close to the server", "half-close to us")
STALL_S_MAX = 3.0  # longer than the time-out of the processes under test


class Proxy:
    """Stands before the server at `port`. `share` of the connections meet a mishap."""

    def __init__(self, port: int, rng: Random, share: float) -> None:
        self._port = port
        self._rng = rng
        self.share = share
        self.mishaps: Counter[str] = Counter()
        self._open: set[trio.SocketStream] = set()

    async def serve(self, task_status: trio.TaskStatus[int]) -> None:
        """Serve until cancelled; starts with the port it listens on."""
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        port = listeners[0].socket.getsockname()[1]
        task_status.started(port)
        await trio.serve_listeners(self._carry, listeners)

    def cut_all(self) -> None:
        """Reset all connections."""
        for stream in self._open:
            _reset(stream)

    async def _carry(self, ours: trio.SocketStream) -> None:
        mishap = self._rng.choice(MISHAPS) if self._rng.random() < self.share else None
        after = self._rng.randrange(1, 6_000)  # bytes in both directions: some ten exchanges
        try:
            theirs = await trio.open_tcp_stream("127.0.0.1", self._port)
        except OSError:
            _reset(ours)
            return
        self._open |= {ours, theirs}
        link = _Link(ours, theirs, mishap, after, self._rng.uniform(0, STALL_S_MAX))
        async with ours, theirs, trio.open_nursery() as nursery:
            nursery.start_soon(link.pump, ours, theirs)
            nursery.start_soon(link.pump, theirs, ours)
        self._open -= {ours, theirs}
        if link.happened and mishap is not None:
            self.mishaps[mishap] += 1


class _Link:
    def __init__(
        self,
        ours: trio.SocketStream,
        theirs: trio.SocketStream,
        mishap: str | None,
        after: int,
        stall_s: float,
    ) -> None:
        self._ours, self._theirs = ours, theirs
        self._mishap, self._left, self._stall_s = mishap, after, stall_s
        self.happened = False

    async def pump(self, source: trio.SocketStream, sink: trio.SocketStream) -> None:
        """Carry bytes one way until that side ends or the mishap comes."""
        try:
            while chunk := await source.receive_some(CHUNK_BYTES):
                self._left -= len(chunk)
                if self._mishap is not None and self._left <= 0 and not self.happened:
                    self.happened = True
                    await sink.send_all(chunk[: len(chunk) // 2])
                    await self._befall()
                    return
                await sink.send_all(chunk)
            await sink.send_eof()
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            _reset(self._ours)
            _reset(self._theirs)

    async def _befall(self) -> None:
        if self._mishap == "half-close to the server":
            await self._theirs.send_eof()
        elif self._mishap == "half-close to us":
            await self._ours.send_eof()
        else:
            if self._mishap == "stall":
                await trio.sleep(self._stall_s)
            _reset(self._ours)
            _reset(self._theirs)


def _reset(stream: trio.SocketStream) -> None:
    """Close with a RST, as a crashed peer or a middlebox does."""
    try:
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    except (OSError, trio.ClosedResourceError):
        return
    stream.socket.close()
