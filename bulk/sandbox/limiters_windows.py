"""Owns the limiters that count in windows: exact, pure; knows no clock, request or header."""

from __future__ import annotations

import math
from collections import deque

from bulk.sandbox.limiters import TOLERANCE_S, Standing


class FixedWindow:
    """Fixed window counter: so many in each window; windows start at `phase_s` + k * window.

    Lets up to twice the limit pass across a boundary, as the real ones do. Where refusals count
    they fill the window as well, which shows only beside another limiter.
    """

    def __init__(
        self, count: int, window_s: float, *, phase_s: float = 0.0, counting: bool = False
    ) -> None:
        self._count = count
        self._window_s = window_s
        self._phase_s = phase_s
        self._counting = counting
        self._index = -math.inf
        self._used = 0

    def standing(self, now_s: float) -> Standing:
        index = self._turn(now_s)
        ends_at_s = self._phase_s + (index + 1) * self._window_s
        reset_s = max(0.0, ends_at_s - now_s)
        remaining = max(0, self._count - self._used)
        retry_s = 0.0 if remaining else reset_s
        return Standing(
            "fixed-window", self._count, self._count, self._window_s, remaining, reset_s, retry_s
        )

    def delay_s(self, now_s: float) -> float:
        return 0.0

    def take(self, now_s: float, held_s: float) -> None:
        self._turn(now_s)
        self._used += 1

    def refuse(self, now_s: float) -> None:
        if self._counting:
            self.take(now_s, 0.0)

    def _turn(self, now_s: float) -> int:
        index = math.floor((now_s - self._phase_s + TOLERANCE_S) / self._window_s)
        if index != self._index:
            self._index = index
            self._used = 0
        return index


class SlidingLog:
    """Sliding window log: at most so many in any span of the window's length, half open.

    A request at t leaves the window at exactly t + window. Only the newest `count` instants are
    kept: where refusals count, the older ones can no longer matter.
    """

    def __init__(self, count: int, window_s: float, *, counting: bool = False) -> None:
        self._count = count
        self._window_s = window_s
        self._counting = counting
        self._log_s: deque[float] = deque(maxlen=count)

    def standing(self, now_s: float) -> Standing:
        while self._log_s and self._log_s[0] + self._window_s <= now_s + TOLERANCE_S:
            self._log_s.popleft()
        remaining = self._count - len(self._log_s)
        reset_s = self._log_s[0] + self._window_s - now_s if self._log_s else 0.0
        retry_s = 0.0 if remaining else reset_s
        return Standing(
            "sliding-window", self._count, self._count, self._window_s, remaining, reset_s, retry_s
        )

    def delay_s(self, now_s: float) -> float:
        return 0.0

    def take(self, now_s: float, held_s: float) -> None:
        self._log_s.append(now_s)

    def refuse(self, now_s: float) -> None:
        if self._counting:
            self._log_s.append(now_s)


class SlidingCounter:
    """Sliding window counter: the usual approximation of the log from two fixed windows.

    estimate(now) = previous * (1 - share of the current window gone) + current; a request passes
    if estimate + 1 <= count. It takes the previous window's requests as evenly spread.
    """

    def __init__(
        self, count: int, window_s: float, *, phase_s: float = 0.0, counting: bool = False
    ) -> None:
        self._count = count
        self._window_s = window_s
        self._phase_s = phase_s
        self._counting = counting
        self._index = 0
        self._previous = 0
        self._current = 0

    def standing(self, now_s: float) -> Standing:
        gone_s = self._turn(now_s)
        left_s = max(0.0, self._window_s - gone_s)
        estimate = self._previous * (left_s / self._window_s) + self._current
        retry_s = self._retry_s(gone_s, left_s)
        remaining = max(0, math.floor(self._count - estimate + TOLERANCE_S))
        if retry_s <= TOLERANCE_S:
            remaining = max(1, remaining)
        return Standing(
            "sliding-counter", self._count, self._count, self._window_s, remaining, left_s, retry_s
        )

    def delay_s(self, now_s: float) -> float:
        return 0.0

    def take(self, now_s: float, held_s: float) -> None:
        self._turn(now_s)
        self._current += 1

    def refuse(self, now_s: float) -> None:
        if self._counting:
            self.take(now_s, 0.0)

    def _turn(self, now_s: float) -> float:
        """Moves on to the window of this instant; the seconds of it that are gone."""
        index = math.floor((now_s - self._phase_s + TOLERANCE_S) / self._window_s)
        if index != self._index:
            self._previous = self._current if index == self._index + 1 else 0
            self._current = 0
            self._index = index
        return max(0.0, now_s - self._phase_s - index * self._window_s)

    def _retry_s(self, gone_s: float, left_s: float) -> float:
        """Solves estimate + 1 = count for the instant, in this window or in the next."""
        room = self._count - 1
        if self._current <= room:
            if not self._previous:
                return 0.0
            needed_s = self._window_s * (1 - (room - self._current) / self._previous)
            return max(0.0, needed_s - gone_s)
        return left_s + self._window_s * (1 - room / self._current)
