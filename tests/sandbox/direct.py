"""Sends requests to the sandbox's model directly, without a transport."""

from __future__ import annotations

import json
from typing import Any

from bulk.sandbox import Sandbox, parse_spec
from bulk.sandbox.wire import Request, Response

TEST = "5a3b1e00-0000-4000-8000-000000000001"
OTHER = "5a3b1e00-0000-4000-8000-000000000002"
RUNS = f"/v1/tests/{TEST}/runs"


def send(
    sandbox: Sandbox,
    method: str,
    target: str,
    body: bytes = b"",
    *,
    now_s: float = 0.0,
    key: str | None = "Bearer k",
    media: str | None = "application/json",
) -> Response:
    path, _, query = target.partition("?")
    exchange = sandbox.send(now_s, Request(method, path, query, key, media, body))
    sandbox.advance(exchange.arrives_at_s)
    assert exchange.response is not None
    return exchange.response


def sandbox_of(spec: str = "none") -> Sandbox:
    return Sandbox(parse_spec(spec))


def body_of(response: Response) -> Any:
    return json.loads(response.body)
