"""The plan for a limit that counts in windows: never more than so many in any so long.

A window shows when requests pass again long after the refusal, far longer than a request took
before it: then the requests that passed since the one before are its limit, and the time since then
its length. The plan is to send request i one length after request i - limit, as fast as that
allows. It suits windows of both kinds, sliding and fixed: what a sliding window lets pass, a fixed
one of the same length does too. It fills each window from its start, so the last one costs no wait,
and where it is right it meets no refusal. Where it is wrong, a refusal mends it: too many, and the
count of what passed is the limit; too early, and the window is longer; a recovery after a moment,
and it was no window at all.

What a plan cannot see by itself it tries now and then, at the price of one refusal: whether the
window is shorter than the usual length it was taken for, and whether one request more passes.
"""

from __future__ import annotations

import math
from bisect import bisect_left, insort

LIMIT_MIN = 4  # fewer are no window worth a plan: pacing does as well
PAUSE_SHARE_MIN = 0.4  # of the window: a bucket recovers within a request or two
PAUSE_TRIPS_MIN = 5.0  # ... and of round trips
ASKED_S_MIN = 2.5  # a shorter `Retry-After` may be a bucket's, rounded up
USUAL_S = (1.0, 2.0, 5.0, 10.0, 15.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 3600.0)
SNAP = 1.12  # a recovery is seen late, by the last probe's wait, and never early
EARLIER = 0.95  # of a usual length: tried once, for a window may have any other length
EXACT = 1.04  # a length known to within this is not sought any further
MARGIN_S = 0.015  # jitter of the network, at first; each refusal that nothing else explains adds it
TRIES_AFTER = 4  # windows without a refusal before one request more is tried
FILLED_MIN = 0.15  # of the limit
FAILS_MAX = 4  # refusals in a row that no change of the plan prevented
SOON_MAX = 3  # early ends in a row that speak against a usual length; one may be a late start
DROPPED_MAX = 2  # plans that failed: then it is no window
SLOW = 0.8  # a plan that allows less than this share of the known rate is none
SENDS_KEPT = 100_000


class WindowPlan:
    """Knows when the next request fits. Instants are seconds on the caller's clock.

    `limit` is None while there is no plan; `length_s` is the window's.
    """

    def __init__(self) -> None:
        self.limit: int | None = None
        self.length_s = 0.0
        self._too_short_s = 0.0
        self._margin_s = MARGIN_S
        self._sends: list[float] = []  # that count, in order
        self._began: float | None = None  # when the window under way began to be filled
        self._fails = 0
        self._clean = 0
        self._tries_after = TRIES_AFTER
        self._extra = 0
        self._dropped = 0
        self._soon = 0

    @property
    def failed(self) -> bool:
        """Whether a plan was made and dropped."""
        return self._dropped > 0

    def sent(self, at: float, *, probe: bool) -> None:
        """A request left; it counts until it is refused. What a probe opens, `opened` tells."""
        if self._began is None:
            self._began = at
        elif not probe and self.limit is not None and at >= self._began + self.length_s:
            self._turn(at)
        insort(self._sends, at)
        if len(self._sends) > SENDS_KEPT:
            del self._sends[: SENDS_KEPT // 2]

    def _turn(self, at: float) -> None:
        """A window without a refusal is over; now and then the next one tries one request more."""
        assert self.limit is not None
        self._began = at
        self._fails = 0
        self._clean += 1
        if self._extra:  # that went well
            self.limit += self._extra
            self._extra *= 2
        elif self._clean % self._tries_after == 0:
            self._extra = 1

    def uncounted(self, at: float) -> None:
        """The request that left at `at` was refused."""
        index = bisect_left(self._sends, at)
        if index < len(self._sends) and self._sends[index] == at:
            del self._sends[index]

    def next_at(self, pending: int) -> float:
        """The instant from which one more fits, when `pending` others have yet to leave."""
        assert self.limit is not None
        index = len(self._sends) + pending - self.limit - self._extra
        if index < 0 or not self._sends:
            return -math.inf
        return self._sends[min(index, len(self._sends) - 1)] + self.length_s + self._margin_s

    def earlier(self) -> float | None:
        """Where it pays to look whether the window ends before its time: the instant to do so."""
        if self.limit is None or self._began is None or self._fails:
            return None
        if self.length_s <= self._too_short_s * EXACT:
            return None
        if self.length_s in USUAL_S:
            tried_s = EARLIER * self.length_s
            if self._too_short_s >= tried_s:
                return None
        else:
            tried_s = (self.length_s + self._too_short_s) / 2
        return self._began + tried_s

    def end_after(self, instant: float) -> float | None:
        """The next instant at which a window of a usual length would end."""
        began = self._began or 0.0
        if self.limit is not None and self._too_short_s < self.length_s:
            return max(instant, began + self.length_s + self._margin_s)
        ends = (began + length + MARGIN_S for length in USUAL_S)
        return next((end for end in ends if end > instant), None)

    def too_early(self, at: float) -> None:
        """A probe that left at `at` was refused: the window is longer than that."""
        self._soon = 0
        if self._began is not None:
            self._too_short_s = max(self._too_short_s, at - self._began)

    def refused(self, at: float) -> bool:
        """An epoch begins with the request that left at `at`; whether the plan stands all the same.

        A window that was open for a few requests only was none.
        """
        if self.limit is None:
            return False
        if not self._extra and self._filled(at) < FILLED_MIN * self.limit:
            self._drop()
            return False
        if self._extra:  # that was the try
            self._extra = 0
            self._tries_after *= 2
        else:
            self._fails += 1
            self._margin_s += MARGIN_S
            self._clean = 0
        return self._fails < 2

    def _filled(self, at: float) -> int:
        return bisect_left(self._sends, at) - bisect_left(self._sends, self._began or 0.0)

    def _drop(self) -> None:
        self.limit, self._fails, self._too_short_s = None, 0, 0.0
        self._dropped += 1

    def opened(
        self,
        at: float,
        refused_at: float,
        *,
        trip_s: float,
        asked_s: float | None,
        known_per_s: float | None,
    ) -> None:
        """Requests pass again: the probe that left at `at` was accepted. All else is answered."""
        began = at if self._began is None else self._began
        count = self._filled(at)
        pause_s, length_s = at - refused_at, at - began
        if length_s > SNAP * USUAL_S[-1]:  # nobody waits for such a window unasked
            self._drop()
            self._began = at
            return
        long = pause_s >= max(PAUSE_SHARE_MIN * length_s, PAUSE_TRIPS_MIN * trip_s)
        telling = asked_s is None or asked_s >= ASKED_S_MIN
        slow = known_per_s is not None and count < SLOW * known_per_s * length_s
        if self.limit is None:
            if not slow and long and telling and count >= LIMIT_MIN and self._dropped < DROPPED_MAX:
                self.limit, self.length_s = count, usual(length_s)
        elif self._fails >= FAILS_MAX or (self._fails and (slow or not long)):
            self._drop()
        else:
            if self._fails and LIMIT_MIN <= count < self.limit:
                self.limit = count
            if self._too_short_s >= self.length_s:  # it is longer than was thought
                self.length_s = usual(length_s) if usual(length_s) > self._too_short_s else length_s
            elif length_s < self.length_s:  # it began late, or is shorter than was thought
                self._soon += 1
                if self.length_s not in USUAL_S or self._soon >= SOON_MAX:
                    self.length_s = length_s
        self._began = at


def usual(length_s: float) -> float:
    """The usual length that a window's measured one stands for; the measured one if none does."""
    for known in USUAL_S:
        if known <= length_s <= known * SNAP:
            return known
    return length_s
