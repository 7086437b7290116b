"""Sends one request and returns its answer as data.

The client decides nothing: it does not retry, redirect or pause. `bulk.http.answers` classifies a
failure; the client only finds out whether a byte of the request may have left.

Connections are kept in several small pools, because httpcore's pool takes time quadratic in the
connections it holds: one client with 64 connections is slower than eight with eight.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.cookiejar import CookieJar
from typing import Any, Self

import httpx
import trio

from bulk import __version__
from bulk.http.answers import Answer, Failure
from bulk.http.api_key import ApiKey
from bulk.http.bodies import bounded_body
from bulk.http.proxies import SOCKS_ERRORS, ProxyChoice, find_proxy
from bulk.http.rate_limit_headers import kept_headers
from bulk.http.trust import explain, tls_context
from bulk.model import ServerTime, Trigger

POOL_CONNECTIONS = 8
# Below the idle time-outs of common servers (2 to 75 s): a connection that the server is about to
# close would lose a trigger's answer, and a new connection costs only a round trip or two.
IDLE_S_MAX = 1.5
_KEEP_ALIVE = re.compile(r"timeout\s*=\s*\"?(\d{1,6})", re.ASCII | re.IGNORECASE)
BODY_BYTES_MAX = 65_536  # the documented answers have a few hundred bytes
# Read beyond that, so that an echoed key in its longest form is scrubbed before the body is cut.
KEY_BYTES_MAX = 16_384
SHOWN_CHARACTERS_MAX = 300  # of a failure's message or a redirect's target

# What httpx raises when no byte of the request can have left.
_UNSENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError)
# UnicodeError: a host name that cannot be looked up.
_BROKEN: tuple[type[Exception], ...] = (httpx.HTTPError, UnicodeError, *SOCKS_ERRORS)


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds. `connect_s` for a connection; `answer_s` from then until the answer is complete."""

    connect_s: float = 10.0
    answer_s: float = 60.0


def request_body(trigger: Trigger) -> bytes:
    """The JSON body for a trigger; fields that are not set are left out."""
    fields = {
        "mode": trigger.mode,
        "platform": trigger.platform,
        "appId": trigger.app_id,
        "deviceModel": trigger.device_model,
        "projectEnvironmentId": trigger.environment_id,
    }
    return json.dumps({name: value for name, value in fields.items() if value}).encode()


class Client:
    """Sends requests to one API with one key. Use it in an `async with`.

    Each of `pools` connection pools holds eight connections for triggers; one more, the spare pool,
    serves all other requests. `transport` is called once for each pool and replaces the network, as
    in simulations. Raises OptionError if the certificates that SSL_CERT_FILE or SSL_CERT_DIR name
    cannot be read.
    """

    def __init__(
        self,
        base_url: str,
        key: ApiKey,
        *,
        pools: int = 1,
        timeouts: Timeouts | None = None,
        transport: Callable[[], httpx.AsyncBaseTransport] | None = None,
    ) -> None:
        self.base_url = base_url
        self.server_time: ServerTime | None = None  # as the preflight read it
        self._key = key
        self._key_accepted = self._triggers_accepted = False
        self._timeouts = timeouts or Timeouts()
        self.proxy = ProxyChoice() if transport else find_proxy(base_url)
        # Shared by all pools: loading the CAs takes 20 ms or more. A simulation has no TLS.
        speaks_tls = any(url.startswith("https:") for url in (base_url, self.proxy.url or ""))
        self._tls = tls_context() if speaks_tls and not transport else None
        self._transport = transport
        self._idle_s = IDLE_S_MAX
        self._pools = [self._new_pool() for _ in range(pools + 1)]
        self._retired: list[httpx.AsyncClient] = []  # their requests in flight continue

    def _new_pool(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(
            headers={
                "Authorization": self._key.header,
                "User-Agent": f"bulk-trigger/{__version__}",
                "Accept": "application/json",
                "Accept-Encoding": "identity",
            },
            limits=httpx.Limits(
                max_connections=POOL_CONNECTIONS,
                max_keepalive_connections=POOL_CONNECTIONS,
                keepalive_expiry=self._idle_s,
            ),
            timeout=httpx.Timeout(
                self._timeouts.answer_s,
                connect=self._timeouts.connect_s,
                pool=self._timeouts.connect_s,
            ),
            cookies=_NoCookies(),
            follow_redirects=False,
            event_hooks={"response": [_hide_location]},
            trust_env=False,  # the environment is read here, once and without surprises
            proxy=self._proxy(),
            verify=False if self._tls is None else self._tls,
            transport=None if self._transport is None else self._transport(),
        )

    def _proxy(self) -> httpx.Proxy | None:
        url = self.proxy.url
        if url is None:
            return None
        return httpx.Proxy(url, ssl_context=self._tls if url.startswith("https:") else None)

    def _heed_keep_alive(self, response: httpx.Response) -> None:
        """Keep connections idle for no longer than half the time that the server announces."""
        announced = _KEEP_ALIVE.search(response.headers.get("keep-alive", ""))
        if announced is None or self._transport is not None:
            return
        idle_s = float(announced[1]) / 2
        if idle_s < self._idle_s:
            self._idle_s = idle_s
            self._retired += self._pools
            self._pools = [self._new_pool() for _ in self._pools]

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        with trio.CancelScope(shield=True):
            for pool in (*self._pools, *self._retired):
                await pool.aclose()

    @property
    def pools(self) -> int:
        """How many connection pools there are for triggers, numbered from 0."""
        return len(self._pools) - 1

    @property
    def spare_pool(self) -> int:
        """The number of the pool that no trigger uses, so that slow triggers cannot block it."""
        return len(self._pools) - 1

    async def trigger(self, trigger: Trigger, pool: int, drain: trio.CancelScope) -> Answer:
        """POST one trigger, once. Failures of the network or the server do not raise.

        When `drain` is cancelled or its deadline passes, the answer is `Failure.CUT_OFF`.
        """
        request = self._pools[pool].build_request(
            "POST",
            f"{self.base_url}/v1/tests/{trigger.test_id}/runs",
            content=request_body(trigger),
            headers={"Content-Type": "application/json"},
        )
        return await self._answer(request, pool, drain)

    async def cancel(self, run_id: str, pool: int, drain: trio.CancelScope) -> Answer:
        """POST the cancellation of a run, once, like `trigger`. It is safe to repeat."""
        request = self._pools[pool].build_request(
            "POST", f"{self.base_url}/v1/runs/{run_id}/cancel"
        )
        return await self._answer(request, pool, drain)

    async def get(
        self,
        url: str,
        *,
        body_bytes_max: int = BODY_BYTES_MAX,
        drain: trio.CancelScope | None = None,
    ) -> Answer:
        """GET a complete URL, once, and read at most `body_bytes_max` bytes of its body."""
        request = self._pools[self.spare_pool].build_request("GET", url)
        return await self._answer(
            request, self.spare_pool, drain or trio.CancelScope(), body_bytes_max
        )

    async def _answer(
        self,
        request: httpx.Request,
        pool: int,
        drain: trio.CancelScope,
        body_bytes_max: int = BODY_BYTES_MAX,
    ) -> Answer:
        # httpx limits each step of a request, not their sum: a body may drip for ever. Connecting
        # (name, TCP, proxy, TLS) has its own time-outs, and this limit lets them expire first.
        answer_s_max = 4 * self._timeouts.connect_s + self._timeouts.answer_s
        sending = _Sending(traced=self._transport is None)
        request.extensions["trace"] = sending.trace
        try:
            with drain, trio.fail_after(answer_s_max):
                return await self._send(request, pool, body_bytes_max)
            failure, text = Failure.CUT_OFF, "interrupted before the answer came"
        except trio.TooSlowError:
            failure, text = Failure.TIMED_OUT, f"no complete answer in {answer_s_max:.0f} s"
        except _UNSENT as error:
            failure, text = Failure.CONNECT, _describe(error)
        except httpx.TimeoutException as error:
            failure, text = Failure.TIMED_OUT, _describe(error)
        except _BROKEN as error:
            failure, text = Failure.LOST, _describe(error)
        if not sending.may_have_begun:
            failure = Failure.CONNECT
        return Answer(failure=failure, failure_text=self._key.scrub(text)[:SHOWN_CHARACTERS_MAX])

    async def _send(self, request: httpx.Request, pool: int, body_bytes_max: int) -> Answer:
        response = await self._pools[pool].send(request, stream=True)
        try:
            try:
                body = await bounded_body(response, body_bytes_max + KEY_BYTES_MAX)
            except httpx.HTTPError:
                # The status is known, the body is not. A 4xx or 5xx needs no body, but a success
                # has lost its run id.
                if response.status_code < 300:
                    raise
                body = b""
        finally:
            with trio.CancelScope(shield=True):
                await response.aclose()
        # Scrubbed before they are cut, because half a key would not be found.
        location = self._key.scrub(response.extensions.get("location", ""))
        self._heed_keep_alive(response)
        before = self._key_accepted, self._triggers_accepted
        if response.is_success and (request.method == "POST" or body.lstrip().startswith(b"{")):
            self._key_accepted = True
            self._triggers_accepted |= request.method == "POST"
        return Answer(
            status=response.status_code,
            headers=kept_headers(
                (self._key.scrub(name), self._key.scrub(value))
                for name, value in response.headers.multi_items()
            ),
            body=self._key.scrub_bytes(body)[:body_bytes_max],
            location=location[:SHOWN_CHARACTERS_MAX],
            key_accepted=before[0],
            triggers_accepted=before[1],
        )


class _Sending:
    """Follows httpcore's trace to see whether a byte of the request may have left."""

    def __init__(self, *, traced: bool) -> None:
        self.may_have_begun = not traced  # only httpcore's own transports are traced

    async def trace(self, event: str, info: Mapping[str, Any]) -> None:
        # A proxy is first asked for a connection, by a request that is not ours.
        if event.endswith("send_request_headers.started") and info["request"].method != b"CONNECT":
            self.may_have_begun = True


class _NoCookies(CookieJar):
    """Keeps no cookie: with cookies a server could make each request larger than the last."""

    def extract_cookies(self, response: Any, request: Any) -> None:
        """Ignore them."""


async def _hide_location(response: httpx.Response) -> None:
    """Keep httpx from building the next request, which raises on many a bad `Location`."""
    if "location" in response.headers:
        response.extensions["location"] = response.headers.pop("location")


def _describe(error: Exception) -> str:
    """The error's message, or that of the nearest cause that has one: trio wraps TLS errors."""
    if (about_certificate := explain(error)) is not None:
        return about_certificate
    cause: BaseException | None = error
    while cause is not None and not str(cause):
        cause = cause.__cause__ or cause.__context__
    return type(error).__name__ if cause is None else str(cause)
