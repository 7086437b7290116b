"""Asks the sandbox's model without a carrier, for the tests of this folder."""

from __future__ import annotations

import json
from typing import Any

from bulk.sandbox import Sandbox, parse_spec
from bulk.sandbox.wire import Reply, Request

TEST = "5a3b1e00-0000-4000-8000-000000000001"
OTHER = "5a3b1e00-0000-4000-8000-000000000002"
RUNS = f"/v1/tests/{TEST}/runs"


def ask(
    sandbox: Sandbox,
    method: str,
    target: str,
    body: bytes = b"",
    *,
    now_s: float = 0.0,
    key: str | None = "Bearer k",
    media: str | None = "application/json",
) -> Reply:
    path, _, query = target.partition("?")
    ticket = sandbox.send(now_s, Request(method, path, query, key, media, body))
    sandbox.advance(ticket.arrives_at_s)
    assert ticket.reply is not None
    return ticket.reply


def made(spec: str = "none") -> Sandbox:
    return Sandbox(parse_spec(spec))


def page(reply: Reply) -> Any:
    return json.loads(reply.body)
