"""Owns how long things take: distributions and their three parts; knows no clock."""

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

# A drawn latency is cut here: an unlucky draw of a wide distribution must not look like a hang.
LATENCY_MAX_S = 300.0


class LatencyShape(StrEnum):
    """The distributions, under the names the spec language gives them."""

    CONSTANT = "constant"
    JITTER = "jitter"
    UNIFORM = "uniform"
    NORMAL = "normal"
    LOGNORMAL = "lognormal"


@dataclass(frozen=True, slots=True)
class Trip:
    """One request's times in seconds: to the server, in service, back to the client."""

    out_s: float
    service_s: float
    back_s: float


@dataclass(frozen=True, slots=True)
class Latency:
    """A distribution of round trips, and how each is split in percent: out, service, back.

    constant: `base_s`. jitter: evenly within `base_s` ± `spread`. uniform: from `base_s` to
    `spread`. normal: mean `base_s`, deviation `spread`. lognormal: median `base_s`, sigma `spread`
    (no unit). A refusal takes no service. Raises SpecError.
    """

    shape: LatencyShape = LatencyShape.CONSTANT
    base_s: float = 0.0
    spread: float = 0.0
    split: tuple[int, int, int] = (25, 50, 25)

    def __post_init__(self) -> None:
        if sum(self.split) != 100 or min(self.split) < 0:
            raise SpecError(f"latency: split {self.split} does not add up to 100")
        if self.base_s < 0 or self.spread < 0:
            raise SpecError("latency: less than nothing")
        if self.shape is LatencyShape.UNIFORM and self.spread < self.base_s:
            raise SpecError("latency: uniform goes from the lower to the higher time")

    def draw(self, rng: random.Random) -> Trip:
        """One round trip, never negative and at most LATENCY_MAX_S in all."""
        total_s = min(LATENCY_MAX_S, max(0.0, self._draw_s(rng)))
        out, service, back = self.split
        return Trip(total_s * out / 100, total_s * service / 100, total_s * back / 100)

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
                exponent = min(700.0, rng.gauss(0.0, self.spread))  # above, exp overflows
                return self.base_s * math.exp(exponent)

    def describe(self) -> str:
        """The canonical text, without the clause's name."""
        base = format_duration(self.base_s)
        text = {
            LatencyShape.CONSTANT: base,
            LatencyShape.JITTER: f"{base} jitter {format_duration(self.spread)}",
            LatencyShape.UNIFORM: f"uniform {base}..{format_duration(self.spread)}",
            LatencyShape.NORMAL: f"normal {base} sd {format_duration(self.spread)}",
            LatencyShape.LOGNORMAL: f"lognormal {base} sigma {format_number(self.spread)}",
        }[self.shape]
        default = (25, 50, 25)
        return text if self.split == default else f"{text} split {'/'.join(map(str, self.split))}"


_FORMS = (
    "60ms, 60ms jitter 10ms, uniform 20ms..100ms, normal 60ms sd 10ms or "
    "lognormal 60ms sigma 0.5, then perhaps split 25/50/25"
)


def parse_latency(text: str) -> Latency:
    """Reads what follows `latency`. Raises SpecError."""
    body, _, split_text = text.partition(" split ")
    split = _parse_split(split_text.strip()) if split_text else (25, 50, 25)
    words = body.split()
    match words:
        case [base]:
            return Latency(LatencyShape.CONSTANT, _span(base), 0.0, split)
        case [base, "jitter", spread]:
            return Latency(LatencyShape.JITTER, _span(base), _span(spread), split)
        case ["uniform", bounds] if ".." in bounds:
            low, _, high = bounds.partition("..")
            return Latency(LatencyShape.UNIFORM, _span(low), _span(high), split)
        case ["normal", base, "sd", spread]:
            return Latency(LatencyShape.NORMAL, _span(base), _span(spread), split)
        case ["lognormal", base, "sigma", sigma]:
            spread_plain = read_number(sigma, "latency: sigma")
            return Latency(LatencyShape.LOGNORMAL, _span(base), spread_plain, split)
        case [name, *_] if name[:1].isalpha():
            read_choice(name, ["uniform", "normal", "lognormal"], "latency")
    raise SpecError(f'latency: "{text}" is none of {_FORMS}')


def _span(text: str) -> float:
    return read_duration_s(text, "latency")


def _parse_split(text: str) -> tuple[int, int, int]:
    parts = text.split("/")
    if len(parts) != 3:
        raise SpecError(f'latency: split "{text}" is not three percentages such as 25/50/25')
    out, service, back = (
        0 if part.strip("0") == "" and part else read_count(part, "latency: split")
        for part in parts
    )
    return out, service, back
