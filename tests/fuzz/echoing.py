"""A server that echoes the Authorization header in every form it can."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from random import Random
from typing import Any
from uuid import UUID

from tests.fuzz.canary import FORMS

PLACES = (
    *("body", "text", "queued", "run id", "error code", "run list", "header", "header name"),
    *("status line", "redirect", "cookie", "length", "not http", "nothing", "utf-16"),
)


class EchoServer(ThreadingHTTPServer):
    """Answers the nth trigger at place n in form n. `hold` keeps answers back.

    `listing` is the status of the list of runs, which echoes as well.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.listing = 404
        self.triggers = 0
        self.go_on = threading.Event()
        self.go_on.set()
        self.lock = threading.Lock()

    @property
    def base_url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that has gone is no trouble."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: EchoServer

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        random = Random(self.path)
        rows = [
            {"id": self._echo(random), "testId": self._echo(random), "source": self._echo(random)}
        ]
        fields = {"runs": rows, "nextCursor": self._echo(random), "message": self._echo(random)}
        self._send(f"{self.server.listing} Echo", json.dumps(fields).encode())

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        with self.server.lock:
            number = self.server.triggers
            self.server.triggers += 1
        self.server.go_on.wait(30)
        random = Random(number)
        echo = FORMS[number // len(PLACES) % len(FORMS)](self._key, random)
        self._answer(PLACES[number % len(PLACES)], echo, str(UUID(int=(4 << 76) + number)))

    @property
    def _key(self) -> str:
        return self.headers["Authorization"].removeprefix("Bearer ")

    def _echo(self, random: Random) -> str:
        return random.choice(FORMS)(self._key, random)

    def _answer(self, place: str, echo: str, run_id: str) -> None:
        words = {"error": "denied", "message": f"not allowed: {echo}"}
        body = json.dumps(words).encode()
        if place == "body":  # as it is between the quotes, so that JSON's own escapes are undone
            self._send("400 Bad", b'{"error": "x", "message": "' + _inside(echo) + b'"}')
        elif place == "text":
            self._send("404 Not Found", f"<html>{echo}</html>".encode())
        elif place == "queued":
            queued = {"status": "queued", "runId": run_id, "testId": echo, "message": echo}
            self._send("202 Accepted", json.dumps(queued).encode())
        elif place == "run id":
            self._send("202 Accepted", json.dumps({"runId": echo}).encode())
        elif place == "error code":
            self._send("422 Bad", json.dumps({"error": {"code": echo, "message": echo}}).encode())
        elif place == "run list":
            self._send("500 Oops", json.dumps({"runs": [echo], "message": [echo]}).encode())
        elif place == "header":
            self._send("400 Bad", body, f"X-RateLimit-Limit: {'p' * 190}{echo}", f"Date: {echo}")
        elif place == "header name":
            name = "".join(char if char.isalnum() or char in "_~'&" else "-" for char in self._key)
            self._send("400 Bad", body, f"X-RateLimit-{name}: 1", f"Retry-After: {echo}")
        elif place == "status line":
            self._send(f"400 {echo}", body)
        elif place == "redirect":
            self._send("307 Moved", body, f"Location: http://127.0.0.1:9/login?key={echo}#{echo}")
        elif place == "cookie":
            self._send("400 Bad", body, f"Set-Cookie: session={echo}; Path=/")
        elif place == "length":
            self._send("202 Accepted", body, f"Content-Length: {echo}")
        elif place == "not http":
            self.wfile.write(f"{echo} {echo}\r\n\r\n".encode())
            self.close_connection = True
        elif place == "utf-16":
            self._send("400 Bad", json.dumps(words).encode("utf-16"))
        else:
            self.close_connection = True

    def _send(self, status: str, body: bytes, *headers: str) -> None:
        lines = [f"HTTP/1.1 {status}", *headers, f"Content-Length: {len(body)}", "", ""]
        self.wfile.write("\r\n".join(lines).encode() + body)


def _inside(echo: str) -> bytes:
    """The echo as it may stand inside a JSON string: as it is, if that leaves it one."""
    try:
        json.loads(f'"{echo}"')
    except ValueError:
        return json.dumps(echo)[1:-1].encode()
    return echo.encode()


@contextmanager
def echo_server() -> Iterator[EchoServer]:
    """Such a server, in a thread of its own."""
    server = EchoServer()
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield server
    finally:
        server.go_on.set()
        server.shutdown()
        server.server_close()
        thread.join()
