"""The rate limiters, exact to the instant. They are pure: no clock, no request, no header.

All instants are seconds since the sandbox's start and never decrease from call to call. For each
request the gate reads `state`, which has no visible effect, and then calls either `consume` or
`count_throttled`.
"""

from __future__ import annotations

import heapq
import math
from abc import ABC, abstractmethod
from collections import deque
from dataclasses import dataclass

# A request that arrives exactly at the advertised instant must not be throttled by a rounding
# error. Summed floats drift by far less than a nanosecond a day, and no client aims that well.
TOLERANCE_S = 1e-9


@dataclass(frozen=True, slots=True)
class LimiterState:
    """One limiter at one instant; the rate-limit headers are made from it.

    `limit`: how many requests can pass at once at most. `quota` per `window_s`: the advertised
    policy; `window_s` is None for a limiter that never refills. `remaining`: how many would pass
    now. `reset_s`: seconds until the allowance is renewed. `retry_s`: seconds until the next
    request passes, if none comes in between; 0 means now, infinity never.
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
            raise ValueError(f"negative limiter state: {self}")

    @property
    def passes(self) -> bool:
        """Whether a request would pass at this instant."""
        return self.retry_s <= TOLERANCE_S


class Limiter(ABC):
    """A limiter. With `counts_throttled`, throttled requests consume like accepted ones."""

    def __init__(self, *, counts_throttled: bool = False) -> None:
        self._counts_throttled = counts_throttled

    @abstractmethod
    def state(self, now_s: float) -> LimiterState:
        """Return the state at `now_s`."""

    @abstractmethod
    def consume(self, now_s: float, service_s: float) -> None:
        """Count a request that passed; it stays in service for `service_s` seconds."""

    def delay_s(self, now_s: float) -> float:
        """Return how long a request that arrives now is held back before it is served."""
        return 0.0

    def count_throttled(self, now_s: float) -> None:
        """Count a request that was throttled, by this limiter or by another one."""
        if self._counts_throttled:
            self.consume(now_s, 0.0)


def advertised_policy(rate_per_s: float) -> tuple[int, float]:
    """Return a rate as a quota and its window in seconds.

    Both are whole numbers if a window of at most a minute makes them so.
    """
    for window_s in range(1, 61):
        quota = rate_per_s * window_s
        if quota >= 1 - TOLERANCE_S and abs(quota - round(quota)) < TOLERANCE_S:
            return round(quota), float(window_s)
    return max(1, round(rate_per_s * 60)), 60.0 if rate_per_s * 60 >= 1 else 1 / rate_per_s


class TokenBucket(Limiter):
    """Token bucket, stored as the one instant at which the bucket will be full (as in GCRA).

    tokens(now) = burst - rate * max(0, full_at - now). A request consumes one whole token. Where
    throttled requests count, the bucket goes into debt, by at most one more bucket.
    """

    def __init__(self, rate_per_s: float, burst: int, *, counts_throttled: bool = False) -> None:
        super().__init__(counts_throttled=counts_throttled)
        self._rate_per_s = rate_per_s
        self._burst = burst
        self._full_at_s = -math.inf
        full_s = burst / rate_per_s
        whole = full_s >= 1 and abs(full_s - round(full_s)) < TOLERANCE_S
        self._policy = (burst, full_s) if whole else advertised_policy(rate_per_s)

    def state(self, now_s: float) -> LimiterState:
        missing_s = max(0.0, self._full_at_s - now_s)
        tokens = self._burst - missing_s * self._rate_per_s
        retry_s = max(0.0, missing_s - (self._burst - 1) / self._rate_per_s)
        passes = retry_s <= TOLERANCE_S
        remaining = max(1 if passes else 0, math.floor(tokens + TOLERANCE_S))
        quota, window_s = self._policy
        return LimiterState(
            "token-bucket", self._burst, quota, window_s, remaining, missing_s, retry_s
        )

    def consume(self, now_s: float, service_s: float) -> None:
        self._full_at_s = max(now_s, self._full_at_s) + 1 / self._rate_per_s

    def count_throttled(self, now_s: float) -> None:
        if self._counts_throttled:
            self.consume(now_s, 0.0)
            deepest_s = now_s + 2 * self._burst / self._rate_per_s
            self._full_at_s = min(self._full_at_s, deepest_s)


class StrictSpacing(Limiter):
    """Strict spacing: a request passes if the last one that passed is at least 1/rate ago.

    A token bucket of one token behaves the same, except if throttled requests count: here each
    of them restarts the gap.
    """

    def __init__(self, rate_per_s: float, *, counts_throttled: bool = False) -> None:
        super().__init__(counts_throttled=counts_throttled)
        self._gap_s = 1 / rate_per_s
        self._next_at_s = -math.inf
        self._policy = advertised_policy(rate_per_s)

    def state(self, now_s: float) -> LimiterState:
        left_s = max(0.0, self._next_at_s - now_s)
        remaining = 1 if left_s <= TOLERANCE_S else 0
        quota, window_s = self._policy
        return LimiterState("strict-spacing", 1, quota, window_s, remaining, left_s, left_s)

    def consume(self, now_s: float, service_s: float) -> None:
        self._next_at_s = now_s + self._gap_s


class LeakyQueue(Limiter):
    """Leaky bucket as a queue: throttles nothing, releases one request per 1/rate, in order."""

    def __init__(self, rate_per_s: float) -> None:
        super().__init__()
        self._gap_s = 1 / rate_per_s
        self._free_at_s = -math.inf
        self._policy = advertised_policy(rate_per_s)

    def state(self, now_s: float) -> LimiterState:
        delay_s = self.delay_s(now_s)
        remaining = 1 if delay_s <= TOLERANCE_S else 0
        quota, window_s = self._policy
        return LimiterState("queue", 1, quota, window_s, remaining, delay_s, 0.0)

    def delay_s(self, now_s: float) -> float:
        return max(0.0, self._free_at_s - now_s)

    def consume(self, now_s: float, service_s: float) -> None:
        self._free_at_s = max(now_s, self._free_at_s) + self._gap_s


class ConcurrencyCap(Limiter):
    """Concurrency cap: limits the requests in service; each frees its slot when it is served."""

    def __init__(self, slots: int) -> None:
        super().__init__()
        self._slots = slots
        self._ends_at_s: list[float] = []

    def state(self, now_s: float) -> LimiterState:
        while self._ends_at_s and self._ends_at_s[0] <= now_s + TOLERANCE_S:
            heapq.heappop(self._ends_at_s)
        remaining = self._slots - len(self._ends_at_s)
        reset_s = self._ends_at_s[0] - now_s if self._ends_at_s else 0.0
        retry_s = 0.0 if remaining > 0 else reset_s
        return LimiterState(
            "concurrency", self._slots, self._slots, None, remaining, reset_s, retry_s
        )

    def consume(self, now_s: float, service_s: float) -> None:
        heapq.heappush(self._ends_at_s, now_s + service_s)


class Quota(Limiter):
    """Quota: a fixed number of requests, never renewed."""

    def __init__(self, count: int, *, counts_throttled: bool = False) -> None:
        super().__init__(counts_throttled=counts_throttled)
        self._count = count
        self._used = 0

    def state(self, now_s: float) -> LimiterState:
        remaining = max(0, self._count - self._used)
        retry_s = 0.0 if remaining else math.inf
        return LimiterState("quota", self._count, self._count, None, remaining, math.inf, retry_s)

    def consume(self, now_s: float, service_s: float) -> None:
        self._used += 1


class FixedWindow(Limiter):
    """Fixed window counter: at most `count` in each window; window k starts at phase + k * window.

    Like real ones, it lets up to twice the limit pass across a boundary. Where throttled requests
    count, they fill the window too, which is visible only next to another limiter.
    """

    def __init__(
        self, count: int, window_s: float, *, phase_s: float = 0.0, counts_throttled: bool = False
    ) -> None:
        super().__init__(counts_throttled=counts_throttled)
        self._count = count
        self._window_s = window_s
        self._phase_s = phase_s
        self._index = -math.inf
        self._used = 0

    def state(self, now_s: float) -> LimiterState:
        index = self._move_to(now_s)
        ends_at_s = self._phase_s + (index + 1) * self._window_s
        reset_s = max(0.0, ends_at_s - now_s)
        remaining = max(0, self._count - self._used)
        retry_s = 0.0 if remaining else reset_s
        return LimiterState(
            "fixed-window", self._count, self._count, self._window_s, remaining, reset_s, retry_s
        )

    def consume(self, now_s: float, service_s: float) -> None:
        self._move_to(now_s)
        self._used += 1

    def _move_to(self, now_s: float) -> int:
        """Start a new window if `now_s` lies in one; return the index of the window."""
        index = math.floor((now_s - self._phase_s + TOLERANCE_S) / self._window_s)
        if index != self._index:
            self._index = index
            self._used = 0
        return index


class SlidingLog(Limiter):
    """Sliding window log: at most `count` in any half-open span of the window's length.

    A request at t leaves the window at exactly t + window. Only the newest `count` instants are
    kept: where throttled requests count, older ones no longer matter.
    """

    def __init__(self, count: int, window_s: float, *, counts_throttled: bool = False) -> None:
        super().__init__(counts_throttled=counts_throttled)
        self._count = count
        self._window_s = window_s
        self._log_s: deque[float] = deque(maxlen=count)

    def state(self, now_s: float) -> LimiterState:
        while self._log_s and self._log_s[0] + self._window_s <= now_s + TOLERANCE_S:
            self._log_s.popleft()
        remaining = self._count - len(self._log_s)
        reset_s = self._log_s[0] + self._window_s - now_s if self._log_s else 0.0
        retry_s = 0.0 if remaining else reset_s
        return LimiterState(
            "sliding-window", self._count, self._count, self._window_s, remaining, reset_s, retry_s
        )

    def consume(self, now_s: float, service_s: float) -> None:
        self._log_s.append(now_s)


class SlidingCounter(Limiter):
    """Sliding window counter: the common approximation of the log by two fixed windows.

    estimate(now) = previous * (1 - elapsed share of the current window) + current. A request
    passes if estimate + 1 <= count. The previous window's requests are assumed evenly spread.
    """

    def __init__(
        self, count: int, window_s: float, *, phase_s: float = 0.0, counts_throttled: bool = False
    ) -> None:
        super().__init__(counts_throttled=counts_throttled)
        self._count = count
        self._window_s = window_s
        self._phase_s = phase_s
        self._index = 0
        self._previous = 0
        self._current = 0

    def state(self, now_s: float) -> LimiterState:
        elapsed_s = self._move_to(now_s)
        left_s = max(0.0, self._window_s - elapsed_s)
        estimate = self._previous * (left_s / self._window_s) + self._current
        retry_s = self._retry_s(elapsed_s, left_s)
        remaining = max(0, math.floor(self._count - estimate + TOLERANCE_S))
        if retry_s <= TOLERANCE_S:
            remaining = max(1, remaining)
        return LimiterState(
            "sliding-counter", self._count, self._count, self._window_s, remaining, left_s, retry_s
        )

    def consume(self, now_s: float, service_s: float) -> None:
        self._move_to(now_s)
        self._current += 1

    def _move_to(self, now_s: float) -> float:
        """Shift the windows if `now_s` lies in a new one; return the seconds elapsed in it."""
        index = math.floor((now_s - self._phase_s + TOLERANCE_S) / self._window_s)
        if index != self._index:
            self._previous = self._current if index == self._index + 1 else 0
            self._current = 0
            self._index = index
        return max(0.0, now_s - self._phase_s - index * self._window_s)

    def _retry_s(self, elapsed_s: float, left_s: float) -> float:
        """Solve estimate + 1 = count for the instant, in this window or in the next."""
        room = self._count - 1
        if self._current <= room:
            if not self._previous:
                return 0.0
            needed_s = self._window_s * (1 - (room - self._current) / self._previous)
            return max(0.0, needed_s - elapsed_s)
        return left_s + self._window_s * (1 - room / self._current)
