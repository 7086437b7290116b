"""What single values of a manifest mean and what may be wrong with them; knows no file format.

Each function takes what a person wrote and returns what is sent, or raises ValueError with a text
that says which value is wrong and what to do.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from enum import StrEnum
from typing import TypeVar

from bulk.manifest.findings import did_you_mean, either, shown
from bulk.model import DEVICES_BY_PLATFORM, UUID_PATTERN, DeviceModel, Platform

LIST_SEPARATOR = "|"
# Tags are also typed with the separators people use for tags elsewhere.
_TAG_SEPARATORS = re.compile(r"[|,;]")
_OTHER_SEPARATORS = re.compile(r"[\s,;/&+]+")
# More repetitions or cells of one test are a slip of the finger, and billed.
REPEAT_MAX = 1000
CELLS_MAX = 1000

T = TypeVar("T")
E = TypeVar("E", bound=StrEnum)


def single(value: object) -> str:
    """A single value, not a list or mapping; spaces around it do not count."""
    if not isinstance(value, str):
        raise ValueError("needs a single value, not a list or mapping")
    return value.strip()


def choice(kind: type[E]) -> Callable[[object], E]:
    """Reads one word of an enumeration, in any case (`iOS` is `ios`)."""
    words = [member.value for member in kind]
    by_word = {member.value: member for member in kind}

    def read(value: object) -> E:
        text = single(value)
        found = by_word.get(text.lower())
        if found is None:
            if not text:
                raise ValueError(f"is empty; write {either(words)}, or leave it out")
            hint = did_you_mean(text, words)
            if any(part in by_word for part in _OTHER_SEPARATORS.split(text.lower())):
                hint = f' (separate several values with "{LIST_SEPARATOR}")'
            raise ValueError(f"{shown(text)} is not {either(words)}{hint}")
        return found

    return read


def uuid_text(value: object) -> str:
    """A UUID; upper case is made lower."""
    text = single(value).lower()
    if not UUID_PATTERN.fullmatch(text):
        if not text:
            raise ValueError("is empty; it needs a UUID")
        raise ValueError(
            f"{shown(text)} is no UUID (8-4-4-4-12 hexadecimal digits, "
            "as 123e4567-e89b-42d3-a456-426614174000)"
        )
    return text


def whole_number(value: object) -> int:
    """How often a cell is run, or which repetition it is: from 1 to `REPEAT_MAX`."""
    text = single(value)
    if not re.fullmatch(r"0*[1-9][0-9]{0,3}", text) or int(text) > REPEAT_MAX:
        raise ValueError(f"{shown(text)} is not a whole number from 1 to {REPEAT_MAX}")
    return int(text)


def tag(value: object) -> str:
    """One tag: any words without the signs that separate tags in a cell."""
    text = single(value)
    if not text:
        raise ValueError("an empty tag")
    if _TAG_SEPARATORS.search(text):
        raise ValueError(f"the tag {shown(text)} may not hold a comma, a semicolon or a bar")
    return text


def tag_cell(value: object) -> tuple[str, ...]:
    """The tags of a cell, separated by `|`, `,` or `;`; empty ones and repeats do not count."""
    parts = (part.strip() for part in _TAG_SEPARATORS.split(single(value)))
    return tuple(dict.fromkeys(part for part in parts if part))


def cell_list(read: Callable[[object], T]) -> Callable[[object], tuple[T, ...]]:
    """Reads a cell that may hold several values (`web|ios`), each once."""

    def read_all(value: object) -> tuple[T, ...]:
        parts = single(value).split(LIST_SEPARATOR)
        if len(parts) > 1 and not all(part.strip() for part in parts):
            raise ValueError(f"{shown(value)} has an empty value beside a bar")
        return unique(tuple(read(part) for part in parts))

    return read_all


def unique(values: tuple[T, ...]) -> tuple[T, ...]:
    """The values as they are; raises ValueError where one stands twice."""
    if len(set(values)) < len(values):
        double = next(value for value in values if values.count(value) > 1)
        raise ValueError(f"{shown(str(double))} stands twice in one list")
    return values


def device_misfit(device: DeviceModel, platforms: tuple[Platform | None, ...]) -> str:
    """What is wrong with a device beside these platforms; empty where it fits one of them."""
    if any(p is not None and device in DEVICES_BY_PLATFORM[p] for p in platforms):
        return ""
    owner = next(p for p, devices in DEVICES_BY_PLATFORM.items() if device in devices)
    named = [p for p in platforms if p is not None]
    if not named:
        return f'"{device}" needs the platform {owner}, and none is set'
    return f'"{device}" is a device of {owner}, not of {either(named)}'
