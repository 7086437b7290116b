"""Simulates many worlds on all cores, and prints the counts."""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path

from tests.simulation.judge import problems
from tests.simulation.life import live, memory_folder
from tests.simulation.world import make_world
from tests.soak_summary import print_summary


def one_world(seed: int) -> tuple[int, Counter[str], list[str]]:
    """The world's number, its counts, and what went wrong."""
    counts: Counter[str] = Counter()
    with tempfile.TemporaryDirectory(dir=memory_folder()) as place:
        try:
            life = live(make_world(seed), Path(place))
            found = problems(life)
        except Exception:
            return seed, counts, [traceback.format_exc()]
    counts.update(result.outcome.value for result in life.results)
    counts.update(f"found: {result.origin}" for result in life.results if result.origin)
    counts["absent, sent again"] = sum(attempt.end == "absent" for attempt in life.attempts)
    counts["cancelled"] = len(life.cancelled)
    counts["crashes"], counts["processes"] = life.crashes, life.processes
    counts["machines asleep"] = life.slept
    return seed, counts, found


def main() -> int:
    """0 where all went well."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--worlds", type=int, default=10_000)
    parser.add_argument("--from", dest="first", type=int, default=0)
    given = parser.parse_args()
    began, total, failed = time.monotonic(), Counter[str](), []
    seeds = range(given.first, given.first + given.worlds)
    with multiprocessing.Pool(os.cpu_count()) as pool:
        for done, (seed, counts, found) in enumerate(pool.imap_unordered(one_world, seeds, 10), 1):
            total += counts
            if found:
                failed.append(seed)
                sys.stdout.write(f"world {seed}: {found}\n")
            if done % 1_000 == 0:
                sys.stdout.write(f"{done:,} worlds, {time.monotonic() - began:.0f} s\n")
    took_s = time.monotonic() - began
    return print_summary(f"{len(seeds):,} worlds in {took_s:.0f} s", total, failed)


if __name__ == "__main__":
    sys.exit(main())
