"""What bursts of accepted requests tell of a limit that saves up; pure arithmetic.

A limit of rate r that saves up b requests lets any burst pass at most b + r * t requests in the
time t, and just that many if all was saved up at its start and nothing was left at its end.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

RATE_MIN, RATE_MAX = 1e-3, 1e4  # requests a second: what a rate is looked for between
RATE_STEP, HALVINGS = 1.1, 20  # rates are looked at in such steps, and then to a millionth
PACE_TIMES = 1.1  # times the pace at which a burst was refused: no such rate would have refused it
RATES = [
    RATE_MIN * RATE_STEP**step for step in range(int(math.log(RATE_MAX / RATE_MIN, RATE_STEP)))
]
ROUNDING = 0.5  # requests: what a burst tells is off by so much without any jitter
JITTERS = 0.5  # of the latencies' mean deviation blurs an end: a request's way is a part of it
UNLIKELY = 4.0  # errors, squared, by which a rate fits worse than the best one: two of one burst
IMPOSSIBLE = 9.0  # ... and by which no burst should fit worse in the mean: three errors
ERROR_MIN = 1e-4  # of a rate
READ_ERROR = 3.0  # requests: what a reading's error is counted in, as that of a span


@dataclass(frozen=True, slots=True)
class Span:
    """So many were accepted in so many seconds; `accepted` is off by `error` at most."""

    accepted: float
    took_s: float
    error: float

    @property
    def per_s(self) -> float:
        """The rate, in requests a second."""
        return self.accepted / self.took_s


@dataclass(frozen=True, slots=True)
class Reading:
    """A rate is between these two, in requests a second."""

    low: float
    high: float

    @property
    def span(self) -> Span:
        """What would have told as much: the rate in the middle, and its error."""
        accepted = READ_ERROR / max(ERROR_MIN, (self.high - self.low) / (self.high + self.low))
        return Span(accepted, accepted / math.sqrt(self.high * self.low), READ_ERROR)


class Burst:
    """Requests that were accepted until one was refused at `end`, by their sends in order.

    Each of them and those behind it, n in the time t until the end, tells that the limit saves up
    n - r * t at least. Only the upper convex hull of these points (t, n) matters. `emptied_at`:
    when nothing was left before that, if it was; what passed since cannot be more than came up.
    `pace`: of the last ones, a second; no limit beyond it would have refused one. `lasted_s`: from
    the first of them to the end.
    """

    def __init__(
        self,
        sends: Sequence[float],
        end: float,
        *,
        emptied_at: float = -math.inf,
        pace: float = math.inf,
    ) -> None:
        hull: list[tuple[float, float]] = []
        for index in range(len(sends) - 1, -1, -1):
            point = (end - sends[index], float(len(sends) - index))
            while len(hull) > 1 and _below(hull[-2], hull[-1], point):
                hull.pop()
            hull.append(point)
        self._hull = hull or [(0.0, 1.0)]  # any limit lets one pass
        self._rises = [
            -(other[1] - one[1]) / max(1e-9, other[0] - one[0])
            for one, other in pairwise(self._hull)
        ]
        self._count = len(sends)
        self._since_s = end - emptied_at
        self.pace = pace
        self.lasted_s = self._hull[-1][0]

    @property
    def was_empty(self) -> bool:
        """Whether nothing was left when it began."""
        return math.isfinite(self._since_s)

    def beyond(self, per_s: float) -> float:
        """How many more passed than came up since nothing was left; minus infinity without that."""
        return self._count - per_s * self._since_s

    def saved(self, per_s: float) -> tuple[float, float]:
        """How many requests such a limit must have saved up, and in which time they left."""
        in_s, count = self._hull[bisect_left(self._rises, -per_s)]
        return count - per_s * in_s, in_s


def _below(
    one: tuple[float, float], between: tuple[float, float], other: tuple[float, float]
) -> bool:
    rise, run = other[1] - one[1], other[0] - one[0]
    return (between[1] - one[1]) * run <= rise * (between[0] - one[0])


def ahead(sends: Sequence[float], per_s: float) -> float:
    """How many requests more than the rate gives were accepted in any time, at most."""
    most = lowest = 0.0
    for index, sent_at in enumerate(sends):
        balance = index - per_s * (sent_at - sends[0])
        lowest = min(lowest, balance)
        most = max(most, balance - lowest + 1)
    return most


def readings(bursts: Sequence[Burst], jitter_s: float) -> list[Reading]:
    """The rates that explain all bursts, the lowest first.

    What was saved up at a burst's start is what came up in the pause, or all that a limit can save
    up: the same in all bursts. Where that explains the bursts nearly as well as it ever does, the
    rate is likely; rates next to each other are one reading. Empty where no rate explains the
    bursts: they are not all of one limit.
    """
    most_per_s = min(RATE_MAX, *(PACE_TIMES * burst.pace for burst in bursts))
    rates = sorted({rate for rate in {*RATES, *_crossings(bursts)} if rate < most_per_s})
    rates.append(most_per_s)
    misfits = [_misfit(bursts, rate, jitter_s) for rate in rates]
    if min(misfits) > IMPOSSIBLE * len(bursts):
        return []
    most = min(misfits) + UNLIKELY

    def likely(per_s: float) -> bool:
        return _misfit(bursts, per_s, jitter_s) <= most

    found: list[Reading] = []
    low: float | None = None
    for index, rate in enumerate(rates):
        if misfits[index] > most:
            continue
        if low is None:
            low = _change(likely, rates[max(0, index - 1)], rate)
        if rate is rates[-1] or misfits[index + 1] > most:
            high = rate if rate is rates[-1] else _change(likely, rate, rates[index + 1])
            found.append(Reading(low, high))
            low = None
    return found


def saves(bursts: Sequence[Burst], per_s: float) -> float:
    """How much a limit of that rate saves up, by those bursts that began with all of it."""
    full = [(burst.saved(per_s)[0], burst.beyond(per_s)) for burst in bursts]
    most = 1.0  # any limit lets one pass
    for _ in bursts:
        most = max(1.0, sum(saved for saved, _ in full) / len(full))
        left = [(saved, beyond) for saved, beyond in full if saved - most >= beyond]
        if len(left) in (0, len(full)):
            break
        full = left
    return most


def emptied(bursts: Sequence[Burst], per_s: float) -> bool:
    """Whether the last burst spent what had come up, rather than all that can be saved up."""
    last = bursts[-1]
    return last.beyond(per_s) >= last.saved(per_s)[0] - saves(bursts, per_s)


def _misfit(bursts: Sequence[Burst], per_s: float, jitter_s: float) -> float:
    """Errors, squared, by which a burst passed more or less than was left; of all bursts."""
    most = saves(bursts, per_s)
    squares = 0.0
    for burst in bursts:
        error = ROUNDING + JITTERS * jitter_s * min(burst.pace, RATE_MAX)
        off = max(burst.saved(per_s)[0] - most, burst.beyond(per_s))
        squares += (off / error) ** 2
    return squares


def _crossings(bursts: Sequence[Burst]) -> list[float]:
    """The rates at which a burst tells of as much as the quickest, or as came up meanwhile."""
    quickest = min(bursts, key=lambda burst: burst.lasted_s)
    found = []
    for burst in bursts:
        if burst is not quickest:
            found += _changes(partial(_more, burst, quickest))
        if burst.was_empty:
            found += _changes(partial(_beyond, burst))
    return found


def _more(one: Burst, other: Burst, per_s: float) -> bool:
    return one.saved(per_s)[0] > other.saved(per_s)[0]


def _beyond(burst: Burst, per_s: float) -> bool:
    return burst.beyond(per_s) > 0


def _changes(holds: Callable[[float], bool]) -> list[float]:
    found = []
    low, held = RATE_MIN, holds(RATE_MIN)
    while low < RATE_MAX:
        high = low * RATE_STEP
        if holds(high) != held:
            found.append(_change(holds, low, high))
            held = not held
        low = high
    return found


def _change(holds: Callable[[float], bool], low: float, high: float) -> float:
    """Where between two rates it changes whether that holds."""
    held = holds(low)
    for _ in range(HALVINGS):
        middle = math.sqrt(low * high)
        if holds(middle) == held:
            low = middle
        else:
            high = middle
    return high
