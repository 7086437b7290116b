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

    def accepted(self, way: Way, *, fresh: bool) -> None:
        """A request was accepted; `fresh` if nothing was refused since it had its leave to go."""
        self.shedding.accepted()
        self.passed(way)
        self.cap.accepted(way.in_flight, fresh=fresh)

    @property
    def _watching(self) -> tuple[Limits, ...]:
        """The limits, and those put aside for a cap, which may yet turn out to be none."""
        return (self.limits, self._aside) if self.cap.known else (self.limits,)

    def sent(self, at: float, *, probe: bool) -> None:
        """A request left; it counts until it is refused."""
        for limits in self._watching:
            limits.sent(at, probe=probe)

    def uncounted(self, sent_at: float, *, refused: bool) -> None:
        """It was refused, or never arrived."""
        for limits in self._watching:
            limits.uncounted(sent_at, refused=refused)

    def passed(self, way: Way) -> None:
        """No limit refused it, whatever else became of it."""
        for limits in self._watching:
            limits.passed(way.left_at, paced=way.paced)

    def others(self, under_way: int) -> bool:
        """Whether it was not the limits that refused a request, one of so many under way."""
        known = self.cap.known
        capped = self.cap.refused(under_way)
        if self.cap.known is not known:
            self.limits, self._aside = self._aside.follow(self.limits), self.limits
        return capped or self.shedding.by_chance()

    def tested(self) -> bool:
        """One that tests whether refusals come by chance has passed; whether one more has to."""
        if self.shedding.tested(passed=True):
            self.begin_anew()
        return self.shedding.testing

    def begin_anew(self) -> None:
        """What the limits were learned from had nothing to do with them."""
        self.limits = self._new_limits().follow(self.limits)
        self.cap.unsuppose()  # there is no pause to go back to

    def start_over(self) -> None:
        """Nor was it by chance."""
        self.begin_anew()
        self.shedding = Shedding()
