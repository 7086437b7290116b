"""A cap on requests at once: told from a rate by how many were under way, and kept to by that.

A cap refuses a request because of those that are being served, whatever passed before; a rate
because of what passed before, however many are under way. So where the refused had one number of
requests under way, and nearly all that were accepted had fewer, a cap is the cause, and its level
is one below. From then on so many are kept under way, at whatever pace that gives, and now and then
one more is tried.

A cap that counts a request for a part of its way only has no such edge: it refuses some with many
under way, and others not. There the pace by chance is quicker, and it is not taken for one.
"""

from __future__ import annotations

import math
from collections import Counter

REFUSALS_MIN = 3  # the first is met on the way up, and the second may be, under a rate as well
SPREAD_MAX = 1  # of the numbers under way at refusals: one may have come back unnoticed
ACCEPTED_MIN = 30
AS_MANY_EACH, AS_MANY_MAX = 0.03, 0.2  # of the accepted may have had as many under way, for each
# refusal beyond two: some had just ended; what is rarer the refusals show all the better
PATIENCE, PATIENCE_TIMES = 150, 2  # accepted at the level before one more is tried; after a failure
# as many times that
SOON, STRIKES_MAX = 40, 2  # accepted between refusals at the level, and how many such: no cap then


class Cap:
    """Counts are of requests under way, the one in question included."""

    def __init__(self) -> None:
        self._refusals_min = REFUSALS_MIN
        self._forget()

    def _forget(self) -> None:
        self._refused: list[int] = []
        self._accepted: Counter[int] = Counter()
        self._level: int | None = None
        self._trying = False
        self._since = 0  # accepted at the level since the last refusal, or since a try began
        self._patience = PATIENCE
        self._strikes = 0

    @property
    def known(self) -> bool:
        """Whether there is a cap."""
        return self._level is not None

    @property
    def level(self) -> float:
        """How many may be under way; infinite where no cap is known."""
        return math.inf if self._level is None else self._level + self._trying

    def accepted(self, under_way: int) -> None:
        """A request was accepted."""
        if self._level is None:
            self._accepted[under_way] += 1
        elif under_way >= self.level:
            self._since += 1
            if self._since >= self._patience:
                self._level += self._trying
                self._trying, self._since = True, 0

    def refused(self, under_way: int) -> bool:
        """The first request of an epoch was refused; whether a cap is the cause."""
        if self._level is None:
            self._refused.append(under_way)
            self._level = self._found()
            return self.known
        if self._trying or under_way > self._level:
            self._patience *= PATIENCE_TIMES
        elif self._since >= SOON:
            self._strikes = 0
        else:
            self._strikes += 1
            if self._strikes >= STRIKES_MAX:
                self._refusals_min *= 2
                self._forget()
                return False
            self._level = max(1, self._level - 1)
        self._trying, self._since = False, 0
        return True

    def _found(self) -> int | None:
        count, total = len(self._refused), sum(self._accepted.values())
        if count < self._refusals_min or total < ACCEPTED_MIN:
            return None
        if max(self._refused) - min(self._refused) > SPREAD_MAX:
            return None
        usual = sorted(self._refused)[(count - 1) // 2]
        as_many = sum(n for under_way, n in self._accepted.items() if under_way >= usual)
        share_max = min(AS_MANY_MAX, AS_MANY_EACH * (count - 2))
        return max(1, usual - 1) if as_many <= share_max * total else None
