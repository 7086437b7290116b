"""How long a window is, as far as refusals, openings and the server's hints tell.

A refusal so long after a window's beginning says that it is longer, whatever kind it is. An opening
so long after it says that it is no longer, if it slides: the end of a fixed one comes at its own
time, which is sooner where its beginning was met late. So an opening that comes sooner than
refusals allow shows a fixed window.

Between the two bounds a usual length is far more likely than any other, and a whole number of
seconds than the rest. What was taken for likely is tested once, a little before its end.
"""

from __future__ import annotations

import math

USUAL_S = (1.0, 2.0, 5.0, 10.0, 15.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 3600.0)
LONGEST_S = 4000.0  # nobody waits for a longer window unasked
LATE, LATE_S_MIN = 1.07, 10.0  # of a usual length: where a probe tells windows that open late
LATE_MAX = 1.12  # ... and where none comes later
EARLIER = 0.95  # of the length it is taken for: tried once, for it may have any other
EXACT = 1.04  # a length known to within this is not sought any further
FIXED_EXACT = 1.1  # ... of a fixed window: where its ends are known badly, tests tell less of it
FIXED_MIN = 0.5  # of what the server says: what opens later is a fixed window, sooner a lie
TOLD_SHARE = 0.5  # of a length that only the server's word vouches for: tested once, for it may be
# a constant that has nothing to do with the limit
NEAR = 0.8  # of the upper bound: a usual length below that is not likelier than others
SLACK = 1.002  # a refusal this close to a likely length's end does not speak against it, if it
# opened soon after
GUESS_STEP = 1.5  # from one probe for an end to the next: a fixed window that is opened later than
# at its end, but before the next one, loses nothing but at the last
WHOLE_S_MAX = 12.0  # above, whole seconds are closer than that


class Length:
    """A window's length. `s`: what it is taken for.

    `short_s`, `long_s`: it is longer than this, by refusals, and opened after that. `told_s`: the
    server says that it is longer than this. `policy_s`: what the server says that it is. `fixed`:
    whether its ends come at their own times. `believed`: whether the server's hints seem to hold.
    """

    def __init__(
        self, short_s: float, long_s: float, *, told_s: float = 0.0, policy_s: float | None = None
    ) -> None:
        self.short_s = short_s
        self.long_s = long_s
        self.fixed = False
        self._told_s = told_s
        self.believed = True
        self._longer = False  # whether it is longer than thought, by as much as is yet to be seen
        self._narrow_s = 0.0  # what it was taken for after the last test that has passed
        self._policy_s = policy_s
        self.s = usual(self.least_s, long_s)
        if policy_s is not None and short_s < policy_s <= LONGEST_S:
            self.s = policy_s
            self.fixed = policy_s > long_s * SLACK

    @property
    def least_s(self) -> float:
        """It is longer than this, as far as is known."""
        told_s = self._told_s if self.believed and self._told_s < self.long_s else 0.0
        return max(self.short_s, told_s)

    @property
    def bounds(self) -> tuple[float, float]:
        """What refusals tell of it, and what it is taken for."""
        return self.short_s, self.s

    @bounds.setter
    def bounds(self, known: tuple[float, float]) -> None:
        self.short_s, self.s = known

    @property
    def opening(self) -> tuple[float, float, bool]:
        """What openings tell of it, and what it is taken for."""
        return self.long_s, self.s, self.fixed

    @opening.setter
    def opening(self, known: tuple[float, float, bool]) -> None:
        self.long_s, self.s, self.fixed = known

    def misguessed(self) -> bool:
        """It was filled, and is not open: whether a likely length was not that of its opening."""
        if self.fixed or self.s * EXACT >= self.long_s:
            return False
        self.short_s, self.s = max(self.short_s, self.s), self.long_s
        return True

    def told(self, least_s: float) -> None:
        """The server says that it is longer than this."""
        self._told_s = least_s
        if self.believed and least_s >= self.s * (EXACT if self.fixed else 1.0):
            self._lengthen(self._told_s)

    def refused(self, span_s: float) -> None:
        """A request so long after the beginning was refused."""
        self.short_s = max(self.short_s, span_s)
        if self.short_s >= self.s:
            self.fixed = self.fixed or self.short_s > self.long_s  # it opened too soon to slide
            self._lengthen(self.short_s)

    def _lengthen(self, least_s: float) -> None:
        least_s *= SLACK
        self._longer = True
        self.s = min(LONGEST_S, self._next_s(least_s))
        if self._policy_s is not None and self._policy_s > least_s:
            self.s = self._policy_s

    def _next_s(self, span_s: float) -> float:
        """What it is likely to be if it is longer than that.

        Where tests have narrowed it down, an end that came early has let the last one pass: it is
        a little longer then, and twice as much each time that this does not help.
        """
        likely_s = next_likely(span_s)
        if not self._narrow_s:
            return likely_s
        step_s = max((EXACT - 1) * span_s, span_s - self._narrow_s)
        return min(likely_s, max(math.floor(span_s) + 1.0, span_s + step_s))

    def beyond(self, span_s: float, margin_s: float) -> float:
        """How long after a beginning it is likely to be over, if it is not yet after `span_s`."""
        length_s = self.s
        while length_s + margin_s <= span_s and length_s < LONGEST_S:
            length_s = self._next_s(max(length_s, span_s))
        return length_s + margin_s

    def opened(self, span_s: float, *, tested: bool) -> None:
        """It opened so long after the beginning. `tested`: where it was not expected to."""
        if span_s >= self.s and not self._longer:
            return  # seen late
        if tested and span_s < self._told_s * SLACK:
            self.believed, self.fixed = False, False
        early = span_s < self.s and self._surely_usual
        if not tested and (early or span_s <= self.short_s):
            self._fix()
            return
        if span_s <= self.short_s:
            self.short_s, self.fixed = 0.0, False  # whatever said that it is longer was wrong
        if self.believed and span_s <= self._told_s:
            if span_s >= self._told_s * FIXED_MIN and not self.fixed:
                self._fix()
                return
            self.believed = False
        self.long_s, self._longer = span_s, False
        self.s = usual(self.least_s, span_s)
        if tested:
            self._narrow_s = self.s
        if self._policy_s is not None and self.least_s < self._policy_s <= span_s * SLACK:
            self.s = self._policy_s

    @property
    def spread_s(self) -> float | None:
        """Its usual length, if it may be one that counts the window before as evenly spread.

        Then the first one passes a little after the end, and those behind it one by one.
        """
        for known in USUAL_S:
            if LATE_S_MIN <= known <= self.short_s and self.long_s < known * LATE_MAX:
                return known
        return None

    def _fix(self) -> None:
        """It is fixed: an opening that came early has told nothing of its length."""
        self.fixed = True
        if not self._likely:
            self.s = next_likely(self.s)

    @property
    def _likely(self) -> bool:
        whole = self.s == int(self.s) and self.s <= WHOLE_S_MAX
        return whole or self.s in USUAL_S or self.s == self._policy_s

    @property
    def _surely_usual(self) -> bool:
        """Whether it is a usual length, by a test that found it hardly shorter."""
        return self.s in USUAL_S and EARLIER * self.s <= self.short_s

    @property
    def _only_told(self) -> bool:
        """Whether it is no shorter by the server's word alone, which may be a lie."""
        return self.believed and self._told_s > self.short_s and self._policy_s is None

    def test_s(self) -> float | None:
        """How long after its beginning to look whether it has ended; None if there is no need."""
        if self._only_told and self.short_s < TOLD_SHARE * self.s:
            return TOLD_SHARE * self.s
        if self.fixed and self.s == self._policy_s:
            return None
        if self.s <= self.short_s * (FIXED_EXACT if self.fixed else EXACT):
            return None
        shorter = [s for s in USUAL_S if self.least_s * EXACT < s < self.s / EXACT]
        if shorter and (not self._likely or self.least_s < self.s / 2):
            tried_s = shorter[-1]
        elif self._likely or self.least_s * EXACT >= self.s:
            tried_s = EARLIER * self.s
        else:
            tried_s = (self.s + self.least_s) / 2
        return tried_s if tried_s > self.short_s else None


def usual(short_s: float, long_s: float) -> float:
    """The likeliest length between two bounds."""
    least_s = short_s / SLACK if long_s < short_s * EXACT else short_s
    for known in reversed(USUAL_S):
        if least_s < known <= long_s <= known / NEAR:
            return known
    whole = float(int(long_s))
    return whole if least_s < whole and (least_s >= whole - 1 or long_s <= whole / NEAR) else long_s


def next_likely(short_s: float) -> float:
    """The next likely length beyond one that was too short."""
    whole = float(max(math.floor(short_s) + 1, math.ceil(short_s * GUESS_STEP)))
    return min((known for known in USUAL_S if short_s < known < whole), default=whole)
