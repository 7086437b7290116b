"""What a refusal is taken for: the limits', a cap's on requests at once, or one by chance.

Where a cap is found, what the limits were thought to be was learned from its refusals. It is put
aside, and taken up again where the cap turns out to be none.
"""

from __future__ import annotations

from collections.abc import Callable

from bulk.pacing.cap import Cap
from bulk.pacing.limits import Limits
from bulk.pacing.shedding import Shedding
from bulk.pacing.ways import Way


class Causes:
    """All that may refuse a request, as far as known; `new_limits` makes limits that are not."""

    def __init__(self, new_limits: Callable[[], Limits]) -> None:
        self._new_limits = new_limits
        self.limits = new_limits()
        self._aside = new_limits()
        self.cap = Cap()
        self.shedding = Shedding()

    def accepted(self, way: Way) -> None:
        """A request was accepted."""
        self.shedding.accepted()
        self.limits.passed(way.left_at, paced=way.paced)
        self.cap.accepted(way.in_flight)

    def others(self, under_way: int) -> bool:
        """Whether it was not the limits that refused a request, one of so many under way."""
        known = self.cap.known
        capped = self.cap.refused(under_way)
        if self.cap.known is not known:
            self.limits, self._aside = self._aside.follow(self.limits), self.limits
        return capped or self.shedding.by_chance()

    def begin_anew(self) -> None:
        """What the limits were learned from had nothing to do with them."""
        self.limits = self._new_limits().follow(self.limits)
        self.cap.refuted()  # there is no pause to go back to

    def start_over(self) -> None:
        """Nor was it by chance."""
        self.begin_anew()
        self.shedding = Shedding()
