"""Parses the rate-limit headers of an answer; decides nothing, reads no clock.

A header that cannot be parsed is treated as absent: servers send many things under these names, and
this API documents none of them.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

# Longer than any release can wait; a larger value is a timestamp or a mistake, not a duration.
RETRY_AFTER_S_MAX = 31 * 86_400.0
# The longest name in use is half as long; a hostile one must not fill the journal.
KEPT_HEADER = re.compile(r"date|retry-after|(x-)?rate-?limit.{0,60}", re.IGNORECASE)
KEPT_HEADERS_MAX = 24  # servers send fewer than ten
KEPT_VALUE_CHARACTERS_MAX = 200
# A reset above this is no span but a stamp, in seconds or (above the second) in milliseconds.
STAMP_MIN, STAMP_MS_MIN = 1e9, 1e11
CLOCKS_AGREE_S = 2.0  # `Date` is cut to whole seconds and a second old at most; ours is finer then
_SECONDS = re.compile(r"\d{1,18}(\.\d{1,9})?", re.ASCII)
_COUNT = re.compile(r"\d{1,12}", re.ASCII)
# X-RateLimit-Remaining, RateLimit-Reset, and one each for several limits: ...-Remaining-Minute.
_SEPARATE = re.compile(r"(x-)?rate-?limit-(limit|remaining|reset)(-[a-z]+)?")
_FIELD = re.compile(r"([a-z]+)\s*=\s*(\d{1,18})", re.ASCII)
_OUTSIDE_QUOTES = re.compile(r',(?=(?:[^"]*"[^"]*")*[^"]*$)')
_GO_SPAN = re.compile(r"(?:(\d{1,6})h)?(?:(\d{1,6})m)?(?:(\d{1,6}(?:\.\d+)?)s)?(?:(\d{1,9})ms)?")

Headers = tuple[tuple[str, str], ...]


def kept_headers(headers: Iterable[tuple[str, str]]) -> Headers:
    """The `Date` and the rate-limit headers, unchanged and in order, but not too many or long."""
    kept = [
        (name.lower(), value[:KEPT_VALUE_CHARACTERS_MAX])
        for name, value in headers
        if KEPT_HEADER.fullmatch(name)
    ]
    return tuple(kept[:KEPT_HEADERS_MAX])


def http_date(text: str) -> float | None:
    """An HTTP date (RFC 9110 5.6.7) as Unix time; None if it is not one."""
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


def server_date(headers: Iterable[tuple[str, str]]) -> float | None:
    """The `Date` among kept headers as Unix time; None if there is none that can be parsed."""
    return http_date(dict(headers).get("date", ""))


@dataclass(frozen=True, slots=True)
class Allowance:
    """What one advertised policy still allows: `remaining` requests in the next `reset_s`.

    The policy itself is `quota` requests per `window_s`. What the server does not say is None.
    """

    remaining: int
    reset_s: float | None = None
    quota: int | None = None
    window_s: float | None = None


@dataclass(frozen=True, slots=True)
class RateLimitHeaders:
    """What one answer's headers say about the limits; None and empty if they say nothing."""

    retry_after_s: float | None = None
    allowances: tuple[Allowance, ...] = ()


def read_rate_limit_headers(headers: Iterable[tuple[str, str]], wall: float) -> RateLimitHeaders:
    """Parse an answer's headers; `wall` is when it arrived, in Unix time."""
    values: dict[str, str] = {}
    for name, value in headers:  # a header sent twice is one list, RFC 9110 5.3
        name = name.lower()
        known = values.get(name)
        values[name] = value.strip() if known is None else f"{known}, {value.strip()}"
    if not any(name != "date" for name in values):
        return RateLimitHeaders()
    sent = http_date(values.get("date", ""))
    return RateLimitHeaders(
        retry_after_s=_retry_after_s(values.get("retry-after", ""), wall if sent is None else sent),
        allowances=tuple(_allowances(values, wall, sent)),
    )


def _retry_after_s(text: str, server: float) -> float | None:
    """The seconds to wait by `Retry-After` (RFC 9110 10.2.3), at least 0.

    Accepts whole seconds, the fractional ones that some servers send, and dates. A date is compared
    with `server`, the answer's own `Date`, so that the two clocks need not agree. None if the
    header is absent or makes no sense.
    """
    if _SECONDS.fullmatch(text):
        wait_s = float(text)
    elif (until := http_date(text)) is not None:
        wait_s = max(0.0, until - server)
    else:
        return None
    return wait_s if math.isfinite(wait_s) and wait_s <= RETRY_AFTER_S_MAX else None


def _allowances(values: dict[str, str], wall: float, sent: float | None) -> Iterable[Allowance]:
    # Timestamps are compared with the server's clock; if the two agree, ours is the finer one.
    server = wall if sent is None or abs(wall - sent) < CLOCKS_AGREE_S else sent
    if "ratelimit" in values:
        yield from _structured(values["ratelimit"], values.get("ratelimit-policy", ""))
    groups: dict[tuple[str, str], dict[str, str]] = {}
    for name, value in values.items():
        if (part := _SEPARATE.fullmatch(name)) is not None:
            groups.setdefault((part[1], part[3] or ""), {})[part[2]] = value
    for group in groups.values():
        remaining = _whole(group.get("remaining", ""))
        if remaining is not None:
            yield Allowance(
                remaining,
                _reset_s(group.get("reset", ""), server),
                _whole(group.get("limit", "").partition(",")[0].partition(";")[0]),
            )


def _structured(text: str, policies: str) -> Iterable[Allowance]:
    """`RateLimit` as in the IETF drafts from 7 on, with `RateLimit-Policy`."""
    if "=" in text.partition(";")[0]:  # draft 7: limit=100, remaining=50, reset=5
        fields = dict(_FIELD.findall(text))
        remaining = _whole(fields.get("remaining", ""))
        if remaining is not None:
            yield Allowance(
                remaining, _span_s(fields.get("reset", "")), _whole(fields.get("limit", ""))
            )
        return
    policy_of = dict(_items(policies))
    for name, fields in _items(text):
        remaining = _whole(fields.get("r", ""))
        if remaining is not None:
            policy = policy_of.get(name, {})
            yield Allowance(
                remaining,
                _span_s(fields.get("t", "")),
                _whole(policy.get("q", "")),
                _span_s(policy.get("w", "")),
            )


def _items(text: str) -> Iterable[tuple[str, dict[str, str]]]:
    """The items of a list of the form `"name";r=50;t=30, "other";r=1`."""
    for item in _OUTSIDE_QUOTES.split(text):
        name, _, rest = item.strip().partition(";")
        yield name.strip('" '), dict(_FIELD.findall(rest))


def _whole(text: str) -> int | None:
    return int(text) if _COUNT.fullmatch(text.strip()) else None


def _span_s(text: str) -> float | None:
    text = text.strip()
    if not _SECONDS.fullmatch(text) or float(text) > RETRY_AFTER_S_MAX:
        return None
    return float(text)


def _reset_s(text: str, server: float) -> float | None:
    """When an allowance is renewed, as a span from now, in any of the forms in use.

    Seconds; a stamp in seconds or milliseconds, whole or fractional; a date in HTTP's form or ISO
    8601's; a span such as `6m0s` or `20ms`.
    """
    text = text.strip()
    if _SECONDS.fullmatch(text):
        number = float(text)
        if number < STAMP_MIN:
            return _span_s(text)
        at: float | None = number / 1000 if number >= STAMP_MS_MIN else number
    elif text and (parts := _GO_SPAN.fullmatch(text)) is not None:
        hours, minutes, seconds, thousandths = (float(part or 0) for part in parts.groups())
        return hours * 3600 + minutes * 60 + seconds + thousandths / 1000
    else:
        at = http_date(text) if "," in text else _iso_date(text)
    if at is None or not -RETRY_AFTER_S_MAX <= at - server <= RETRY_AFTER_S_MAX:
        return None
    return max(0.0, at - server)


def _iso_date(text: str) -> float | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
