"""Which requests take up a place in a sliding window: whether refused ones do as well.

Some servers count what they refuse: then a refused request takes up a place for as long as one that
was accepted. Only a full window in which some were refused tells which kind a server is. So refused
ones are taken to count, which costs a few places, and one request is sent by itself that fits only
if they do not: a *doubt*. Its answer holds for the length that the window is taken for then. And
where a window is full before its limit has passed, and refused ones explain that, they count.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right

from bulk.pacing.history import History
from bulk.pacing.lengths import Length
from bulk.pacing.margins import Margin
from bulk.pacing.told import TheEnd

CLEAR_MARGINS = 3.0  # behind one edge and before the other: jitter shall not decide a doubt


class Places:
    """The places of one window. Instants are seconds on the caller's clock.

    `shared`: whether other limits refuse requests as well, which then take up no place in it.
    """

    def __init__(self, history: History, length: Length, margin: Margin) -> None:
        self._history = history
        self._length = length
        self._margin = margin
        self.shared = False
        self._told: tuple[bool, float] | None = None  # whether they count, and for which length
        self._doubt: tuple[float, float] | None = None  # when it was sent, and for which length

    @property
    def counting(self) -> bool | None:
        """Whether refused requests count, as far as is known."""
        if self.shared:
            return False
        return None if self._told is None or self._told[1] != self._length.s else self._told[0]

    @property
    def in_doubt(self) -> bool:
        """Whether a doubt is under way."""
        return self._doubt is not None

    # --- turns --------------------------------------------------------------------------------

    def free_at(self, now: float, began: float, limit: int, pending: int, *, alone: bool) -> float:
        """When one more fits, with `pending` others yet to leave; `alone`: with none under way.

        The window under way began at `began`; it lets so many pass as `limit`.
        """
        span_s = self._length.s + self._margin.s
        if self._length.fixed:
            filled = self._history.count(began, math.inf) + pending
            later = min(pending, filled - limit) // limit  # windows beyond the next one
            return -math.inf if filled < limit else began + later * self._length.s + span_s
        free_at = _place(self._history.sends, limit, pending) + span_s
        if self.counting is False:
            return free_at
        counted_at = _place(self._history.spent, limit, pending) + span_s
        if alone and self.counting is None and not self.in_doubt:
            doubt_at = max(now, free_at + CLEAR_MARGINS * self._margin.s)
            if self._tells(doubt_at, free_at, counted_at):
                return doubt_at
        return counted_at

    def _tells(self, at: float, free_at: float, counted_at: float) -> bool:
        """Whether a request at `at` fits only if refused ones do not count, with some clearance."""
        clear_s = CLEAR_MARGINS * self._margin.s
        return free_at + clear_s <= at < counted_at - clear_s

    # --- what happens -------------------------------------------------------------------------

    def sent(self, at: float, limit: int) -> None:
        """A request left: maybe a doubt."""
        if self.counting is not None or self.in_doubt:
            return
        span_s = self._length.s + self._margin.s
        free_at = _oldest(self._history.sends, at, limit) + span_s
        if self._tells(at, free_at, _oldest(self._history.spent, at, limit) + span_s):
            self._doubt = at, self._length.s

    def answered(self, at: float, *, accepted: bool) -> bool:
        """The request that left at `at` was accepted or refused; whether it was a doubt."""
        if self._doubt is None or at != self._doubt[0]:
            return False
        self._told, self._doubt = (not accepted, self._doubt[1]), None
        return True

    def shown(self) -> None:
        """A window was full before its limit had passed, which refused requests explain."""
        self._told = True, self._length.s

    # --- what they tell -----------------------------------------------------------------------

    def passed(self, began: float, at: float) -> int:
        """How many left since `began`; of those in that very instant all but the refused."""
        return self._history.count(began, math.nextafter(at, math.inf))

    def used(self, began: float, at: float) -> int:
        """How many places may have been taken when the request left that was refused."""
        passed = self.passed(began, at)
        if self._length.fixed or self.shared:
            return passed
        spent, since = self._history.spent, min(began, at - self._length.s)
        return max(passed, bisect_left(spent, at) - bisect_left(spent, since))

    def span_s(self, began: float, at: float, limit: int) -> float:
        """What a refusal at `at` tells of the length, at least: no place had become free."""
        if self._length.fixed or self.counting is False:
            return at - began
        index = bisect_left(self._history.spent, at) - limit
        return at - max(began, self._history.spent[index] if index >= 0 else began)

    def end_after(self, now: float, began: float, limit: int, told: TheEnd | None) -> float:
        """The next end that is likely."""
        span_s = self.span_s(began, math.nextafter(now, math.inf), limit)
        likely = max(now, now - span_s + self._length.beyond(span_s, self._margin.s))
        return likely if told is None or told.latest < now else min(likely, told.latest)


def _place(sends: list[float], limit: int, pending: int) -> float:
    """When the one left whose place is free next."""
    index = min(len(sends) + pending - limit, len(sends) - 1)
    return sends[index] if index >= 0 else -math.inf


def _oldest(sends: list[float], at: float, limit: int) -> float:
    """When the one left whose place the last one took that left until `at`."""
    index = bisect_right(sends, at) - 1 - limit
    return sends[index] if index >= 0 else -math.inf
