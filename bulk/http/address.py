"""Checks the base URL that a user gives."""

from __future__ import annotations

import ipaddress
import re

import httpx

from bulk.errors import OptionError

DEFAULT_BASE_URL = "https://tester.army"


def check_base_url(text: str) -> str:
    """The base URL without a trailing slash or `/v1`. Raises OptionError if it is not valid."""
    try:
        url = httpx.URL(text.strip())
        host = url.host
    except (httpx.InvalidURL, ValueError) as error:
        raise OptionError(f"--base-url: {text!r} is not a URL: {error}") from error
    if url.scheme not in ("http", "https") or not host:
        raise OptionError(f"--base-url: {text!r} is not an http(s) URL like {DEFAULT_BASE_URL}")
    if not is_host_name(host):
        raise OptionError(f"--base-url: {host!r} is not a host name")
    if url.port is not None and not 0 < url.port < 65_536:
        raise OptionError(f"--base-url: {url.port} is not a port number")
    if url.userinfo:
        raise OptionError("--base-url: user and password do not belong in the URL")
    if url.query or url.fragment:
        raise OptionError(f"--base-url: {text!r} has a query or fragment; leave it out")
    return str(url).rstrip("/").removesuffix("/v1").rstrip("/")


def is_host_name(host: str) -> bool:
    """Whether it is an address, or a name that can be looked up (RFC 1035)."""
    try:
        return bool(ipaddress.ip_address(host))
    except ValueError:
        parts = host.rstrip(".").split(".")
        return len(host) <= 253 and all(re.fullmatch(r"[\w-]{1,63}", part) for part in parts)


def is_loopback(base_url: str) -> bool:
    """Whether the URL always means this machine."""
    host = httpx.URL(base_url).host
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
