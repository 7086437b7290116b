"""Kills real processes at random moments, resumes them, and prints the counts.

A round that fails is lived through again by its number, as far as real time allows:

    python -m tests.kills.soak --from 17 --kills 1
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import trio

from tests.kills.life import Life
from tests.soak_summary import print_summary

AT_ONCE = 10  # rounds: they mostly wait
MISHAPS = range(5, 12)  # in a round


async def soak(
    kills: int,
    first: int,
    folder: Path,
    at_once: int = AT_ONCE,
    mishaps: range = MISHAPS,
    *,
    short_waits: bool = False,
) -> tuple[Counter[str], dict[int, list[str]]]:
    """Live through rounds until so many processes were killed: counts, and broken promises.

    `short_waits`: see `tests.short_waits`.
    """
    happened: Counter[str] = Counter()
    broken: dict[int, list[str]] = {}
    seeds = count(first)

    async def rounds(seeds: Iterator[int]) -> None:
        while happened["kill"] < kills:
            seed = next(seeds)
            place = folder / str(seed)
            place.mkdir()
            life = Life(seed, place, mishaps, short_waits=short_waits)
            await life.live()
            happened.update(life.happened)
            happened["rounds"] += 1
            if life.broken:
                broken[seed] = life.broken
            left = "".join(f"\n  left {row}" for row in life.left)
            sys.stdout.write(f"round {seed} is over, {happened['kill']} kills{left}\n")
            sys.stdout.flush()

    async with trio.open_nursery() as nursery:
        for _ in range(min(at_once, kills)):
            nursery.start_soon(rounds, seeds)
    return happened, broken


def main() -> int:
    """0 where all went well."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--from", dest="first", type=int, default=0, help="the first round's seed")
    given = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        happened, broken = trio.run(soak, given.kills, given.first, Path(folder))
    for seed, found in sorted(broken.items()):
        sys.stdout.write(f"round {seed}: {found}\n")
    took_s = time.monotonic() - began
    return print_summary(f"seeds from {given.first}, {took_s:.0f} s", happened, broken)


if __name__ == "__main__":
    sys.exit(main())
