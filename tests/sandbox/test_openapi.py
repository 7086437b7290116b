"""The sandbox against its own OpenAPI document, by schemathesis over real sockets."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
import trio
from hypothesis import HealthCheck, Phase, settings
from schemathesis.specs.openapi.checks import negative_data_rejection

from bulk.sandbox import SandboxConfig, Served, parse_spec, serve
from bulk.sandbox.openapi import document_bytes
from tests.properties import examples

pytestmark = [pytest.mark.sockets]


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """A sandbox served from a thread, since schemathesis is synchronous."""
    started = threading.Event()
    found: list[Served] = []
    tokens: list[trio.lowlevel.TrioToken] = []
    scope = trio.CancelScope()

    async def main() -> None:
        tokens.append(trio.lowlevel.current_trio_token())
        async with trio.open_nursery() as nursery:
            with scope:
                found.append(
                    await nursery.start(
                        lambda task_status: serve(parse_spec("key k"), task_status=task_status)
                    )
                )
                started.set()
                await trio.sleep_forever()
            nursery.cancel_scope.cancel()

    thread = threading.Thread(target=trio.run, args=(main,))
    thread.start()
    assert started.wait(10)
    yield found[0].url
    tokens[0].run_sync_soon(scope.cancel)
    thread.join(10)


schema = schemathesis.openapi.from_dict(json.loads(document_bytes(SandboxConfig())))


@schema.parametrize()
@settings(
    max_examples=examples(25),
    derandomize=True,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_the_sandbox_keeps_what_its_document_promises(
    case: schemathesis.Case[Any], address: str
) -> None:
    # An extra parameter whose value is an empty list is not encoded in the URL at all, so a valid
    # request remains and is accepted. Invalid queries have rows in test_validation.
    excluded: list[Any] = [negative_data_rejection] if case.method == "GET" else []
    headers = {"Authorization": "Bearer k"}
    case.call_and_validate(base_url=address, headers=headers, excluded_checks=excluded)
