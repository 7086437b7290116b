"""A cap on requests at once: told from a rate by how many were under way, and kept to by that.

A cap refuses a request because of those that are being served, whatever passed before; a rate
because of what passed before, however many are under way. So where the refused had one number of
requests under way, and nearly all that were accepted had fewer, a cap is the cause, and its level
is one below. From then on so many are kept under way, at whatever pace that gives, and now and then
one more is tried.

Where a refusal is known much sooner than the accepted come back, the server counts a request for
nearly all of its way, and the first refusal is enough to *suppose* a cap. What is still under way
when all that had left by then is answered is being served: so many stay under way, without a pause.
After each round one more is tried. If that is refused, and once more, there is a cap; if a round
passes with as many as the refused had there is none; and a refusal at the level refutes it at once.

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
TRIES_MIN = 2  # of one more than supposed, refused: a rate refuses the level as well by then
FALLS_MAX, FALLS_FROM = 1, 8  # a supposed level may be one too high; a lower one is not given such
# a chance: a rate wrongly taken for a cap of two or three is far from it
SOON, STRIKES_MAX = 40, 2  # accepted between refusals at the level, and how many such: no cap then
QUICK = 0.3  # of the time that the accepted take: few others leave until such a refusal is known,
# so that a wrong guess costs little


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
        self._tries = 0  # of one more than supposed, that were refused
        self._supposed = False  # whether the level is what one refusal suggests, and no more

    @property
    def known(self) -> bool:
        """Whether there is a cap."""
        return self._level is not None and not self._supposed

    @property
    def level(self) -> float:
        """How many may be under way; infinite where no cap is known or supposed."""
        return math.inf if self._level is None else self._level + self._trying

    def suppose(self, refusal_s: float, usual_s: float) -> bool:
        """After the first refusal: whether to go on with one fewer under way, and see.

        `refusal_s`: how long it took. `usual_s`: how long the accepted take.
        """
        if refusal_s >= QUICK * usual_s or len(self._refused) != 1 or self._refused[0] < 2:
            return False
        self._level, self._supposed = self._refused[0] - 1, True
        return True

    def overshot(self, others: int) -> None:
        """A request was refused, and so many others are on their way: no more are being served."""
        if self._supposed and self._level is not None:
            self._level = max(1, min(self._level, others))

    def unsuppose(self) -> bool:
        """Suppose none any longer; whether one was supposed."""
        supposed = self._supposed
        if supposed:
            self._level, self._supposed, self._trying, self._since = None, False, False, 0
        return supposed

    def accepted(self, under_way: int, *, fresh: bool) -> None:
        """A request was accepted; `fresh` if it left after the last refusal."""
        if not self.known:
            self._accepted[under_way] += 1
        if self._level is None or under_way < self.level or not fresh:
            return
        self._since += 1
        if self._since < (self.level if self._supposed else self._patience):
            return
        if self._supposed and self._trying and self.level >= self._refused[0]:
            self.unsuppose()  # a whole round passed with as many under way as the refused had
        else:
            self._level += self._trying
            self._trying, self._since = True, 0

    def refused(self, under_way: int) -> bool:
        """The first request of an epoch was refused; whether a cap is the cause."""
        if self._supposed and self._trying and under_way >= self.level - 1:
            self._tries += 1
            self._supposed = self._tries < TRIES_MIN
            self._trying, self._since = False, 0
            return True
        if self._supposed:
            self._refused.append(under_way)
            return self._falls(under_way)
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
            if self._strikes >= STRIKES_MAX or under_way < 2:
                self._refusals_min *= 2
                self._forget()
                return False
            self._level = max(1, self._level - 1)
        self._trying, self._since = False, 0
        return True

    def _falls(self, under_way: int) -> bool:
        """A supposed level was too high: whether one fewer is supposed."""
        assert self._level is not None
        if len(self._refused) > 1 + FALLS_MAX or not FALLS_FROM <= self._level <= under_way:
            return False
        self._level, self._since = self._level - 1, 0
        return True

    def _found(self) -> int | None:
        count, total = len(self._refused), sum(self._accepted.values())
        if count < self._refusals_min or total < ACCEPTED_MIN:
            return None
        later = self._refused[1:]  # the first is met on the way up
        if max(later) - min(later) > SPREAD_MAX:
            return None
        usual = sorted(self._refused)[(count - 1) // 2]
        as_many = sum(n for under_way, n in self._accepted.items() if under_way >= usual)
        share_max = min(AS_MANY_MAX, AS_MANY_EACH * (count - 2))
        return max(1, usual - 1) if as_many <= share_max * total else None
