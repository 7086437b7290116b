"""Holds the API key so that it shows itself nowhere but in the request's header."""

from __future__ import annotations

import base64
import html
import json
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from bulk.errors import AuthError

KEY_VARIABLE = "TESTERARMY_API_KEY"
KEY_CHARACTERS_MAX = 4_096  # servers refuse headers of 8 KiB; a longer "key" is a wrong file
SHOWN_INSTEAD = "[API key]"
# Forms of a shorter key are no longer than a word, and would be found where no key is.
FORMS_CHARACTERS_MIN = 12
# Text that is escaped again doubles its backslashes: 32 are five times. Without a bound, a page of
# backslashes would be searched in quadratic time.
ESCAPES_MAX = 32


class ApiKey:
    """An API key, trimmed and fit for a header. Its `repr` and `str` do not show it."""

    __slots__ = ("_disguised", "_disguised_bytes", "_packed", "_text")

    def __init__(self, text: str, source: str) -> None:
        """`source` names where the text came from, for the error; the text itself is not shown."""
        text = text.strip()
        if not text:
            raise AuthError(
                f"{source} is set but empty. In CI, a pull request from a fork gets no secrets"
            )
        if len(text) > KEY_CHARACTERS_MAX or not all("!" <= c <= "~" for c in text):
            raise AuthError(
                f"{source} holds no API key: a key is one line of printable ASCII without blanks, "
                f"at most {KEY_CHARACTERS_MAX} characters"
            )
        self._text = text
        disguised = _disguised(text)
        self._disguised = re.compile(disguised)
        self._disguised_bytes = re.compile(disguised.encode())
        self._packed = tuple(_packed(text)) if len(text) >= FORMS_CHARACTERS_MIN else ()

    def __repr__(self) -> str:
        return SHOWN_INSTEAD

    @property
    def header(self) -> str:
        """The value of the `Authorization` header."""
        return f"Bearer {self._text}"

    def scrub(self, text: str) -> str:
        """`text` without the key: servers echo headers in their errors.

        Found as it is, in any case of its letters, and as it is written in JSON, URLs, HTML, hex
        and base64, whatever stands around it. What a server does to it beyond that is not undone.
        """
        for form in self._packed:
            text = text.replace(form, SHOWN_INSTEAD)
        return self._disguised.sub(SHOWN_INSTEAD, text)

    def scrub_bytes(self, content: bytes) -> bytes:
        """The same for bytes; UTF-16 and UTF-32, which JSON may come in, become UTF-8."""
        encoding = json.detect_encoding(content)
        if not encoding.startswith("utf-8"):
            content = content.decode(encoding, "replace").encode()
        for form in self._packed:
            content = content.replace(form.encode(), SHOWN_INSTEAD.encode())
        return self._disguised_bytes.sub(SHOWN_INSTEAD.encode(), content)


def _disguised(key: str) -> str:
    """A pattern of the key, each character of it as it is or in any of its escapes."""
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


def _packed(key: str) -> Iterable[str]:
    """The key in hex and base64, where it begins at any byte of a longer text."""
    plain = key.encode()
    yield plain.hex()
    yield plain.hex().upper()
    for before in range(3):
        whole = base64.b64encode(b"\0" * before + plain).decode().rstrip("=")
        # The characters at both ends hold bits of what stands around the key.
        first, left_over = (0, 2, 3)[before], (before + len(plain)) % 3
        core = whole[first : len(whole) - (left_over > 0)]
        yield core
        yield core.replace("+", "-").replace("/", "_")


def find_key(
    option: str | None, file: Path | None, environment: Mapping[str, str] = os.environ
) -> ApiKey | None:
    """The key from `--api-key`, `--api-key-file` or the environment, in this order; None if none.

    Raises AuthError where the first of them that is given holds no usable key.
    """
    if option is not None:
        return ApiKey(option, "--api-key")
    if file is not None:
        try:
            text = file.read_text("utf-8-sig")
        except OSError as error:
            raise AuthError(f"--api-key-file {file}: {error.strerror}") from error
        except UnicodeDecodeError as error:
            raise AuthError(f"--api-key-file {file} is no text file") from error
        return ApiKey(text, f"--api-key-file {file}")
    if KEY_VARIABLE in environment:
        return ApiKey(environment[KEY_VARIABLE], KEY_VARIABLE)
    return None
