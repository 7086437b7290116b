"""What the server's headers tell of what is left; believed only as far as it costs nothing.

Of several allowances the tightest counts: the one with the least left, and of those the one that
takes longest to be renewed. Of several answers the one whose request left last counts.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from bulk.http.rate_limit_headers import Allowance, RateLimitHeaders

REFILLED_MIN = 3  # requests, beyond those that are in doubt


@dataclass(frozen=True, slots=True)
class Policy:
    """A limit as the server tells it: so many in so many seconds, None where it does not."""

    quota: int | None = None
    window_s: float | None = None


@dataclass(frozen=True, slots=True)
class TheEnd:
    """When requests pass again, between two instants: it is told in whole seconds, rounded up."""

    earliest: float
    latest: float


def tightest(signals: RateLimitHeaders) -> Allowance | None:
    """Of the allowances that say when they are renewed the one with the least left."""
    told = [allowance for allowance in signals.allowances if allowance.reset_s is not None]
    return min(told, key=lambda one: (one.remaining, -(one.reset_s or 0.0)), default=None)


class Told:
    """The latest account. Instants are seconds on the caller's clock."""

    def __init__(self) -> None:
        self._sent_at = -math.inf
        self._tightest: Allowance | None = None
        self._ends_at = math.inf
        self._several = False  # whether several limits are reported
        self._baseline: tuple[float, int, float] | None = (
            None  # sent, left and renewed at the start
        )
        self.refills = False  # whether it is renewed by and by, before the time that was told

    def note(self, signals: RateLimitHeaders, sent_at: float, now: float) -> None:
        """An answer came at `now`, to a request that left at `sent_at`."""
        told = tightest(signals)
        if told is None or sent_at < self._sent_at:
            return
        if sent_at == self._sent_at and self._tightest is not None:
            told = min(told, self._tightest, key=lambda one: one.remaining)
        self._sent_at, self._tightest = sent_at, told
        self._several = sum(one.reset_s is not None for one in signals.allowances) > 1
        self._ends_at = now + (self._tightest.reset_s or 0.0)

    def compare(self, sends: Sequence[float], under_way: int) -> None:
        """Find out whether more is left than would be if nothing came up before its time.

        `sends`: of all requests that were accepted or are under way. Those under way may have been
        counted or not, at both ends.
        """
        if self._tightest is None or self.refills:
            return
        if self._baseline is None or self._sent_at > self._baseline[2]:
            self._baseline = self._sent_at, self._tightest.remaining, self._ends_at
            return
        since, left, _ = self._baseline
        spent = bisect_right(sends, self._sent_at) - bisect_right(sends, since)
        self.refills = self._tightest.remaining + spent - left > under_way + REFILLED_MIN

    @property
    def policy(self) -> Policy:
        """The limit, where the server tells of a single one."""
        told = self._tightest
        return Policy() if told is None or self._several else Policy(told.quota, told.window_s)

    @property
    def since(self) -> float:
        """When the request left whose answer is the latest account."""
        return self._sent_at

    @property
    def left(self) -> int | None:
        """How many requests the server would still have let pass then; None if it does not say."""
        return None if self._tightest is None else self._tightest.remaining

    @property
    def ends_at(self) -> float:
        """When the allowance is renewed; infinite where it is not told."""
        return self._ends_at
