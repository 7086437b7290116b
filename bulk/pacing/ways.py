"""The requests on their way, from their leave to go to their answers, and what these took.

A *cut* is the instant at which a refusal became known: whatever had its leave to go before it is of
another epoch, and tells nothing of what came after.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from dataclasses import dataclass

SMOOTHING = 16  # answers over which latencies are smoothed: twice those of RFC 6298's deviation

LEAD_S = 0.03  # a turn is given out this long before it: the intent is made durable meanwhile
DUST_S = 1e-6  # a turn that is so much too far ahead is near enough: who waits for less may hardly
# get on, by sums of floats, and a clock that moves only while one waits would stand still


def too_soon(turn: float, now: float) -> bool:
    """Whether the turn is too far ahead to be given out yet."""
    return turn > now + LEAD_S + DUST_S


@dataclass(slots=True)
class Way:
    """One request's way. Instants on the caller's clock.

    `at`: when it may leave. `paced`: whether the pace held it back. `confirmed`: whether it will
    leave. `in_flight`: how many were under way when it left, itself included.
    """

    at: float
    epoch: int
    paced: bool
    confirmed: bool = False
    sent_at: float | None = None
    in_flight: int = 0

    @property
    def left_at(self) -> float:
        """When it left, of one that has."""
        assert self.sent_at is not None, "answered before sent"
        return self.sent_at


class Ways:
    """All ways, by their tickets. `epoch` is counted by the cuts."""

    def __init__(self) -> None:
        self.epoch = 0
        self.next_ticket = 1
        self._ways: dict[int, Way] = {}

    def __len__(self) -> int:
        return len(self._ways)

    def __getitem__(self, ticket: int) -> Way:
        return self._ways[ticket]

    def give(self, at: float, *, paced: bool) -> int:
        """A new way, from its leave to go on; its ticket."""
        ticket = self.next_ticket
        self.next_ticket += 1
        self._ways[ticket] = Way(at, self.epoch, paced)
        return ticket

    def end(self, ticket: int) -> Way:
        """A way has come to its end."""
        return self._ways.pop(ticket)

    def cut(self) -> None:
        """A new epoch begins."""
        self.epoch += 1

    @property
    def under_way(self) -> int:
        """How many have been sent."""
        return sum(way.sent_at is not None for way in self._ways.values())

    @property
    def leaving(self) -> int:
        """How many have not been sent, but will be."""
        return sum(way.confirmed and way.sent_at is None for way in self._ways.values())

    def any_fresh_before(self, ticket: int) -> bool:
        """Whether an older one is of this epoch; those of another may hang for long."""
        return any(other < ticket and way.epoch == self.epoch for other, way in self._ways.items())

    def sent_before(self, at: float) -> list[float]:
        """When those left that left before then; half of those in that instant may have."""
        sends = sorted(way.sent_at for way in self._ways.values() if way.sent_at is not None)
        earlier = bisect_left(sends, at)
        return sends[: earlier + (bisect_right(sends, at) - earlier) // 2]

    def unsettled_at(self, at: float) -> int:
        """How many left in that very instant, or have yet to leave."""
        return sum(way.sent_at in (None, at) for way in self._ways.values())


class Trips:
    """What round trips took, in seconds: the shortest, and the mean deviation of the accepted."""

    def __init__(self) -> None:
        self.shortest_s = math.inf
        self.jitter_s = 0.0
        self._usual_s: float | None = None

    @property
    def usual_s(self) -> float:
        """What the accepted take, smoothed; nothing as long as none was."""
        return self._usual_s or 0.0

    def accepted(self, latency_s: float) -> None:
        """The answer of an accepted request came; a refusal's is quicker and tells nothing here."""
        if self._usual_s is None:
            self._usual_s = latency_s
        self.jitter_s += (abs(latency_s - self._usual_s) - self.jitter_s) / SMOOTHING
        self._usual_s += (latency_s - self._usual_s) / SMOOTHING
