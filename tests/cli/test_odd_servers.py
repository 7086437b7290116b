"""What the command makes of servers and firewalls that answer otherwise than documented."""

from __future__ import annotations

import csv
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from uuid import uuid4

import pytest

from tests.cli.terminal import ENVIRONMENT, Terminal, rows, write_manifest

pytestmark = pytest.mark.sockets

Answer = tuple[int, list[tuple[str, str]], bytes]
QUOTA = "https://iana.org/assignments/http-problem-types#quota-exceeded"


def accepted(test_id: str) -> Answer:
    body = {"status": "queued", "runId": str(uuid4()), "testId": test_id}
    return 202, [("Content-Type", "application/json")], json.dumps(body).encode()


@contextmanager
def odd_server(answer: Callable[[int, str], Answer]) -> Iterator[tuple[str, list[float]]]:
    """Answers the n-th trigger, from 1, for a test; its address, and when each trigger came."""
    came: list[float] = []
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._send((404, [], b'{"error": "not_found", "message": "no list"}'))

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", "0")))
            with lock:
                came.append(time.monotonic())
                number = len(came)
            self._send(answer(number, self.path.split("/")[3]))

        def _send(self, answer: Answer) -> None:
            status, headers, body = answer
            self.send_response(status)
            for name, value in [*headers, ("Content-Length", str(len(body)))]:
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", came
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_firewall_that_blocks_after_the_first_triggers_stops_the_batch_resumably(
    terminal: Terminal,
) -> None:
    manifest = write_manifest(terminal.folder / "m.csv", 6)
    blocked = b"<html><h1>403 Forbidden</h1>Request blocked.</html>"
    with odd_server(
        lambda n, test: accepted(test) if n <= 3 else (403, [("Retry-After", "3")], blocked)
    ) as (base_url, _):
        said = terminal.call(manifest, "--base-url", base_url, "--batch", "b", **ENVIRONMENT)
    assert said.code == 4
    assert "Stopped: blocked (403 Forbidden Request blocked.)" in said.out
    assert "rejected the API key" not in said.out + said.err
    (batch,) = terminal.batches()
    codes = [row["failure_code"] for row in rows(batch)]
    assert codes.count("") == 3
    assert set(codes) == {"", "blocked"}
    with odd_server(lambda n, test: accepted(test)) as (base_url, came):
        again = terminal.call("resume", "b", "--base-url", base_url, **ENVIRONMENT)
    assert (again.code, len(came)) == (0, 3)


def test_the_words_of_a_problem_reach_every_report(terminal: Terminal) -> None:
    manifest = write_manifest(terminal.folder / "m.csv", 2)
    problem = {
        "type": "https://example.test/probs/app-missing",
        "title": "App is missing",
        "detail": "appId is required for ios",
        "status": 400,
    }
    body = json.dumps(problem).encode()
    with odd_server(lambda n, test: (400, [], body)) as (base_url, _):
        assert terminal.call(manifest, "--base-url", base_url, **ENVIRONMENT).code == 1
    (batch,) = terminal.batches()
    words = "App is missing; appId is required for ios"
    assert {(row["error"], row["message"]) for row in rows(batch)} == {("app-missing", words)}
    for name in ("report.html", "data/junit.xml"):
        assert words in (batch / name).read_text("utf-8"), name


def test_a_wait_that_is_given_twice_is_kept_and_its_headers_are_in_the_log(
    terminal: Terminal,
) -> None:
    manifest = write_manifest(terminal.folder / "m.csv", 2)
    headers = [("Retry-After", "1"), ("Retry-After", "1"), ("retry-after-ms", "1500")]
    with odd_server(
        lambda n, test: (429, headers, b'{"error": "rate_limited"}') if n <= 1 else accepted(test)
    ) as (base_url, came):
        arguments = (manifest, "--base-url", base_url, "--max-concurrency", "1")
        assert terminal.call(*arguments, **ENVIRONMENT).code == 0
    assert len(came) == 3
    assert came[1] - came[0] >= 1.5
    (batch,) = terminal.batches()
    with (batch / "data" / "attempts.csv").open(encoding="utf-8-sig", newline="") as file:
        first = next(csv.DictReader(file))
    assert (first["retry-after"], first["retry-after-ms"]) == ("1, 1", "1500")


def test_a_used_up_quota_of_bytes_holds_no_request_back(terminal: Terminal) -> None:
    manifest = write_manifest(terminal.folder / "m.csv", 20)
    headers = [
        ("RateLimit-Policy", '"bw";q=65535;qu="content-bytes";w=60'),
        ("RateLimit", '"bw";r=0;t=60'),
    ]

    def answer(n: int, test: str) -> Answer:
        status, own, body = accepted(test)
        return status, [*own, *headers], body

    with odd_server(answer) as (base_url, came):
        assert terminal.call(manifest, "--base-url", base_url, **ENVIRONMENT).code == 0
    assert len(came) == 20
    assert came[-1] - came[0] < 30


def test_a_day_is_not_waited_for_and_what_was_asked_for_is_said(terminal: Terminal) -> None:
    manifest = write_manifest(terminal.folder / "m.csv", 2)
    body = json.dumps({"type": QUOTA, "title": "Too much.", "violated-policies": ["daily"]})
    with odd_server(lambda n, test: (429, [("Retry-After", "86400")], body.encode())) as (
        base_url,
        came,
    ):
        said = terminal.call(
            manifest, "--base-url", base_url, "--max-wait", "1h", "--batch", "b", **ENVIRONMENT
        )
    assert said.code == 11
    assert "the API asked to wait for 24 h, and --max-wait is 60 min" in said.out
    assert len(came) <= 4
    with odd_server(lambda n, test: accepted(test)) as (base_url, came):
        assert terminal.call("resume", "b", "--base-url", base_url, **ENVIRONMENT).code == 0
    assert len(came) == 2
