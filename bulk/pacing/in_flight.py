"""How many requests may be under way: at the start, before a queue, and at a server in trouble.

At the start what is under way when the first refusal comes is what that refusal wastes. So it grows
with each accepted request up to a share of the batch, and from there by one in two round trips; and
only while it is what holds requests back. Later the rate holds them back, and this is a bound.

Where the server tells how many more would pass, it grows faster while these are many, and shrinks
when they are few.

Nor does it grow while latency has climbed: the server lets requests wait, and more gain nothing. A
cap on requests at once is not known here, see `cap`.

Trouble (5xx, time-outs) and latency that climbs are not a rate: they halve, once an epoch, a
ceiling that holds whatever else is known, and that rises by one a round while nothing is amiss
(Chiu and Jain, 1989). Single failures are the weather, and change nothing.
"""

from __future__ import annotations

import math
from collections import deque

START = 4.0  # a browser opens six connections to a host; below that nobody is surprised
OVERSHOOT_MIN = 6.0  # at the start: what one refusal may waste of the smallest batch ...
OVERSHOOT_SHARE = 0.006  # ... and of any, before more is tried with care
GROWTH = 0.25  # a round trip, up to that: a limit is then met at a speed near its own
CARE = 0.5  # requests a round trip, beyond that
NEARLY, TOLD_CUT = 2.0, 0.7  # times the limit: where the server tells that no more are left it
# shrinks to this share, once a round trip
ROOMY = 4.0  # times the limit: where so many are left it grows without care
FIRST = 8  # answers whose latencies are what later ones are compared with
QUEUED = 2.0  # times these: the server lets requests wait, and more under way gain nothing
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
        self._first_s: list[float] = []  # latencies at the start
        self._usual_s = 0.0  # smoothed
        self._answers: deque[bool] = deque(maxlen=RECENT)
        self._cut_at = -math.inf
        self._roomy = False  # whether the server tells that many more would pass
        self._told_at = -math.inf

    @property
    def limit(self) -> float:
        """How many may be under way."""
        return min(self._limit, self._ceiling)

    def accepted(self, in_flight: int, latency_s: float, shortest_s: float) -> None:
        """A request was accepted; `in_flight` were under way when it left, itself included."""
        self._answers.append(True)
        if len(self._first_s) < FIRST:
            self._first_s.append(latency_s)
        self._usual_s += (latency_s - self._usual_s) / min(len(self._first_s), FIRST)
        if latency_s > max(SLOW_TIMES * shortest_s, SLOW_S_MIN):
            self._ceiling = max(SHORTEST, min(self._ceiling, in_flight) - 1)
        elif self._ceiling < self._maximum:
            self._ceiling = min(self._maximum, self._ceiling + 1 / self._ceiling)
        if in_flight > self._limit / 2:  # with less under way it is not the limit that holds back
            self._limit = min(self._maximum, self._limit + self._more())

    def _more(self) -> float:
        """How many more with an accepted request; a round trip brings as many as are under way."""
        if self._limit < OVERSHOOT_MIN:
            return 1.0
        if self._usual_s > QUEUED * sum(self._first_s) / len(self._first_s):
            return 0.0  # more would wait in a queue
        return GROWTH if self._roomy or self._limit < self._share else CARE / self._limit

    def refused(self, in_flight: int) -> None:
        """A limit was met: from here on more is let under way with care only."""
        self._share, self._roomy = 0.0, False
        self._limit = max(START, min(self._limit, float(in_flight)))

    def told(self, left: float, now: float, sent_at: float) -> None:
        """The server tells, before a limit was met, that `left` more than are under way would pass.

        The answer came at `now`, to a request that left at `sent_at`.
        """
        self._roomy = left > ROOMY * self._limit
        if left <= NEARLY * self._limit and sent_at > self._told_at:
            self._limit = max(min(self._limit, START), TOLD_CUT * self._limit)
            self._told_at = now

    def troubled(self, now: float, sent_at: float) -> None:
        """The server failed at a request that left at `sent_at`."""
        self._answers.append(False)
        if sent_at > self._cut_at and self._answers.count(False) >= TROUBLE_MIN:
            self._ceiling = max(1.0, min(self._ceiling, self._maximum) / 2)
            self._cut_at = now
            self._answers.clear()
