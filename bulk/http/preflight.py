"""Checks the API key and the base URL with a harmless request, before anything is billed.

Only a clear answer counts. If a server does not offer the list of runs, the batch starts as if
there had been no preflight.
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
from bulk.http.trust import UNTRUSTED
from bulk.model import Instant, ServerTime

LISTING = "/v1/runs?limit=1"
SECOND_TRY_S = 0.5  # one lost packet must not end a release


async def settle_base_url(client: Client, wall: Callable[[], float] = time.time) -> None:
    """Set the client's `base_url` to the one under which the API answers: with or without `/api`.

    Also set its `server_time` from the answer's `Date`. Raises AuthError if the server rejects the
    key, UnreachableError if nothing answers.
    """
    given = client.base_url
    sibling = given.removesuffix("/api") if given.endswith("/api") else f"{given}/api"
    for base_url in (given, sibling):
        answer = await _list_runs(client, base_url + LISTING, wall)
        if answer.failure is Failure.CONNECT:
            await trio.sleep(SECOND_TRY_S)
            answer = await _list_runs(client, base_url + LISTING, wall)
        if answer.failure is Failure.CONNECT:
            through = f" through the proxy {client.proxy.shown}" if client.proxy.url else ""
            notes = "".join(f". {note}" for note in client.proxy.notes)
            if answer.failure_text.startswith(UNTRUSTED):
                raise UnreachableError(f"{given}{through}: {answer.failure_text}; nothing was sent")
            raise UnreachableError(
                f"nothing answers at {given}{through}: {answer.failure_text}{notes}. "
                "Check --base-url, the network and the proxy variables; nothing was sent"
            )
        if answer.status == 401:
            raise AuthError(
                f"the server at {base_url} rejected the API key (HTTP 401); nothing was sent"
            )
        if _is_listing(answer):
            client.base_url = base_url
            return
        if answer.failure is not None or answer.status == 429 or (answer.status or 0) >= 500:
            return  # the server is there, but in trouble


async def _list_runs(client: Client, url: str, wall: Callable[[], float]) -> Answer:
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
