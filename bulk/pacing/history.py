"""What has left and counts against the API's limits, as far as windows have to know.

Some servers count what they refuse as well: then a refused request takes up a place for as long as
one that was accepted. Nothing tells which kind a server is but a full sliding window in which some
were refused. So one request is sent then that fits only if those do not count (`doubted`); until
it is known they are taken to count, which costs a few places once.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right, insort


class History:
    """When what counts had left, in order: what was accepted, or is under way.

    `counting`: whether refused requests count as well; None as long as it is not known.
    """

    def __init__(self) -> None:
        self.sends: list[float] = []
        self.counting: bool | None = None
        self._spent: list[float] = []  # with those that were refused
        self._doubted_at: float | None = None

    def sent(self, at: float) -> None:
        """A request left; it counts until it is refused."""
        insort(self.sends, at)
        insort(self._spent, at)

    def uncounted(self, at: float, *, refused: bool) -> None:
        """The request that left at `at` was `refused`, or never arrived."""
        _remove(self.sends, at)
        if not refused:
            _remove(self._spent, at)

    def index(self, at: float) -> int:
        """How many left before that instant."""
        return bisect_left(self.sends, at)

    def count(self, since: float, until: float) -> int:
        """How many left from `since` on and before `until`."""
        return bisect_left(self.sends, until) - bisect_left(self.sends, since)

    def used(self, since: float, until: float) -> int:
        """How many places were taken from `since` on until then, for all that is known."""
        spent = self.sends if self.counting is False else self._spent
        return bisect_right(spent, until) - bisect_left(spent, since)

    # --- whether refused requests count ---------------------------------------------------------

    def free_at(
        self, now: float, limit: int, span_s: float, pending: int, *, alone: bool
    ) -> float:
        """When one more fits, if only `limit` may leave in any such span; `pending` have yet to.

        `alone`: whether nothing is under way.
        """
        if self.counting is False:
            return _free_at(self.sends, limit, span_s, pending)
        at = _free_at(self._spent, limit, span_s, pending)
        doubtful = self.counting is None and self._doubted_at is None and at > now and alone
        if doubtful and _free_at(self.sends, limit, span_s, pending) <= now:
            return -math.inf
        return at

    def doubted(self, at: float, limit: int, span_s: float) -> None:
        """A request left at `at`: whether it fits only if refused ones do not count."""
        if self.counting is None and self._doubted_at is None:
            index = bisect_left(self._spent, at) - limit
            if index >= 0 and self._spent[index] + span_s > at:
                self._doubted_at = at

    def told(self, at: float, *, accepted: bool) -> bool:
        """The request that left at `at` was accepted or refused; whether it was in that doubt."""
        if at != self._doubted_at:
            return False
        self.counting, self._doubted_at = not accepted, None
        return True


def _remove(sends: list[float], at: float) -> None:
    index = bisect_left(sends, at)
    if index < len(sends) and sends[index] == at:
        del sends[index]


def _free_at(sends: list[float], limit: int, span_s: float, pending: int) -> float:
    index = min(len(sends) + pending - limit, len(sends) - 1)
    return sends[index] + span_s if index >= 0 else -math.inf
