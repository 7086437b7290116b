"""Whose certificates are trusted, and the way through proxies, over real sockets."""

from __future__ import annotations

import os
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path

import pytest
import trio
import trustme

from bulk.errors import OptionError, UnreachableError
from bulk.http.answers import Answer, Failure, classify
from bulk.http.preflight import settle_base_url
from tests.http.test_client import ID, OK, PLAIN, Peer, client
from tests.http.test_proxies import Forward

pytestmark = pytest.mark.sockets

HOST = "api.internal.example"  # only a proxy knows where it is


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def ca_file(authority: trustme.CA, tmp_path: Path) -> Path:
    path = tmp_path / "company-ca.pem"
    authority.cert_pem.write_to_path(str(path))
    return path


@asynccontextmanager
async def serving_tls(authority: trustme.CA, *names: str) -> AsyncIterator[int]:
    """An API behind TLS on loopback, with a certificate for these names; its port."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*names).configure_cert(context)
    peer = Peer(*[OK] * 10)

    async def serve(stream: trio.SSLStream[trio.SocketStream]) -> None:
        with suppress(trio.BrokenResourceError):  # the client did not like the certificate
            await peer(stream)  # type: ignore[arg-type]

    async with trio.open_nursery() as nursery:
        (listener,) = await nursery.start(
            partial(trio.serve_ssl_over_tcp, serve, 0, context, host="127.0.0.1")
        )
        yield listener.transport_listener.socket.getsockname()[1]
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def forwarding(forward: Forward) -> AsyncIterator[str]:
    """The proxy's `host:port`."""
    async with trio.open_nursery() as nursery:
        (listener,) = await nursery.start(partial(trio.serve_tcp, forward, 0, host="127.0.0.1"))
        yield f"127.0.0.1:{listener.socket.getsockname()[1]}"
        nursery.cancel_scope.cancel()


async def post(base_url: str) -> Answer:
    async with client(base_url) as one:
        return await one.trigger(PLAIN, 0, trio.CancelScope())


@pytest.fixture(autouse=True)
def _without_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    monkeypatch.delenv("SSL_CERT_DIR", raising=False)


async def test_a_ca_that_nobody_knows_is_not_trusted_and_the_error_says_what_to_do(
    authority: trustme.CA,
) -> None:
    async with serving_tls(authority, "127.0.0.1") as port:
        answer = await post(f"https://127.0.0.1:{port}")
    assert answer.failure is Failure.CONNECT
    assert answer.failure_text.startswith("certificate not trusted: ")
    assert "SSL_CERT_FILE" in answer.failure_text


async def test_a_file_or_folder_that_the_environment_names_is_trusted(
    authority: trustme.CA, ca_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serving_tls(authority, "127.0.0.1") as port:
        monkeypatch.setenv("SSL_CERT_FILE", str(ca_file))
        assert classify(await post(f"https://127.0.0.1:{port}")).run_id == ID
        monkeypatch.delenv("SSL_CERT_FILE")
        await trio.run_process(["openssl", "rehash", str(ca_file.parent)])
        monkeypatch.setenv("SSL_CERT_DIR", str(ca_file.parent))
        assert classify(await post(f"https://127.0.0.1:{port}")).run_id == ID


async def test_a_certificate_for_another_host_is_said_to_be_that(
    authority: trustme.CA, ca_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(ca_file))
    async with serving_tls(authority, "other.example") as port:
        answer = await post(f"https://127.0.0.1:{port}")
    assert "certificate not trusted" in answer.failure_text
    assert "check the host name in --base-url" in answer.failure_text


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "SSL_CERT_DIR"])
@pytest.mark.parametrize("content", [None, b"no certificate"])
def test_certificates_that_cannot_be_read_are_an_error(
    variable: str, content: bytes | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_bytes(content)
    monkeypatch.setenv(variable, str(path))
    with pytest.raises(OptionError, match=f"^{variable} .*: cannot read certificates: "):
        client("https://api.example")


@pytest.mark.parametrize("base_url", ["http://127.0.0.1:1", "http://api.example"])
def test_certificates_do_not_matter_where_no_tls_is_spoken(
    base_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", "/nonexistent")
    client(base_url)


async def test_a_list_of_folders_is_trusted(
    authority: trustme.CA, ca_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "empty").mkdir()
    await trio.run_process(["openssl", "rehash", str(ca_file.parent)])
    monkeypatch.setenv("SSL_CERT_DIR", os.pathsep.join([str(tmp_path / "empty"), str(tmp_path)]))
    async with serving_tls(authority, "127.0.0.1") as port:
        assert classify(await post(f"https://127.0.0.1:{port}")).run_id == ID


async def test_a_key_log_that_cannot_be_written_does_not_matter(
    monkeypatch: pytest.MonkeyPatch, ca_file: Path
) -> None:
    monkeypatch.setenv("SSLKEYLOGFILE", "/nonexistent/keys")
    for named in (None, ca_file):
        if named is not None:
            monkeypatch.setenv("SSL_CERT_FILE", str(named))
        async with client("https://api.example"):
            pass


BIND_AND_ASK = """
import ssl, sys, subprocess
paths = ssl.get_default_verify_paths()
target = paths.openssl_cafile if paths.cafile else "/etc/ssl/certs/ca-certificates.crt"
subprocess.run(["mount", "--bind", sys.argv[1], target], check=True)
import trio
from tests.http.test_trust import post
answer = trio.run(post, sys.argv[2])
print(answer.status or answer.failure_text)
"""


def _may_mount() -> bool:
    done = subprocess.run(
        ["unshare", "--mount", "mount", "--bind", "/tmp", "/mnt"],
        capture_output=True,
        check=False,
    )
    paths = ssl.get_default_verify_paths()
    there = bool(paths.cafile) or Path("/etc/ssl/certs/ca-certificates.crt").exists()
    return done.returncode == 0 and there


@pytest.mark.skipif(sys.platform != "linux", reason="other systems' stores belong to the user")
async def test_the_systems_store_is_trusted(authority: trustme.CA, ca_file: Path) -> None:
    """In a mount namespace of its own, the system's store has only the company's CA."""
    if not _may_mount():
        pytest.skip("mounting takes root")
    async with serving_tls(authority, "127.0.0.1") as port:
        done = await trio.run_process(
            [
                *("unshare", "--mount", sys.executable, "-c", BIND_AND_ASK),
                *(str(ca_file), f"https://127.0.0.1:{port}"),
            ],
            capture_stdout=True,
        )
    assert done.stdout.decode().strip() == "202"


@pytest.mark.parametrize("kind", ["http", "socks5"])
@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_proxy_that_the_environment_names_is_used(
    kind: str,
    scheme: str,
    authority: trustme.CA,
    ca_file: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(ca_file))
    async with trio.open_nursery() as nursery:
        (listener,) = await nursery.start(partial(trio.serve_tcp, Peer(OK), 0, host="127.0.0.1"))
        async with serving_tls(authority, HOST) as tls_port:
            port = tls_port if scheme == "https" else listener.socket.getsockname()[1]
            forward = Forward(kind, ("127.0.0.1", port))
            async with forwarding(forward) as proxy:
                monkeypatch.setenv("ALL_PROXY", f"{kind}://{proxy}")
                answer = await post(f"{scheme}://{HOST}")
        nursery.cancel_scope.cancel()
    assert classify(answer).run_id == ID
    assert len(forward.asked) == 1
    assert HOST in forward.asked[0]


# httpcore leaves the socket to the garbage collector after an error of socksio's.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize(
    ("kind", "spoken"), [("garbage", "http"), ("garbage", "socks5"), ("407", "http")]
)
async def test_a_proxy_that_fails_is_named_and_nothing_was_sent(
    kind: str, spoken: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with forwarding(Forward(kind)) as proxy:
        monkeypatch.setenv("ALL_PROXY", f"{spoken}://user:secret@{proxy}")
        async with client(f"https://{HOST}") as one:
            with pytest.raises(UnreachableError) as caught:
                await settle_base_url(one)
    assert f"through the proxy {proxy} (ALL_PROXY)" in str(caught.value)
    assert "secret" not in str(caught.value)


async def test_a_proxy_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    async with client(f"https://{HOST}") as one:
        with pytest.raises(UnreachableError, match=r"the proxy 127\.0\.0\.1:9 \(HTTPS_PROXY\)"):
            await settle_base_url(one)
