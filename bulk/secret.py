"""Holds the API key so that it shows itself nowhere but in the request's header."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from bulk.errors import AuthError

KEY_VARIABLE = "TESTERARMY_API_KEY"
KEY_CHARACTERS_MAX = 4_096  # servers refuse headers of 8 KiB; a longer "key" is a wrong file
SHOWN_INSTEAD = "[API key]"


class ApiKey:
    """An API key, trimmed and fit for a header. Its `repr` and `str` do not show it."""

    __slots__ = ("_text",)

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

    def __repr__(self) -> str:
        return SHOWN_INSTEAD

    @property
    def header(self) -> str:
        """The value of the `Authorization` header."""
        return f"Bearer {self._text}"

    def scrub(self, text: str) -> str:
        """`text` without the key: servers echo headers in their errors."""
        return text.replace(self._text, SHOWN_INSTEAD)

    def scrub_bytes(self, content: bytes) -> bytes:
        """The same for bytes."""
        return content.replace(self._text.encode(), SHOWN_INSTEAD.encode())


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
