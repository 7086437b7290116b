"""Reads and formats single values of a spec: numbers, counts, percentages and keywords."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from decimal import Decimal


class SpecError(ValueError):
    """A spec is invalid. The text names the offending part and says what would be valid."""


NUMBER = r"[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?"
# A longer number is a typing error, and some would overflow a float.
NUMBER_MAX = 1e12
_PERCENTAGE = re.compile(rf"({NUMBER})%")
PLAIN_SHARE_MIN = 1e-12  # a smaller one is written with an exponent, not with a row of zeros


def read_number(text: str, what: str) -> float:
    """Read a number that is not negative. `what` names the value in the SpecError."""
    if not re.fullmatch(NUMBER, text) or float(text) > NUMBER_MAX:
        raise SpecError(f'{what}: "{text}" is not a number')
    return float(text)


def read_count(text: str, what: str) -> int:
    """Read a whole number of at least 1. Raises SpecError."""
    if not re.fullmatch(r"[0-9]{1,12}", text) or int(text) < 1:
        raise SpecError(f'{what}: "{text}" is not a whole number from 1')
    return int(text)


def read_share(text: str, what: str) -> float:
    """Read a percentage, `0%` to `100%`, as a share from 0 to 1. Raises SpecError."""
    match = _PERCENTAGE.fullmatch(text)
    if not match or float(match[1]) > 100:
        raise SpecError(f'{what}: "{text}" is not a percentage from 0% to 100%')
    return float(Decimal(match[1]) / 100)  # in decimals, so that 7% becomes the float 0.07


def read_choice(text: str, choices: Iterable[str], what: str) -> str:
    """Return `text` if it is one of `choices`; otherwise the SpecError suggests the closest."""
    known = list(choices)
    if text in known:
        return text
    near = difflib.get_close_matches(text, known, n=1)
    hint = f' (did you mean "{near[0]}"?)' if near else ""
    raise SpecError(f'{what}: "{text}" is not one of: {", ".join(known)}{hint}')


def format_number(value: float) -> str:
    """Return the shortest text that `read_number` reads as the same number."""
    return str(int(value)) if value == int(value) and value < NUMBER_MAX else repr(value)


def format_share(share: float) -> str:
    """Return the text that `read_share` reads as the same share."""
    percent = (Decimal(repr(share)) * 100).normalize()
    return f"{percent:f}%" if share > PLAIN_SHARE_MIN else f"{percent}%"
