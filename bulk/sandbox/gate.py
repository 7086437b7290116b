"""Decides whether a request passes the limits: several at once, per test, or changing over time."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from bulk.sandbox.limit_spec import LimitKind, LimitPhase, LimitSpec
from bulk.sandbox.limiters import (
    ConcurrencyCap,
    FixedWindow,
    LeakyQueue,
    Limiter,
    LimiterState,
    Quota,
    SlidingCounter,
    SlidingLog,
    StrictSpacing,
    TokenBucket,
)


@dataclass(frozen=True, slots=True)
class Admission:
    """The gate's decision on one request, made at `unix_s`.

    `delay_s`: how long a queue holds the request back before it is served. `states`: the state
    of each limiter after this request. `retry_s`: seconds until the next request passes.
    `throttled_by`: the limiter that throttled it, and the one with the longest wait if several did;
    None if the request passed.
    """

    unix_s: float
    delay_s: float = 0.0
    states: tuple[LimiterState, ...] = ()
    retry_s: float = 0.0
    throttled_by: str | None = None


class Gate:
    """Lets a request pass if every limiter of the current phase lets it pass.

    A request that one limiter throttles uses up no capacity of the others, unless they count
    throttled requests. Each phase starts with fresh limiters. Instants are seconds since the
    sandbox's start, which was at `start_unix_s`.
    """

    def __init__(self, phases: tuple[LimitPhase, ...], start_unix_s: float) -> None:
        self._phases = phases
        self._start_unix_s = start_unix_s
        self._phase_index = 0
        self._shared: dict[LimitSpec, Limiter] = {}
        self._by_test: dict[tuple[LimitSpec, str], Limiter] = {}

    def ask(self, now_s: float, test_id: str, service_s: float) -> Admission:
        """Decide on one request that would be in service for `service_s`, and count it."""
        phase = self._phase_at(now_s)
        limiters = [self._limiter(spec, test_id) for spec in phase.all_of]
        if not limiters:
            return Admission(self._start_unix_s + now_s)
        before = [limiter.state(now_s) for limiter in limiters]
        throttling = [state for state in before if not state.passes]
        delay_s = 0.0
        if throttling:
            for limiter in limiters:
                limiter.count_throttled(now_s)
        else:
            delay_s = max(limiter.delay_s(now_s) for limiter in limiters)
            for limiter in limiters:
                limiter.consume(now_s, delay_s + service_s)
        after = tuple(limiter.state(now_s) for limiter in limiters)
        retry_s = max(state.retry_s for state in after)
        if phase.until_s is not None:
            # The next phase starts fresh, so its first request passes whatever the limits are.
            retry_s = min(retry_s, max(0.0, phase.until_s - now_s))
        slowest = max(throttling, key=lambda state: state.retry_s, default=None)
        throttled_by = slowest.name if slowest is not None else None
        return Admission(self._start_unix_s + now_s, delay_s, after, retry_s, throttled_by)

    def _phase_at(self, now_s: float) -> LimitPhase:
        phase = self._phases[self._phase_index]
        while phase.until_s is not None and now_s >= phase.until_s:
            self._phase_index += 1
            self._shared.clear()
            self._by_test.clear()
            phase = self._phases[self._phase_index]
        return phase

    def _limiter(self, spec: LimitSpec, test_id: str) -> Limiter:
        if spec.per_test:
            found = self._by_test.get((spec, test_id))
            if found is None:
                found = self._by_test[(spec, test_id)] = build_limiter(spec, self._start_unix_s)
            return found
        found = self._shared.get(spec)
        if found is None:
            found = self._shared[spec] = build_limiter(spec, self._start_unix_s)
        return found


def build_limiter(spec: LimitSpec, start_unix_s: float) -> Limiter:
    """Return a fresh limiter for a sandbox that started at `start_unix_s`.

    Windows without a phase of their own start at multiples of their length in Unix time.
    """
    count = math.floor(spec.count)
    phase_s = -math.fmod(start_unix_s, spec.per_s) if spec.phase_s is None else spec.phase_s
    rate_per_s = spec.count / spec.per_s
    counts = spec.counts_throttled
    makers: dict[LimitKind, Callable[[], Limiter]] = {
        LimitKind.TOKEN_BUCKET: lambda: TokenBucket(
            rate_per_s, spec.burst, counts_throttled=counts
        ),
        LimitKind.STRICT_SPACING: lambda: StrictSpacing(rate_per_s, counts_throttled=counts),
        LimitKind.QUEUE: lambda: LeakyQueue(rate_per_s),
        LimitKind.FIXED_WINDOW: lambda: FixedWindow(
            count, spec.per_s, phase_s=phase_s, counts_throttled=counts
        ),
        LimitKind.SLIDING_WINDOW: lambda: SlidingLog(count, spec.per_s, counts_throttled=counts),
        LimitKind.SLIDING_COUNTER: lambda: SlidingCounter(
            count, spec.per_s, phase_s=phase_s, counts_throttled=counts
        ),
        LimitKind.CONCURRENCY: lambda: ConcurrencyCap(count),
        LimitKind.QUOTA: lambda: Quota(count, counts_throttled=counts),
    }
    return makers[spec.kind]()
