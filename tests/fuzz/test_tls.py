"""A server's certificate is always checked: no option and no variable switches that off."""

from __future__ import annotations

import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
import pytest

from bulk.cli import group
from tests.cli.terminal import KEY, spawn, write_manifest
from tests.fuzz.echoing import EchoServer
from tests.programs import require_program

pytestmark = pytest.mark.sockets
# What switches verification off elsewhere, or replaces certificates elsewhere.
VARIABLES = {
    "PYTHONHTTPSVERIFY": "0",
    "NODE_TLS_REJECT_UNAUTHORIZED": "0",
    "GIT_SSL_NO_VERIFY": "1",
    "SSL_VERIFY": "0",
    "SSL_CERT_FILE": "",
    "CURL_CA_BUNDLE": "",
    "REQUESTS_CA_BUNDLE": "",
    "HTTPX_VERIFY": "0",
    "TESTERARMY_INSECURE": "1",
    "TESTERARMY_VERIFY": "false",
}


def certificate(folder: Path, name: str) -> Path:
    """A self-signed certificate for that name (`IP:127.0.0.1`), its key in the same file."""
    path = folder / f"{name.replace(':', '-')}.pem"
    subprocess.run(
        [
            *(require_program("openssl"), "req", "-x509", "-newkey", "ec"),
            *("-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", "/CN=test"),
            *("-addext", f"subjectAltName={name}", "-days", "2"),
            *("-keyout", str(path), "-out", str(folder / "certificate")),
        ],
        check=True,
        capture_output=True,
    )
    path.write_text(path.read_text() + (folder / "certificate").read_text())
    return path


@contextmanager
def https_server(own: Path) -> Iterator[EchoServer]:
    """A server on loopback that shows this certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(own)
    server = EchoServer()
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def run(folder: Path, server: EchoServer, **variables: str) -> tuple[int, str]:
    """Exit code and messages of a run against it."""
    manifest = write_manifest(folder / "m.csv", 1)
    base_url = server.base_url.replace("http:", "https:")
    process = spawn(
        *(manifest, "--base-url", base_url, "--new", "--max-retries", "0"),
        folder=folder,
        TESTERARMY_API_KEY=KEY,
        **variables,
    )
    _, err = process.communicate(timeout=60)
    assert "Traceback" not in err
    return process.returncode, err


def test_a_certificate_that_nobody_vouches_for_is_refused(tmp_path: Path) -> None:
    with https_server(certificate(tmp_path, "IP:127.0.0.1")) as server:
        for variables in ({}, VARIABLES):
            code, err = run(tmp_path, server, **variables)
            assert code == 4
            assert "certificate not trusted: self-signed certificate" in err
        assert server.triggers == 0


def test_ssl_cert_file_says_whom_to_trust_and_no_more(tmp_path: Path) -> None:
    own = certificate(tmp_path, "IP:127.0.0.1")
    with https_server(own) as server:
        assert run(tmp_path, server, SSL_CERT_FILE=str(own))[0] == 1
        assert server.triggers == 1
        other = certificate(tmp_path, "IP:127.0.0.2")
        assert run(tmp_path, server, SSL_CERT_FILE=str(other))[0] == 4
    with https_server(other) as server:  # trusted, but for another address
        code, err = run(tmp_path, server, SSL_CERT_FILE=str(other))
        assert (code, "mismatch" in err) == (4, True), err
        assert server.triggers == 0


@pytest.mark.parametrize("content", [None, b"", b"no certificate\n"])
def test_a_certificate_file_that_is_none_is_named(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_bytes(content)
    with https_server(certificate(tmp_path, "IP:127.0.0.1")) as server:
        code, err = run(tmp_path, server, SSL_CERT_FILE=str(path))
    assert (code, f"SSL_CERT_FILE {path}" in err) == (2, True), err


def test_no_option_speaks_of_verification() -> None:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        names = " ".join(option for param in command.params for option in param.opts)
        assert not any(word in names for word in ("verify", "insecure", "tls", "ssl", "cert"))
