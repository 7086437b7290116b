"""The first pace: between the first refusal and the second, when nothing is known but the opening.

The pace grows with what is accepted until it is refused. Where the server asked for no pause the
next refusal costs little, and it grows fast until it is that of the whole opening. Where it asked
for one, the next refusal may cost as much again. Let n requests have passed in the time t before
the first refusal, and the pause be p long. If a pause brings more than the limit saves up, b < r *
p, then from n = b + r * t the rate is n / (t + p) at least; and if it brings less, a refusal costs
nothing. So the pace starts there, and doubles so slowly that going from there to n / t, which the
rate hardly exceeds, takes about as long as a pause or two: longer would cost more than the refusal
it is to make informative.
"""

from __future__ import annotations

import math

SLOWEST_S = 1e-3  # no pause and no opening is thought of as shorter
FASTEST = 1e3  # requests a second, where there was no opening to tell
GROWTH = 1.1  # of the pace with each accepted request: what one brings too many is wasted
BEYOND = 1.01  # ... once it is as fast as the whole opening was, which hardly any limit exceeds
ASKED_S_MAX = 3.0  # a longer pause is more likely a window's than a rate's
RAMP = 2.0  # pauses that the pace takes from the lowest rate to the highest, where those are dear
GUESS_MAX, GUESS_MIN = 4.0, 8  # times what was accepted since, of so many at least: beyond, it is
# not the guess that holds back


class Guess:
    """A pace in requests a second, None as long as there is nothing to guess it from."""

    def __init__(self, per_s: float | None) -> None:
        self.per_s = per_s
        self._count = 0
        self._took_s: float | None = None
        self._fastest = FASTEST
        self._doubling_s: float | None = None

    def opened(self, count: int, took_s: float) -> None:
        """The first refusal: so many had been accepted in that time."""
        self._count, self._took_s = count, took_s
        self._fastest = max(1, count) / took_s

    def recovered(self, pause_s: float, *, told: bool, most_per_s: float = math.inf) -> None:
        """The first pause is over; `told`: the server asked for it.

        `most_per_s`: no rate beyond it would have refused a probe in the pause.
        """
        if self.per_s is not None and self._took_s is not None:
            return
        if pause_s < ASKED_S_MAX:
            self._fastest = min(self._fastest, most_per_s)
        slowest = 1 / max(SLOWEST_S, pause_s)
        took_s, fastest = self._took_s, self._fastest
        self.per_s = max(slowest, min(math.sqrt(slowest * fastest), fastest))
        if told and took_s is not None and self._count and pause_s < ASKED_S_MAX:
            self.per_s = max(slowest, self._count / (took_s + pause_s))
            doublings = math.log2(1 + pause_s / took_s)
            self._doubling_s = RAMP * pause_s / max(1.0, doublings)

    def accepted(self, count: int, took_s: float) -> None:
        """One more at that pace was accepted, the one of that number since the refusal."""
        if self.per_s is None:
            return
        if count >= GUESS_MIN and self.per_s >= GUESS_MAX * count / max(SLOWEST_S, took_s):
            return
        if self._doubling_s is None:
            self.per_s *= GROWTH if self.per_s < self._fastest else BEYOND
        else:
            self.per_s *= 2 ** (1 / max(1.0, self.per_s * self._doubling_s))
