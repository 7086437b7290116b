"""Formats limiter states as rate-limit headers, in each style in use. Reads no clock."""

from __future__ import annotations

import math
from email.utils import formatdate
from enum import StrEnum
from functools import lru_cache

from bulk.sandbox.limiters import LimiterState

# Rounding up must not turn 2.0000000001 s, which is 2 s with a rounding error, into 3 s.
_ROUNDING_ERROR = 1e-6


class HeaderStyle(StrEnum):
    """The styles, by their names in a spec."""

    RETRY_AFTER = "retry-after"
    RETRY_AFTER_FRACTIONAL = "retry-after-fractional"
    RETRY_AFTER_DATE = "retry-after-date"
    DRAFT_6 = "draft-6"
    DRAFT_7 = "draft-7"
    DRAFT_CURRENT = "draft-current"
    X_DELTA = "x-ratelimit"
    X_UNIX = "x-ratelimit-epoch"
    X_UNIX_MS = "x-ratelimit-epoch-ms"
    X_UNIX_FRACTIONAL = "x-ratelimit-epoch-fractional"
    X_DATE = "x-ratelimit-date"


RETRY_STYLES = (
    HeaderStyle.RETRY_AFTER,
    HeaderStyle.RETRY_AFTER_FRACTIONAL,
    HeaderStyle.RETRY_AFTER_DATE,
)

HeaderPairs = tuple[tuple[str, str], ...]


@lru_cache(maxsize=64)  # responses of the same second share their date
def http_date(unix_s: int) -> str:
    """Return a Unix time in whole seconds as an HTTP date (RFC 9110, section 5.6.7)."""
    return formatdate(unix_s, usegmt=True)


def retry_header(style: HeaderStyle, retry_s: float, unix_s: float) -> HeaderPairs:
    """Return `Retry-After` in one of RETRY_STYLES, or no header if `retry_s` is infinite.

    Values are rounded up, so that a client that obeys them does not arrive too early.
    """
    if math.isinf(retry_s):
        return ()
    if style is HeaderStyle.RETRY_AFTER_DATE:
        return (("Retry-After", http_date(_round_up(unix_s + retry_s))),)
    if style is HeaderStyle.RETRY_AFTER_FRACTIONAL:
        return (("Retry-After", _with_milliseconds(retry_s)),)
    return (("Retry-After", str(_round_up(retry_s))),)


def limit_headers(
    style: HeaderStyle, states: tuple[LimiterState, ...], unix_s: float
) -> HeaderPairs:
    """Return the headers of a style, one not in RETRY_STYLES, for the limiters' states at `unix_s`.

    The current draft lists every limiter. The older styles have room for one, and advertise the
    one with the least remaining.
    """
    if not states:
        return ()
    if style is HeaderStyle.DRAFT_CURRENT:
        return (
            ("RateLimit-Policy", ", ".join(_policy(state) for state in states)),
            ("RateLimit", ", ".join(_remaining(state) for state in states)),
        )
    tightest = min(states, key=lambda state: (state.remaining, -state.reset_s))
    limit, remaining = str(tightest.limit), str(tightest.remaining)
    resets = not math.isinf(tightest.reset_s)
    if style is HeaderStyle.DRAFT_7:
        text = f"limit={limit}, remaining={remaining}"
        reset_part = f", reset={_round_up(tightest.reset_s)}" if resets else ""
        return (("RateLimit", text + reset_part),)
    prefix = "RateLimit" if style is HeaderStyle.DRAFT_6 else "X-RateLimit"
    pairs = ((f"{prefix}-Limit", limit), (f"{prefix}-Remaining", remaining))
    if not resets:
        return pairs
    return (*pairs, (f"{prefix}-Reset", _reset(style, tightest.reset_s, unix_s)))


def _reset(style: HeaderStyle, reset_s: float, unix_s: float) -> str:
    reset_unix_s = unix_s + reset_s
    match style:
        case HeaderStyle.X_UNIX:
            return str(_round_up(reset_unix_s))
        case HeaderStyle.X_UNIX_MS:
            return str(_round_up(reset_unix_s * 1000))
        case HeaderStyle.X_UNIX_FRACTIONAL:
            return _with_milliseconds(reset_unix_s)
        case HeaderStyle.X_DATE:
            return http_date(_round_up(reset_unix_s))
        case _:
            return str(_round_up(reset_s))


def _policy(state: LimiterState) -> str:
    text = f'"{state.name}";q={state.quota}'
    return text if state.window_s is None else f"{text};w={_round_up(state.window_s)}"


def _remaining(state: LimiterState) -> str:
    text = f'"{state.name}";r={state.remaining}'
    return text if math.isinf(state.reset_s) else f"{text};t={_round_up(state.reset_s)}"


def _round_up(value: float) -> int:
    return math.ceil(value - _ROUNDING_ERROR)


def _with_milliseconds(seconds: float) -> str:
    return f"{_round_up(seconds * 1000) / 1000:.3f}"
