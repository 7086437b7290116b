"""Asks the API something harmless before anything is billed: is the key good, is the address right?

Only a clear answer counts. A server that does not offer the listing says nothing here, and the
batch goes on as if nobody had asked.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable

import trio

from bulk.errors import AuthError, UnreachableError
from bulk.http.answers import Answer, Failure
from bulk.http.client import Client
from bulk.http.rate_limit_headers import server_date
from bulk.model import Instant, ServerTime

LISTING = "/v1/runs?limit=1"
SECOND_TRY_S = 0.5  # one lost packet or a restart shall not end a release


async def settle_base_url(client: Client, wall: Callable[[], float] = time.time) -> None:
    """Give the client the base URL under which the API answers: its own, or its `/api` sibling.

    It also keeps what the answer says of the server's clock. Raises AuthError where the server
    refuses the key, UnreachableError where nothing answers.
    """
    given = client.base_url
    sibling = given.removesuffix("/api") if given.endswith("/api") else f"{given}/api"
    for base_url in (given, sibling):
        answer = await _ask(client, base_url + LISTING, wall)
        if answer.failure is Failure.CONNECT:
            await trio.sleep(SECOND_TRY_S)
            answer = await _ask(client, base_url + LISTING, wall)
        if answer.failure is Failure.CONNECT:
            raise UnreachableError(
                f"nothing answers at {given}: {answer.failure_text}. "
                "Check --base-url, the network and HTTPS_PROXY; nothing was sent"
            )
        if answer.status == 401:
            raise AuthError(
                f"the server at {base_url} refused the API key (HTTP 401); nothing was sent"
            )
        if _is_listing(answer):
            client.base_url = base_url
            return
        if answer.failure is not None or answer.status == 429 or (answer.status or 0) >= 500:
            return  # it is there, and it has troubles of its own


async def _ask(client: Client, url: str, wall: Callable[[], float]) -> Answer:
    sent = Instant(wall(), trio.current_time())
    answer = await client.get(url)
    received = Instant(wall(), trio.current_time())
    date = server_date(answer.headers)
    if date is not None:
        client.server_time = ServerTime(sent, received, date)
    return answer


def _is_listing(answer: Answer) -> bool:
    if answer.status != 200:
        return False
    try:
        content = json.loads(answer.body)
    except (ValueError, RecursionError):
        return False
    return isinstance(content, dict) and isinstance(content.get("runs"), list)
