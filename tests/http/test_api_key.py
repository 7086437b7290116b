"""Where the API key comes from, what is rejected as one, and that it is never shown."""

from __future__ import annotations

import base64
import html
import json
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import pytest

from bulk.errors import AuthError
from bulk.http.api_key import ApiKey, find_key

CANARY = "sk_live_CANARY"


def test_an_option_beats_a_file_and_a_file_beats_the_environment(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("sk_file\r\n")
    environment = {"TESTERARMY_API_KEY": " sk_environment\n"}
    found = [
        find_key("sk_option", file, environment),
        find_key(None, file, environment),
        find_key(None, None, environment),
    ]
    assert [key.header for key in found if key] == [
        "Bearer sk_option",
        "Bearer sk_file",
        "Bearer sk_environment",
    ]
    assert find_key(None, None, {}) is None


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "is set but empty"),
        (" \n", "is set but empty"),
        (f"{CANARY}\nsecond", "is not an API key"),
        (f"{CANARY} {CANARY}", "is not an API key"),
        (f"{CANARY}\x00", "is not an API key"),
        (f"{CANARY}é", "is not an API key"),
        (CANARY * 1000, "is not an API key"),
        (f"TESTERARMY_API_KEY={CANARY}", "holds a setting, NAME=..., and not a key alone"),
        (f"export API_KEY = {CANARY}", "holds a setting, NAME=..., and not a key alone"),
    ],
)
def test_an_invalid_key_is_rejected_without_being_shown(text: str, why: str) -> None:
    with pytest.raises(AuthError, match=f"^TESTERARMY_API_KEY {why}") as caught:
        find_key(None, None, {"TESTERARMY_API_KEY": text})
    assert CANARY not in str(caught.value)


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda path: path.write_bytes(bytes(range(255, 0, -1))), "is not a text file"),
        (lambda path: path.write_bytes(b"\x7fELF" + bytes(60)), "is not an API key"),
        (lambda path: path.write_bytes(b"PK\3\4\x14\0\x06\0\x08\0!\0"), "is not an API key"),
        (lambda path: path.write_bytes(b"k" * 70_000), "is not a text file"),
        (lambda path: path.write_bytes(bytes(40)), "is set but empty"),
        (lambda path: None, "No such file"),
        (lambda path: path.mkdir(), "Is a directory"),
        (lambda path: path.write_bytes(b"\xff\xff"), "is not a text file"),
        (lambda path: path.write_text("\n"), "is set but empty"),
    ],
)
def test_an_unusable_key_file_is_named(tmp_path: Path, make, why: str) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "key"
    make(path)
    with pytest.raises(AuthError, match=why) as caught:
        find_key(None, path, {})
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("padding", ["", "\0" * 7, "\r\n\0\0"])
@pytest.mark.parametrize(
    "encoding", ["ascii", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le"]
)
def test_a_key_file_is_read_in_the_encoding_of_whoever_wrote_it(
    tmp_path: Path, encoding: str, padding: str
) -> None:
    """PowerShell writes UTF-16, Notepad a byte order mark, some secret stores pad with NULs."""
    file = tmp_path / "key"
    file.write_bytes(f"{CANARY}\r\n{padding}".encode(encoding))
    found = find_key(None, file, {})
    assert found is not None
    assert found.header == f"Bearer {CANARY}"


def test_a_key_is_not_shown() -> None:
    key = ApiKey(CANARY, "a test")
    assert CANARY not in f"{key} {key!r} {[key]}"
    assert key.scrub(f"Bearer {CANARY}!") == "Bearer [API key]!"
    assert key.scrub_bytes(CANARY.encode()) == b"[API key]"


@pytest.mark.parametrize(
    "echo",
    [
        json.dumps,
        lambda key: json.dumps(json.dumps(key)),
        lambda key: "".join(f"\\u{ord(c):04X}" for c in key),
        lambda key: quote(key, safe=""),
        lambda key: quote(quote(key, safe=""), safe=""),
        lambda key: "".join(f"%{ord(c):02x}" for c in key),
        html.escape,
        lambda key: "".join(f"&#{ord(c)};" for c in key),
        lambda key: repr(key.encode()),
        lambda key: repr(json.dumps(json.dumps(key))),
        str.lower,
        lambda key: key.encode().hex(),
        *(
            lambda key, before=before: base64.b64encode(f"{before}{key}?".encode()).decode()
            for before in ("", "x", "xx", "Bearer ")
        ),
        lambda key: base64.urlsafe_b64encode(key.encode()).decode(),
    ],
)
def test_a_key_is_found_however_a_server_writes_it(echo: Callable[[str], str]) -> None:
    key = "sk_CANARY_~~~/'\\\"<&9Z"
    text = echo(key)
    scrubbed = ApiKey(key, "a test").scrub(f"-{text}-")
    assert "[API key]" in scrubbed
    assert len(scrubbed) <= len("-[API key]-") + 13  # at most what was around it
    assert ApiKey(key, "a test").scrub_bytes(f"-{text}-".encode()).decode() == scrubbed


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32-be"])
def test_a_key_is_found_in_what_json_may_be_encoded_as(encoding: str) -> None:
    content = ApiKey(CANARY, "a test").scrub_bytes(json.dumps({"message": CANARY}).encode(encoding))
    assert json.loads(content) == {"message": "[API key]"}


@pytest.mark.parametrize("text", ["\\", "&#0", "%25", "\\u00", "s\\"])
def test_scrubbing_takes_no_longer_on_hostile_text(text: str) -> None:
    key = ApiKey(CANARY, "a test")
    began = time.process_time()
    key.scrub(text * (65_536 // len(text)))
    assert time.process_time() - began < 1


def test_a_short_key_is_not_found_in_other_words() -> None:
    id_as_base64_looks = "0b9c3a54-5d3c-4a8e-9a53-0d6a6a1f0c11"
    assert ApiKey("key", "a test").scrub(id_as_base64_looks) == id_as_base64_looks
