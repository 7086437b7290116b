"""Holds the API key and keeps it out of everything but the request's header."""

from __future__ import annotations

import base64
import html
import json
import os
import re
import string
from collections.abc import Iterable, Mapping
from pathlib import Path

from bulk.errors import AuthError
from bulk.http.variables import KEY_VARIABLE

KEY_CHARACTERS_MAX = 4_096  # servers limit headers to 8 KiB; a longer "key" is the wrong file
FILE_BYTES_MAX = 65_536  # holds such a key in any encoding; more is not read
_SETTING = re.compile(r"(export\s+)?[A-Z][A-Z0-9_]{3,}\s*=")  # as in a file of settings
SHOWN_INSTEAD = "[API key]"
# The hex and base64 forms of a shorter key are so short that other text would contain them.
FORMS_CHARACTERS_MIN = 12
# Each further escaping doubles the backslashes: 32 are five times. Without a limit, a page of
# backslashes would be searched in quadratic time.
ESCAPES_MAX = 32


class ApiKey:
    """An API key, trimmed and valid in a header. Its `repr` and `str` do not show it."""

    __slots__ = ("_encoded", "_escaped", "_escaped_bytes", "_text")

    def __init__(self, text: str, source: str) -> None:
        """Raises AuthError if `text` is not a key; it names the text's `source`, not the text."""
        if not isinstance(text, str):
            raise AuthError(f"{source} is not a string but {type(text).__name__}")
        text = text.strip()
        if not text:
            raise AuthError(
                f"{source} is set but empty. In CI, a pull request from a fork gets no secrets"
            )
        if _SETTING.match(text):
            raise AuthError(
                f"{source} holds a setting, NAME=..., and not a key alone: leave out the name and "
                "the equals sign"
            )
        if len(text) > KEY_CHARACTERS_MAX or not all("!" <= c <= "~" for c in text):
            raise AuthError(
                f"{source} is not an API key: a key is one line of printable ASCII without spaces, "
                f"at most {KEY_CHARACTERS_MAX} characters"
            )
        self._text = text
        escaped = _escaped(text)
        self._escaped = re.compile(escaped)
        self._escaped_bytes = re.compile(escaped.encode())
        self._encoded = tuple(_encoded(text)) if len(text) >= FORMS_CHARACTERS_MIN else ()

    def __repr__(self) -> str:
        return SHOWN_INSTEAD

    @property
    def header(self) -> str:
        """The value of the `Authorization` header."""
        return f"Bearer {self._text}"

    def scrub(self, text: str) -> str:
        """`text` without the key: servers echo headers in their errors.

        The key is found in upper and lower case and as escaped in JSON, URLs and HTML, or encoded
        in hex or base64, anywhere in the text. Other encodings are not found.
        """
        for form in self._encoded:
            text = text.replace(form, SHOWN_INSTEAD)
        return self._escaped.sub(SHOWN_INSTEAD, text)

    def scrub_bytes(self, content: bytes) -> bytes:
        """The same for bytes; UTF-16 and UTF-32, in which JSON may be encoded, become UTF-8."""
        encoding = json.detect_encoding(content)
        if not encoding.startswith("utf-8"):
            content = content.decode(encoding, "replace").encode()
        for form in self._encoded:
            content = content.replace(form.encode(), SHOWN_INSTEAD.encode())
        return self._escaped_bytes.sub(SHOWN_INSTEAD.encode(), content)


def _escaped(key: str) -> str:
    """A pattern for the key, each of its characters literal or escaped."""
    return rf"\\{{0,{ESCAPES_MAX}}}".join(map(_character, key))


def _character(character: str) -> str:
    code = ord(character)
    hexadecimal = "".join(f"[{digit}{digit.upper()}]" for digit in f"{code:02x}")
    forms = {character.lower(), character.upper(), html.escape(character)}
    return "(?:{})".format(
        "|".join(
            [
                *sorted(map(re.escape, forms)),
                rf"\\{{1,{ESCAPES_MAX}}}(?:u00|x){hexadecimal}",
                rf"%(?:25){{0,{ESCAPES_MAX}}}{hexadecimal}",
                rf"&#(?:0{{0,8}}{code}|[xX]0{{0,8}}{hexadecimal});?",
            ]
        )
    )


def _encoded(key: str) -> Iterable[str]:
    """The key in hex and base64, beginning at any byte of a longer text."""
    plain = key.encode()
    yield plain.hex()
    yield plain.hex().upper()
    for before in range(3):
        whole = base64.b64encode(b"\0" * before + plain).decode().rstrip("=")
        # The characters at both ends contain bits of the text before and after the key.
        first, left_over = (0, 2, 3)[before], (before + len(plain)) % 3
        core = whole[first : len(whole) - (left_over > 0)]
        yield core
        yield core.replace("+", "-").replace("/", "_")


def find_key(
    option: str | None, file: Path | None, environment: Mapping[str, str] = os.environ
) -> ApiKey | None:
    """The key from `--api-key`, `--api-key-file` or the environment, in this order; None if none.

    Raises AuthError if the first one that is given is not a usable key.
    """
    if option is not None:
        return ApiKey(option, "--api-key")
    if file is not None:
        try:
            with file.open("rb") as handle:
                content = handle.read(FILE_BYTES_MAX + 1)
        except (OSError, ValueError) as error:  # ValueError: a NUL in the path
            why = getattr(error, "strerror", None) or error
            raise AuthError(f"--api-key-file {file}: {why}") from error
        return ApiKey(_text_of(content, file), f"--api-key-file {file}")
    if KEY_VARIABLE in environment:
        return ApiKey(environment[KEY_VARIABLE], KEY_VARIABLE)
    return None


def _text_of(content: bytes, file: Path) -> str:
    """The text of a key's file in any Unicode encoding, with or without a byte order mark.

    PowerShell's `>` writes UTF-16. Secrets of a fixed size are padded with NULs.
    """
    # A key is ASCII, in which no encoding but UTF-16 and UTF-32 has NULs before other bytes.
    encoding = json.detect_encoding(content if content.rstrip(b"\0") else b"")
    try:
        if len(content) > FILE_BYTES_MAX:
            raise UnicodeError("too long")
        return content.decode(encoding).strip("\0" + string.whitespace)
    except UnicodeError as error:
        raise AuthError(
            f"--api-key-file {file} is not a text file: it must hold the API key and nothing else"
        ) from error
