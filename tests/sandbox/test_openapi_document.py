"""The OpenAPI document is data; these tests fail when it and the code disagree."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, get_args

import pytest

from bulk.sandbox import parse_spec
from bulk.sandbox.config import UUID_PATTERN
from bulk.sandbox.faults import FAULT_NAMES
from bulk.sandbox.openapi import document_bytes
from bulk.sandbox.routes import (
    INTROSPECTION,
    PAGE_ROWS_DEFAULT,
    PAGE_ROWS_MAX,
    Action,
    cursor_of,
    find_route,
)
from bulk.sandbox.runs import PROJECT_ID, STATUSES
from bulk.sandbox.trigger_body import DEVICE_MODELS, FIELDS, MODES, PLATFORMS
from bulk.sandbox.wire import Request
from tests.sandbox.direct import RUNS, TEST, body_of, sandbox_of, send

# A valid value for each query parameter of any operation.
QUERY_VALUES = {
    "projectId": PROJECT_ID,
    "groupId": TEST,
    "testId": TEST,
    "limit": "1",
    "cursor": cursor_of(0),
    "status": STATUSES[0],
}


def document(spec: str = "none") -> Any:
    return json.loads(document_bytes(parse_spec(spec)))


def schemas() -> Any:
    return document()["components"]["schemas"]


def operations(spec: str = "none") -> Iterator[tuple[str, str, Any]]:
    for path, methods in document(spec)["paths"].items():
        for method, operation in methods.items():
            yield re.sub(r"\{\w+\}", TEST, path), method.upper(), operation


def nodes(value: Any) -> Iterator[dict[str, Any]]:
    """Every object in a JSON document, at any depth."""
    if isinstance(value, dict):
        yield value
        for inner in value.values():
            yield from nodes(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from nodes(inner)


@pytest.mark.parametrize("spec", ["base both", "base root", "base api"])
def test_the_document_lists_each_endpoint_once_under_an_address_that_is_served(spec: str) -> None:
    (server,) = document(spec)["servers"]
    prefix = server["url"].rstrip("/")
    actions = [
        find_route(Request(method, prefix + path), parse_spec(spec)).action
        for path, method, _ in operations(spec)
    ]
    assert sorted(actions) == sorted(set(get_args(Action)) - set(INTROSPECTION))


def test_a_legacy_sandbox_documents_the_trigger_endpoint_alone() -> None:
    ((path, method, _),) = operations("legacy")
    assert (path, method) == (RUNS, "POST")
    assert document("legacy")["components"] == document()["components"]


def test_enumerations_and_fields_are_those_of_the_code() -> None:
    body = schemas()["TriggerBody"]["properties"]
    assert tuple(sorted(body)) == tuple(sorted(FIELDS))
    assert tuple(body["mode"]["enum"]) == MODES
    assert tuple(body["platform"]["enum"]) == PLATFORMS
    assert tuple(body["deviceModel"]["enum"]) == DEVICE_MODELS
    run = schemas()["Run"]["properties"]
    assert tuple(run["status"]["enum"]) == STATUSES
    assert tuple(run["platform"]["enum"]) == PLATFORMS


def test_a_run_has_the_documented_fields() -> None:
    sandbox = sandbox_of()
    run_id = body_of(send(sandbox, "POST", RUNS))["runId"]
    run = body_of(send(sandbox, "GET", f"/v1/runs/{run_id}"))
    assert set(run) == set(schemas()["Run"]["properties"])


def test_each_uuid_has_the_pattern_of_the_code() -> None:
    uuids = [node for node in nodes(document()) if node.get("format") == "uuid"]
    assert len(uuids) > 10
    assert {node["pattern"] for node in uuids} == {f"^{UUID_PATTERN.pattern}$"}


@pytest.mark.parametrize(
    ("path", "operation"),
    [(path, operation) for path, method, operation in operations() if method == "GET"],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_query_parameters_are_accepted_as_documented(path: str, operation: Any) -> None:
    parameters = {one["name"]: one for one in operation["parameters"] if one["in"] == "query"}
    needed = {name for name, one in parameters.items() if one.get("required")}
    for name in parameters:
        query = "&".join(f"{key}={QUERY_VALUES[key]}" for key in sorted({name, *needed}))
        assert send(sandbox_of(), "GET", f"{path}?{query}").status in (200, 404), name
    for name in QUERY_VALUES.keys() - parameters.keys():
        query = "&".join(f"{key}={QUERY_VALUES[key]}" for key in sorted({name, *needed}))
        assert send(sandbox_of(), "GET", f"{path}?{query}").status == 400, name


def test_paging_is_limited_as_documented() -> None:
    limits = [node["schema"] for node in nodes(document()) if node.get("name") == "limit"]
    cursors = [node["schema"] for node in nodes(document()) if node.get("name") == "cursor"]
    assert len(limits) == len(cursors) == 2
    for limit in limits:
        assert (limit["minimum"], limit["maximum"]) == (1, PAGE_ROWS_MAX)
        assert limit["default"] == PAGE_ROWS_DEFAULT
    for cursor in cursors:
        assert re.search(cursor["pattern"], cursor_of(0))
        assert re.search(cursor["pattern"], cursor_of(10**12 - 1))
        assert not re.search(cursor["pattern"], cursor_of(10**12))
    longest = f"/v1/runs?cursor={cursor_of(10**12 - 1)}"
    assert send(sandbox_of(), "GET", longest).status == 200
    assert send(sandbox_of(), "GET", f"/v1/runs?cursor={cursor_of(10**12)}").status == 400


def test_each_status_of_a_fault_is_documented() -> None:
    (trigger,) = (operation for path, _, operation in operations() if path == RUNS)
    statuses = {name.removesuffix("-queued") for name in FAULT_NAMES if name[0].isdigit()}
    assert statuses <= set(trigger["responses"])
