"""Draws limiters at random, so that the pacing cannot have been tuned to them.

A seed always draws the same limiters. Each row has the goal of the row it is named after.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from random import Random

from benchmarks.pacing.cases import Row, Server
from benchmarks.pacing.grid import ROWS

EACH = 30  # servers per row: enough for a percentage, in a few minutes
HEADERS = (
    *("none", "none", "none", "retry-after", "retry-after-fractional", "draft-6", "draft-7"),
    *("draft-current", "x-ratelimit", "x-ratelimit-epoch"),
)
LENGTHS_S = (5, 6, 7, 8, 9, 10, 10, 12, 15, 20, 25, 30, 30, 40, 45, 60, 60, 60, 90)
SPLITS = (
    "",
    " split 10/80/10",
    " split 5/90/5",
    " split 3/94/3",
)  # out, in service, back


def drawn_rows(seed: int, each: int = EACH) -> tuple[Row, ...]:
    """The rows of servers that this seed draws."""
    draws: dict[str, Callable[[Random], Server]] = {
        "bucket-1k": lambda draw: _bucket(draw, 1_000),
        "windows-1k": lambda draw: _window(draw, 1_000),
        "release": _release,
        "concurrency": _cap,
        "counting": _counting,
    }
    goals = {row.name: row for row in ROWS}
    return tuple(
        Row(
            f"drawn-{name}",
            f"drawn at random: {goals[name].title}",
            goals[name].goal,
            tune=(),
            report=tuple(one(Random(f"{seed}:{name}:{number}")) for number in range(each)),
            rivals=0,
        )
        for name, one in draws.items()
    )


def _likely(draw: Random, least: float, most: float) -> float:
    """Log-uniform between the two: each order of magnitude is equally likely."""
    return math.exp(draw.uniform(math.log(least), math.log(most)))


def _latency(draw: Random) -> str:
    trip_ms = round(_likely(draw, 20, 200))
    return f"{trip_ms}ms jitter {max(1, round(trip_ms * draw.uniform(0.05, 0.2)))}ms"


def _bucket(draw: Random, count: int, more: str = "") -> Server:
    per_s = round(_likely(draw, 2, 60), 1)
    burst = max(1, round(per_s * _likely(draw, 0.3, 6)))
    limit = f"token-bucket {per_s:g}/s burst {burst}{more}"
    return Server(limit, draw.choice(HEADERS), _latency(draw), count)


def _window(draw: Random, count: int, more: str = "") -> Server:
    kind, length_s = draw.choice(("fixed", "sliding")), draw.choice(LENGTHS_S)
    limit = f"{kind}-window {max(5, round(count / _likely(draw, 2, 12)))}/{length_s}s{more}"
    return Server(limit, draw.choice(HEADERS), _latency(draw), count)


def _release(draw: Random) -> Server:
    count = draw.choice((100, 150, 200, 300, 400))
    return draw.choice((_bucket, _window))(draw, count)


def _cap(draw: Random) -> Server:
    limit = f"concurrency {round(_likely(draw, 3, 20))}"
    return Server(limit, "none", _latency(draw) + draw.choice(SPLITS), 3_000)


def _counting(draw: Random) -> Server:
    return draw.choice((_bucket, _window))(draw, 3_000, " counting-refusals")
