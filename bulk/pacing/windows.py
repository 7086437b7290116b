"""The plan for a limit that counts in windows: never more than so many in any so long.

A window shows when requests pass again long after the refusal, far longer than a request took
before it: then the requests that passed since the one before are its limit, and the time since then
its length. The plan is to send request i one length after request i - limit, as fast as that
allows. It suits windows of both kinds, sliding and fixed: what a sliding window lets pass, a fixed
one of the same length does too. It fills each window from its start, so the last one costs no wait,
and where it is right it meets no refusal. Where it is wrong, a refusal mends it: too many, and the
count of what passed is the limit; too early, and the window is longer; hardly any, and it was no
window at all.

What a plan cannot see by itself it tries now and then, at the price of one refusal: whether the
window is shorter than the usual length it was taken for, and whether one request more passes.
"""

from __future__ import annotations

import math
from bisect import bisect_left, insort

LIMIT_MIN = 4  # fewer are no window worth a plan: pacing does as well
USUAL_S = (1.0, 2.0, 5.0, 10.0, 15.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 3600.0)
LONGEST_S = 4000.0  # nobody waits for a longer window unasked
SNAP = 1.12  # a recovery is seen late, by the last probe's wait, and never early
LATE, LATE_S_MIN = 1.07, 10.0  # of a usual length: where a probe tells such a window from others
EARLIER = 0.95  # of a usual length: tried once, for a window may have any other length
FULL = 0.95  # of its limit: a window that may have refused
PROBE_SHARE = 0.01  # of a window's length, which a single request may cost at its opening
LASTING_S = 5.0  # a pause of this length is a rate's only where that is very low
SLACK = 1.002  # a refusal this close before a usual length's end does not speak against it
EXACT = 1.04  # a length known to within this is not sought any further
MARGIN_S, JITTERS = 0.015, 2.0  # an edge is kept away from: by so much, and so much of the jitter
MARGIN_MAX, MARGIN_MAX_S = 0.02, 0.03  # of the length, and beside it: more is no jitter
FILLED_MIN = 0.1  # of the limit: a window that was open for fewer ended at another time
TRY_WITHIN = 0.8  # of the length: a try later than that may be let pass by the next window
SHRUNK_MIN = 0.5  # of the length it was found with: the pause had another cause, or was a lie
AS_EXPECTED = 1.1  # an end that is off by less is the one that was expected
OPEN_MIN = 3  # requests: a limit that was open for fewer after a pause saved up none
TRIES_SHARE = 0.003  # of requests that may be refused for trying one more
TRIES_MAX = 2  # times as many requests until the next try, where no try ever succeeds
FAILS_MAX = 3  # refusals in one window
SOON_TRIPS = 2.0  # a probe after so many round trips tells an edge met too soon from a full window
QUICK_MAX = 3  # edges met too soon in one window; more, and it is a rate


class History:
    """When what was accepted, or is under way, had left; in order."""

    def __init__(self) -> None:
        self.sends: list[float] = []

    def sent(self, at: float) -> None:
        """A request left; it counts until it is refused."""
        insort(self.sends, at)

    def uncounted(self, at: float) -> None:
        """The request that left at `at` was refused."""
        index = bisect_left(self.sends, at)
        if index < len(self.sends) and self.sends[index] == at:
            del self.sends[index]

    def count(self, since: float, until: float) -> int:
        """How many left from `since` on and before `until`."""
        return bisect_left(self.sends, until) - bisect_left(self.sends, since)


class Window:
    """At most `limit` in any `length_s`. Instants are seconds on the caller's clock.

    `began`: when the window under way began to be filled.
    """

    def __init__(
        self,
        history: History,
        limit: int,
        began: float,
        *,
        short_s: float,
        long_s: float,
        ended_at: float,
        jitter_s: float,
    ) -> None:
        """It is longer than `short_s` and at most `long_s`; the next one began at `ended_at`."""
        self._history = history
        self.limit = limit
        self.began = ended_at
        self._before = began  # when the one before began
        self._short_s = self._short_before_s = short_s
        self.length_s = usual(short_s, long_s)
        self._margin_s = min(max(MARGIN_S, JITTERS * jitter_s), self._margin_most_s())
        self._clean = 0
        self._extra = 0
        self._patience = 1
        self._fails = 0
        self._quick = 0
        self._tested = False  # whether nothing was refused, and a single request shows the end
        self._shortened = False  # whether the length is what one test has told
        self._tried = False  # whether the refusal was that of a try
        self._lower = False  # whether the limit is what passed, if only the window's end helps
        self._confirmed = 0  # windows that ended when they were expected to
        self._turned = False  # whether the window under way was opened by the plan, unprobed
        self._long_s = long_s  # the length before it was last shortened
        self._found_s = long_s  # the length it was found with
        self._is_one = True  # False once tests have shrunk it to next to nothing

    # --- turns --------------------------------------------------------------------------------

    def next_at(self, now: float, pending: int) -> float:
        """The instant from which one more fits, when `pending` others have yet to leave."""
        sends = self._history.sends
        index = len(sends) + pending - self.limit
        if index < 0 or not sends:
            return -math.inf
        if self._extra and now - sends[len(sends) - self.limit] < TRY_WITHIN * self.length_s:
            filled = len(sends) - bisect_left(sends, self.began) + pending
            if self.limit <= filled < self.limit + self._extra:
                return -math.inf
        return sends[min(index, len(sends) - 1)] + self.length_s + self._margin_s

    def accepted(self, at: float) -> None:
        """The request that left at `at` was accepted."""
        if self._extra and at >= self.began:
            passed = self._history.count(self.began, math.nextafter(at, math.inf))
            if passed >= self.limit + self._extra:  # more than was thought possible
                self.limit = passed
                self._extra *= 2

    def sent(self, at: float) -> None:
        """A request left; the first one of the next window turns it."""
        if at < self.began + self.length_s:
            return
        self._confirmed += self._confirmed > 0
        self._next(at, probed=False)

    def _next(self, at: float, *, probed: bool) -> None:
        """The next window begins; now and then it is to try one request more."""
        full = self._history.count(self.began, at) >= self.limit
        self._before, self.began, self._turned = self.began, at, not probed
        self._fails = self._quick = 0
        self._clean += full
        if self._clean * self.limit * TRIES_SHARE >= self._patience:
            self._extra, self._clean = 1, 0

    def explains(self, at: float) -> bool:
        """Whether it may have refused the request that left at `at`."""
        passed = self._history.count(self.began, at)
        unproven = self._turned or self._shortened
        return passed >= FULL * self.limit or (unproven and passed < FILLED_MIN * self.limit)

    @property
    def average(self) -> tuple[int, float] | None:
        """Requests and seconds, where this is still a limit in the mean although it is no window.

        Some count the window before as evenly spread: then the first one passes a little after the
        end of a usual length, and those behind it one by one.
        """
        if not self._is_one:
            return None
        for known in USUAL_S:
            if known >= LATE_S_MIN and known <= self._short_s and self._long_s < known * SNAP:
                return self.limit, known
        return (
            (self.limit, self.length_s) if self._confirmed or self.length_s >= LASTING_S else None
        )

    def unsure(self, trip_s: float) -> bool:
        """Whether the next window is to be opened by a single request, which costs a round trip."""
        return not self.confirmed or self._shortened or trip_s < PROBE_SHARE * self.length_s

    @property
    def confirmed(self) -> bool:
        """Whether a window has ended when it was expected to."""
        return self._confirmed > 0

    def tested(self) -> None:
        """A single request will show whether it has ended."""
        self._tested = True

    def earlier(self) -> float | None:
        """Where it pays to look whether the window ends before its time: the instant to do so."""
        if self._fails or self.length_s <= self._short_s * EXACT:
            return None
        shorter = [s for s in USUAL_S if self._short_s * EXACT < s < self.length_s / EXACT]
        if shorter:
            tried_s = shorter[-1] + self._margin_s
        elif self.length_s in USUAL_S:
            tried_s = EARLIER * self.length_s
            if self._short_s >= tried_s:
                return None
        else:
            tried_s = (self.length_s + self._short_s) / 2
        return self.began + tried_s

    # --- refusals -----------------------------------------------------------------------------

    def refused(self, at: float, now: float, trip_s: float) -> float | None:
        """A refusal of the request that left at `at`: when to probe; None if this is no window."""
        self._tested = False
        self._short_before_s = self._short_s
        passed = self._history.count(self.began, at)
        extra, self._extra = self._extra, 0
        self._fails += 1
        self._lower = False
        self._tried = extra > 0 and passed >= self.limit
        if self._tried:
            self._patience = min(TRIES_MAX, 2 * self._patience)
            return self._end_after(now)
        if self._fails > FAILS_MAX or self._short_s > LONGEST_S:
            return None
        if passed < max(OPEN_MIN, FILLED_MIN * self.limit):
            if self._confirmed == 0 and not self._turned:  # it was found open, and is not
                return None
            self.began = self._before
            if self._shortened:  # what a test let pass was a single request that was left
                self._shortened, self.length_s = False, self._long_s
                self._short_s = max(self._short_s, at - self.began)
            elif at - self.began < self.length_s * EXACT and self._confirmed:
                self._widen()
            else:
                self._short_s = max(self._short_s, at - self.began)
                if self._short_s >= self.length_s:
                    self.length_s = max(self._long_s, self._short_s)
                    longer = [s for s in USUAL_S if self._short_s * SLACK < s < self.length_s]
                    self.length_s = min(LONGEST_S, longer[0] if longer else self.length_s)
        elif passed < self.limit:
            self._lower = True
        return now + SOON_TRIPS * trip_s

    def still_refused(self, at: float, now: float) -> float:
        """The probe that left at `at` was refused as well: when to probe again."""
        if not self._tried:
            self._short_s = max(self._short_s, at - self.began)
        return self._end_after(now)

    def _end_after(self, now: float) -> float:
        ends = [self.began + s + self._margin_s for s in (self.length_s, *USUAL_S)]
        later = [end for end in ends if end > now and end - self.began > self._short_s]
        return min(later, default=now + self.length_s)

    def forgiven(self) -> None:
        """The refusal had another cause."""
        self._short_s, self._fails, self._lower, self._tried = self._short_before_s, 0, False, False

    def resumed(self, at: float) -> None:
        """A pause that had another cause is over: the request that left at `at` was accepted."""
        self._before = self.began = at
        self.forgiven()

    def _widen(self) -> None:
        self._margin_s = min(2 * self._margin_s, self._margin_most_s())

    def _margin_most_s(self) -> float:
        return MARGIN_MAX_S + MARGIN_MAX * self.length_s

    def recovered(self, at: float, refused_at: float, trip_s: float) -> bool:
        """Requests pass again, from the one on that left at `at`; whether it was a window's end."""
        tested, self._tested = self._tested, False
        length_s = at - self.began
        if length_s > LONGEST_S:
            return False
        if length_s < self.length_s / EXACT and not tested:
            # It slides, and its edge was met too soon; or a refusal had another cause.
            if at - refused_at <= (SOON_TRIPS + 2) * trip_s:
                self._widen()
                self._quick += 1
            return self._quick <= QUICK_MAX
        passed = self._history.count(self.began, at)
        as_expected = self.length_s / AS_EXPECTED < length_s < self.length_s * AS_EXPECTED
        self._confirmed += passed >= self.limit / 2 and as_expected
        if self._tried:
            self.limit, self._clean = max(self.limit, passed), 0
        elif self._lower:
            self.limit = max(LIMIT_MIN, passed)
        longer, shorter = self._short_s >= self.length_s, length_s < self.length_s / EXACT
        if not self._tried and (longer or shorter):
            self._shortened = shorter
            self._long_s = self.length_s
            self.length_s = usual(self._short_s, max(length_s, self._short_s))
            self._is_one = self.length_s >= SHRUNK_MIN * self._found_s
        self._tried = self._lower = False
        self._next(at, probed=True)
        return self._is_one


def usual(short_s: float, long_s: float) -> float:
    """The usual length between two bounds, if there is one near the upper; else the upper."""
    for known in reversed(USUAL_S):
        if short_s < known <= long_s <= known * SNAP:
            return known
    return long_s
