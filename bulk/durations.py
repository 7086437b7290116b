"""The grammar of durations and rates in options and headers; pure text, no clock.

A duration is one or more numbers with units: `90s`, `1.5s`, `1h30m`, `6m0s`, `1 h 30 m`. Units are
`ms`, `s`, `m` or `min`, `h` and `d`, in either case. The parts add up, in any order. The sandbox
reads its specs by the same grammar with a parser of its own.
"""

from __future__ import annotations

import re

NUMBER_MAX = 1e12  # a longer number is a typing error, and some would overflow a float
_NUMBER = r"[0-9]+(?:\.[0-9]+)?(?:e[+-]?[0-9]+)?"
_PART = re.compile(rf"({_NUMBER})\s*(ms|s|min|m|h|d)\s*", re.IGNORECASE | re.ASCII)
_SECONDS_BY_UNIT = {"s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}


def parse_duration(text: str, *, bare_seconds: bool = True) -> float | None:
    """Return a duration in seconds, or None if `text` is not one.

    With `bare_seconds`, a number without a unit is accepted and means seconds.
    """
    text = text.strip()
    if bare_seconds and (number := _parse_number(text)) is not None:
        return number
    total_s = 0.0
    end = 0
    while end < len(text):
        part = _PART.match(text, end)
        if part is None or (number := _parse_number(part[1])) is None:
            return None
        total_s += _seconds(number, part[2].lower())
        end = part.end()
    return total_s if end and total_s <= NUMBER_MAX else None


def parse_rate(text: str) -> float | None:
    """Return a rate such as `10/s`, `600/m` or `100/10s` per second, or None if `text` is not one.

    A rate of nothing, or per no time, is not one.
    """
    count_text, _, period = (part.strip() for part in text.partition("/"))
    count = _parse_number(count_text)
    # A unit alone stands for one of it.
    period_s = parse_duration(f"1{period}" if period.isalpha() else period, bare_seconds=False)
    return count / period_s if count and period_s else None


def _parse_number(text: str) -> float | None:
    if not re.fullmatch(_NUMBER, text, re.IGNORECASE) or float(text) > NUMBER_MAX:
        return None
    return float(text)


def _seconds(value: float, unit: str) -> float:
    # Dividing is exact where multiplying is not: 7 / 1000 is the float 0.007, 7 * 0.001 is not.
    return value / 1000 if unit == "ms" else value * _SECONDS_BY_UNIT[unit]
