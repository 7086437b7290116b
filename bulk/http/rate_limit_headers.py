"""Parses the rate-limit headers of an answer; decides nothing, reads no clock.

This API documents none of them, and servers send many. What a header says is read from the words of
its name (`retry-after`, `remaining`, `reset`, `limit`, whatever stands between and around them) and
from its value: any span or instant in use, in any of these headers. `RateLimit` and
`RateLimit-Policy` are Structured Fields (RFC 9651). A value that cannot be parsed is treated as
absent; of several values each is read.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from email.utils import parsedate_to_datetime
from functools import lru_cache, partial
from typing import Any, TypeVar

import http_sf

from bulk.durations import parse_duration

# Longer than any release can wait; a larger value is an instant or a mistake, not a duration.
SPAN_S_MAX = 31 * 86_400.0
# The longest name in use is half as long; a hostile one must not fill the journal.
NAME_CHARACTERS_MAX = 80
NAMES_KEPT = 256  # each answer of a server has the same few names
KEPT_HEADERS_MAX = 24  # servers send fewer than ten
KEPT_VALUE_CHARACTERS_MAX = 400  # a list of five policies has half of that
# A number of seconds from the first on is Unix time; from the others on in ms, us and ns.
STAMP_MIN = 1e9
STAMP_DIVISORS = ((1e17, 1e9), (1e14, 1e6), (1e11, 1e3), (STAMP_MIN, 1.0))
CLOCKS_AGREE_S = 2.0  # `Date` is cut to whole seconds and a second old at most; ours is finer then
WAIT, REMAINING, RESET, LIMIT = "retryafter", "remaining", "reset", "limit"
_ROLES = {"left": REMAINING, "available": REMAINING, "quota": LIMIT}
_ROLES |= {role: role for role in (WAIT, REMAINING, RESET, LIMIT)}
_COMPOUNDS = re.compile(r"rate-limits?(?![a-z])|retry-after(?![a-z])")
_MILLISECONDS = frozenset({"ms", "msec", "msecs", "millis", "milliseconds"})
_FILLERS = _MILLISECONDS | {"x", "ratelimit", "ratelimits", "after", "at", "in", "requests", "time"}
_PERIODS_S = {"second": 1.0, "minute": 60.0, "hour": 3_600.0, "day": 86_400.0}
# What else is limited besides requests; it must not hold requests back.
_OTHER_UNITS = frozenset({"tokens", "bytes", "points", "credits", "cost", "complexity", "units"})
_NUMBER = re.compile(r"\d{1,19}(\.\d{1,9})?", re.ASCII)
_COUNT = re.compile(r"(\d{1,12})(\.\d{1,9})?", re.ASCII)
_UNIT_WORDS = re.compile(r"(?<=[\d ])(milli|mill|sec|min|hour|hr|day)[a-z]*", re.IGNORECASE)
_UNITS = {"milli": "ms", "mill": "ms", "sec": "s", "min": "m", "hour": "h", "hr": "h", "day": "d"}
_ISO_DURATION = re.compile(
    r"P(?:([\d.]+)D)?(?:T(?:([\d.]+)H)?(?:([\d.]+)M)?(?:([\d.]+)S)?)?", re.IGNORECASE | re.ASCII
)
# As in JavaScript (`GMT+0200 (...)`) and Go (`+0000 UTC`).
_ZONE_NAME = re.compile(r"(?:GMT)?([+-]\d{4})(?: \(.*\)| [A-Z]{2,5})?$", re.ASCII)
_REQUESTS, _CONCURRENT = "requests", "concurrent-requests"  # quota units

Headers = tuple[tuple[str, str], ...]
T = TypeVar("T")


def kept_headers(headers: Iterable[tuple[str, str]]) -> Headers:
    """The `Date` and the rate-limit headers, unchanged and in order, but not too many or long."""
    kept = [
        (name.lower(), _shortened(value))
        for name, value in headers
        if len(name) <= NAME_CHARACTERS_MAX and (name.lower() == "date" or _in_family(name))
    ]
    if len(kept) > KEPT_HEADERS_MAX:  # what is read comes before what is only kept
        kept = sorted(kept, key=lambda header: header[0] != "date" and not _read_name(header[0]))
    return tuple(kept[:KEPT_HEADERS_MAX])


def _shortened(value: str) -> str:
    """A value that is too long ends with its last complete member, if it is a list."""
    if len(value) <= KEPT_VALUE_CHARACTERS_MAX:
        return value
    cut = value[:KEPT_VALUE_CHARACTERS_MAX]
    return cut.rpartition(",")[0] or cut


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
    """What one answer's headers say about the limits; None and empty if they say nothing.

    `retry_after_s` is the longest wait that they ask for. `in_flight_max`: the most requests that
    may be in flight at once.
    """

    retry_after_s: float | None = None
    allowances: tuple[Allowance, ...] = ()
    in_flight_max: int | None = None


def read_rate_limit_headers(
    headers: Iterable[tuple[str, str]], wall: float, *, throttled: bool = False
) -> RateLimitHeaders:
    """Parse an answer's headers; `wall` is when it arrived, in Unix time.

    `throttled`: it is a 429, which has nothing left even if it says only when that ends.
    """
    values: dict[str, list[str]] = {}
    for name, value in headers:
        values.setdefault(name.lower(), []).append(value.strip())
    sent = http_date(values.pop("date", [""])[-1])
    if not values:
        return RateLimitHeaders()
    # Instants are compared with the server's clock; if the two agree, ours is the finer one. For
    # a wait the server's own is right in any case: its date is cut to seconds, as `Date` is.
    clock = wall if sent is None or abs(wall - sent) < CLOCKS_AGREE_S else sent
    waits: list[float] = []
    groups: dict[tuple[str, ...], _Group] = {}
    for name, lines in values.items():
        known = _read_name(name)
        if known is None:
            continue
        role, milliseconds, qualifiers = known
        if role == WAIT:
            server = wall if sent is None else sent
            waits += _each(lines, partial(_read_wait, server=server, ms=milliseconds))
            continue
        group = groups.setdefault(qualifiers, _Group())
        if role == RESET:
            group.resets = _each(lines, partial(_read_span, server=clock, ms=milliseconds))
        elif role == REMAINING:
            group.remaining = _each(lines, _read_count)
        else:
            group.limits = lines
    structured = _read_structured(values.get("ratelimit", []), values.get("ratelimit-policy", []))
    allowances = list(structured.allowances)
    for qualifiers, group in groups.items():
        if throttled and group.resets and not group.remaining:
            group.remaining = [0]
        allowances += group.allowances(qualifiers)
    return RateLimitHeaders(
        retry_after_s=max(waits, default=None),
        allowances=tuple(allowances),
        in_flight_max=structured.in_flight_max,
    )


# --- names ------------------------------------------------------------------------------------


def _name_words(name: str) -> list[str]:
    compound = _COMPOUNDS.sub(
        lambda found: found[0].replace("-", ""), name.lower().replace("_", "-")
    )
    return compound.split("-")


@lru_cache(NAMES_KEPT)
def _in_family(name: str) -> bool:
    words = _name_words(name)
    return WAIT in words or any(word.startswith("ratelimit") for word in words)


@lru_cache(NAMES_KEPT)
def _read_name(name: str) -> tuple[str, bool, tuple[str, ...]] | None:
    """A header's role, whether it counts milliseconds, and the words that tell limits apart.

    None if it says nothing about a limit of requests. `X-RateLimit-Reset-Requests` and
    `Vendor-RateLimit-Requests-Reset` are alike.
    """
    if len(name) > NAME_CHARACTERS_MAX or not _in_family(name):
        return None
    words = _name_words(name)
    role, at = next(
        ((role, at) for at, word in enumerate(words) if (role := _role(word)) is not None),
        (None, 0),
    )
    if role is None or not _OTHER_UNITS.isdisjoint(words):
        return None
    milliseconds = not _MILLISECONDS.isdisjoint(words[at + 1 :])  # before it, "ms" is a vendor
    family = ("x",) if words[0] == "x" else ()
    qualifiers = (word for word in words if _role(word) is None and word not in _FILLERS)
    return role, milliseconds, (*family, *qualifiers)


def _role(word: str) -> str | None:
    if word.startswith(RESET):  # also `resetin`, `resetat`
        return RESET
    return _ROLES.get(word)


# --- values -----------------------------------------------------------------------------------


def _each(lines: Iterable[str], read: Callable[[str], T | None]) -> list[T]:
    """All values of a header that can be read: lists may be joined by commas, as dates are."""
    found: list[T] = []
    for line in lines:
        parts = line.split(",")
        while parts:
            for width in (2, 1):
                value = read(",".join(parts[:width]))
                if value is not None:
                    found.append(value)
                    break
            del parts[:width]
    return found


def _read_count(text: str) -> int | None:
    """A whole number; the fraction of a bucket's level is cut off."""
    found = _COUNT.fullmatch(text.partition(";")[0].strip())
    return None if found is None else int(found[1])


def _read_span(text: str, *, server: float, ms: bool) -> float | None:
    """How long a wait or a window still lasts, in seconds; None if the text says nothing valid.

    It may be a number of seconds (with `ms`, of milliseconds); Unix time in seconds, milliseconds,
    microseconds or nanoseconds; a date as in HTTP, ISO 8601 or JavaScript; or a duration such as
    `6m0s`, `20ms`, `30 seconds` or `PT1M`. An instant is compared with `server`, Unix time by the
    server's clock; 0 if it has passed.
    """
    text = text.strip().strip('"').strip()
    span_s: float | None
    if _NUMBER.fullmatch(text):
        number = float(text)
        divisor = next((divisor for least, divisor in STAMP_DIVISORS if number >= least), None)
        if divisor is None or (ms and divisor == 1.0):
            span_s = number / 1000 if ms else number
        else:
            span_s = _until(number / divisor, server)
    else:
        span_s = _read_duration(text)
        if span_s is None:
            at = _read_instant(text)
            span_s = None if at is None else _until(at, server)
    return span_s if span_s is not None and 0 <= span_s <= SPAN_S_MAX else None


def _read_wait(text: str, *, server: float, ms: bool) -> float | None:
    """The same for a wait; one of more than a month is taken for a month."""
    number = _NUMBER.fullmatch(text.strip())
    if number is not None and not ms and SPAN_S_MAX < float(number[0]) < STAMP_MIN:
        return SPAN_S_MAX
    return _read_span(text, server=server, ms=ms)


def _until(at: float, server: float) -> float | None:
    """The seconds until an instant; None if it is too far from now to be meant."""
    return None if abs(at - server) > SPAN_S_MAX else max(0.0, at - server)


def _read_duration(text: str) -> float | None:
    iso = _ISO_DURATION.fullmatch(text)
    if iso is not None and any(iso.groups()):
        try:
            days, hours, minutes, seconds = (float(part or 0) for part in iso.groups())
        except ValueError:
            return None
        return 86_400 * days + 3_600 * hours + 60 * minutes + seconds
    text = _UNIT_WORDS.sub(lambda found: _UNITS[found[1].lower()], text)
    return parse_duration(text, bare_seconds=False)


def _read_instant(text: str) -> float | None:
    text = _ZONE_NAME.sub(r"\1", text)
    try:
        moment = datetime.fromisoformat(re.sub(r" (?=[+-]\d{4}$)", "", text))
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return http_date(text)


# --- one header for each part -----------------------------------------------------------------


class _Group:
    """The headers of one limit: remaining, reset and limit, each perhaps several times."""

    def __init__(self) -> None:
        self.remaining: list[int] = []
        self.resets: list[float] = []
        self.limits: list[str] = []

    def allowances(self, qualifiers: Sequence[str]) -> Iterable[Allowance]:
        """One for each value of `remaining` where the others have as many, else the tightest."""
        if not self.remaining:
            return
        remaining, resets = self.remaining, self.resets
        if len(resets) not in (0, len(remaining)) or len(resets) == 0 < len(remaining) - 1:
            remaining, resets = [min(remaining)], [max(resets)] if resets else []
        limits = [_read_limit(line) for line in self.limits]
        if len(limits) != len(remaining):
            limits = limits[:1] * len(remaining)
        period_s = next((_PERIODS_S[word] for word in qualifiers if word in _PERIODS_S), None)
        for index, count in enumerate(remaining):
            quota, window_s = limits[index] if limits else (None, None)
            window_s = period_s if window_s is None and quota is not None else window_s
            yield Allowance(count, resets[index] if resets else None, quota, window_s)


def _read_limit(line: str) -> tuple[int | None, float | None]:
    """The quota, and its window where the list of policies behind it says so: `10, 10;w=1`."""
    quota = next(iter(_each([line], _read_count)), None)
    windows = [
        _seconds(params.get("w"))
        for item, params in _members(line)
        if isinstance(item, int) and item == quota and "w" in params
    ]
    return quota, windows[0] if windows else None


# --- Structured Fields ------------------------------------------------------------------------

_Params = dict[str, Any]


def _read_structured(lines: Sequence[str], policy_lines: Sequence[str]) -> RateLimitHeaders:
    """`RateLimit` as in the IETF drafts from 7 on, with `RateLimit-Policy`.

    Draft 7 has a dictionary (`limit=100, remaining=50, reset=5`) and policies named by their quota
    (`100;w=60`). The later drafts have lists of named policies: `"name";q=100;w=60` and what is
    left of each, `r` in `t` seconds, or `a` in `w`. Each line is parsed alone, so that a malformed
    one takes no other with it.
    """
    policies = [member for line in policy_lines for member in _members(line)]
    by_name = {str(item): params for item, params in reversed(policies)}
    allowances: list[Allowance] = []
    caps = [
        cap
        for _, params in policies
        if _unit(params) == _CONCURRENT and (cap := _whole(params.get("q"))) is not None and cap > 0
    ]
    for line in lines:
        fields = _dictionary(line)
        if fields:
            remaining, quota = _whole(fields.get("remaining")), _whole(fields.get("limit"))
            policy = by_name.get(str(quota), {})
            if remaining is not None:
                window_s = _seconds(policy.get("w"))
                allowances.append(
                    Allowance(remaining, _seconds(fields.get("reset")), quota, window_s)
                )
            continue
        for item, params in _members(line):
            policy = by_name.get(str(item), {})
            remaining = _whole(_first(params, "r", "a"))
            if remaining is None or _unit(policy | params) != _REQUESTS:
                continue
            reset_s = _seconds(_first(params, "t", "w"))
            quota, window_s = _whole(policy.get("q")), _seconds(policy.get("w"))
            allowances.append(Allowance(remaining, reset_s, quota, window_s))
    return RateLimitHeaders(None, tuple(allowances), min(caps, default=None))


def _unit(params: _Params) -> str:
    unit = str(params.get("qu", _REQUESTS)).lower()
    return _REQUESTS if unit == "request" else unit


def _first(params: _Params, *names: str) -> object:
    return next((params[name] for name in names if name in params), None)


def _members(line: str) -> list[tuple[Any, _Params]]:
    """The items of a Structured Field list, each with its parameters; none if it is malformed."""
    parsed = _parse(line, "list")
    return [
        member
        for member in (parsed if isinstance(parsed, list) else [])
        if not isinstance(member[0], list)
    ]


def _dictionary(line: str) -> _Params:
    """A Structured Field dictionary without its parameters; empty if it is malformed.

    A list of one token is a dictionary as well, whose value is true.
    """
    parsed = _parse(line, "dictionary")
    if not isinstance(parsed, dict):
        return {}
    return {name: member[0] for name, member in parsed.items() if member[0] is not True}


def _parse(line: str, kind: str) -> object:
    try:
        return http_sf.parse(line.encode("ascii"), tltype=kind)
    except (http_sf.StructuredFieldError, ValueError):
        return None


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | Decimal) or value < 0:
        return None
    return float(value)


def _whole(value: object) -> int | None:
    number = _number(value)
    return None if number is None else int(number)


def _seconds(value: object) -> float | None:
    number = _number(value)
    return None if number is None or number > SPAN_S_MAX else number
