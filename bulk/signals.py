"""Reads what an answer's headers say about rate limits; decides nothing, reads no clock.

A header that cannot be understood is as good as absent: servers send many things under these
names, and none of them is promised by this API.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime

# Longer than any pause a release can wait for; a larger value is a stamp or a slip, not a span.
RETRY_AFTER_S_MAX = 31 * 86_400.0
KEPT_HEADER = re.compile(r"date|retry-after|(x-)?rate-?limit.*", re.IGNORECASE)
KEPT_HEADERS_MAX = 24  # servers send under ten; a hostile one shall not fill the journal
KEPT_VALUE_CHARACTERS_MAX = 200
_SECONDS = re.compile(r"\d{1,18}(\.\d{1,9})?", re.ASCII)

Headers = tuple[tuple[str, str], ...]


def kept_headers(headers: Iterable[tuple[str, str]]) -> Headers:
    """The `Date` and the rate-limit headers of an answer, as they came, in order, bounded."""
    kept = [
        (name.lower(), value[:KEPT_VALUE_CHARACTERS_MAX])
        for name, value in headers
        if KEPT_HEADER.fullmatch(name)
    ]
    return tuple(kept[:KEPT_HEADERS_MAX])


def http_date(text: str) -> float | None:
    """An HTTP date (RFC 9110 5.6.7) as seconds since the epoch; None where it is none."""
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    try:
        return moment.timestamp()
    except (ValueError, OverflowError):
        return None


@dataclass(frozen=True, slots=True)
class Signals:
    """What one answer's headers say about the limit; None where they do not say."""

    retry_after_s: float | None = None


def read_signals(headers: Iterable[tuple[str, str]], wall: float) -> Signals:
    """The signals in an answer's headers; `wall` is when it came, seconds since the epoch."""
    return Signals(retry_after_s=retry_after_s(headers, wall))


def retry_after_s(headers: Iterable[tuple[str, str]], wall: float) -> float | None:
    """The seconds that `Retry-After` (RFC 9110 10.2.3) asks to wait, at least 0.

    Takes whole seconds, the fractional ones some servers send, and dates. A date is judged against
    the answer's own `Date`, so that the two clocks need not agree; `wall` (seconds since the epoch)
    stands in where there is none. None where the header is absent or senseless.
    """
    values = {name.lower(): value.strip() for name, value in headers}
    text = values.get("retry-after", "")
    if _SECONDS.fullmatch(text):
        wait_s = float(text)
    elif (until := http_date(text)) is not None:
        sent = http_date(values.get("date", ""))
        wait_s = max(0.0, until - (wall if sent is None else sent))
    else:
        return None
    return wait_s if math.isfinite(wait_s) and wait_s <= RETRY_AFTER_S_MAX else None
