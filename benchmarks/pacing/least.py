"""Computes the least time in which a limit can let a batch through; sends nothing, has no clock.

It replays the limiter for a client that knows it, including the phase of its windows, and that has
at most as many requests in flight as the product.
"""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from random import Random

from bulk.sandbox.config import SandboxConfig
from bulk.sandbox.gate import Gate
from bulk.sandbox.latency import Latency, LatencyShape, RoundTrip
from bulk.sandbox.limit_spec import LimitKind, LimitPhase

IN_FLIGHT_MAX = 32  # the default of --max-concurrency
SPACING_WASTE_MAX = 0.01  # what the best constant spacing may waste under jitter
SPACING_ARRIVALS = 4_000  # enough to measure 1 % to a tenth of it
SPACING_STEPS = 20  # from no room for jitter to full room


def least_s(
    config: SandboxConfig, test_ids: Sequence[str], start_unix_s: float, in_flight_max: int = 0
) -> float | None:
    """Seconds until the last answer at the earliest; None if not all triggers can be accepted.

    `test_ids`: one per trigger, in order. A limit per test takes as long as the slowest test.
    """
    in_flight = in_flight_max or IN_FLIGHT_MAX
    kinds = {spec.kind for phase in config.limits for spec in phase.all_of}
    if LimitKind.QUOTA in kinds:
        return None
    if kinds == {LimitKind.STRICT_SPACING} and len(config.limits) == 1:
        return _spaced_s(config, len(test_ids), start_unix_s)
    if any(spec.per_test for phase in config.limits for spec in phase.all_of):
        counts = Counter(test_ids)
        slowest = max(_replayed_s(config, n, start_unix_s, in_flight) for n in counts.values())
        return max(slowest, _replayed_s(SandboxConfig(), len(test_ids), start_unix_s, in_flight))
    return _replayed_s(config, len(test_ids), start_unix_s, in_flight)


def mean_trip(latency: Latency) -> RoundTrip:
    """The mean round trip, in its three parts."""
    match latency.shape:
        case LatencyShape.UNIFORM:
            mean_s = (latency.base_s + latency.spread) / 2
        case LatencyShape.LOGNORMAL:
            mean_s = latency.base_s * math.exp(latency.spread**2 / 2)
        case _:
            mean_s = latency.base_s
    return replace(latency, shape=LatencyShape.CONSTANT, base_s=mean_s, spread=0.0).draw(Random(0))


def out_spread_s(latency: Latency) -> float:
    """By how much the time to the server may differ from its mean, in seconds."""
    if latency.shape is LatencyShape.CONSTANT:
        return 0.0
    spread_s = latency.spread if latency.shape is LatencyShape.JITTER else latency.base_s
    return spread_s * latency.split[0] / 100


def without_caps(phases: tuple[LimitPhase, ...]) -> tuple[LimitPhase, ...]:
    """The limits except concurrency caps, which a client keeps by counting requests in flight."""
    return tuple(
        replace(
            phase,
            all_of=tuple(spec for spec in phase.all_of if spec.kind is not LimitKind.CONCURRENCY),
        )
        for phase in phases
    )


def cap_of(phases: tuple[LimitPhase, ...], in_flight_max: int) -> int:
    """How many requests may be in flight at once: the lowest cap of all phases."""
    caps = [
        int(spec.count)
        for phase in phases
        for spec in phase.all_of
        if spec.kind is LimitKind.CONCURRENCY
    ]
    return min([in_flight_max, *caps])


def _replayed_s(
    config: SandboxConfig, count: int, start_unix_s: float, in_flight_max: int
) -> float:
    """Each request arrives as soon as the limiter lets it pass and an answer has freed its slot."""
    trip = mean_trip(config.latency)
    gate = Gate(without_caps(config.limits), start_unix_s)
    back_at_s: deque[float] = deque(maxlen=cap_of(config.limits, in_flight_max))
    at_s = trip.out_s
    last_s = 0.0
    for _ in range(count):
        if len(back_at_s) == back_at_s.maxlen:
            at_s = max(at_s, back_at_s[0] + trip.out_s)
        admission = gate.ask(at_s, "", trip.service_s)
        while admission.throttled_by is not None:  # only if a phase has just changed
            at_s += admission.retry_s
            admission = gate.ask(at_s, "", trip.service_s)
        last_s = at_s + admission.delay_s + trip.service_s + trip.back_s
        back_at_s.append(last_s)
        at_s += admission.retry_s
    return last_s


def _spaced_s(config: SandboxConfig, count: int, start_unix_s: float) -> float:
    """With the best constant spacing that wastes at most SPACING_WASTE_MAX."""
    gap_s, waste = best_spacing(config, start_unix_s)
    trip = mean_trip(config.latency)
    return trip.out_s + (count - 1) * gap_s / (1 - waste) + trip.service_s + trip.back_s


@lru_cache(maxsize=64)  # each client of a case needs it
def best_spacing(config: SandboxConfig, start_unix_s: float) -> tuple[float, float]:
    """The gap between sends, in seconds, that finishes first, and the share throttled at it."""
    (spec,) = config.limits[0].all_of
    exact_s = spec.per_s / spec.count
    step_s = 2 * out_spread_s(config.latency) / SPACING_STEPS
    found = []
    for step in range(SPACING_STEPS + 1):
        gap_s = exact_s + step * step_s
        waste = _waste(config, gap_s, start_unix_s)
        found.append((waste > SPACING_WASTE_MAX, gap_s / max(1e-9, 1 - waste), gap_s, waste))
    _, _, gap_s, waste = min(found)
    return gap_s, waste


def _waste(config: SandboxConfig, gap_s: float, start_unix_s: float) -> float:
    draw, latency = Random(1), config.latency
    gate = Gate(config.limits, start_unix_s)
    arrivals = sorted(n * gap_s + latency.draw(draw).out_s for n in range(SPACING_ARRIVALS))
    throttled = sum(gate.ask(at_s, "", 0.0).throttled_by is not None for at_s in arrivals)
    return throttled / SPACING_ARRIVALS
