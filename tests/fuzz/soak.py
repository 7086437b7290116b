"""Feeds much hostile input on all cores, and prints the counts.

A number that fails is played back alone:

    python -m tests.fuzz.soak --what answers --from 2682 --count 1
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path

import trio

from tests.fuzz.exchanges import exchange_all
from tests.fuzz.reading import manifest_problems
from tests.fuzz.reports import report_problems
from tests.soak_summary import print_summary

Fed = tuple[Counter[str], dict[int, list[str]]]
GROUP = 250  # numbers a task: exchanges go on side by side, and slow ones are waited for together


def feed_manifests(seeds: range, folder: Path | None = None) -> Fed:
    """How these manifests were read, and what is wrong by number."""
    ends, found = Counter[str](), {}
    with tempfile.TemporaryDirectory(dir=folder) as place:
        for seed in seeds:
            end, wrong = manifest_problems(seed, Path(place))
            ends += end
            if wrong:
                found[seed] = wrong
    return ends, found


def feed_answers(seeds: range) -> Fed:
    """How these exchanges ended, and what is wrong by number."""
    return trio.run(exchange_all, seeds)


def feed_reports(seeds: range) -> Fed:
    """What is wrong with the reports of these batches, by number."""
    found = {seed: wrong for seed in seeds if (wrong := report_problems(seed))}
    return Counter({"batches": len(seeds)}), found


FEEDS: dict[str, tuple[Callable[[range], Fed], int]] = {
    "manifests": (partial(feed_manifests, folder=Path("/dev/shm")), 100_000)
    if Path("/dev/shm").is_dir()
    else (feed_manifests, 100_000),
    "answers": (feed_answers, 20_000),
    "reports": (feed_reports, 2_000),
}


def soak(what: str, first: int, count: int) -> int:
    """Feed so many, and say how it went; the exit code of that."""
    feed = FEEDS[what][0]
    began, total = time.monotonic(), Counter[str]()
    failed: list[int] = []
    seeds = range(first, first + count)
    groups = [seeds[at : at + GROUP] for at in range(0, count, GROUP)]
    with multiprocessing.Pool(os.cpu_count()) as pool:
        for ends, found in pool.imap_unordered(feed, groups):
            total += ends
            failed += found
            for seed, wrong in found.items():
                sys.stdout.write(f"{what} {seed}: {wrong}\n")
    return print_summary(f"{count:,} {what} in {time.monotonic() - began:.0f} s", total, failed)


def main() -> int:
    """0 where all went well."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--what", choices=FEEDS, help="only this kind of input")
    parser.add_argument("--count", type=int, help="how many; a full soak's number if not given")
    parser.add_argument("--from", dest="first", type=int, default=0)
    given = parser.parse_args()
    kinds = [given.what] if given.what else list(FEEDS)
    return max([soak(what, given.first, given.count or FEEDS[what][1]) for what in kinds])


if __name__ == "__main__":
    sys.exit(main())
