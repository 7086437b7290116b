"""Asks the API something harmless before anything is billed: is the key good, is the address right?

Only a clear answer counts. A server that does not offer the listing says nothing here, and the
batch goes on as if nobody had asked.
"""

from __future__ import annotations

import json

import trio

from bulk.answers import Answer, Failure
from bulk.client import Client
from bulk.errors import AuthError, UnreachableError

LISTING = "/v1/runs?limit=1"
SECOND_TRY_S = 0.5  # one lost packet or a restart shall not end a release


async def find_base_url(client: Client) -> str:
    """The base URL under which the API answers: the client's, or its `/api` sibling.

    Raises AuthError where the server refuses the key, UnreachableError where nothing answers.
    """
    given = client.base_url
    sibling = given.removesuffix("/api") if given.endswith("/api") else f"{given}/api"
    for base_url in (given, sibling):
        answer = await client.get(base_url + LISTING)
        if answer.failure is Failure.CONNECT:
            await trio.sleep(SECOND_TRY_S)
            answer = await client.get(base_url + LISTING)
        if answer.failure is Failure.CONNECT:
            raise UnreachableError(
                f"nothing answers at {given}: {answer.failure_text}. "
                "Check --base-url, the network and HTTPS_PROXY; nothing was sent"
            )
        if answer.status == 401:
            raise AuthError(
                f"the server at {base_url} refused the API key (HTTP 401); nothing was triggered"
            )
        if _is_listing(answer):
            return base_url
        if answer.failure is not None or answer.status == 429 or (answer.status or 0) >= 500:
            return given  # it is there, and it has troubles of its own
    return given


def _is_listing(answer: Answer) -> bool:
    if answer.status != 200:
        return False
    try:
        content = json.loads(answer.body)
    except (ValueError, RecursionError):
        return False
    return isinstance(content, dict) and isinstance(content.get("runs"), list)
