"""Which proxy is used, for every form of the variables that curl documents."""

from __future__ import annotations

import re

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from bulk.errors import OptionError
from bulk.http.proxies import ProxyChoice, find_proxy

API = "https://api.example.com"
PROXY = "http://proxy.example:3128"


@pytest.mark.parametrize(
    ("variables", "url", "source"),
    [
        ({}, None, ""),
        ({"HTTPS_PROXY": PROXY}, PROXY, "HTTPS_PROXY"),
        ({"https_proxy": PROXY}, PROXY, "https_proxy"),
        ({"https_proxy": "http://a:1", "HTTPS_PROXY": "http://b:2"}, "http://a:1", "https_proxy"),
        ({"https_proxy": "", "HTTPS_PROXY": PROXY}, None, ""),  # switched off
        ({"ALL_PROXY": PROXY}, PROXY, "ALL_PROXY"),
        ({"all_proxy": "http://a:1", "HTTPS_PROXY": PROXY}, PROXY, "HTTPS_PROXY"),
        ({"HTTP_PROXY": PROXY}, None, ""),
        ({"HTTPS_PROXY": "proxy.example:3128"}, PROXY, "HTTPS_PROXY"),
        ({"HTTPS_PROXY": f" {PROXY} "}, PROXY, "HTTPS_PROXY"),
        ({"HTTPS_PROXY": "http://u:p%40w@h:1"}, "http://u:p%40w@h:1", "HTTPS_PROXY"),
        ({"ALL_PROXY": "socks5://h:1080"}, "socks5://h:1080", "ALL_PROXY"),
        ({"ALL_PROXY": "socks5h://h:1080"}, "socks5://h:1080", "ALL_PROXY"),
    ],
)
def test_the_variable_that_decides(variables: dict[str, str], url: str | None, source: str) -> None:
    found = find_proxy(API, variables)
    assert (found.url, found.source) == (url, source)


def test_of_an_http_address_the_lower_case_variable_decides_in_a_cgi_script() -> None:
    variables = {"HTTP_PROXY": PROXY, "REQUEST_METHOD": "GET"}
    assert find_proxy("http://api.example.com", variables).url is None
    assert find_proxy("http://api.example.com", {"HTTP_PROXY": PROXY}).url == PROXY
    assert find_proxy("http://api.example.com", {**variables, "http_proxy": PROXY}).url == PROXY


@pytest.mark.parametrize("here", ["http://localhost:1", "http://127.0.0.9:1", "http://[::1]:1"])
def test_loopback_is_never_proxied(here: str) -> None:
    assert find_proxy(here, {"HTTP_PROXY": PROXY, "ALL_PROXY": "nonsense://"}) == ProxyChoice()


@pytest.mark.parametrize(
    ("no_proxy", "base_url", "exempt"),
    [
        ("*", API, True),
        ("api.example.com", API, True),
        ("example.com", API, True),
        (".example.com", API, True),
        ("*.example.com", API, True),
        ("EXAMPLE.com.", API, True),
        ("ample.com", API, False),
        ("example.com", "https://example.com", True),
        (".example.com", "https://example.com", True),
        ("example.com", "https://notexample.com", False),
        ("a,b, example.com", API, True),
        ("a b example.com", API, True),
        ("example.com:443", API, True),
        ("example.com:8443", API, False),
        ("example.com:8443", "https://api.example.com:8443", True),
        ("https://example.com", API, True),
        ("https://example.com/path", API, True),
        ("bücher.example", "https://www.bücher.example", True),
        ("192.168.0.7", "https://192.168.0.7", True),
        ("192.168.0.7:443", "https://192.168.0.7", True),
        ("192.168.0.0/16", "https://192.168.9.9", True),
        ("192.168.9.9/16", "https://192.168.0.7", True),
        ("192.168.0.0/16", "https://192.169.0.1", False),
        ("168.0.7", "https://192.168.0.7", False),
        ("0.0.0.0/0", API, False),
        ("fd07:b51a:cc66:f0::/64", "https://[fd07:b51a:cc66:f0::9]", True),
        ("[fd07:b51a:cc66:f0::]/64", "https://[fd07:b51a:cc66:f0::9]", True),
        ("fd07:b51a:cc66:f0::/64", API, False),
        ("fd00::1", "https://[fd00:0::1]", True),
        ("[fd00::1]", "https://[fd00::1]", True),
        ("[fd00::1]:443", "https://[fd00::1]", True),
        ("::/0", "https://192.168.0.7", False),
    ],
)
def test_hosts_and_networks_without_a_proxy(no_proxy: str, base_url: str, exempt: bool) -> None:
    for variable in ("NO_PROXY", "no_proxy"):
        found = find_proxy(base_url, {"HTTPS_PROXY": PROXY, variable: no_proxy})
        assert (found.url is None, found.notes) == (exempt, ())


@pytest.mark.parametrize("entry", ["192.168.0.0/99", "fd07::/x", "a/b/c", "ex ample/1", "[", "?"])
def test_an_entry_that_makes_no_sense_is_left_out_with_a_note(entry: str) -> None:
    found = find_proxy(API, {"HTTPS_PROXY": PROXY, "NO_PROXY": f"localhost,{entry}"})
    assert found.url == PROXY
    assert any(note.startswith("NO_PROXY: ") for note in found.notes)
    ours = find_proxy(API, {"HTTPS_PROXY": PROXY, "NO_PROXY": f"{entry},example.com"})
    assert ours == ProxyChoice()


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("ftp://h:1", "a proxy with ftp:// cannot be used"),
        ("socks4://h:1", "a proxy with socks4:// cannot be used"),
        ("http://", "is not a proxy's address"),
        ("http://h..h:1", "is not a proxy's address"),
        ("http://..", "is not a proxy's address"),
        ("http://h ost:1", "is not a proxy's address"),
        (f"http://{'a' * 300}", "is not a proxy's address"),
        ("http://h:99999", "is not a proxy's address"),
        ("http://u:p/w@h:1", "is not a proxy's address"),
        ("http://[::1", "is not a proxy's address"),
        (":::", "is not a proxy's address"),
    ],
)
def test_an_unusable_proxy_is_an_error_that_names_the_variable(value: str, why: str) -> None:
    with pytest.raises(OptionError, match=re.escape(why)) as caught:
        find_proxy(API, {"ALL_PROXY": value})
    assert str(caught.value).startswith("ALL_PROXY")
    assert "unset it" in str(caught.value)


def test_a_password_is_not_shown() -> None:
    found = find_proxy(API, {"ALL_PROXY": "http://user:secret@proxy.example:3128"})
    assert found.shown == "proxy.example:3128 (ALL_PROXY)"
    with pytest.raises(OptionError) as caught:
        find_proxy(API, {"ALL_PROXY": "ftp://user:secret@proxy.example:3128"})
    assert "secret" not in str(caught.value)


def test_a_socks_proxy_without_its_package_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("bulk.http.proxies.SOCKS_ERRORS", ())
    with pytest.raises(OptionError, match=r"^ALL_PROXY names a SOCKS proxy.*bulk-trigger\[socks\]"):
        find_proxy(API, {"ALL_PROXY": "socks5://127.0.0.1:1080"})


@given(st.text(), st.text() | st.text("[]:/.*,0123456789abcdef@%"))
def test_whatever_stands_in_the_variables_there_is_a_choice_or_an_error(
    proxy: str, no_proxy: str
) -> None:
    try:
        found = find_proxy(API, {"HTTPS_PROXY": proxy, "NO_PROXY": no_proxy})
    except OptionError:
        return
    assert found.url is None or "://" in found.url


# --- through real proxies ---------------------------------------------------------------------


class Forward:
    """A proxy on loopback: HTTP (absolute addresses and CONNECT) or SOCKS 5, or garbage.

    Whatever it is asked for, it connects to `target`. `asked` has each host that was asked for.
    """

    def __init__(self, kind: str, target: tuple[str, int] | None = None) -> None:
        self.kind, self.target = kind, target
        self.asked: list[str] = []

    async def __call__(self, stream: trio.SocketStream) -> None:
        async with stream:
            first = await stream.receive_some(65_536)
            if self.kind == "garbage":
                await stream.send_all(b"\x00\xff garbage\r\n\r\n")
                return
            if self.kind == "407":
                answer = b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n"
                await stream.send_all(answer)
                return
            if self.kind == "socks5":
                await stream.send_all(b"\x05\x00")
                request = await stream.receive_some(65_536)
                assert request[:4] == b"\x05\x01\x00\x03", "the proxy resolves the name"
                self.asked.append(request[5 : 5 + request[4]].decode())
                await stream.send_all(b"\x05\x00\x00\x01\x7f\x00\x00\x01\x00\x00")
                first = b""
            else:
                method, address, _ = first.split(b"\r\n")[0].decode().split(" ")
                self.asked.append(address)
                if method == "CONNECT":
                    await stream.send_all(b"HTTP/1.1 200 OK\r\n\r\n")
                    first = b""
            assert self.target is not None
            other = await trio.open_tcp_stream(*self.target)
            async with other, trio.open_nursery() as nursery:
                if first:
                    await other.send_all(first)
                nursery.start_soon(_pipe, stream, other)
                await _pipe(other, stream)
                nursery.cancel_scope.cancel()


async def _pipe(source: trio.SocketStream, sink: trio.SocketStream) -> None:
    try:
        async for data in source:
            await sink.send_all(data)
    except (trio.BrokenResourceError, trio.ClosedResourceError):
        pass
