"""Which requests the sandbox accepts and which it rejects."""

from __future__ import annotations

import pytest

from bulk.sandbox.runs import PROJECT_ID
from tests.sandbox.direct import OTHER, RUNS, TEST, body_of, sandbox_of, send

INVALID: list[tuple[str, str, str, bytes, int]] = [
    ("nothing at the root", "GET", "/", b"", 404),
    ("an unknown path", "GET", "/v2/runs", b"", 404),
    ("a missing test id", "POST", "/v1/tests//runs", b"", 404),
    ("a trigger by GET", "GET", RUNS, b"", 405),
    ("a list by DELETE", "DELETE", "/v1/runs", b"", 405),
    ("a test id that is no UUID", "POST", "/v1/tests/abc/runs", b"{}", 400),
    ("a run id that is no UUID", "GET", "/v1/runs/abc", b"", 400),
    ("not JSON", "POST", RUNS, b"{", 400),
    ("not UTF-8", "POST", RUNS, b'{"mode": "\xff"}', 400),
    ("not an object", "POST", RUNS, b"[]", 400),
    ("nested too deeply", "POST", RUNS, b"[" * 15_000, 400),
    ("a duplicate name", "POST", RUNS, b'{"mode": "fast", "mode": "deep"}', 400),
    ("an unknown field", "POST", RUNS, b'{"speed": "fast"}', 400),
    ("an unknown mode", "POST", RUNS, b'{"mode": "slow"}', 400),
    ("a mode in capitals", "POST", RUNS, b'{"mode": "FAST"}', 400),
    ("a null", "POST", RUNS, b'{"mode": null}', 400),
    ("a list instead of a string", "POST", RUNS, b'{"platform": ["web"]}', 400),
    ("an unknown platform", "POST", RUNS, b'{"platform": "iso"}', 400),
    ("an app id that is no UUID", "POST", RUNS, b'{"appId": "x"}', 400),
    ("a device without a platform", "POST", RUNS, b'{"deviceModel": "ipad"}', 400),
    ("a device for android", "POST", RUNS, b'{"platform":"android","deviceModel":"ipad"}', 400),
    ("a limit of 0", "GET", "/v1/runs?limit=0", b"", 400),
    ("a limit of 101", "GET", "/v1/runs?limit=101", b"", 400),
    ("a limit in digits of another script", "GET", "/v1/runs?limit=%D9%A3", b"", 400),
    ("an invented cursor", "GET", "/v1/runs?cursor=next", b"", 400),
    ("an unknown status", "GET", "/v1/runs?status=done", b"", 400),
    ("an unknown parameter", "GET", "/v1/runs?page=2", b"", 400),
    ("a parameter where none is allowed", "POST", f"{RUNS}?dry=1", b"{}", 400),
    ("a duplicate parameter", "GET", "/v1/runs?limit=1&limit=2", b"", 400),
    ("tests without a project", "GET", "/v1/tests", b"", 400),
    ("tests of another project", "GET", f"/v1/tests?projectId={OTHER}", b"", 404),
    ("a run that does not exist", "GET", f"/v1/runs/{OTHER}", b"", 404),
    ("cancelling a run that does not exist", "POST", f"/v1/runs/{OTHER}/cancel", b"", 404),
]


@pytest.mark.parametrize(
    ("method", "target", "body", "status"),
    [row[1:] for row in INVALID],
    ids=[row[0] for row in INVALID],
)
def test_an_invalid_request_is_rejected_in_the_apis_error_format(
    method: str, target: str, body: bytes, status: int
) -> None:
    sandbox = sandbox_of("quota 1")
    response = send(sandbox, method, target, body)
    assert response.status == status
    assert sorted(body_of(response)) == ["error", "message"]
    assert (sandbox.truth.invalid, sandbox.truth.requests) == (1, 1)
    assert not sandbox.truth.accepted
    assert send(sandbox, "POST", RUNS, b"{}").status == 202, "it consumed no quota"


def test_a_body_needs_a_content_type_and_an_empty_body_needs_none() -> None:
    assert send(sandbox_of(), "POST", RUNS, b"{}", media="text/plain").status == 415
    assert send(sandbox_of(), "POST", RUNS, b"{}", media=None).status == 415
    mixed_case = "Application/JSON; charset=utf-8"
    assert send(sandbox_of(), "POST", RUNS, b"{}", media=mixed_case).status == 202
    assert send(sandbox_of(), "POST", RUNS, b"", media=None).status == 202


@pytest.mark.parametrize(
    ("spec", "key", "status"),
    [
        ("none", None, 401),
        ("none", "Bearer", 401),
        ("none", "Bearer ", 401),
        ("none", "Basic abc", 401),
        ("none", "bearer abc", 202),
        ("key abc", "Bearer abc", 202),
        ("key abc", "Bearer abd", 401),
        ("reject-key abc", "Bearer abc", 401),
        ("reject-key abc", "Bearer abd", 202),
    ],
)
def test_only_a_valid_key_is_accepted(spec: str, key: str | None, status: int) -> None:
    assert send(sandbox_of(spec), "POST", RUNS, b"{}", key=key).status == status


@pytest.mark.parametrize(
    ("spec", "root", "api", "reading"),
    [
        ("base both", 202, 202, 200),
        ("base root", 202, 404, 200),
        ("base api", 404, 202, 404),
        ("legacy", 202, 202, 404),
    ],
)
def test_the_endpoints_are_where_the_spec_puts_them(
    spec: str, root: int, api: int, reading: int
) -> None:
    assert send(sandbox_of(spec), "POST", RUNS).status == root
    assert send(sandbox_of(spec), "POST", f"/api{RUNS}").status == api
    assert send(sandbox_of(spec), "GET", "/v1/runs").status == reading


def test_unknown_tests_are_404_and_known_ones_are_listed() -> None:
    assert send(sandbox_of(f"unknown-tests {TEST}"), "POST", RUNS).status == 404
    sandbox = sandbox_of(f"tests {TEST},{OTHER}")
    assert send(sandbox, "POST", f"/v1/tests/{PROJECT_ID}/runs").status == 404
    first = body_of(send(sandbox, "GET", f"/v1/tests?projectId={PROJECT_ID}&limit=1"))
    assert [test["id"] for test in first["tests"]] == [TEST]
    cursor = first["nextCursor"]
    rest = body_of(send(sandbox, "GET", f"/v1/tests?projectId={PROJECT_ID}&cursor={cursor}"))
    assert ([test["id"] for test in rest["tests"]], rest["nextCursor"]) == ([OTHER], None)
