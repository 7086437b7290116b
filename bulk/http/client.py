"""Sends one request and brings back its answer as data.

It decides nothing: no retry, no redirect, no pause. What a failure means is judged in
`bulk.http.answers`; here only the question is settled whether a byte of the request may have left.

Connections are kept in small lanes of their own, because httpcore's pool takes time quadratic in
the connections it holds: one client with 64 connections is slower than eight with eight.
"""

from __future__ import annotations

import json
import os
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.cookiejar import CookieJar
from typing import Any, Self

import httpx
import trio

from bulk import __version__
from bulk.errors import OptionError
from bulk.http.address import is_loopback
from bulk.http.answers import Answer, Failure
from bulk.http.api_key import ApiKey
from bulk.http.bodies import bounded_body
from bulk.http.rate_limit_headers import kept_headers
from bulk.model import ServerTime, Trigger

POOL_CONNECTIONS = 8
# Below the idle time-outs of usual servers (2 to 75 s): a connection the server is about to close
# would lose a trigger's answer, and a new connection costs only a round trip or two.
IDLE_S_MAX = 1.5
BODY_BYTES_MAX = 65_536  # the promised answers have a few hundred bytes
KEY_BYTES_MAX = (
    16_384  # of an echoed key in its longest form, lest a body is cut in the midst of one
)
WORDS_MAX = 300  # characters of a failure's or a redirect's text

# What httpx raises when no byte of the request can have left.
_UNSENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError)


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds. `connect_s` for a connection; `answer_s` from then until the answer is complete."""

    connect_s: float = 10.0
    answer_s: float = 60.0


def request_body(trigger: Trigger) -> bytes:
    """The JSON body for a trigger: what is not set is not sent."""
    fields = {
        "mode": trigger.mode,
        "platform": trigger.platform,
        "appId": trigger.app_id,
        "deviceModel": trigger.device_model,
        "projectEnvironmentId": trigger.environment_id,
    }
    return json.dumps({name: value for name, value in fields.items() if value}).encode()


class Client:
    """Speaks to one API with one key. Use it in an `async with`.

    `lanes` hold eight connections each; one more is for all but triggers. `transport` replaces the
    network, lane by lane, as in simulations.
    """

    def __init__(
        self,
        base_url: str,
        key: ApiKey,
        *,
        lanes: int = 1,
        timeouts: Timeouts | None = None,
        transport: Callable[[], httpx.AsyncBaseTransport] | None = None,
    ) -> None:
        self.base_url = base_url
        self.server_time: ServerTime | None = None  # read before the first trigger
        self._key = key
        self._timeouts = timeouts or Timeouts()
        self._simulated = transport is not None
        limits = httpx.Limits(
            max_connections=POOL_CONNECTIONS,
            max_keepalive_connections=POOL_CONNECTIONS,
            keepalive_expiry=IDLE_S_MAX,
        )
        # A proxy would resolve "localhost" to itself, so loopback never goes through one.
        trust_env = not is_loopback(base_url)
        # Once for all lanes: loading the CAs takes 20 ms and more. A simulation has no TLS.
        context = True if transport else _tls_context()
        self._lanes = [
            httpx.AsyncClient(
                headers={
                    "Authorization": key.header,
                    "User-Agent": f"bulk-trigger/{__version__}",
                    "Accept": "application/json",
                    "Accept-Encoding": "identity",
                },
                limits=limits,
                timeout=httpx.Timeout(
                    self._timeouts.answer_s,
                    connect=self._timeouts.connect_s,
                    pool=self._timeouts.connect_s,
                ),
                cookies=_NoCookies(),
                follow_redirects=False,
                event_hooks={"response": [_hide_location]},
                trust_env=trust_env,
                verify=context,
                transport=transport() if transport is not None else None,
            )
            for _ in range(lanes + 1)
        ]

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        with trio.CancelScope(shield=True):
            for lane in self._lanes:
                await lane.aclose()

    @property
    def lanes(self) -> int:
        """How many lanes there are for triggers, numbered from 0."""
        return len(self._lanes) - 1

    @property
    def aside(self) -> int:
        """The lane that no trigger uses, however long their answers take."""
        return len(self._lanes) - 1

    async def trigger(self, trigger: Trigger, lane: int, drain: trio.CancelScope) -> Answer:
        """POST one trigger, once. Never raises for what the network or the server does.

        When `drain` is cancelled or its time is over, the answer is `Failure.CUT_OFF`.
        """
        request = self._lanes[lane].build_request(
            "POST",
            f"{self.base_url}/v1/tests/{trigger.test_id}/runs",
            content=request_body(trigger),
            headers={"Content-Type": "application/json"},
        )
        return await self._answer(request, lane, drain)

    async def cancel(self, run_id: str, lane: int, drain: trio.CancelScope) -> Answer:
        """POST that a run be cancelled, once; see `trigger`. A second time does no harm."""
        request = self._lanes[lane].build_request(
            "POST", f"{self.base_url}/v1/runs/{run_id}/cancel"
        )
        return await self._answer(request, lane, drain)

    async def get(
        self,
        url: str,
        *,
        body_bytes_max: int = BODY_BYTES_MAX,
        drain: trio.CancelScope | None = None,
    ) -> Answer:
        """GET a whole URL, once; it changes nothing at the server. Of its body no more is read."""
        request = self._lanes[self.aside].build_request("GET", url)
        return await self._answer(request, self.aside, drain or trio.CancelScope(), body_bytes_max)

    async def _answer(
        self,
        request: httpx.Request,
        lane: int,
        drain: trio.CancelScope,
        body_bytes_max: int = BODY_BYTES_MAX,
    ) -> Answer:
        # httpx bounds each step of a request, not their sum: a body may drip for ever. Connecting
        # (name, TCP, proxy, TLS) has time-outs of its own, so this bound lets them run out first.
        answer_s_max = 4 * self._timeouts.connect_s + self._timeouts.answer_s
        leaving = _Leaving(known=not self._simulated)
        request.extensions["trace"] = leaving.trace
        try:
            with drain, trio.fail_after(answer_s_max):
                return await self._send(request, lane, body_bytes_max)
            failure, text = Failure.CUT_OFF, "interrupted before the answer came"
        except trio.TooSlowError:
            failure, text = Failure.TIMED_OUT, f"no whole answer in {answer_s_max:.0f} s"
        except _UNSENT as error:
            failure, text = Failure.CONNECT, _in_words(error)
        except httpx.TimeoutException as error:
            failure, text = Failure.TIMED_OUT, _in_words(error)
        except httpx.HTTPError as error:
            failure, text = Failure.LOST, _in_words(error)
        if not leaving.may_have_begun:
            failure = Failure.CONNECT
        return Answer(failure=failure, failure_text=self._key.scrub(text)[:WORDS_MAX])

    async def _send(self, request: httpx.Request, lane: int, body_bytes_max: int) -> Answer:
        response = await self._lanes[lane].send(request, stream=True)
        try:
            try:
                body = await bounded_body(response, body_bytes_max + KEY_BYTES_MAX)
            except httpx.HTTPError:
                # The status is known, the body is not. A refusal stays a refusal; of a success
                # it would be the run id that is lost.
                if response.status_code < 300:
                    raise
                body = b""
        finally:
            with trio.CancelScope(shield=True):
                await response.aclose()
        return Answer(
            status=response.status_code,
            # Scrubbed before they are cut: half a key is no longer found.
            headers=kept_headers(
                (self._key.scrub(name), self._key.scrub(value))
                for name, value in response.headers.multi_items()
            ),
            body=self._key.scrub_bytes(body)[:body_bytes_max],
            location=self._key.scrub(response.extensions.get("location", ""))[:WORDS_MAX],
        )


class _Leaving:
    """Listens to httpcore's trace for whether a byte of the request may have left."""

    def __init__(self, *, known: bool) -> None:
        self.may_have_begun = not known  # transports other than httpcore's do not tell

    async def trace(self, event: str, _: Mapping[str, object]) -> None:
        if event.endswith("send_request_headers.started"):
            self.may_have_begun = True


def _tls_context() -> ssl.SSLContext:
    """Trusts the usual certificates, or those that the environment names; checks them always."""
    try:
        return httpx.create_ssl_context()
    except OSError as error:
        named = os.environ.get("SSL_CERT_FILE") or os.environ.get("SSL_CERT_DIR")
        raise OptionError(f"SSL_CERT_FILE {named}: no certificates can be read: {error}") from error


class _NoCookies(CookieJar):
    """Takes no cookie: a server could make each request larger than the one before."""

    def extract_cookies(self, response: Any, request: Any) -> None:
        """Leave them where they are."""


async def _hide_location(response: httpx.Response) -> None:
    """Keep httpx from building the next request, which fails in many ways on a bad `Location`."""
    if "location" in response.headers:
        response.extensions["location"] = response.headers.pop("location")


def _in_words(error: httpx.HTTPError) -> str:
    """Its words, or those of the nearest cause that has any: trio wraps what TLS says."""
    cause: BaseException | None = error
    while cause is not None and not str(cause):
        cause = cause.__cause__ or cause.__context__
    return type(error).__name__ if cause is None else str(cause)
