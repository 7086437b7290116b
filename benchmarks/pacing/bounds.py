"""Owns what can be reached at all where each refusal costs a second, and where a limit ends.

A token bucket of a high rate and a small burst, behind a server that asks for a whole second at
each refusal: while a client obeys, the bucket overflows, and rate - burst requests are lost. Who
does not know the rate has to be refused once at least, for nothing else bounds it from above. One
burst of n requests tells it to about 1 / n; then to stay below by that costs as large a part of all
the rest, or another refusal.

The client here is told the burst, that a refusal costs a second, and when each refusal comes. Its
network has no jitter. It opens as ours does, and of its plans (how slowly to go from the lowest
possible rate to the highest, after each refusal anew) the best is taken with hindsight. That is no
proof for every other opening, but no real client is so lucky.

Where nothing is told, only a refusal shows that a limit is still there. So whoever is refused every
n requests may know that it has ended n requests after the last refusal, and no sooner. The client
here knows the limit exactly, takes the first refusal that does not come for its end, and has all it
may in flight from that instant on. When between two refusals the limit ends is chance: the mean is
half of n, the worst is n.

    python -m benchmarks.pacing.bounds
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import combinations

PAUSE_S = 1.0
START, EARLY = 4.0, 8.0  # in flight at first; and from where on one more a round trip is let out
IN_FLIGHT_MAX = 32.0
RAMPS = (30, 100, 200, 400, 800, 1600)  # requests from the lowest rate to the highest
PLANS = [(), *((ramp,) for ramp in RAMPS), *combinations(RAMPS, 2)]
PACE_MAX = 1.5  # times the way from the lowest to the highest rate: a ramp ends there
SPENT = 0.9  # of the burst, after a pause, once no more is to be learned
LOWEST, HIGHEST = 0.5, 1000.0  # requests a second
HALVINGS = 24

LIMITS = ((100.0, 10), (80.0, 8), (150.0, 50), (50.0, 10), (20.0, 5))
TRIPS_S = (0.02, 0.08, 0.2)
COUNTS = (10_000, 1_000, 400, 100)

ENDED_RATE, ENDED_TRIP_S, ENDED_COUNT = 16.0, 0.06, 5_000
ENDED_AFTER = (1_000, 1_750, 2_432, 3_500)  # requests
REFUSED_EVERY = (1_000, 400, 200, 100)  # requests


def refused_at(rate: float, burst: int, sends: Sequence[float]) -> int | None:
    """The first of these sends, in seconds, that a full bucket refuses; None if all pass."""
    level, last = float(burst), sends[0]
    for index, at in enumerate(sends):
        level, last = min(burst, level + rate * (at - last)), at
        if level < 1 - 1e-9:
            return index
        level -= 1
    return None


def narrowed(low: float, high: float, burst: int, sends: Sequence[float]) -> tuple[float, float]:
    """The rates between these two that refuse the last of the sends, and none before."""
    last = len(sends) - 1

    def too_low(rate: float) -> bool:
        index = refused_at(rate, burst, sends)
        return index is not None and index < last

    def low_enough(rate: float) -> bool:
        return refused_at(rate, burst, sends) is not None

    low = _change(too_low, low, high)
    return low, _change(low_enough, low, high)


def _change(holds: Callable[[float], bool], low: float, high: float) -> float:
    for _ in range(HALVINGS):
        middle = math.sqrt(low * high)
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low


def opening(count: int, trip_s: float) -> list[float]:
    """Sends, in seconds, while nothing is known: ever more in flight."""
    sends: list[float] = []
    at, in_flight = 0.0, START
    while len(sends) < count:
        sends.append(at)
        if in_flight < EARLY:
            in_flight += 1
        else:
            in_flight += 0.25 if in_flight < max(EARLY, 0.01 * count) else 1 / in_flight
        at += trip_s / min(in_flight, IN_FLIGHT_MAX)
    return sends


def played(
    rate: float, burst: int, count: int, trip_s: float, plan: Sequence[int]
) -> tuple[float, int]:
    """Seconds until the last send under a plan, and how many refusals that took."""
    sends = opening(count, trip_s)
    done = refused_at(rate, burst, sends)
    if done is None:
        return sends[-1], 0
    low, high = narrowed(LOWEST, HIGHEST, burst, sends[: done + 1])
    start, refusals = sends[done] + PAUSE_S, 1
    for ramp in (*plan, None):
        at, at_once = start, burst * SPENT - 1 if ramp is None else 0.0
        sends = []
        for index in range(count - done):
            sends.append(at)
            pace = low if ramp is None else low + (high - low) * min(PACE_MAX, index / ramp)
            if at_once > 0:
                at_once -= 1
            else:
                at += 1 / pace
        refused = refused_at(rate, burst, sends)
        if refused is None:
            return sends[-1], refusals
        refusals += 1
        done += refused
        low, high = narrowed(low * 0.999, high * 1.001, burst, sends[: refused + 1])
        start = sends[refused] + PAUSE_S
    return start + (count - done) / low, refusals


def bound(rate: float, burst: int, count: int, trip_s: float) -> tuple[float, int]:
    """The best plan's time over the least, and its refusals."""
    least_s = max((count - burst) / rate, count * trip_s / IN_FLIGHT_MAX) + trip_s
    last_s, refusals = min(played(rate, burst, count, trip_s, plan) for plan in PLANS)
    return (last_s + trip_s) / least_s, refusals


def ended(rate: float, after: int, count: int, trip_s: float, since: float) -> float:
    """Time over the least, if a limit ends after so many requests and is known to `since` later."""
    gap_s = trip_s / IN_FLIGHT_MAX
    found = min(float(count), after + since)
    least_s = after / rate + (count - after) * gap_s + trip_s
    return (found / rate + (count - found) * gap_s + trip_s) / least_s


def main() -> None:
    """Print the bounds as tables."""
    _print_dear()
    print(
        f"\n| {ENDED_RATE:.0f}/s, refused every |"
        + "".join(f" ends after {n:,} |" for n in ENDED_AFTER)
    )
    print("| --- |" + " --- |" * len(ENDED_AFTER))
    for every in REFUSED_EVERY:
        shown = ""
        for after in ENDED_AFTER:
            mean, worst = (
                ended(ENDED_RATE, after, ENDED_COUNT, ENDED_TRIP_S, since)
                for since in (every / 2, every)
            )
            shown += f" {mean:.3f}, {worst:.3f} |"
        print(f"| {every:,} requests |{shown}")


def _print_dear() -> None:
    print("| limit | round trip |" + "".join(f" N = {count:,} |" for count in COUNTS))
    print("| --- | --- |" + " --- |" * len(COUNTS))
    for rate, burst in LIMITS:
        for trip_s in TRIPS_S:
            cells = [bound(rate, burst, count, trip_s) for count in COUNTS]
            shown = "".join(f" {times:.3f} ({refusals}) |" for times, refusals in cells)
            print(f"| {rate:.0f}/s burst {burst} | {trip_s * 1000:.0f} ms |{shown}", flush=True)


if __name__ == "__main__":
    main()
