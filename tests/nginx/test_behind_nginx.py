"""A rate limit that is not ours: nginx in front of the sandbox, refusing with a bare 429."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.cli.conftest import terminal as terminal
from tests.cli.terminal import ENVIRONMENT, Terminal, rows, sandbox, truth, write_manifest
from tests.programs import require_program

pytestmark = [pytest.mark.nginx, pytest.mark.sockets]

CONFIGURATION = """
daemon off; pid {folder}/pid; error_log {folder}/error.log; worker_processes 1;
events {{ worker_connections 256; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  limit_req_zone $binary_remote_addr zone=rate:1m rate=20r/s;
  limit_conn_zone $binary_remote_addr zone=connections:1m;
  limit_req_status 429; limit_conn_status 429;
  server {{
    listen 127.0.0.1:{port};
    location / {{ {limit} proxy_pass {upstream}; proxy_http_version 1.1; }}
  }}
}}
"""


@contextmanager
def nginx(folder: Path, upstream: str, limit: str) -> Iterator[str]:
    """nginx with a limit before `upstream`; its address."""
    executable = require_program("nginx")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    folder.mkdir()
    configuration = folder / "nginx.conf"
    configuration.write_text(
        CONFIGURATION.format(folder=folder, port=port, limit=limit, upstream=upstream)
    )
    with subprocess.Popen([executable, "-p", str(folder), "-c", str(configuration)]) as process:
        for _ in range(100):
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                time.sleep(0.05)
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


@pytest.mark.parametrize(
    ("limit", "refuses"),
    [
        ("limit_req zone=rate burst=10 nodelay;", True),
        ("limit_req zone=rate burst=10;", False),  # it queues: a client that goes easy meets no 429
        ("limit_req zone=rate;", True),
        ("limit_conn connections 3;", True),
    ],
)
def test_all_are_queued_once_behind_nginx(terminal: Terminal, limit: str, refuses: bool) -> None:
    manifest = write_manifest(terminal.folder / "m.csv", 60)
    with (
        sandbox("none; latency 30ms jitter 10ms") as upstream,
        nginx(terminal.folder / "nginx", upstream, limit) as base_url,
    ):
        said = terminal.call(manifest, "--base-url", base_url, **ENVIRONMENT)
        assert said.code == 0, said.out + said.err
        (batch,) = terminal.batches()
        accepted = {run["run_id"] for run in truth(upstream)["accepted"]}
        assert {row["run_id"] for row in rows(batch)} == accepted
        assert len(accepted) == 60
        throttles = sum(int(row["throttles"]) for row in rows(batch))
        assert (throttles > 0) == refuses
        assert throttles <= 30
