"""How the rival clients call the API: one POST, its status and its Retry-After."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from random import Random

import httpx

from bulk.sandbox import SandboxConfig

THROTTLED = 429
ANSWER_S_MAX = 60.0  # as the product's default


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer; `status` is None if there was none."""

    status: int | None
    retry_after_s: float | None = None


class Api:
    """POSTs triggers. Without a `transport` it uses real sockets.

    `passed`: attempts that were not throttled, whatever their result.
    """

    def __init__(self, base_url: str, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self.passed = self.time_outs = 0
        self._base_url = base_url
        self._http = httpx.AsyncClient(
            headers={"Authorization": "Bearer sk_rival"},
            timeout=ANSWER_S_MAX,
            transport=transport,
            trust_env=False,
        )

    async def post(self, test_id: str) -> Reply:
        """Make one attempt; failures of the network or the server raise nothing."""
        url = f"{self._base_url}/v1/tests/{test_id}/runs"
        try:
            answer = await self._http.post(url, json={"platform": "web", "mode": "fast"})
        except httpx.TimeoutException:
            self.time_outs += 1
            self.passed += 1
            return Reply(None)
        except httpx.HTTPError:
            self.passed += 1
            return Reply(None)
        self.passed += answer.status_code != THROTTLED
        return Reply(answer.status_code, _retry_after_s(answer.headers))

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()


@dataclass(frozen=True, slots=True)
class Workload:
    """What a rival has to do: `post` each of `test_ids` until it is no longer throttled.

    Only 429s are resent, so that the comparison is of pacing alone. `config` and `start_unix_s` are
    the server's secrets, for the oracle only.
    """

    post: Callable[[str], Awaitable[Reply]]
    test_ids: tuple[str, ...]
    random: Random
    config: SandboxConfig
    start_unix_s: float


Rival = Callable[[Workload], Awaitable[None]]


def _retry_after_s(headers: httpx.Headers) -> float | None:
    text = headers.get("retry-after")
    if text is None:
        return None
    with suppress(ValueError):
        return float(text)
    with suppress(ValueError, TypeError):
        until, now = parsedate_to_datetime(text), parsedate_to_datetime(headers["date"])
        return max(0.0, (until - now).total_seconds())
    return None
