"""Where the API key comes from, what is refused as one, and that it does not show itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from bulk.errors import AuthError
from bulk.secret import ApiKey, find_key

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
        (f"{CANARY}\nsecond", "holds no API key"),
        (f"{CANARY} {CANARY}", "holds no API key"),
        (f"{CANARY}\x00", "holds no API key"),
        (f"{CANARY}é", "holds no API key"),
        (CANARY * 1000, "holds no API key"),
    ],
)
def test_what_is_no_key_is_refused_without_being_shown(text: str, why: str) -> None:
    with pytest.raises(AuthError, match=f"^TESTERARMY_API_KEY {why}") as caught:
        find_key(None, None, {"TESTERARMY_API_KEY": text})
    assert CANARY not in str(caught.value)


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda path: None, "No such file"),
        (lambda path: path.mkdir(), "Is a directory"),
        (lambda path: path.write_bytes(b"\xff\xff"), "is no text file"),
        (lambda path: path.write_text("\n"), "is set but empty"),
    ],
)
def test_an_unusable_key_file_is_named(tmp_path: Path, make, why: str) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "key"
    make(path)
    with pytest.raises(AuthError, match=why) as caught:
        find_key(None, path, {})
    assert str(path) in str(caught.value)


def test_a_key_does_not_show_itself() -> None:
    key = ApiKey(CANARY, "a test")
    assert CANARY not in f"{key} {key!r} {[key]}"
    assert key.scrub(f"Bearer {CANARY}!") == "Bearer [API key]!"
    assert key.scrub_bytes(CANARY.encode()) == b"[API key]"
