"""What the journal costs: the same batch with it and with one that writes nothing.

    python -m benchmarks.journal [--triggers 10000] [--times 5]

Uses real sockets and an unlimited sandbox in a process of its own. The two variants alternate, and
medians are printed. The journal is written below `--folder` (default: the temporary folder).
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from uuid import UUID

import trio

from bulk.batch.running import (
    BatchSettings,
    RunContext,
    live_client,
    run_batch,
)
from bulk.http.api_key import ApiKey
from bulk.journal import Entry, Journal, NewBatch
from bulk.model import Mode, Platform, Trigger

KEY = ApiKey("sk_benchmark", "the benchmark's key")


@contextmanager
def sandbox() -> Iterator[str]:
    """Run an unlimited sandbox and yield its address."""
    command = [sys.executable, "-m", "bulk", "sandbox", "none"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().split()[1]
        finally:
            process.terminate()


def triggers(count: int) -> Iterator[Trigger]:
    """`count` cells of different tests."""
    for number in range(count):
        test_id = str(UUID(int=(4 << 76) + (8 << 60) + number))
        yield Trigger(test_id=test_id, platform=Platform.WEB, mode=Mode.FAST, line=number + 2)


class NullJournal(Journal):
    """A journal that records no attempts."""

    def stage(self, entries: Iterable[Entry]) -> None:
        """Write nothing."""

    def commit(self) -> None:
        """Commit what creation wrote; there are no staged entries."""
        if self._sql.in_transaction:
            super().commit()


def took_s(base_url: str, path: Path, count: int, *, kept: bool) -> float:
    """The time from the first trigger to the last answer, in seconds."""
    born = NewBatch("journal", "none", base_url, time.time(), "0", "f")

    async def work() -> float:
        settings = BatchSettings()
        async with live_client(base_url, KEY, settings) as client:
            with (Journal if kept else NullJournal).create(path, born, triggers(count)) as journal:
                began = time.perf_counter()
                end = await run_batch(journal, client, settings, RunContext(random=Random(1)))
                assert end.stop is None, end
                return time.perf_counter() - began

    return trio.run(work)


def main() -> None:
    """Print the medians and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--triggers", type=int, default=10_000)
    parser.add_argument("--times", type=int, default=5)
    parser.add_argument("--folder", type=Path)
    given = parser.parse_args()
    found: dict[bool, list[float]] = {True: [], False: []}
    with sandbox() as base_url, tempfile.TemporaryDirectory(dir=given.folder) as folder:
        for number in range(given.times):
            for kept in (True, False):
                path = Path(folder) / f"{number}-{kept}.sqlite"
                found[kept].append(took_s(base_url, path, given.triggers, kept=kept))
    with_it, without = (statistics.median(found[kept]) for kept in (True, False))
    print(f"{given.triggers:,} triggers, medians of {given.times}:")
    print(f"  with the journal    {with_it:6.2f} s  ({given.triggers / with_it:,.0f}/s)")
    print(f"  writing nothing     {without:6.2f} s  ({given.triggers / without:,.0f}/s)")
    print(f"  the journal's share {1 - without / with_it:6.1%}")


if __name__ == "__main__":
    main()
