"""The limits of a spec as records, parsed and formatted. How a limit is kept is in limiters.py."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from bulk.sandbox.spec_durations import format_duration, format_rate, read_duration_s, read_rate
from bulk.sandbox.spec_values import (
    SpecError,
    format_number,
    read_choice,
    read_count,
)


class LimitKind(StrEnum):
    """The algorithms, by their names in a spec."""

    TOKEN_BUCKET = "token-bucket"  # noqa: S105 - the name of an algorithm
    STRICT_SPACING = "strict-spacing"
    QUEUE = "queue"
    FIXED_WINDOW = "fixed-window"
    SLIDING_WINDOW = "sliding-window"
    SLIDING_COUNTER = "sliding-counter"
    CONCURRENCY = "concurrency"
    QUOTA = "quota"


_WINDOWS = (LimitKind.FIXED_WINDOW, LimitKind.SLIDING_WINDOW, LimitKind.SLIDING_COUNTER)
_PHASED = (LimitKind.FIXED_WINDOW, LimitKind.SLIDING_COUNTER)
_WHOLE = (*_WINDOWS, LimitKind.CONCURRENCY, LimitKind.QUOTA)
_NEVER_COUNTS_THROTTLED = (LimitKind.QUEUE, LimitKind.CONCURRENCY)
_SUFFIXES = ("per-test", "counting-refusals")


@dataclass(frozen=True, slots=True)
class LimitSpec:
    """One limit: `count` requests per `per_s` seconds. Only a token bucket has a `burst`.

    `phase_s`: where windows start, in seconds from the sandbox's start; None means at multiples of
    their length in Unix time. `per_test`: each test has a limiter of its own. `counts_throttled`:
    throttled requests consume too (`counting-refusals` in a spec). Raises SpecError for parts that
    contradict each other.
    """

    kind: LimitKind
    count: float
    per_s: float = 1.0
    burst: int = 0
    phase_s: float | None = None
    per_test: bool = False
    counts_throttled: bool = False

    def __post_init__(self) -> None:
        if self.count <= 0 or self.per_s <= 0:
            raise SpecError(f"{self.kind}: a limit of 0; use more than 0")
        if self.kind in _WHOLE and self.count != int(self.count):
            raise SpecError(f"{self.kind}: {self.count} is not a whole number of requests")
        if (self.kind is LimitKind.TOKEN_BUCKET) != (self.burst > 0):
            raise SpecError(
                f"{self.kind}: burst {self.burst}; only token-bucket has a burst, of at least 1"
            )
        if self.phase_s is not None and self.kind not in _PHASED:
            raise SpecError(f"{self.kind}: only {' and '.join(_PHASED)} have a phase")
        if self.counts_throttled and self.kind in _NEVER_COUNTS_THROTTLED:
            raise SpecError(f"{self.kind}: counting-refusals has no effect here; leave it out")

    def describe(self) -> str:
        """Return the canonical text."""
        if self.kind in (LimitKind.CONCURRENCY, LimitKind.QUOTA):
            text = f"{self.kind} {format_number(self.count)}"
        else:
            text = f"{self.kind} {format_rate(self.count, self.per_s)}"
        if self.burst:
            text += f" burst {self.burst}"
        if self.phase_s is not None:
            text += f" phase {format_duration(self.phase_s)}"
        if self.per_test:
            text += " per-test"
        return text + (" counting-refusals" if self.counts_throttled else "")


@dataclass(frozen=True, slots=True)
class LimitPhase:
    """Limits that apply together, until `until_s` seconds after the start; None means to the end.

    Raises SpecError if a limit is repeated.
    """

    all_of: tuple[LimitSpec, ...] = ()
    until_s: float | None = None

    def __post_init__(self) -> None:
        if len(set(self.all_of)) != len(self.all_of):
            raise SpecError("the same limit twice in one phase; leave one out")

    def describe(self) -> str:
        """Return the canonical text."""
        text = " + ".join(spec.describe() for spec in self.all_of) or "none"
        return text if self.until_s is None else f"{text} until {format_duration(self.until_s)}"


NO_LIMITS = (LimitPhase(),)


def check_phases(phases: tuple[LimitPhase, ...]) -> None:
    """Raise SpecError unless the phases are in order of time and only the last one has no end."""
    if not phases or phases[-1].until_s is not None:
        raise SpecError('nothing follows the last "until"; add "then none" or another limit')
    last_s = 0.0
    for phase in phases[:-1]:
        if phase.until_s is None:
            raise SpecError(
                f'"{phase.describe()} then": say until when, for example "until 30s then"'
            )
        if phase.until_s <= last_s:
            raise SpecError(
                f'"until {format_duration(phase.until_s)}" is not after the end of the phase before'
            )
        last_s = phase.until_s


def describe_limits(phases: tuple[LimitPhase, ...]) -> str:
    """Return the canonical text of all phases."""
    return " then ".join(phase.describe() for phase in phases)


def parse_limits(text: str) -> tuple[LimitPhase, ...]:
    """Parse limits such as `A + B until 30s then C`. Raises SpecError."""
    phases = tuple(_parse_phase(part.strip()) for part in re.split(r"\bthen\b", text))
    check_phases(phases)
    return phases


def _parse_phase(text: str) -> LimitPhase:
    limits, until, end = text.partition(" until ")
    until_s = read_duration_s(end.strip(), f'"{text}": until') if until else None
    terms = [term.strip() for term in re.split(r"\s\+\s", limits)]
    if terms == ["none"]:
        return LimitPhase((), until_s)
    return LimitPhase(tuple(_parse_limit(term) for term in terms), until_s)


def _parse_limit(text: str) -> LimitSpec:
    words = text.split()
    if not words:
        raise SpecError('a limit is missing; write "none" or one such as "token-bucket 10/s"')
    name = "sliding-window" if words[0] == "sliding-log" else words[0]
    kind = LimitKind(read_choice(name, [*LimitKind, "none"], "limit")) if name != "none" else None
    if kind is None:
        raise SpecError(f'"{text}": "none" cannot be combined with a limit')
    what = f'"{text}"'
    rest = words[1:]
    if not rest:
        example = "6" if kind in (LimitKind.CONCURRENCY, LimitKind.QUOTA) else "10/s"
        raise SpecError(f'{what}: its size is missing; for example "{kind} {example}"')
    amount = rest.pop(0)
    count, per_s = _read_amount(kind, amount, what)
    burst = max(1, int(count)) if kind is LimitKind.TOKEN_BUCKET else 0
    phase_s: float | None = None
    flags: set[str] = set()
    while rest:
        word = rest.pop(0)
        read_choice(word, [*_options(kind), *_SUFFIXES], what)
        if word in _SUFFIXES:
            flags.add(word)
        elif not rest:
            raise SpecError(f'{what}: "{word}" needs a value')
        elif word == "burst":
            burst = read_count(rest.pop(0), f"{what}: burst")
        else:
            phase_s = read_duration_s(rest.pop(0), f"{what}: phase")
    return LimitSpec(
        kind,
        count,
        per_s,
        burst,
        phase_s,
        per_test="per-test" in flags,
        counts_throttled="counting-refusals" in flags,
    )


def _read_amount(kind: LimitKind, text: str, what: str) -> tuple[float, float]:
    if kind in (LimitKind.CONCURRENCY, LimitKind.QUOTA):
        return float(read_count(text, what)), 1.0
    return read_rate(text, what)


def _options(kind: LimitKind) -> tuple[str, ...]:
    if kind is LimitKind.TOKEN_BUCKET:
        return ("burst",)
    return ("phase",) if kind in _PHASED else ()
