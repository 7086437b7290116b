"""Reads an id as people paste it, and says what is wrong with one; must know no column and no key.

An id is a UUID. Programs also write it in braces, quotes, upper case, without hyphens, as a URN or
inside a URL: all of these are plain. What only looks like a UUID is not guessed at, because another
test would be billed: the message names the character.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from urllib.parse import unquote

from bulk.manifest.findings import quoted
from bulk.model import UUID_PATTERN

_UUID = UUID_PATTERN.pattern
_NO_HYPHENS = re.compile(r"[0-9a-f]{32}")
# Not within a longer run of digits and hyphens, which is another kind of id.
_WITHIN = re.compile(rf"(?<![0-9a-z-]){_UUID}(?![0-9a-z-])")
_PAIRS = {
    "{": "}",
    "(": ")",
    "[": "]",
    "<": ">",
    '"': '"',
    "'": "'",
    "`": "`",
    "\u2018": "\u2019",
    "\u201c": "\u201d",
    "\u201e": "\u201c",
    "\u00ab": "\u00bb",
}
_PREFIXES = ("urn:uuid:", "uuid:", "guid:")
_WRAPPINGS_MAX = 4  # `"{urn:uuid:...}"` has three
# With a scheme, a host or a path, and without spaces.
_URL = re.compile(r"[a-z][a-z0-9+.-]*://\S+|[^\s/]*/\S*")
_ALMOST_DIGITS = range(28, 37)  # with fewer or more, it is no UUID that lost or gained some
_NAMED_MAX = 3
_SHAPE = "8-4-4-4-12 hexadecimal digits, such as 123e4567-e89b-42d3-a456-426614174000"


def read_id(text: str) -> str:
    """The id in the form that is sent. Raises ValueError with what is wrong and what to do."""
    stripped = text.strip()
    if not stripped:
        raise ValueError("is empty; a UUID is required")
    bare = _unwrapped(stripped.lower())
    if UUID_PATTERN.fullmatch(bare):
        return bare
    if _NO_HYPHENS.fullmatch(bare):
        return "-".join((bare[:8], bare[8:12], bare[12:16], bare[16:20], bare[20:]))
    found: list[str] = list(dict.fromkeys(_WITHIN.findall(unquote(bare))))
    if found and _URL.fullmatch(bare):
        if len(found) == 1:
            return found[0]
        listed = ", ".join(found[:_NAMED_MAX])
        raise ValueError(
            f"{quoted(stripped)} has {len(found)} UUIDs ({listed}); "
            "write only the one that is meant"
        )
    raise ValueError(f"{quoted(stripped)} is not a UUID{_why(bare, found)}")


def _unwrapped(text: str) -> str:
    """The text without the quotes, brackets and prefixes around it."""
    for _ in range(_WRAPPINGS_MAX):
        before = text
        if len(text) > 1 and _PAIRS.get(text[0]) == text[-1]:
            text = text[1:-1].strip()
        for prefix in _PREFIXES:
            text = text.removeprefix(prefix)
        if text == before:
            break
    return text


def _why(bare: str, found: list[str]) -> str:
    """Why a text that is no UUID may look like one, and what a UUID looks like."""
    contained = f", but contains {' and '.join(found[:_NAMED_MAX])}; write only the UUID"
    if found and bare.isascii():
        return contained
    strange = list(dict.fromkeys(_strange_characters(bare)))
    if strange:
        more = ", ..." if len(strange) > _NAMED_MAX else ""
        return f": {', '.join(strange[:_NAMED_MAX])}{more}; type the id, or copy it anew ({_SHAPE})"
    if found:
        return contained
    digits = sum(character in "0123456789abcdef" for character in bare)
    others = len(bare) - digits - bare.count("-")
    if not others and digits in _ALMOST_DIGITS and digits != 32:
        return f": it has {digits} digits instead of 32 ({_SHAPE})"
    return f" ({_SHAPE})"


def _strange_characters(text: str) -> Iterator[str]:
    """What each character of an almost-UUID is that cannot be in one."""
    plain = [_plain(character) for character in text]
    kept = "".join(character for character in plain if character)
    if not kept.replace("-", "").isalnum():
        return
    letters = sum(character != "-" for character in kept)
    if letters not in _ALMOST_DIGITS:
        return
    for character, meant in zip(text, plain, strict=True):
        if character in "0123456789abcdef-":
            continue
        named = f"U+{ord(character):04X}"
        if not character.isascii():
            named += f" {unicodedata.name(character, '')}".rstrip()
        else:
            named = quoted(character)
        if meant == "-":
            yield f"{named} is no hyphen"
        elif not meant:
            yield f"{named} does not belong there"
        else:
            yield f"{named} is no hexadecimal digit"


def _plain(character: str) -> str:
    """What a person takes a character for: a hyphen, nothing, or the sign itself."""
    category = unicodedata.category(character)
    if category == "Pd" or character in "\u2212\u00af\u02d7\u2043_":
        return "-"
    if category in ("Cf", "Cc", "Mn", "Zs", "Zl", "Zp"):
        return ""
    return unicodedata.normalize("NFKC", character).lower()
