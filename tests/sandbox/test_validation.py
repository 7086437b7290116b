"""What the sandbox lets in and what it refuses for good."""

from __future__ import annotations

import pytest

from bulk.sandbox.runs import PROJECT_ID
from tests.sandbox.asking import OTHER, RUNS, TEST, ask, made, page

SAD: list[tuple[str, str, str, bytes, int]] = [
    ("nothing at the root", "GET", "/", b"", 404),
    ("an unknown path", "GET", "/v2/runs", b"", 404),
    ("a test's id left out", "POST", "/v1/tests//runs", b"", 404),
    ("a trigger by GET", "GET", RUNS, b"", 405),
    ("a list by DELETE", "DELETE", "/v1/runs", b"", 405),
    ("a test id that is no UUID", "POST", "/v1/tests/abc/runs", b"{}", 400),
    ("a run id that is no UUID", "GET", "/v1/runs/abc", b"", 400),
    ("no JSON", "POST", RUNS, b"{", 400),
    ("no UTF-8", "POST", RUNS, b'{"mode": "\xff"}', 400),
    ("no object", "POST", RUNS, b"[]", 400),
    ("a depth no parser likes", "POST", RUNS, b"[" * 15_000, 400),
    ("a name twice", "POST", RUNS, b'{"mode": "fast", "mode": "deep"}', 400),
    ("an unknown field", "POST", RUNS, b'{"speed": "fast"}', 400),
    ("an unknown mode", "POST", RUNS, b'{"mode": "slow"}', 400),
    ("a mode in capitals", "POST", RUNS, b'{"mode": "FAST"}', 400),
    ("a null", "POST", RUNS, b'{"mode": null}', 400),
    ("a list for a word", "POST", RUNS, b'{"platform": ["web"]}', 400),
    ("an unknown platform", "POST", RUNS, b'{"platform": "iso"}', 400),
    ("an app id that is no UUID", "POST", RUNS, b'{"appId": "x"}', 400),
    ("a device of no platform", "POST", RUNS, b'{"deviceModel": "ipad"}', 400),
    ("a device of android", "POST", RUNS, b'{"platform":"android","deviceModel":"ipad"}', 400),
    ("a limit of 0", "GET", "/v1/runs?limit=0", b"", 400),
    ("a limit of 101", "GET", "/v1/runs?limit=101", b"", 400),
    ("a limit in other digits", "GET", "/v1/runs?limit=%D9%A3", b"", 400),
    ("a cursor of its own", "GET", "/v1/runs?cursor=next", b"", 400),
    ("an unknown status", "GET", "/v1/runs?status=done", b"", 400),
    ("an unknown parameter", "GET", "/v1/runs?page=2", b"", 400),
    ("a parameter where there is none", "POST", f"{RUNS}?dry=1", b"{}", 400),
    ("a parameter twice", "GET", "/v1/runs?limit=1&limit=2", b"", 400),
    ("tests of no project", "GET", "/v1/tests", b"", 400),
    ("tests of another project", "GET", f"/v1/tests?projectId={OTHER}", b"", 404),
    ("a run that is not", "GET", f"/v1/runs/{OTHER}", b"", 404),
    ("cancelling a run that is not", "POST", f"/v1/runs/{OTHER}/cancel", b"", 404),
]


@pytest.mark.parametrize(
    ("method", "target", "body", "status"), [row[1:] for row in SAD], ids=[row[0] for row in SAD]
)
def test_what_is_wrong_is_refused_in_the_apis_shape(
    method: str, target: str, body: bytes, status: int
) -> None:
    sandbox = made("quota 1")
    reply = ask(sandbox, method, target, body)
    assert reply.status == status
    assert sorted(page(reply)) == ["error", "message"]
    assert (sandbox.truth.invalid, sandbox.truth.requests) == (1, 1)
    assert not sandbox.truth.accepted
    assert ask(sandbox, "POST", RUNS, b"{}").status == 202, "it cost nothing of the quota"


def test_a_body_needs_its_type_but_no_body_needs_none() -> None:
    assert ask(made(), "POST", RUNS, b"{}", media="text/plain").status == 415
    assert ask(made(), "POST", RUNS, b"{}", media=None).status == 415
    assert ask(made(), "POST", RUNS, b"{}", media="Application/JSON; charset=utf-8").status == 202
    assert ask(made(), "POST", RUNS, b"", media=None).status == 202


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
def test_only_a_right_key_is_let_in(spec: str, key: str | None, status: int) -> None:
    assert ask(made(spec), "POST", RUNS, b"{}", key=key).status == status


@pytest.mark.parametrize(
    ("spec", "root", "api", "reading"),
    [
        ("base both", 202, 202, 200),
        ("base root", 202, 404, 200),
        ("base api", 404, 202, 404),
        ("legacy", 202, 202, 404),
    ],
)
def test_the_endpoints_lie_where_they_were_put(
    spec: str, root: int, api: int, reading: int
) -> None:
    assert ask(made(spec), "POST", RUNS).status == root
    assert ask(made(spec), "POST", f"/api{RUNS}").status == api
    assert ask(made(spec), "GET", "/v1/runs").status == reading


def test_unknown_tests_are_404_and_known_ones_are_listed() -> None:
    assert ask(made(f"unknown-tests {TEST}"), "POST", RUNS).status == 404
    sandbox = made(f"tests {TEST},{OTHER}")
    assert ask(sandbox, "POST", f"/v1/tests/{PROJECT_ID}/runs").status == 404
    first = page(ask(sandbox, "GET", f"/v1/tests?projectId={PROJECT_ID}&limit=1"))
    assert [test["id"] for test in first["tests"]] == [TEST]
    cursor = first["nextCursor"]
    rest = page(ask(sandbox, "GET", f"/v1/tests?projectId={PROJECT_ID}&cursor={cursor}"))
    assert ([test["id"] for test in rest["tests"]], rest["nextCursor"]) == ([OTHER], None)
