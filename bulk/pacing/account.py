"""What is left of the server's own window, as its headers count it down; followed once it is true.

The end of a reported window does not move, and what is left of it becomes less with each
request. Where that was so, and as much was left again when the end had come, it is followed: what
is left holds requests back until the reported end, and no rate does. Whatever else is reported is
not followed: that more is left before its time (a bucket), that the end moves (a sliding window),
or that there is room where requests are refused (another limit, or a lie).

Answers come out of order. The lowest account of a window counts all that were answered, so that no
more than those under way can be missing in it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from bulk.http.rate_limit_headers import Allowance

ROUNDED_S = 1.0  # by which a time told in whole seconds may be late
QUOTA_MIN = 16  # where less is allowed, what is in doubt is too much of it
RENEWED_MIN = 3  # requests that more are left than before: a bucket fills by one or two
FULL = 0.8  # of the quota, told by the first answers: a sliding window lets pass few at first
KEPT_MIN = 2  # windows renewed when they were told to be: a bucket may look like one of them
KEPT_MAX = 4  # ... that are remembered: for each that is not so, one is forgotten
LONGER = 1.5  # times the longest span that came true: a longer one is not waited for


class Account:
    """The window under way. Instants are seconds on the caller's clock."""

    def __init__(self) -> None:
        self._left: int | None = None  # the lowest of this window
        self._at_first = 0  # what was left when it had begun
        self._told_at = -math.inf  # when the lowest was known
        self._began = -math.inf
        self._earliest = self._latest = -math.inf  # the end, as far as it is told
        self._kept = 0  # windows that were renewed when they were told to be
        self._kept_s = 0.0  # the longest of them

    @property
    def followed(self) -> bool:
        """Whether it has proved to be true."""
        return self._kept >= KEPT_MIN

    def free_at(self, now: float, under_way: int, edges: Iterable[float]) -> float | None:
        """When one more fits beside those under way; None where the account is not followed.

        `edges`: where windows that are known begin and end, for that is told in whole seconds.
        """
        if not self.followed or self._left is None:
            return None
        if self._left > under_way:
            return now
        likely = (edge for edge in edges if self._earliest <= edge <= self._latest)
        end = min(likely, default=self._latest)
        if now >= end:  # as much as at first, until an answer tells
            free = self._at_first > under_way or not under_way
            return now if free else now + self._kept_s
        return end if end - now <= LONGER * self._kept_s else None

    def note(self, told: Allowance, sent_at: float, now: float, *, refused: bool) -> None:
        """An answer to a request that left at `sent_at`."""
        reset_s = told.reset_s or 0.0
        earliest, latest = sent_at + reset_s - ROUNDED_S, now + reset_s
        if latest < self._earliest:
            return  # it is of the window before
        if self._goes_on(told, sent_at, earliest, refused=refused):
            self._earliest = max(self._earliest, earliest)
            self._latest = min(self._latest, latest)
        else:
            self._left = None
            self._at_first, self._began = told.remaining, sent_at
            self._earliest, self._latest = earliest, latest
        if self._left is None or told.remaining < self._left:
            self._left, self._told_at = told.remaining, now

    def _goes_on(self, told: Allowance, sent_at: float, earliest: float, *, refused: bool) -> bool:
        """Whether it is still the same window. What an answer tells is judged as well."""
        if self._left is None:
            return False
        later = sent_at > self._told_at  # than all that the lowest counts
        if refused and (told.remaining or sent_at >= self._latest):
            self._lose()
        elif later and sent_at >= self._earliest and told.remaining > self._left + RENEWED_MIN:
            self._renewed(told)
        elif earliest > self._latest:
            if sent_at < self._earliest:
                self._lose()
        elif later and told.remaining >= max(1, self._left):
            self._lose()
        else:
            return True
        return False

    def _renewed(self, told: Allowance) -> None:
        quota = told.quota or 0
        if quota >= QUOTA_MIN and told.remaining >= FULL * quota:
            self._kept = min(KEPT_MAX, self._kept + 1)
        else:
            self._kept = max(0, self._kept - 1)
        self._kept_s = max(self._kept_s, self._latest - self._began)

    def _lose(self) -> None:
        self._kept, self._kept_s = 0, 0.0
