"""A limit that the user knows: no request leaves beyond it, whatever else is thought of limits."""

from __future__ import annotations

import math


class Ceiling:
    """At most `per_s` requests a second, and `burst` at once; None for no such limit.

    By the generic cell rate algorithm: `_due` is when the next one would leave if all left evenly,
    and up to `burst` - 1 may leave before that. What has its turn and has not left yet counts from
    then on, or from now if it is late. Instants are seconds on the caller's clock.
    """

    def __init__(self, per_s: float | None, burst: int) -> None:
        self._gap_s = 0.0 if per_s is None else 1.0 / per_s
        self._early_s = (burst - 1) * self._gap_s
        self._due = -math.inf
        self._turns: dict[int, float] = {}

    def turn(self, now: float, ticket: int | None = None) -> float:
        """The instant, now or later, at which one more may leave, or that which has the ticket."""
        own = math.inf if ticket is None else self._turns.get(ticket, math.inf)
        due = self._due
        for at, other in sorted((at, other) for other, at in self._turns.items() if at <= own):
            if other != ticket:
                due = max(due, at, now) + self._gap_s
        return max(now, due - self._early_s)

    def give(self, ticket: int, turn: float) -> None:
        """It is to leave then."""
        if self._gap_s:
            self._turns[ticket] = turn

    def left(self, ticket: int, at: float) -> None:
        """It left."""
        if self._turns.pop(ticket, None) is not None:
            self._due = max(self._due, at) + self._gap_s

    def withdrawn(self, ticket: int) -> None:
        """It will not leave."""
        self._turns.pop(ticket, None)
