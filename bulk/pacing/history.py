"""What has left and counts against the API's limits, as far as windows have to know."""

from __future__ import annotations

from bisect import bisect_left, insort


class History:
    """When what counts had left, in order: what was accepted, or is under way.

    `spent`: the same with what was refused, for some servers count that as well.
    """

    def __init__(self) -> None:
        self.sends: list[float] = []
        self.spent: list[float] = []

    def sent(self, at: float) -> None:
        """A request left; it counts until it is refused."""
        insort(self.sends, at)
        insort(self.spent, at)

    def uncounted(self, at: float, *, refused: bool) -> None:
        """The request that left at `at` was `refused`, or never arrived."""
        _remove(self.sends, at)
        if not refused:
            _remove(self.spent, at)

    def index(self, at: float) -> int:
        """How many left before that instant."""
        return bisect_left(self.sends, at)

    def count(self, since: float, until: float) -> int:
        """How many left from `since` on and before `until`."""
        return bisect_left(self.sends, until) - bisect_left(self.sends, since)


def _remove(sends: list[float], at: float) -> None:
    index = bisect_left(sends, at)
    if index < len(sends) and sends[index] == at:
        del sends[index]
