"""Owns the smallest words of the spec language, read and printed: numbers, spans, rates, shares."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from decimal import Decimal


class SpecError(ValueError):
    """A sandbox spec that cannot be understood; its text names the piece and what is possible."""


UNITS_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}

_NUMBER = r"\d+(?:\.\d+)?(?:[eE][+-]?\d+)?"
_NUMBER_ONLY = re.compile(_NUMBER)
_SPAN = re.compile(rf"({_NUMBER})\s*(ms|s|min|m|h|d)")
_RATE = re.compile(rf"({_NUMBER})/({_NUMBER})?(ms|s|min|m|h|d)")
_SHARE = re.compile(rf"({_NUMBER})%")
# Longer numbers than this are typing errors, and some would overflow a float.
NUMBER_MAX = 1e12
SHARE_PLAIN_MIN = 1e-12  # below, the zeros would bury the digits


def read_number(text: str, what: str) -> float:
    """A number that is not negative."""
    if not _NUMBER_ONLY.fullmatch(text) or float(text) > NUMBER_MAX:
        raise SpecError(f'{what}: "{text}" is not a number')
    return float(text)


def read_count(text: str, what: str) -> int:
    """A whole number from 1."""
    if not re.fullmatch(r"[0-9]{1,12}", text) or int(text) < 1:
        raise SpecError(f'{what}: "{text}" is not a whole number from 1')
    return int(text)


def read_span_s(text: str, what: str) -> float:
    """A span of time in seconds, from `60ms`, `2s`, `1.5m`, `1h` or `1d`."""
    match = _SPAN.fullmatch(text)
    if not match or float(match[1]) > NUMBER_MAX:
        raise SpecError(f'{what}: "{text}" is not a time such as 60ms, 2s, 5m, 1h or 1d')
    return _times(float(match[1]), match[2])


def read_rate(text: str, what: str) -> tuple[float, float]:
    """A count and the seconds it is for, from `10/s`, `100/10s` or `600/m`."""
    match = _RATE.fullmatch(text)
    if not match or float(match[1]) > NUMBER_MAX or float(match[2] or 1) > NUMBER_MAX:
        raise SpecError(f'{what}: "{text}" is not a rate such as 10/s, 100/10s or 600/m')
    count, per_s = float(match[1]), _times(float(match[2] or 1), match[3])
    if count <= 0 or per_s <= 0:
        raise SpecError(f'{what}: "{text}" is a rate of nothing; use more than 0')
    return count, per_s


def read_share(text: str, what: str) -> float:
    """A share from 0 to 1, from `0%` to `100%`."""
    match = _SHARE.fullmatch(text)
    if not match or float(match[1]) > 100:
        raise SpecError(f'{what}: "{text}" is not a share from 0% to 100%')
    return float(Decimal(match[1]) / 100)  # in decimals, so that 7% is the float 0.07


def read_choice(text: str, choices: Iterable[str], what: str) -> str:
    """One of several words; the error lists them and the nearest."""
    known = list(choices)
    if text in known:
        return text
    near = difflib.get_close_matches(text, known, n=1)
    hint = f' (did you mean "{near[0]}"?)' if near else ""
    raise SpecError(f'{what}: "{text}" is none of {", ".join(known)}{hint}')


def show_number(value: float) -> str:
    """The shortest text that reads as the same number."""
    return str(int(value)) if value == int(value) and value < NUMBER_MAX else repr(value)


def show_span(span_s: float) -> str:
    """The shortest text that reads as the same span."""
    if 0 < span_s < 1:
        for scaled in (round(span_s * 1000), span_s * 1000):
            text = f"{show_number(scaled)}ms"
            if _SPAN.fullmatch(text) and read_span_s(text, "") == span_s:
                return text
    return f"{show_number(span_s)}s"


def show_rate(count: float, per_s: float) -> str:
    """The text `read_rate` reads."""
    return f"{show_number(count)}/{'s' if per_s == 1 else show_span(per_s)}"


def show_share(share: float) -> str:
    """The text `read_share` reads."""
    percent = (Decimal(repr(share)) * 100).normalize()
    return f"{percent:f}%" if share > SHARE_PLAIN_MIN else f"{percent}%"


def _times(value: float, unit: str) -> float:
    # Dividing is exact where multiplying by 0.001 is not: 60 * 0.001 is 0.06, 7 * 0.001 is not.
    return value / 1000 if unit == "ms" else value * UNITS_S[unit]
