"""Owns how limiters are put together: all at once, by test, changing in time; knows no request."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from bulk.sandbox.limit_spec import LimitKind, LimitPhase, LimitSpec
from bulk.sandbox.limiters import (
    ConcurrencyCap,
    LeakyQueue,
    Limiter,
    Quota,
    Standing,
    StrictSpacing,
    TokenBucket,
)
from bulk.sandbox.limiters_windows import FixedWindow, SlidingCounter, SlidingLog


@dataclass(frozen=True, slots=True)
class Admission:
    """The gate's answer to one request.

    `delay_s`: how long a queue holds it back before it is served. `standings`: each limiter as it
    stands after this request. `retry_s`: until the next request passes. `refused_by`: the limiter
    that said no (the one that says it longest), None where the request passed. `wall_s`: the
    instant of all this, on the wall clock.
    """

    wall_s: float
    delay_s: float = 0.0
    standings: tuple[Standing, ...] = ()
    retry_s: float = 0.0
    refused_by: str | None = None


class Gate:
    """Lets a request pass if all limiters of the current phase let it pass.

    A refusal by one consumes nothing of the others, unless those count refusals. Each phase starts
    with fresh limiters; times of phases are seconds from the sandbox's start.
    """

    def __init__(self, phases: tuple[LimitPhase, ...], epoch_s: float) -> None:
        self._phases = phases
        self._epoch_s = epoch_s
        self._phase_index = 0
        self._shared: dict[LimitSpec, Limiter] = {}
        self._by_test: dict[tuple[LimitSpec, str], Limiter] = {}

    def ask(self, now_s: float, test_id: str, held_s: float) -> Admission:
        """Decides on one request and counts it. `held_s` is its time in service."""
        phase = self._turn(now_s)
        limiters = [self._limiter(spec, test_id) for spec in phase.all_of]
        if not limiters:
            return Admission(self._epoch_s + now_s)
        before = [limiter.standing(now_s) for limiter in limiters]
        refusing = [standing for standing in before if not standing.passes]
        delay_s = 0.0
        if refusing:
            for limiter in limiters:
                limiter.refuse(now_s)
        else:
            delay_s = max(limiter.delay_s(now_s) for limiter in limiters)
            for limiter in limiters:
                limiter.take(now_s, delay_s + held_s)
        after = tuple(limiter.standing(now_s) for limiter in limiters)
        retry_s = max(standing.retry_s for standing in after)
        if phase.until_s is not None:
            # The next phase starts fresh, so whatever it is, it lets the first one pass.
            retry_s = min(retry_s, max(0.0, phase.until_s - now_s))
        slowest = max(refusing, key=lambda standing: standing.retry_s, default=None)
        refused_by = slowest.name if slowest is not None else None
        return Admission(self._epoch_s + now_s, delay_s, after, retry_s, refused_by)

    def _turn(self, now_s: float) -> LimitPhase:
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
                found = self._by_test[(spec, test_id)] = build(spec, self._epoch_s)
            return found
        found = self._shared.get(spec)
        if found is None:
            found = self._shared[spec] = build(spec, self._epoch_s)
        return found


def build(spec: LimitSpec, epoch_s: float) -> Limiter:
    """A fresh limiter. Windows without a phase of their own start at multiples on the wall clock.

    `epoch_s` is the wall clock at the sandbox's start.
    """
    count = math.floor(spec.count)
    phase_s = -math.fmod(epoch_s, spec.per_s) if spec.phase_s is None else spec.phase_s
    rate_per_s = spec.count / spec.per_s
    counting = spec.counting
    makers: dict[LimitKind, Callable[[], Limiter]] = {
        LimitKind.TOKEN_BUCKET: lambda: TokenBucket(rate_per_s, spec.burst, counting=counting),
        LimitKind.STRICT_SPACING: lambda: StrictSpacing(rate_per_s, counting=counting),
        LimitKind.QUEUE: lambda: LeakyQueue(rate_per_s),
        LimitKind.FIXED_WINDOW: lambda: FixedWindow(
            count, spec.per_s, phase_s=phase_s, counting=counting
        ),
        LimitKind.SLIDING_WINDOW: lambda: SlidingLog(count, spec.per_s, counting=counting),
        LimitKind.SLIDING_COUNTER: lambda: SlidingCounter(
            count, spec.per_s, phase_s=phase_s, counting=counting
        ),
        LimitKind.CONCURRENCY: lambda: ConcurrencyCap(count),
        LimitKind.QUOTA: lambda: Quota(count, counting=counting),
    }
    return makers[spec.kind]()
