"""The plan for a limit that counts in windows: never more than so many in any so long.

A window shows when requests pass again long after the refusal, far longer than a request took
before it: then the requests that passed since the one before are its limit, and the time since then
its length (`lengths`). The plan is to send request i one length after request i - limit, as fast as
that allows. It suits windows of both kinds, sliding and fixed: what a sliding window lets pass, a
fixed one of the same length does too. Where a window has proved to be fixed, each is filled at
once, and the next one is expected a length later.

Each is filled from its start, so the last one costs no wait, and where the plan is right it meets
no refusal. Where it is wrong, a refusal mends it: too many, and the count of what passed is the
limit; too early, and the window is longer; hardly any, and it was no window at all.

What a plan cannot see by itself it tries now and then, at the price of one refusal: whether one
request more passes; and whether the window ends sooner, until its length is known closely enough.
"""

from __future__ import annotations

import math

from bulk.pacing.history import History
from bulk.pacing.lengths import EXACT, LONGEST_S, Length
from bulk.pacing.margins import Margin
from bulk.pacing.places import Places
from bulk.pacing.told import TheEnd
from bulk.pacing.tries import Tries

LIMIT_MIN = 4  # fewer are no window worth a plan: pacing does as well
FULL = 0.95  # of its limit: a window that may have refused
PROBE_SHARE = 0.01  # of a window's length, which a single request may cost at its opening
FILLED_MIN = 0.1  # of the limit: a window that was open for fewer ended at another time
TRY_WITHIN = 0.8  # of the length: a try later than that may be let pass by the next window
SHRUNK_MIN = 0.5  # of the length it was found with: the pause had another cause, or was a lie
AS_EXPECTED = 1.1  # an end that is off by less is the one that was expected
OPEN_MIN = 3  # requests: a limit that was open for fewer after a pause saved up none
FAILS_MAX = 3  # refusals in one window
SOON_TRIPS, SOON_S = 2.0, 0.04  # until a probe that tells an edge met too soon from a full window
QUICK_MAX = 3  # edges met too soon in one window; more, and it is a rate
ODD = 0.4  # of the limit: so much less may be a fixed window's that began later
LOWER_AGAIN = 0.9  # of what passed, where it was less twice


class Window:
    """At most `limit` in any `length`. Instants are seconds on the caller's clock.

    `began`: when the window under way began to be filled, or could. `opened_at`: when it did.
    `confirmed`: windows that ended when they were expected to.
    """

    def __init__(
        self,
        history: History,
        limit: int,
        length: Length,
        *,
        began: float,
        ended_at: float,
        jitter_s: float,
    ) -> None:
        """The one that was found began at `began`, and the next one at `ended_at`."""
        self._history = history
        self.limit = limit
        self.length = length
        self.began = ended_at
        self._before = began
        self._margin = Margin(jitter_s, length.s)
        self.places = Places(history, length, self._margin)
        self._tries = Tries()
        self._fails = self._quick = 0
        self._tested = False  # whether a single request shows the end
        self._looked = False  # whether one was sent in the window under way
        self._shortened = False  # whether the length is what one test has told
        self._edge: tuple[float, TheEnd | None] | None = None  # a refusal, its meaning still open
        self._late = self._was_late = False  # whether a fixed window's end came after it was due
        self._reread = False  # whether it was taken for a fixed one, and then for a sliding one
        self._doubtful = False  # whether the window under way was thought to begin too soon
        self._unopened: tuple[float, float, bool] | None = None  # before the last opening
        self._counted = False  # whether the refusal has told that refused requests count
        self._tried = False  # whether the refusal was that of a try
        self._lower = False  # whether the limit is what passed, if only the window's end helps
        self._lowered = False  # whether that was so in the window before
        self.confirmed = 0
        self.opened_at = ended_at
        self._turned = False  # whether the window under way was opened by the plan, unprobed
        self._before_refusal = length.bounds
        self._found_s = length.s  # the length it was found with
        self.is_one = True  # False once tests have shrunk it to next to nothing

    # --- turns --------------------------------------------------------------------------------

    def next_at(self, now: float, pending: int, *, alone: bool) -> float:
        """When one more fits, with `pending` others yet to leave; `alone`: with none under way."""
        filled = self._history.count(self.began, math.inf) + pending
        if self.limit <= filled < self.limit + self._tries.extra and self._may_try(now):
            return -math.inf
        return self.places.free_at(now, self.began, self.limit, pending, alone=alone)

    def _may_try(self, now: float) -> bool:
        sends = self._history.sends
        first = self.began if self.length.fixed else sends[max(0, len(sends) - self.limit)]
        return now - first < TRY_WITHIN * self.length.s and not self.places.in_doubt

    def accepted(self, at: float) -> None:
        """The request that left at `at` was accepted."""
        self.places.answered(at, accepted=True)
        if not self._tries.extra or at >= self.began + TRY_WITHIN * self.length.s:
            return
        passed = self.places.passed(self.began, at)
        if passed >= self.limit + self._tries.extra:
            self.limit = passed  # more than was thought possible
            self._tries.passed(passed)

    def sent(self, at: float) -> None:
        """A request left; the first one of the next window turns it."""
        if not self.length.fixed:
            self.places.sent(at, self.limit)
        if at < self.began + self.length.s:
            return
        self.confirmed += bool(self.confirmed)
        self._next(at, probed=False)

    def _next(self, at: float, *, probed: bool) -> None:
        """The next window begins; now and then it is to try one request more."""
        full = self._history.count(self.began, at) >= self.limit
        due = at if self._late else self.began + self.length.s
        self._before, self._turned, self.opened_at = self.began, not probed, at
        # Ends of fixed windows come each a length after the other, however late they were met.
        self.began = due if self.length.fixed and due <= at < due + self.length.s / 2 else at
        self._fails, self._quick, self._looked = 0, 0, False
        self._edge, self._was_late, self._late = None, self._late, False
        self._tries.filled(self.limit, full=full)

    def explains(self, at: float, *, alone: bool = False) -> bool:
        """Whether it may have refused the request at `at`; `alone`: hardly anything else can."""
        few = self._history.count(self.began, at) < FILLED_MIN * self.limit
        unproven = few and (self._turned or self._shortened)
        surely = self.limit if self.confirmed or not alone else self.limit / 2  # see `misjudged`
        return unproven or self.places.passed(self.began, at) >= FULL * surely

    def unsure(self, trip_s: float) -> bool:
        """Whether the next window is to be opened by a single request, which costs a round trip."""
        cheap = trip_s < PROBE_SHARE * self.length.s
        return cheap or not self.confirmed or self._shortened or self._doubtful

    @property
    def was_s(self) -> float:
        """What its length was taken for before the pause that is on."""
        return self._before_refusal[1]

    def tested(self) -> None:
        """A single request will show whether it has ended."""
        self._tested, self._looked, self._before_refusal = True, True, self.length.bounds

    def earlier(self) -> float | None:
        """Where it pays to look whether the window ends before its time: the instant to do so."""
        counting = self._fails and self.places.counting  # a refused test would put the end off
        test_s = None if self._looked or counting else self.length.test_s()
        return None if test_s is None else self.began + test_s + self._margin.s

    # --- refusals -----------------------------------------------------------------------------

    def refused(self, at: float, now: float, trip_s: float, told: TheEnd | None) -> float | None:
        """A refusal of the request that left at `at`: when to probe; None if this is no window."""
        self._tested, self._lower = False, False
        self._before_refusal = self.length.bounds
        self._counted = self.places.answered(at, accepted=False)
        if self._counted:
            return max(now, self.next_at(now, 0, alone=False))
        self._fails += 1
        passed = self.places.passed(self.began, at)
        self._tried = self._tries.extra > 0 and passed >= self.limit
        self._tries.refused(tried=self._tried)
        if self._tried:
            self._told(told)
            return self._test_or_end(now, told)
        if self._fails > FAILS_MAX or self.length.short_s > LONGEST_S:
            return None
        opened = self.confirmed == 0 and not self._turned  # by a request that was accepted
        if opened and self._few(self._history.count(self.began, at)):
            guessed = self.length.misguessed()
            self._before_refusal = self.length.bounds
            return now + SOON_TRIPS * trip_s if guessed else None
        self._edge = at, told
        return now + SOON_TRIPS * trip_s

    def _review(self, at: float) -> None:
        """A pause later, at `at`, it is known what else passed: what the refusal has meant."""
        if self._edge is None:
            return
        edge_at, told = self._edge
        self._edge = None
        passed = self._history.count(self.began, at)
        if self.length.fixed and passed < self.limit and not self._reread:  # it slides
            self.length.fixed, self._reread = False, True
        elif self._few(passed):  # it had not ended
            self.began, self._doubtful = self._before, True
            if self._unopened is not None:  # single requests that were left have passed
                self.length.opening, self._unopened = self._unopened, None
            span_s = self.places.span_s(self.began, edge_at, self.limit)
            longer = self._shortened or span_s >= self.length.s * EXACT
            if longer or not self._margin.widen(self.length.s):
                self.length.refused(span_s)
        elif passed < self.limit:
            self._lower = self.length.fixed or self.places.used(self.began, edge_at) < self.limit
            if not self._lower:
                self.places.shown()
        self._told(told)

    def met_early(self, at: float) -> bool:
        """Whether the refusal seems to have come shortly before its end."""
        few = self._few(self._history.count(self.began, at))
        return few and (self._turned or self._shortened) and self._edge is not None

    def _few(self, passed: int) -> bool:
        return passed < max(OPEN_MIN, FILLED_MIN * self.limit)

    def _told(self, end: TheEnd | None) -> None:
        if end is not None:
            self.length.told(end.earliest - self.began)

    def _test_or_end(self, now: float, told: TheEnd | None) -> float:
        """When to probe a window that is full: at its test, if that is yet to come, or its end."""
        early = self.earlier()
        if early is None or early <= now:
            return self.places.end_after(now, self.began, self.limit, told)
        self._tested = self._looked = True  # as in `tested`, but the bounds are of the refusal
        return early

    def still_refused(self, at: float, now: float, told: TheEnd | None) -> float:
        """The probe that left at `at` was refused as well: when to probe again."""
        self._counted = False
        self._review(at)
        self._told(told)
        span_s = self.places.span_s(self.began, at, self.limit)
        late = self.length.fixed and self.length.s <= span_s < self.length.s * EXACT
        if late and not self._was_late:
            self._late = True  # its beginning was thought to be sooner than it was
        else:
            self.length.refused(span_s)
        return self._test_or_end(now, told)

    def forgiven(self) -> None:
        """The refusal had another cause."""
        self.length.bounds = self._before_refusal
        self._fails, self._edge = 0, None
        self._lower = self._tried = self._counted = False

    def resumed(self, at: float) -> None:
        """A pause that had another cause is over: the request that left at `at` was accepted."""
        self._before = self.began = at
        self.forgiven()

    def misjudged(self, at: float) -> None:
        """It was full, and had not seemed to be; it opened with the request that left at `at`.

        Around the end of a fixed window twice as many pass, and no more.
        """
        passed = min(self.limit, self._history.count(self.began, at))
        self.limit = max(LIMIT_MIN, self.limit // 2, passed)
        self.resumed(at)

    def recovered(self, at: float, refused_at: float, trip_s: float) -> bool:
        """Requests pass again, from the one on that left at `at`; whether it was a window's end."""
        if self._counted:  # a place has become free; the window goes on
            self._counted = False
            return True
        tested, self._tested = self._tested, False
        self._review(at)
        span_s, length = at - self.began, self.length
        if span_s > LONGEST_S:
            return False
        shorter = span_s < length.s / EXACT
        if shorter and not tested and at - refused_at <= (SOON_TRIPS + 2) * trip_s + SOON_S:
            # It slides, and its edge was met too soon; or a refusal had another cause.
            self._margin.widen(self.length.s)
            self.length.fixed = False
            self._before_refusal = length.bounds
            self._quick += 1
            return self._quick <= QUICK_MAX
        passed = self._history.count(self.began, at)
        as_expected = length.s / AS_EXPECTED < span_s < length.s * AS_EXPECTED
        self.confirmed += passed >= self.limit / 2 and as_expected
        odd = self._lower and not self._lowered and self.confirmed > 1 and passed < ODD * self.limit
        missing = self.limit - max(LIMIT_MIN, passed) if odd else 0
        if self._lower:  # each time a little less is a bucket's, filled ever faster
            self.limit = max(LIMIT_MIN, int((LOWER_AGAIN if self._lowered else 1.0) * passed))
        self._lowered = self._lower
        if self._tried:
            self.limit = max(self.limit, self._history.count(self.began, refused_at))
        length_s, self._unopened = length.s, length.opening
        length.opened(span_s, tested=tested)
        # One test alone may have been let pass by a place that was left.
        again, self._shortened = self._shortened, length.s < length_s
        self.is_one = not again or length.s >= SHRUNK_MIN * self._found_s
        self._before_refusal = length.bounds
        self._tried = self._lower = self._doubtful = False
        self._next(at, probed=True)
        self._tries.extra = max(self._tries.extra, missing)  # as many as before are tried at once
        return self.is_one
