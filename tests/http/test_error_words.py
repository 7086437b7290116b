"""An error's words are found whatever shape its body has."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk.http.error_words import (
    ERROR_CHARACTERS_MAX,
    MESSAGE_CHARACTERS_MAX,
    error_words,
)

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["error", "errors", "message", "detail", "type", "code", "loc", "x"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=20,
)


@pytest.mark.parametrize(
    ("content", "error", "message"),
    [
        # As documented.
        ({"error": "bad_request", "message": "No app."}, "bad_request", "No app."),
        # Problem details (RFC 9457).
        (
            {
                "type": "https://api.example/probs/app-missing",
                "title": "App is missing",
                "detail": "appId is required for ios",
                "status": 400,
            },
            "app-missing",
            "App is missing; appId is required for ios",
        ),
        ({"type": "about:blank", "title": "Bad Request", "status": 400}, None, "Bad Request"),
        (
            {
                "title": "Your request is not valid.",
                "invalid-params": [{"name": "age", "reason": "must be positive"}],
            },
            None,
            "Your request is not valid.; age: must be positive",
        ),
        # Objects within objects, and lists.
        (
            {"error": {"code": 400, "status": "INVALID_ARGUMENT", "message": "Wrong mode."}},
            "INVALID_ARGUMENT",
            "Wrong mode.",
        ),
        (
            {"errors": [{"code": "app_missing", "detail": "appId is required for ios"}]},
            "app_missing",
            "appId is required for ios",
        ),
        (
            {"errors": [{"code": "a", "detail": "no app"}, {"code": "b", "detail": "no mode"}]},
            "a",
            "no app; no mode",
        ),
        (
            {"detail": [{"loc": ["body", "appId"], "msg": "Field required", "type": "missing"}]},
            "missing",
            "body.appId: Field required",
        ),
        ({"detail": "Not found."}, None, "Not found."),
        ({"errors": {"appId": ["is required", "is no UUID"]}}, None, "appId: is required; "),
        ({"fault": {"faultstring": "Rate quota", "detail": {"errorcode": "x.y"}}}, "x.y", "Rate"),
        ({"Message": "User is not authorized"}, None, "User is not authorized"),
        ({"__type": "ThrottlingException", "message": "Slow."}, "ThrottlingException", "Slow."),
        (
            {"error": "invalid_grant", "error_description": "Token expired"},
            "invalid_grant",
            "Token expired",
        ),
        ([{"message": "one"}, {"message": "two"}], None, "one; two"),
        ({"success": False, "msg": "broken"}, None, "broken"),
        ({"error": "Something went wrong"}, None, "Something went wrong"),
        (
            {"errorCode": "E1", "errorSummary": "appId is bad", "errorCauses": []},
            "E1",
            "appId is bad",
        ),
        ({"developerMessage": "appId is bad", "code": 7}, "7", "appId is bad"),
        ({"code": "E2", "why": "appId is bad"}, "E2", "why: appId is bad"),
        (
            {"title": "One or more errors.", "errors": {"appId": ["Required"]}},
            None,
            "One or more errors.; appId: Required",
        ),
        # Nothing is known by its key: the text itself.
        ({"foo": "bar"}, None, '{"foo": "bar"}'),
        ("broken", None, '"broken"'),
    ],
)
def test_json(content: object, error: str | None, message: str) -> None:
    words = error_words(json.dumps(content).encode())
    assert words.error == error
    assert words.message is not None
    assert words.message.startswith(message)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"<html><h1>403 Forbidden</h1>Request blocked.</html>", "403 Forbidden Request blocked."),
        (
            b"<!DOCTYPE html><html><head><title>Just a moment...</title><style>a{b:c}</style>"
            b"<script>x()</script></head><body>Enable\n  cookies</body></html>",
            "Just a moment... Enable cookies",
        ),
        (
            b"<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1>",
            "502 Bad Gateway",
        ),
        (
            b'<?xml version="1.0"?><Error><Code>AccessDenied</Code><Message>No.</Message></Error>',
            "AccessDenied No.",
        ),
        (b"<html><head><title>Blocked</title><body>By rule 7", "Blocked By rule 7"),
        (b"<style>" + b"a{b:c} " * 4_000 + b"</style>Blocked", "Blocked"),
        (b"<e><![CDATA[No app.]]></e>", "No app."),
        (b"upstream connect error\nmore", "upstream connect error"),
        ("Zugriff verweigert: ungültig".encode("cp1252"), "Zugriff verweigert: ungültig"),
        ("\ufeffnope".encode(), "nope"),
        (b"<", "<"),
        (b"", None),
        (b"{", "{"),
        (b"{}", "{}"),
    ],
)
def test_what_is_not_json_has_its_words_as_well(body: bytes, message: str | None) -> None:
    words = error_words(body)
    assert (words.error, words.message) == (None, message)


def test_a_prefix_against_scripts_is_passed_over() -> None:
    words = error_words(b")]}',\n" + b'{"error": "x", "message": "No app."}')
    assert (words.error, words.message) == ("x", "No app.")


@given(JSON_VALUES.map(lambda value: json.dumps(value).encode()) | st.binary(max_size=200))
def test_nothing_breaks_it_and_its_texts_are_bounded_and_printable(body: bytes) -> None:
    words = error_words(body)
    for text, characters_max in (
        (words.error, ERROR_CHARACTERS_MAX),
        (words.message, MESSAGE_CHARACTERS_MAX),
    ):
        assert text is None or (0 < len(text) <= characters_max and text.isprintable())


def test_a_huge_body_is_read_quickly_and_only_in_part() -> None:
    deep: object = "x y"
    for _ in range(200):
        deep = {"error": [deep, {"message": "m" * 10_000}]}
    words = error_words(json.dumps(deep).encode())
    assert words.message is not None
    assert len(words.message) <= MESSAGE_CHARACTERS_MAX
