"""Refusals by chance: a server that sheds load, or nodes behind one address that each count alone.

Such refusals tell nothing of a rate. Taken for one they end in a spiral: at any pace there is one
after so many requests, each makes the pace slower, and the next comes as soon. No limit does that:
at a slower pace than it sustains it refuses nothing, and that pace is known after a few refusals.

So where refusals go on coming soon while the pace falls, they are put to the test: a limit that has
nothing left refuses the very next request as well, or, where the refused one had come a moment too
soon, the one behind it. If both pass, and once more, all that refusals had told is forgotten and
the opening begins anew. From then on single ones count for nothing; a
limit shows where many of the latest requests are refused. Where hardly any is refused any more,
refusals are taken at their word again.

A test tells only where next to nothing comes up in a round trip, so the pace falls until it does.
"""

from __future__ import annotations

from collections import deque

SOON = 60  # accepted from one refusal to the next: where a rate is known it is some hundreds
ROW_MIN, FALL = 5, 0.6  # so many in a row came soon, and the rate fell to this share of its most,
# but for the first, which is hardly more than a guess
QUIET = 0.15  # requests that come up in a round trip: a test tells where it is no more
AT_ONCE = 2  # requests in a row are a test: less than one was left, and one may have come up
TESTS = 2  # that pass, more than do not, or the other way round, decide
RECENT, MANY = 16, 4  # of the latest answers: so many refusals are a limit's
TIMES, SHARE_MAX = 3.0, 0.1  # times the usual share of them; were that larger, a limit takes part
MEMORY = 200.0  # answers over which the share is smoothed
SELDOM = 0.01  # of answers: so many a limit refuses as well


class Shedding:
    """Whether refusals come by chance. `testing`: whether the next request is a test of that."""

    def __init__(self) -> None:
        self.testing = False
        self._known = False
        self._suspected = False
        self._passed = 0  # requests of the test that is on
        self._passes = 0  # tests that passed, less those that did not
        self._rates: list[float] = []  # as each was thought to be, after refusals that came soon
        self._since = 0  # accepted since the last that counted
        self._recent: deque[bool] = deque(maxlen=RECENT)
        self._share = 0.0

    def accepted(self) -> None:
        """A request was accepted."""
        self._since += 1
        self._note(refused=False)

    def _note(self, *, refused: bool) -> None:
        self._recent.append(refused)
        self._share += (refused - self._share) / MEMORY

    def by_chance(self) -> bool:
        """A request was refused: whether that counts for nothing."""
        self._note(refused=True)
        many = max(MANY, TIMES * self._share * RECENT)
        self._known = self._known and self._share >= SELDOM
        return self._known and self._share < SHARE_MAX and self._recent.count(True) < many

    def to_test(self, per_s: float | None, trip_s: float) -> bool:
        """Whether to test this refusal, where that is thought to be the rate."""
        self.testing = self._suspected and per_s is not None and per_s * trip_s < QUIET
        return self.testing

    def tested(self, *, passed: bool) -> bool:
        """A test's answer; whether it is known now that refusals come by chance."""
        self._passed = self._passed + 1 if passed else 0
        if 0 < self._passed < AT_ONCE:
            return False  # another one has to pass
        self.testing, self._passed = False, 0
        self._passes += 1 if passed else -1
        if abs(self._passes) < TESTS:
            return False
        self._suspected, self._rates = False, []
        self._known = passed
        self._share = max(self._share, 1 / SOON)
        return passed

    def counted(self, per_s: float | None) -> None:
        """A refusal counted, and the rate is now thought to be that."""
        soon, self._since = self._since < SOON, 0
        self._recent.clear()
        self._rates = [*self._rates, per_s] if soon and per_s is not None else []
        fell = len(self._rates) >= ROW_MIN and self._rates[-1] < FALL * max(self._rates[1:])
        if fell and not self._suspected:
            self._suspected, self._passes = True, 0
