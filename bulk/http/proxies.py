"""Chooses the proxy for an address from the environment, as curl documents it.

There is only one address, so the choice is made once. httpx would read the variables as well, but
raises on entries of `NO_PROXY` that curl understands, such as IPv6 networks.
"""

from __future__ import annotations

import ipaddress
import os
import re
import sys
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass

import httpx

from bulk.errors import OptionError
from bulk.http.address import is_host_name, is_loopback

try:
    from socksio import SOCKSError
except ImportError:  # the extra `socks` is not installed
    SOCKS_ERRORS: tuple[type[Exception], ...] = ()
else:
    SOCKS_ERRORS = (SOCKSError,)  # httpcore lets them through

SCHEMES = ("http", "https", "socks5", "socks5h")
_PORTS = {"http": 80, "https": 443}
_HOST = re.compile(r"[\w.-]+")  # `\w`: a name that is not ASCII is compared in its encoded form


@dataclass(frozen=True, slots=True)
class ProxyChoice:
    """The proxy's URL, None for none, and the variable or setting that names it.

    `notes` are sentences about what could not be understood, for people.
    """

    url: str | None = None
    source: str = ""
    notes: tuple[str, ...] = ()

    @property
    def shown(self) -> str:
        """`proxy.example:3128 (HTTPS_PROXY)`, without user and password."""
        if self.url is None:
            return ""
        url = httpx.URL(self.url)
        return f"{url.host}{f':{url.port}' if url.port else ''} ({self.source})"


def find_proxy(base_url: str, environment: Mapping[str, str] = os.environ) -> ProxyChoice:
    """The proxy for requests to `base_url`.

    A lower-case variable comes before its upper-case form, the scheme's before `ALL_PROXY`, and the
    environment before the system's settings, which macOS and Windows have. Loopback never has one:
    a proxy would take "localhost" for itself. Raises OptionError if the proxy cannot be used; its
    text has no user and password.
    """
    address = httpx.URL(base_url)
    if is_loopback(base_url):
        return ProxyChoice()
    source, value = _named(address.scheme, environment)
    if not source and environment is os.environ and sys.platform in ("win32", "darwin"):
        source, value = _of_system(address)
    if not value:
        return ProxyChoice()
    exempt, notes = _is_exempt(address, environment)
    if exempt:
        return ProxyChoice(notes=notes)
    return ProxyChoice(_checked(source, value), source, notes)


def _named(scheme: str, environment: Mapping[str, str]) -> tuple[str, str]:
    """The variable that decides, and its value, which may be empty."""
    for name in (f"{scheme}_proxy", "all_proxy"):
        for variable in (name, name.upper()):
            if variable == "HTTP_PROXY" and "REQUEST_METHOD" in environment:
                continue  # a CGI script: the variable is the request's header "Proxy"
            if variable in environment:
                return variable, environment[variable].strip()
    return "", ""


def _of_system(address: httpx.URL) -> tuple[str, str]:
    proxies = urllib.request.getproxies()
    value = proxies.get(address.scheme) or proxies.get("all") or ""
    if value and urllib.request.proxy_bypass(address.host):
        return "", ""
    return "the system's proxy settings", value


def _checked(source: str, value: str) -> str:
    """The proxy's URL in a form that httpx takes."""
    try:
        url = httpx.URL(value if "://" in value else f"http://{value}")
        usable = is_host_name(url.host) and (url.port is None or 0 < url.port < 65_536)
    except (httpx.InvalidURL, ValueError):
        usable = False
    if not usable:
        # The value may hold a password, so it is not shown.
        raise OptionError(
            f"{source} is not a proxy's address such as http://proxy.example:3128; correct it, or "
            "unset it to connect directly (special characters in a password are written %40)"
        )
    if url.scheme not in SCHEMES:
        raise OptionError(
            f"{source}: a proxy with {url.scheme}:// cannot be used, only {', '.join(SCHEMES)}; "
            "name another proxy, or unset it to connect directly"
        )
    if not url.scheme.startswith("socks"):
        return str(url)
    if not SOCKS_ERRORS:
        raise OptionError(
            f"{source} names a SOCKS proxy, which needs an extra package: "
            "pip install 'bulk-trigger[socks]'; or unset it to connect directly"
        )
    return str(url.copy_with(scheme="socks5"))  # the proxy resolves names in either form


def _is_exempt(address: httpx.URL, environment: Mapping[str, str]) -> tuple[bool, tuple[str, ...]]:
    """Whether `NO_PROXY` lists the address, and a note for each entry that is not understood."""
    variable = "no_proxy" if "no_proxy" in environment else "NO_PROXY"
    host = _plain_host(address.raw_host.decode("ascii"))
    port = address.port or _PORTS[address.scheme]
    notes = []
    for entry in re.split(r"[,\s]+", environment.get(variable, "")):
        if not entry:
            continue
        matches = _matches(entry, host, port)
        if matches:
            return True, ()
        if matches is None:
            notes.append(f"{variable}: {entry!r} is neither a host nor a network; ignored")
    return False, tuple(notes)


def _matches(entry: str, host: str, port: int) -> bool | None:
    """Whether an entry means this host and port; None if it makes no sense."""
    if entry == "*":
        return True
    text = entry.rpartition("://")[2].partition("/")[0] if "://" in entry else entry
    if "/" in text:
        try:
            return _is_within(
                host, ipaddress.ip_network(text.replace("[", "").replace("]", ""), strict=False)
            )
        except ValueError:
            return None
    name, only_port = _split_port(text)
    if only_port is not None and only_port != port:
        return False
    address = _address(name)
    if address is not None:
        return _address(host) == address
    try:
        name = httpx.URL(f"http://{name.lstrip('*').strip('.')}").raw_host.decode("ascii")
    except (httpx.InvalidURL, ValueError):
        return None
    if not name or not _HOST.fullmatch(name):
        return None
    return _address(host) is None and (host == name or host.endswith(f".{name}"))


def _split_port(text: str) -> tuple[str, int | None]:
    """A host, without brackets, and its port: `[::1]:80`, `host:80`; `::1` has none."""
    found = re.fullmatch(r"\[(.*)\](?::(\d+))?|([^:]*):(\d+)", text, re.ASCII)
    if found is None:
        return text, None
    host, port = (found[1], found[2]) if found[1] is not None else (found[3], found[4])
    return host, int(port) if port else None


def _plain_host(host: str) -> str:
    return host.strip("[]").rstrip(".").lower()


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def _is_within(host: str, network: ipaddress.IPv4Network | ipaddress.IPv6Network) -> bool:
    address = _address(host)
    return address is not None and address.version == network.version and address in network
