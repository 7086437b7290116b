"""The adaptive retry mode of the AWS SDKs, from its published description: a cubic rate.

All requests share a token bucket that is off until the first 429. A 429 sets the rate to BETA times
the measured rate. The rate then grows as a cubic of time, flat around the rate at which the 429
came and steep beyond it, but never above twice the measured rate. A throttled request also waits
for an exponential backoff with full jitter. The SDKs give up after a few attempts and have a retry
quota; here every request is retried until it gets through.
"""

from __future__ import annotations

import math

import trio

from benchmarks.pacing.clients import THROTTLED, Workload

WORKERS = 32
BETA, SCALE, SMOOTH = 0.7, 0.4, 0.8
RATE_MIN, CAPACITY_MIN = 0.5, 1.0
MEASURED_EACH_S = 0.5
BACKOFF_CAP_S = 20.0
DOUBLINGS_MAX = 20
DUST = 1e-9  # rounding error of summed floats


class CubicBucket:
    """The shared bucket; instants are seconds."""

    def __init__(self, now: float) -> None:
        self._on = False
        self._rate = self._capacity = self._tokens = 0.0
        self._filled_at = now
        self._measured = 0.0
        self._count = 0
        self._span_began = math.floor(now / MEASURED_EACH_S) * MEASURED_EACH_S
        self._rate_before, self._refused_at = 0.0, now

    async def acquire(self) -> None:
        """Wait for a token and consume it; the wait is recomputed after each sleep."""
        while self._on:
            self._fill(trio.current_time())
            if self._tokens >= 1 - DUST:
                self._tokens -= 1
                return
            await trio.sleep((1 - self._tokens) / self._rate)

    def learn(self, now: float, *, throttled: bool) -> None:
        """Adapt the rate to an answer."""
        self._measure(now)
        if throttled:
            rate = min(self._measured, self._rate) if self._on else self._measured
            self._rate_before, self._refused_at, self._on = rate, now, True
            wanted = rate * BETA
        else:
            flat_after_s = (self._rate_before * (1 - BETA) / SCALE) ** (1 / 3)
            wanted = SCALE * (now - self._refused_at - flat_after_s) ** 3 + self._rate_before
        rate = min(wanted, 2 * self._measured)
        self._fill(now)
        self._rate, self._capacity = max(rate, RATE_MIN), max(rate, CAPACITY_MIN)
        self._tokens = min(self._tokens, self._capacity)

    def _fill(self, now: float) -> None:
        gained = (now - self._filled_at) * self._rate
        self._tokens = min(self._capacity, self._tokens + gained)
        self._filled_at = now

    def _measure(self, now: float) -> None:
        self._count += 1
        span = math.floor(now / MEASURED_EACH_S) * MEASURED_EACH_S
        if span > self._span_began:
            rate = self._count / (span - self._span_began)
            self._measured = SMOOTH * rate + (1 - SMOOTH) * self._measured
            self._count, self._span_began = 0, span


async def adaptive_mode(workload: Workload) -> None:
    """32 workers share one bucket and get tokens in the order they ask."""
    bucket, door = CubicBucket(trio.current_time()), trio.Lock()
    remaining = iter(workload.test_ids)

    async def work() -> None:
        for test_id in remaining:
            throttles = 0
            while True:
                async with door:
                    await bucket.acquire()
                throttled = (await workload.post(test_id)).status == THROTTLED
                bucket.learn(trio.current_time(), throttled=throttled)
                if not throttled:
                    break
                longest_s = min(BACKOFF_CAP_S, 2 ** min(throttles, DOUBLINGS_MAX))
                await trio.sleep(workload.random.uniform(0.0, longest_s))
                throttles += 1

    async with trio.open_nursery() as nursery:
        for _ in range(WORKERS):
            nursery.start_soon(work)
