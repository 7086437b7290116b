"""Parses the single values of a manifest; must know no file format.

Each parser takes what a person wrote and returns what is sent. It raises ValueError with a message
that names the wrong value and says what to do; the caller adds the line and the column or key.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from enum import StrEnum
from typing import TypeVar

from bulk.manifest.caseless import fold
from bulk.manifest.dataframes import is_missing, printed_list
from bulk.manifest.findings import did_you_mean, either, quoted
from bulk.manifest.ids import read_id
from bulk.model import DEVICES_BY_PLATFORM, DeviceModel, Platform

LIST_SEPARATOR = "|"
# People also type tags with the separators that other tools use.
_TAG_SEPARATORS = re.compile(r"[|,;]")
_OTHER_SEPARATORS = re.compile(r"[\s,;/&+]+")
# More repetitions or combinations of one test are probably a typing error, and each is billed.
REPEAT_MAX = 1000
_WHOLE = re.compile(r"0*([0-9]{1,4})(?:[.,]0*)?")
_THOUSANDS = re.compile(r"[1-9][0-9]*[.,]000")
COMBINATIONS_MAX = 1000

T = TypeVar("T")
E = TypeVar("E", bound=StrEnum)


def single(value: object) -> str:
    """A single value, not a list or mapping, without the spaces around it."""
    if not isinstance(value, str):
        raise ValueError("must be a single value, not a list or mapping")
    return value.strip()


def choice(kind: type[E]) -> Callable[[object], E]:
    """A parser for one word of an enumeration, without regard to case (`iOS` is `ios`)."""
    words = [member.value for member in kind]
    by_word = {member.value: member for member in kind}

    def parse(value: object) -> E:
        text = single(value)
        found = by_word.get(fold(text))
        if found is None:
            if not text:
                raise ValueError(f"is empty; write {either(words)}, or leave it out")
            hint = did_you_mean(text, words)
            if any(part in by_word for part in _OTHER_SEPARATORS.split(fold(text))):
                hint = f' (separate several values with "{LIST_SEPARATOR}")'
            raise ValueError(f"{quoted(text)} is not {either(words)}{hint}")
        return found

    return parse


def uuid_text(value: object) -> str:
    """A UUID in lower case, from whatever form it is plain in; see `bulk.manifest.ids`."""
    if isinstance(value, dict) and [*value.values()] == [""]:
        value = next(iter(value))  # YAML reads an id in braces as a mapping of one key
    text = single(value)
    if is_missing(text):
        raise ValueError(f"{quoted(text)} is written for a missing value; a UUID is required")
    return read_id(text)


def whole_number(value: object) -> int:
    """The number of repetitions, or which of them this is: from 1 to `REPEAT_MAX`.

    Spreadsheets and pandas write whole numbers with decimals too (`2.0`, `2,00`).
    """
    text = single(value)
    if _THOUSANDS.fullmatch(text):
        whole = text[:-4]
        raise ValueError(
            f"{quoted(text)} is {whole}000 to some programs and {whole} to others; "
            "write the number without separators"
        )
    number = _WHOLE.fullmatch(text)
    if not number or not 1 <= int(number[1]) <= REPEAT_MAX:
        raise ValueError(f"{quoted(text)} is not a whole number from 1 to {REPEAT_MAX}")
    return int(number[1])


def tag(value: object) -> str:
    """One tag: any text without the characters that separate tags in a CSV cell."""
    text = single(value)
    if not text:
        raise ValueError("has an empty tag")
    if _TAG_SEPARATORS.search(text):
        raise ValueError(f'the tag {quoted(text)} must not contain a comma, a semicolon or "|"')
    return text


def tag_cell(value: object) -> tuple[str, ...]:
    """The tags of a CSV cell, separated by `|`, `,` or `;`, without empty ones and duplicates."""
    by_fold: dict[str, str] = {}
    text = single(value)
    items = printed_list(text)
    for part in _TAG_SEPARATORS.split(text if items is None else LIST_SEPARATOR.join(items)):
        if part.strip():
            by_fold.setdefault(fold(part.strip()), part.strip())
    return tuple(by_fold.values())


def cell_list(parse: Callable[[object], T]) -> Callable[[object], tuple[T, ...]]:
    """A parser for a CSV cell with several values (`web|ios`), each of which may appear once."""

    def parse_all(value: object) -> tuple[T, ...]:
        text = single(value)
        items = printed_list(text)
        if items is not None:
            return unique(tuple(parse(item) for item in items))
        parts = text.split(LIST_SEPARATOR)
        if len(parts) > 1 and not all(part.strip() for part in parts):
            raise ValueError(f'{quoted(value)} has an empty value next to a "|"')
        return unique(tuple(parse(part) for part in parts))

    return parse_all


def unique(values: tuple[T, ...]) -> tuple[T, ...]:
    """The values, unchanged. Raises ValueError if one appears twice."""
    seen: set[str] = set()
    for value in values:
        folded = fold(str(value))
        if folded in seen:
            raise ValueError(f"{quoted(str(value))} appears twice in one list")
        seen.add(folded)
    return values


def device_misfit(device: DeviceModel, platforms: tuple[Platform | None, ...]) -> str:
    """Why a device fits none of these platforms; an empty string if it fits one."""
    if any(p is not None and device in DEVICES_BY_PLATFORM[p] for p in platforms):
        return ""
    owner = next(p for p, devices in DEVICES_BY_PLATFORM.items() if device in devices)
    named = [p for p in platforms if p is not None]
    if not named:
        return f'"{device}" needs the platform {owner}, but none is set'
    return f'"{device}" belongs to {owner}, not to {either(named)}'
