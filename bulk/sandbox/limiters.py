"""Owns the limiters that need no window: exact, pure; knows no clock, request or header.

All instants are seconds on the sandbox's own clock. A limiter is asked in order of time. It is
asked twice: `standing` changes nothing that can be seen; then either `take` or `refuse` follows.
"""

from __future__ import annotations

import heapq
import math
from dataclasses import dataclass
from typing import Protocol

# Sums of floats drift by far less than a nanosecond in a day; no client can aim that well. So a
# request that comes exactly when it was told to is never refused for a rounding error.
TOLERANCE_S = 1e-9


@dataclass(frozen=True, slots=True)
class Standing:
    """Where one limiter stands at one instant; what the headers are made of.

    `limit`: the most that can pass at once. `quota` in `window_s`: the policy as it is announced
    (`window_s` is None where nothing comes back). `remaining`: how many would pass now. `reset_s`:
    until the allowance is renewed. `retry_s`: until the next request passes if none comes before,
    0 if it passes now, infinite if never.
    """

    name: str
    limit: int
    quota: int
    window_s: float | None
    remaining: int
    reset_s: float
    retry_s: float

    def __post_init__(self) -> None:
        if self.remaining < 0 or self.reset_s < 0 or self.retry_s < 0:
            raise ValueError(f"a limiter cannot stand below nothing: {self}")

    @property
    def passes(self) -> bool:
        """Whether a request would pass at this instant."""
        return self.retry_s <= TOLERANCE_S


class Limiter(Protocol):
    """What each limiter can do. `held_s` is how long the request will be in service."""

    def standing(self, now_s: float) -> Standing: ...

    def delay_s(self, now_s: float) -> float: ...

    def take(self, now_s: float, held_s: float) -> None: ...

    def refuse(self, now_s: float) -> None: ...


def policy_of(rate_per_s: float) -> tuple[int, float]:
    """A rate as whole requests in whole seconds, where a minute is enough to say it so."""
    for window_s in range(1, 61):
        quota = rate_per_s * window_s
        if quota >= 1 - TOLERANCE_S and abs(quota - round(quota)) < TOLERANCE_S:
            return round(quota), float(window_s)
    return max(1, round(rate_per_s * 60)), 60.0 if rate_per_s * 60 >= 1 else 1 / rate_per_s


class TokenBucket:
    """Token bucket, kept as one instant: when the bucket will be full again (as in GCRA).

    tokens(now) = burst - rate * max(0, full_at - now); a request takes one whole token. Where
    refusals count, each takes one as well, into a debt of at most one more bucket.
    """

    def __init__(self, rate_per_s: float, burst: int, *, counting: bool = False) -> None:
        self._rate_per_s = rate_per_s
        self._burst = burst
        self._counting = counting
        self._full_at_s = -math.inf
        full_s = burst / rate_per_s
        whole = full_s >= 1 and abs(full_s - round(full_s)) < TOLERANCE_S
        self._policy = (burst, full_s) if whole else policy_of(rate_per_s)

    def standing(self, now_s: float) -> Standing:
        missing_s = max(0.0, self._full_at_s - now_s)
        tokens = self._burst - missing_s * self._rate_per_s
        retry_s = max(0.0, missing_s - (self._burst - 1) / self._rate_per_s)
        passes = retry_s <= TOLERANCE_S
        remaining = max(1 if passes else 0, math.floor(tokens + TOLERANCE_S))
        quota, window_s = self._policy
        return Standing("token-bucket", self._burst, quota, window_s, remaining, missing_s, retry_s)

    def delay_s(self, now_s: float) -> float:
        return 0.0

    def take(self, now_s: float, held_s: float) -> None:
        self._full_at_s = max(now_s, self._full_at_s) + 1 / self._rate_per_s

    def refuse(self, now_s: float) -> None:
        if self._counting:
            self.take(now_s, 0.0)
            deepest_s = now_s + 2 * self._burst / self._rate_per_s
            self._full_at_s = min(self._full_at_s, deepest_s)


class StrictSpacing:
    """Strict spacing: a request passes if the last one that passed is at least 1/rate ago.

    A token bucket of one token, but where refusals count, each starts the gap anew.
    """

    def __init__(self, rate_per_s: float, *, counting: bool = False) -> None:
        self._gap_s = 1 / rate_per_s
        self._counting = counting
        self._next_at_s = -math.inf
        self._policy = policy_of(rate_per_s)

    def standing(self, now_s: float) -> Standing:
        left_s = max(0.0, self._next_at_s - now_s)
        remaining = 1 if left_s <= TOLERANCE_S else 0
        quota, window_s = self._policy
        return Standing("strict-spacing", 1, quota, window_s, remaining, left_s, left_s)

    def delay_s(self, now_s: float) -> float:
        return 0.0

    def take(self, now_s: float, held_s: float) -> None:
        self._next_at_s = now_s + self._gap_s

    def refuse(self, now_s: float) -> None:
        if self._counting:
            self.take(now_s, 0.0)


class LeakyQueue:
    """Leaky bucket as a queue: never refuses, lets one out each 1/rate, in the order of arrival."""

    def __init__(self, rate_per_s: float) -> None:
        self._gap_s = 1 / rate_per_s
        self._free_at_s = -math.inf
        self._policy = policy_of(rate_per_s)

    def standing(self, now_s: float) -> Standing:
        waits_s = self.delay_s(now_s)
        remaining = 1 if waits_s <= TOLERANCE_S else 0
        quota, window_s = self._policy
        return Standing("queue", 1, quota, window_s, remaining, waits_s, 0.0)

    def delay_s(self, now_s: float) -> float:
        return max(0.0, self._free_at_s - now_s)

    def take(self, now_s: float, held_s: float) -> None:
        self._free_at_s = max(now_s, self._free_at_s) + self._gap_s

    def refuse(self, now_s: float) -> None:
        """Another limiter refused: the request never reached the queue."""


class ConcurrencyCap:
    """Concurrency cap: at most so many in service at once; a slot is free when service ends."""

    def __init__(self, slots: int) -> None:
        self._slots = slots
        self._ends_at_s: list[float] = []

    def standing(self, now_s: float) -> Standing:
        while self._ends_at_s and self._ends_at_s[0] <= now_s + TOLERANCE_S:
            heapq.heappop(self._ends_at_s)
        remaining = self._slots - len(self._ends_at_s)
        reset_s = self._ends_at_s[0] - now_s if self._ends_at_s else 0.0
        retry_s = 0.0 if remaining > 0 else reset_s
        return Standing("concurrency", self._slots, self._slots, None, remaining, reset_s, retry_s)

    def delay_s(self, now_s: float) -> float:
        return 0.0

    def take(self, now_s: float, held_s: float) -> None:
        heapq.heappush(self._ends_at_s, now_s + held_s)

    def refuse(self, now_s: float) -> None:
        """A refused request holds no slot."""


class Quota:
    """Quota: so many in all, then none for good."""

    def __init__(self, count: int, *, counting: bool = False) -> None:
        self._count = count
        self._used = 0
        self._counting = counting

    def standing(self, now_s: float) -> Standing:
        remaining = max(0, self._count - self._used)
        retry_s = 0.0 if remaining else math.inf
        return Standing("quota", self._count, self._count, None, remaining, math.inf, retry_s)

    def delay_s(self, now_s: float) -> float:
        return 0.0

    def take(self, now_s: float, held_s: float) -> None:
        self._used += 1

    def refuse(self, now_s: float) -> None:
        if self._counting:
            self._used += 1
