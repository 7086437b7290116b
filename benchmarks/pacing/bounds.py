"""Computes what any client can reach if each 429 costs a second, and if a limit ends.

**429s that cost a second.** A token bucket has a high rate and a small burst, and its server asks
for a whole second at each 429. While a client waits, the bucket overflows and rate - burst requests
are lost. A client that does not know the rate needs at least one 429, because nothing else bounds
the rate from above. One burst of n requests determines it to about 1 / n. Staying that much below
it costs the same share of all remaining requests, or another 429.

The client here knows the burst, the cost of a 429, and when each 429 comes. Its network has no
jitter. It opens like ours. Its plan says how slowly to go from the lowest possible rate to the
highest, again after each 429; the best plan is chosen with hindsight. This proves nothing about
other openings, but no real client is so lucky.

**A limit that ends.** If the server advertises nothing, only a 429 shows that a limit still exists.
A client that is throttled every n requests can know that the limit has ended n requests after the
last 429, and no sooner. The client here knows the limit exactly, concludes its end from the first
429 that is missing, and then sends as fast as its requests in flight allow. When the limit ends
between two 429s is chance: the mean is half of n, the worst is n.

    python -m benchmarks.pacing.bounds
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import combinations

PAUSE_S = 1.0
START, EARLY = 4.0, 8.0  # in flight at first; from EARLY on, one more per round trip
IN_FLIGHT_MAX = 32.0
RAMPS = (30, 100, 200, 400, 800, 1600)  # requests from the lowest rate to the highest
PLANS = [(), *((ramp,) for ramp in RAMPS), *combinations(RAMPS, 2)]
PACE_MAX = 1.5  # times the distance from the lowest to the highest rate: where a ramp ends
SPENT = 0.9  # share of the burst sent after a pause, once the rate is known
LOWEST, HIGHEST = 0.5, 1000.0  # requests a second
HALVINGS = 24

LIMITS = ((100.0, 10), (80.0, 8), (150.0, 50), (50.0, 10), (20.0, 5))
TRIPS_S = (0.02, 0.08, 0.2)
COUNTS = (10_000, 1_000, 400, 100)

ENDED_RATE, ENDED_TRIP_S, ENDED_COUNT = 16.0, 0.06, 5_000
ENDED_AFTER = (1_000, 1_750, 2_432, 3_500)  # requests
THROTTLED_EVERY = (1_000, 400, 200, 100)  # requests


def throttled_at(rate: float, burst: int, sends: Sequence[float]) -> int | None:
    """The index of the first send that a bucket, full at first, throttles; None if all pass.

    `sends` are instants in seconds.
    """
    level, last = float(burst), sends[0]
    for index, at in enumerate(sends):
        level, last = min(burst, level + rate * (at - last)), at
        if level < 1 - 1e-9:
            return index
        level -= 1
    return None


def narrowed(low: float, high: float, burst: int, sends: Sequence[float]) -> tuple[float, float]:
    """The range within `low` and `high` of rates that throttle the last send and none before."""
    last = len(sends) - 1

    def too_low(rate: float) -> bool:
        index = throttled_at(rate, burst, sends)
        return index is not None and index < last

    def low_enough(rate: float) -> bool:
        return throttled_at(rate, burst, sends) is not None

    low = _change(too_low, low, high)
    return low, _change(low_enough, low, high)


def _change(holds: Callable[[float], bool], low: float, high: float) -> float:
    for _ in range(HALVINGS):
        middle = math.sqrt(low * high)
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low


def opening(count: int, trip_s: float) -> list[float]:
    """The instants of the sends, in seconds, while nothing is known: ever more in flight."""
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
    """Seconds until the last send under a plan, and the number of 429s."""
    sends = opening(count, trip_s)
    done = throttled_at(rate, burst, sends)
    if done is None:
        return sends[-1], 0
    low, high = narrowed(LOWEST, HIGHEST, burst, sends[: done + 1])
    start, throttles = sends[done] + PAUSE_S, 1
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
        throttled = throttled_at(rate, burst, sends)
        if throttled is None:
            return sends[-1], throttles
        throttles += 1
        done += throttled
        low, high = narrowed(low * 0.999, high * 1.001, burst, sends[: throttled + 1])
        start = sends[throttled] + PAUSE_S
    return start + (count - done) / low, throttles


def bound(rate: float, burst: int, count: int, trip_s: float) -> tuple[float, int]:
    """The best plan's time divided by the least time, and its 429s."""
    least_s = max((count - burst) / rate, count * trip_s / IN_FLIGHT_MAX) + trip_s
    last_s, throttles = min(played(rate, burst, count, trip_s, plan) for plan in PLANS)
    return (last_s + trip_s) / least_s, throttles


def ended(rate: float, after: int, count: int, trip_s: float, since: float) -> float:
    """Time divided by the least time, if a limit ends after `after` requests.

    The client knows of it `since` requests later.
    """
    gap_s = trip_s / IN_FLIGHT_MAX
    found = min(float(count), after + since)
    least_s = after / rate + (count - after) * gap_s + trip_s
    return (found / rate + (count - found) * gap_s + trip_s) / least_s


def main() -> None:
    """Print the bounds as tables."""
    _print_costly()
    print(
        f"\n| {ENDED_RATE:.0f}/s, a 429 every |"
        + "".join(f" ends after {n:,} |" for n in ENDED_AFTER)
    )
    print("| --- |" + " --- |" * len(ENDED_AFTER))
    for every in THROTTLED_EVERY:
        shown = ""
        for after in ENDED_AFTER:
            mean, worst = (
                ended(ENDED_RATE, after, ENDED_COUNT, ENDED_TRIP_S, since)
                for since in (every / 2, every)
            )
            shown += f" {mean:.3f}, {worst:.3f} |"
        print(f"| {every:,} requests |{shown}")


def _print_costly() -> None:
    print("| limit | round trip |" + "".join(f" N = {count:,} |" for count in COUNTS))
    print("| --- | --- |" + " --- |" * len(COUNTS))
    for rate, burst in LIMITS:
        for trip_s in TRIPS_S:
            cells = [bound(rate, burst, count, trip_s) for count in COUNTS]
            shown = "".join(f" {times:.3f} ({throttles}) |" for times, throttles in cells)
            print(f"| {rate:.0f}/s burst {burst} | {trip_s * 1000:.0f} ms |{shown}", flush=True)


if __name__ == "__main__":
    main()
