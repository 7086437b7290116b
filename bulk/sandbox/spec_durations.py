"""The grammar of durations in specs: each duration, and the period of each rate, is read here.

A duration is one or more numbers with units: `250ms`, `1.5s`, `1h30m`, `1 h 30 m`. Units are
`ms`, `s`, `m` or `min`, `h` and `d`, in either case. The parts add up, in any order.
"""

from __future__ import annotations

import re

from bulk.sandbox.spec_values import NUMBER, NUMBER_MAX, SpecError, format_number, read_number

_SECONDS_BY_UNIT = {"s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_PART = re.compile(rf"({NUMBER})\s*(ms|s|min|m|h|d)\s*", re.IGNORECASE | re.ASCII)


def parse_duration(text: str, *, bare_seconds: bool = False) -> float | None:
    """Return a duration in seconds, or None if `text` is not one.

    With `bare_seconds`, a number without a unit is accepted and means seconds.
    """
    text = text.strip()
    if bare_seconds and re.fullmatch(NUMBER, text):
        return float(text) if float(text) <= NUMBER_MAX else None
    total_s = 0.0
    end = 0
    while end < len(text):
        part = _PART.match(text, end)
        if part is None or float(part[1]) > NUMBER_MAX:
            return None
        total_s += _seconds(float(part[1]), part[2].lower())
        end = part.end()
    return total_s if end and total_s <= NUMBER_MAX else None


def read_duration_s(text: str, what: str) -> float:
    """Read a duration in seconds. `what` names the value in the SpecError.

    A number needs its unit here: a bare `60` could mean seconds or milliseconds.
    """
    duration_s = parse_duration(text)
    if duration_s is None:
        raise SpecError(f'{what}: "{text}" is not a duration such as 60ms, 1.5s, 5m or 1h30m')
    return duration_s


def read_rate(text: str, what: str) -> tuple[float, float]:
    """Read a rate, `10/s`, `100/10s` or `600/m`, as a count and its period in seconds.

    Raises SpecError, also where either is 0.
    """
    amount, slash, period = text.partition("/")
    # A unit alone stands for one of it.
    per_s = parse_duration(f"1{period}" if period.isalpha() else period)
    if not slash or not re.fullmatch(NUMBER, amount) or per_s is None:
        raise SpecError(f'{what}: "{text}" is not a rate such as 10/s, 100/10s or 600/m')
    count = read_number(amount, what)
    if count <= 0 or per_s <= 0:
        raise SpecError(f'{what}: "{text}" is a rate of 0; use more than 0')
    return count, per_s


def format_duration(duration_s: float) -> str:
    """Return the shortest text that `parse_duration` reads as the same duration."""
    if 0 < duration_s < 1:
        for milliseconds in (round(duration_s * 1000), duration_s * 1000):
            text = f"{format_number(milliseconds)}ms"
            if parse_duration(text) == duration_s:
                return text
    return f"{format_number(duration_s)}s"


def format_rate(count: float, per_s: float) -> str:
    """Return the text that `read_rate` reads as the same rate."""
    return f"{format_number(count)}/{'s' if per_s == 1 else format_duration(per_s)}"


def _seconds(value: float, unit: str) -> float:
    # Dividing is exact where multiplying is not: 7 / 1000 is the float 0.007, 7 * 0.001 is not.
    return value / 1000 if unit == "ms" else value * _SECONDS_BY_UNIT[unit]
