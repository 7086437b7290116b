"""A client that knows the limit: it asks its own copy of the server's limiter before it sends."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import replace

import trio

from benchmarks.pacing.clients import THROTTLED, Workload
from benchmarks.pacing.least import (
    IN_FLIGHT_MAX,
    best_spacing,
    cap_of,
    mean_trip,
    out_spread_s,
    without_caps,
)
from bulk.sandbox.gate import Gate
from bulk.sandbox.limit_spec import LimitKind, LimitPhase, LimitSpec


async def oracle(workload: Workload) -> None:
    """Send each request so that it arrives when the copy lets it pass, whatever the jitter.

    A request that is throttled nevertheless is sent next. The client ends at a used-up quota.
    """
    spread_s = out_spread_s(workload.config.latency)
    out_s = mean_trip(workload.config.latency).out_s
    gate = Gate(_widened(workload, spread_s), workload.start_unix_s)
    slots = trio.Semaphore(cap_of(workload.config.limits, IN_FLIGHT_MAX))
    remaining, in_flight = deque(workload.test_ids), 0
    next_at: dict[str, float] = {}
    per_test = any(spec.per_test for phase in workload.config.limits for spec in phase.all_of)
    back = trio.Event()

    async def send(test_id: str) -> None:
        nonlocal in_flight, back
        if (await workload.post(test_id)).status == THROTTLED:
            remaining.appendleft(test_id)
        in_flight -= 1
        slots.release()
        back.set()
        back = trio.Event()

    async with trio.open_nursery() as nursery:
        while remaining or in_flight:
            if not remaining:
                await back.wait()
                continue
            await slots.acquire()
            if not remaining:
                slots.release()
                continue
            test_id = remaining.popleft()
            scope = test_id if per_test else ""
            arrives = max(trio.current_time() + out_s - spread_s, next_at.get(scope, 0.0))
            if math.isinf(arrives):  # the quota is used up: no further request ever passes
                return
            admission = gate.ask(arrives, scope, 0.0)
            while admission.throttled_by is not None:
                arrives += admission.retry_s
                admission = gate.ask(arrives, scope, 0.0)
            queued_s = max((s.reset_s for s in admission.states if s.name == "queue"), default=0)
            next_at[scope] = arrives + max(admission.retry_s, queued_s)
            in_flight += 1
            # Later by the jitter, so that no request arrives before its instant.
            await trio.sleep_until(arrives - out_s + spread_s)
            nursery.start_soon(send, test_id)


def _widened(workload: Workload, spread_s: float) -> tuple[LimitPhase, ...]:
    """The limits, with room for jitter in those that are exact to the millisecond."""

    def widen(spec: LimitSpec) -> LimitSpec:
        if spec.kind is LimitKind.SLIDING_WINDOW:
            return replace(spec, per_s=spec.per_s + 2 * spread_s)
        if spec.kind is LimitKind.TOKEN_BUCKET:
            early = math.ceil(2 * spread_s * spec.count / spec.per_s)
            return replace(spec, burst=max(1, spec.burst - early))
        if spec.kind is LimitKind.STRICT_SPACING:
            alone = replace(workload.config, limits=(LimitPhase((spec,)),))
            return replace(spec, count=1.0, per_s=best_spacing(alone, workload.start_unix_s)[0])
        return spec

    return tuple(
        replace(phase, all_of=tuple(widen(spec) for spec in phase.all_of))
        for phase in without_caps(workload.config.limits)
    )
