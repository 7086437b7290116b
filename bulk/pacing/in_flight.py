"""How many requests may be under way: at the start, under a cap, and at a server in trouble.

At the start what is under way when the first refusal comes is what that refusal wastes, so it grows
a request for each accepted one, up to a share of the batch and of what was accepted already.

A cap on requests at once shows by a refusal right after one more was let under way, where less ran
for long without one: then that one is taken back, and tried again ever more seldom.

Trouble (5xx, time-outs) and latency that climbs are no rate: they halve, once an epoch, a ceiling
that holds whatever else is known, and that rises by one a round while nothing is amiss (Chiu and
Jain, 1989). Single failures are the weather, and change nothing.
"""

from __future__ import annotations

import math
from collections import deque

START = 4.0  # a browser opens six connections to a host; below that nobody is surprised
OVERSHOOT_MIN = 8.0  # at the start: what one refusal may waste of the smallest batch ...
OVERSHOOT_SHARE = 0.01  # ... of any ...
OVERSHOOT_SEEN = 0.04  # ... and of what was accepted so far, which needs no small steps any more
CAP_PATIENCE = 200  # accepted requests at a cap before one more is tried; doubles when refused
CAP_PATIENCE_MAX = 3200
CAP_TELLS = 3.0  # times the cap: a refusal later than after so many requests has another cause
RECENT = 10  # answers looked at for trouble
TROUBLE_MIN = 3  # of them: the share of failures that a working server does not have
SLOW_TIMES, SLOW_S_MIN = 8.0, 5.0  # times the shortest latency, and at least: a queue builds up
SHORTEST = 2.0  # the ceiling's floor: one could not tell a server that answers again


class InFlight:
    """The limit on requests under way. `maximum`: the user's; `total`: the batch's triggers."""

    def __init__(self, maximum: int, total: int) -> None:
        self._maximum = float(maximum)
        self._share = max(OVERSHOOT_MIN, OVERSHOOT_SHARE * total)
        self._limit = min(START, self._maximum)
        self._ceiling = self._maximum
        self._opening = True
        self._refused_at = math.inf  # so many were under way when the first refusal left
        self._full = 0  # accepted requests since the limit was last raised
        self._patience = CAP_PATIENCE
        self._accepted = 0
        self._answers: deque[bool] = deque(maxlen=RECENT)
        self._cut_at = -math.inf

    @property
    def ceiling(self) -> float:
        """The limit where a rate is known, which then holds requests back by itself."""
        return self._ceiling

    @property
    def limit(self) -> float:
        """The limit while no rate is known."""
        return min(self._limit, self._ceiling)

    def accepted(self, in_flight: int, latency_s: float, shortest_s: float) -> None:
        """A request was accepted; `in_flight` were under way when it left, itself included."""
        self._accepted += 1
        self._answers.append(True)
        if latency_s > max(SLOW_TIMES * shortest_s, SLOW_S_MIN):
            self._ceiling = max(SHORTEST, min(self._ceiling, in_flight) - 1)
        elif self._ceiling < self._maximum:
            self._ceiling = min(self._maximum, self._ceiling + 1 / self._ceiling)

    def grow(self, in_flight: int) -> None:
        """It was the limit that held requests back, and all is well."""
        if self._opening:
            bound = max(self._share, OVERSHOOT_SEEN * self._accepted)
            self._limit = min(self._maximum, bound, self._limit + 1)
            return
        bound = self._refused_at - 1 if self._refused_at > 1 else OVERSHOOT_MIN
        self._full += in_flight >= int(self._limit)
        if self._limit < bound:
            self._limit = min(self._maximum, bound, self._limit + 1 / self._limit)
        elif self._full >= self._patience:
            self._limit = min(self._maximum, float(int(self._limit) + 1))
            self._full = 0

    def capped(self, in_flight: int) -> bool:
        """Whether a refusal tells of a cap and nothing else: one more under way was too many."""
        tried = int(self._limit)
        if self._opening or tried <= max(1.0, self._refused_at - 1) or in_flight < tried:
            return False
        if self._full > CAP_TELLS * self._limit:
            return False
        self._limit, self._full = float(tried - 1), 0
        self._patience = min(CAP_PATIENCE_MAX, 2 * self._patience)
        return True

    def refused(self, in_flight: int) -> None:
        """An epoch began, of which a pause and a probe are the cure: from one request on anew."""
        self._opening = False
        self._refused_at = float(in_flight)
        self._limit = 1.0
        self._full = 0

    def troubled(self, now: float, sent_at: float) -> None:
        """The server failed at a request that left at `sent_at`."""
        self._answers.append(False)
        if sent_at > self._cut_at and self._answers.count(False) >= TROUBLE_MIN:
            self._ceiling = max(1.0, min(self._ceiling, self._maximum) / 2)
            self._cut_at = now
            self._answers.clear()
