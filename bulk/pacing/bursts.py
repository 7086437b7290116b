"""What bursts of accepted requests tell of a limit that saves up; pure arithmetic.

A limit of rate r that saves up b requests lets any burst pass at most b + r * t requests in the
time t, and just that many if all was saved up at its start and nothing was left at its end.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

RATE_MIN, RATE_MAX = 1e-3, 1e4  # requests a second: what a rate is looked for between
HALVINGS = 30  # of the logarithm between them: a rate is found to a millionth
SAVED_MIN = -1.0  # requests: any limit lets one pass, and jitter takes one or two of it
TELLING = 3.0  # requests by which bursts have to differ to tell a rate
FULL_ERROR = 3.0  # requests: where all was saved up at first, both ends are known less well


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


class Burst:
    """Requests that were accepted until one was refused at `end`, by their sends in order.

    Each of them and those behind it, n in the time t until the end, tells that the limit saves up
    n - r * t at least. Only the upper convex hull of these points (t, n) matters. `lasted_s`: from
    the first of them to the end.
    """

    def __init__(self, sends: Sequence[float], end: float) -> None:
        hull: list[tuple[float, float]] = []
        for index in range(len(sends) - 1, -1, -1):
            point = (end - sends[index], float(len(sends) - index))
            while len(hull) > 1 and _below(hull[-2], hull[-1], point):
                hull.pop()
            hull.append(point)
        self._hull = hull or [(0.0, 1.0)]  # any limit lets one pass
        self.lasted_s = self._hull[-1][0]

    def saved(self, per_s: float) -> tuple[float, float]:
        """How many requests such a limit must have saved up, and in which time they left."""
        return max((count - per_s * in_s, in_s) for in_s, count in self._hull)


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


def agreed(bursts: Sequence[Burst]) -> Span | None:
    """The rate at which all bursts tell the same of what the limit saves up.

    Each began when all was saved up, or came to that. None where they are so much alike that any
    rate would do.
    """
    quickest = min(bursts, key=lambda burst: burst.lasted_s)
    rates = [_crossing(burst, quickest) for burst in bursts if burst is not quickest]
    best = min(rates, key=partial(_spread, bursts), default=RATE_MIN)
    if min(burst.saved(best)[0] for burst in bursts) < SAVED_MIN:
        return None  # at that rate the refusals would have no cause
    spans_s = [burst.saved(best)[1] for burst in bursts]
    longer_s = max(spans_s) - min(spans_s)
    return Span(best * longer_s, longer_s, FULL_ERROR) if best * longer_s >= TELLING else None


def _crossing(longer: Burst, quicker: Burst) -> float:
    """The rate up to which the longer burst tells of more that was saved up."""
    low, high = RATE_MIN, RATE_MAX
    for _ in range(HALVINGS):
        middle = math.sqrt(low * high)
        if longer.saved(middle)[0] > quicker.saved(middle)[0]:
            low = middle
        else:
            high = middle
    return high


def _spread(bursts: Sequence[Burst], per_s: float) -> float:
    saved = [burst.saved(per_s)[0] for burst in bursts]
    mean = max(1.0, sum(saved) / len(saved))  # any limit lets one pass
    return sum((one - mean) ** 2 for one in saved)
