"""When the next request's turn is, by what is known: a window's plan, else the pace, else now.

At the pace, requests have turns one gap apart. A turn that lies in the past is not lost where the
limit saves up: as many turns as it saves may be taken at once.
"""

from __future__ import annotations

import math

from bulk.pacing.rate import RateModel
from bulk.pacing.windows import WindowPlan

SAVED_SHARE = 0.9  # of what a limit saves up: as much is spent at once after a pause
SKIPPED_MIN, SKIPPED_MAX = 2, 8  # turns a refused request waits; more become a pause
SAVES_MIN = 2.0  # a limit that saves up less is a spacing, where a lost turn stays lost


class Turns:
    """The turns of a rate and a plan. Instants are seconds on the caller's clock."""

    def __init__(self, rate: RateModel, plan: WindowPlan) -> None:
        self._rate = rate
        self._plan = plan
        self._next = -math.inf
        self._skipped = 0

    def at(self, now: float, unsent: int) -> float:
        """The instant of the next turn, now or later; `unsent` requests have theirs already."""
        if self._plan.limit is not None:
            return max(now, self._plan.next_at(unsent))
        if self._rate.pace is None:
            return now
        return max(now, self._next)

    def take(self, now: float) -> bool:
        """Give the next turn away; whether it is the pace that holds requests back."""
        if self._rate.pace is None or self._plan.limit is not None:
            return False
        gap = 1 / self._rate.pace
        held_back = self._next > now - gap
        saved = 1.0 if self._plan.failed else max(1.0, SAVED_SHARE * self._rate.saved - 1)
        self._next = max(self._next, now - saved * gap) + gap
        return held_back

    def skip(self, refused_at: float, now: float, ahead: int, *, again: bool) -> bool:
        """Let a refused request wait some turns; whether that is thought to be enough.

        `refused_at`: when it left. `ahead`: requests that have left since. `again`: the last
        refusal's wait was not enough.
        """
        first = SKIPPED_MIN if self._rate.saved >= SAVES_MIN else 1
        self._skipped = self._skipped * 2 if again else first
        pace = self._rate.pace
        if pace is None or self._plan.limit is not None:
            return False
        self._next = max(refused_at + (ahead + self._skipped) / pace, now)
        return self._skipped <= SKIPPED_MAX

    def hold(self, now: float) -> None:
        """Nothing is left just now: let it gain a little."""
        if self._rate.pace is not None:
            self._next = max(self._next, now + SKIPPED_MIN / self._rate.pace)

    def probed(self, edge_at: float) -> None:
        """A probe was accepted: it took what had come up since the limit was at its edge."""
        if self._rate.pace is not None:
            gap = 1 / self._rate.pace
            self._next = max(self._next, edge_at + gap) + gap
