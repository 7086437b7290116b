"""Owns how limits show in an answer's headers, in each style in use; knows no request or clock."""

from __future__ import annotations

import math
from email.utils import formatdate
from enum import StrEnum
from functools import lru_cache

from bulk.sandbox.limiters import Standing

# Rounding up must not turn 2.0000000001 s, a float's dust, into 3 s.
_DUST_S = 1e-6


class HeaderStyle(StrEnum):
    """The styles, under the names the spec language gives them."""

    RETRY_AFTER = "retry-after"
    RETRY_AFTER_FRACTIONAL = "retry-after-fractional"
    RETRY_AFTER_DATE = "retry-after-date"
    DRAFT_6 = "draft-6"
    DRAFT_7 = "draft-7"
    DRAFT_CURRENT = "draft-current"
    X_DELTA = "x-ratelimit"
    X_EPOCH = "x-ratelimit-epoch"
    X_EPOCH_MS = "x-ratelimit-epoch-ms"
    X_EPOCH_FRACTIONAL = "x-ratelimit-epoch-fractional"
    X_DATE = "x-ratelimit-date"


RETRY_STYLES = (
    HeaderStyle.RETRY_AFTER,
    HeaderStyle.RETRY_AFTER_FRACTIONAL,
    HeaderStyle.RETRY_AFTER_DATE,
)

HeaderPairs = tuple[tuple[str, str], ...]


@lru_cache(maxsize=64)  # answers of the same second share their date
def http_date(wall_s: int) -> str:
    """An HTTP date (RFC 9110 5.6.7) of whole seconds since the epoch."""
    return formatdate(wall_s, usegmt=True)


def retry_header(style: HeaderStyle, retry_s: float, wall_s: float) -> HeaderPairs:
    """`Retry-After` in one of RETRY_STYLES; nothing where waiting does not help.

    Whole seconds and dates are rounded up: a client that obeys must not come too early.
    """
    if math.isinf(retry_s):
        return ()
    if style is HeaderStyle.RETRY_AFTER_DATE:
        return (("Retry-After", http_date(_up(wall_s + retry_s))),)
    if style is HeaderStyle.RETRY_AFTER_FRACTIONAL:
        return (("Retry-After", f"{math.ceil(retry_s * 1000 - _DUST_S) / 1000:.3f}"),)
    return (("Retry-After", str(_up(retry_s))),)


def limit_headers(
    style: HeaderStyle, standings: tuple[Standing, ...], wall_s: float
) -> HeaderPairs:
    """The headers of one style but RETRY_STYLES, for limits as they stand at `wall_s`.

    Where several limits hold at once, the current draft lists all; the older styles have room for
    one, and tell the one with the least left.
    """
    if not standings:
        return ()
    if style is HeaderStyle.DRAFT_CURRENT:
        return (
            ("RateLimit-Policy", ", ".join(_policy(standing) for standing in standings)),
            ("RateLimit", ", ".join(_left(standing) for standing in standings)),
        )
    tightest = min(standings, key=lambda standing: (standing.remaining, -standing.reset_s))
    limit, remaining = str(tightest.limit), str(tightest.remaining)
    comes_back = not math.isinf(tightest.reset_s)
    if style is HeaderStyle.DRAFT_7:
        text = f"limit={limit}, remaining={remaining}"
        reset_part = f", reset={_up(tightest.reset_s)}" if comes_back else ""
        return (("RateLimit", text + reset_part),)
    prefix = "RateLimit" if style is HeaderStyle.DRAFT_6 else "X-RateLimit"
    pairs = ((f"{prefix}-Limit", limit), (f"{prefix}-Remaining", remaining))
    if not comes_back:
        return pairs
    return (*pairs, (f"{prefix}-Reset", _reset(style, tightest.reset_s, wall_s)))


def _reset(style: HeaderStyle, reset_s: float, wall_s: float) -> str:
    at_s = wall_s + reset_s
    match style:
        case HeaderStyle.X_EPOCH:
            return str(_up(at_s))
        case HeaderStyle.X_EPOCH_MS:
            return str(math.ceil(at_s * 1000 - _DUST_S))
        case HeaderStyle.X_EPOCH_FRACTIONAL:
            return f"{math.ceil(at_s * 1000 - _DUST_S) / 1000:.3f}"
        case HeaderStyle.X_DATE:
            return http_date(_up(at_s))
        case _:
            return str(_up(reset_s))


def _policy(standing: Standing) -> str:
    text = f'"{standing.name}";q={standing.quota}'
    return text if standing.window_s is None else f"{text};w={_up(standing.window_s)}"


def _left(standing: Standing) -> str:
    text = f'"{standing.name}";r={standing.remaining}'
    return text if math.isinf(standing.reset_s) else f"{text};t={_up(standing.reset_s)}"


def _up(span_s: float) -> int:
    return math.ceil(span_s - _DUST_S)
