"""Draws round-trip times from a distribution, in three parts. Reads no clock."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from enum import StrEnum

from bulk.sandbox.spec_durations import format_duration, read_duration_s
from bulk.sandbox.spec_values import (
    SpecError,
    format_number,
    read_choice,
    read_count,
    read_number,
)

# The longest round trip: an unlucky draw from a wide distribution must not look like a hang.
LATENCY_MAX_S = 300.0

Split = tuple[int, int, int]
DEFAULT_SPLIT: Split = (25, 50, 25)


class LatencyShape(StrEnum):
    """The distributions, by their names in a spec."""

    CONSTANT = "constant"
    JITTER = "jitter"
    UNIFORM = "uniform"
    NORMAL = "normal"
    LOGNORMAL = "lognormal"


@dataclass(frozen=True, slots=True)
class RoundTrip:
    """One round trip in seconds: outbound, in service, and inbound."""

    out_s: float
    service_s: float
    back_s: float


@dataclass(frozen=True, slots=True)
class Latency:
    """A distribution of round-trip times; `split` divides each into out, service and back (%).

    | shape | meaning |
    |---|---|
    | constant | `base_s` |
    | jitter | evenly within `base_s` ± `spread` |
    | uniform | from `base_s` to `spread` |
    | normal | mean `base_s`, standard deviation `spread` |
    | lognormal | median `base_s`, sigma `spread` (no unit) |

    A throttled request spends no time in service. Raises SpecError.
    """

    shape: LatencyShape = LatencyShape.CONSTANT
    base_s: float = 0.0
    spread: float = 0.0
    split: Split = DEFAULT_SPLIT

    def __post_init__(self) -> None:
        if sum(self.split) != 100 or min(self.split) < 0:
            raise SpecError(f"latency: split {self.split} does not add up to 100")
        if self.base_s < 0 or self.spread < 0:
            raise SpecError("latency: a time is negative")
        if self.shape is LatencyShape.UNIFORM and self.spread < self.base_s:
            raise SpecError("latency: uniform goes from the lower to the higher time")

    def draw(self, rng: random.Random) -> RoundTrip:
        """Draw one round trip of 0 to LATENCY_MAX_S seconds."""
        total_s = min(LATENCY_MAX_S, max(0.0, self._draw_s(rng)))
        out, service, back = self.split
        return RoundTrip(total_s * out / 100, total_s * service / 100, total_s * back / 100)

    def _draw_s(self, rng: random.Random) -> float:
        match self.shape:
            case LatencyShape.CONSTANT:
                return self.base_s
            case LatencyShape.JITTER:
                return self.base_s + self.spread * (2 * rng.random() - 1)
            case LatencyShape.UNIFORM:
                return self.base_s + (self.spread - self.base_s) * rng.random()
            case LatencyShape.NORMAL:
                return rng.gauss(self.base_s, self.spread)
            case LatencyShape.LOGNORMAL:
                exponent = min(700.0, rng.gauss(0.0, self.spread))  # exp overflows above 709
                return self.base_s * math.exp(exponent)

    def describe(self) -> str:
        """Return the canonical text, without the clause's name."""
        base = format_duration(self.base_s)
        text = {
            LatencyShape.CONSTANT: base,
            LatencyShape.JITTER: f"{base} jitter {format_duration(self.spread)}",
            LatencyShape.UNIFORM: f"uniform {base}..{format_duration(self.spread)}",
            LatencyShape.NORMAL: f"normal {base} sd {format_duration(self.spread)}",
            LatencyShape.LOGNORMAL: f"lognormal {base} sigma {format_number(self.spread)}",
        }[self.shape]
        return text if self.split == DEFAULT_SPLIT else f"{text} split {_format_split(self.split)}"


_FORMS = (
    "60ms, 60ms jitter 10ms, uniform 20ms..100ms, normal 60ms sd 10ms or "
    "lognormal 60ms sigma 0.5, optionally followed by split 25/50/25"
)


def parse_latency(text: str) -> Latency:
    """Parse what follows the word `latency`. Raises SpecError."""
    body, _, split_text = text.partition(" split ")
    split = _parse_split(split_text.strip()) if split_text else DEFAULT_SPLIT
    words = body.split()
    match words:
        case [base]:
            return Latency(LatencyShape.CONSTANT, _read_s(base), 0.0, split)
        case [base, "jitter", spread]:
            return Latency(LatencyShape.JITTER, _read_s(base), _read_s(spread), split)
        case ["uniform", bounds] if ".." in bounds:
            low, _, high = bounds.partition("..")
            return Latency(LatencyShape.UNIFORM, _read_s(low), _read_s(high), split)
        case ["normal", base, "sd", spread]:
            return Latency(LatencyShape.NORMAL, _read_s(base), _read_s(spread), split)
        case ["lognormal", base, "sigma", sigma]:
            spread_plain = read_number(sigma, "latency: sigma")
            return Latency(LatencyShape.LOGNORMAL, _read_s(base), spread_plain, split)
        case [name, *_] if name[:1].isalpha():
            read_choice(name, ["uniform", "normal", "lognormal"], "latency")
    raise SpecError(f'latency: "{text}" is not one of: {_FORMS}')


def _read_s(text: str) -> float:
    return read_duration_s(text, "latency")


def _parse_split(text: str) -> Split:
    parts = text.split("/")
    if len(parts) != 3:
        raise SpecError(f'latency: split "{text}" is not three percentages such as 25/50/25')
    out, service, back = (
        0 if part.strip("0") == "" and part else read_count(part, "latency: split")
        for part in parts
    )
    return out, service, back


def _format_split(split: Split) -> str:
    return "/".join(map(str, split))
