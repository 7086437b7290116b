"""Measures the time, CPU and memory of large batches.

    python -m benchmarks.scale [--triggers 100000] [--rows 1000000]

1. A release of many triggers against an unlimited sandbox in a process of its own.
2. A manifest of many rows with `--dry-run`.

Each runs in a process of its own. The system reports its CPU and peak memory when it exits.
"""

from __future__ import annotations

import argparse
import csv
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

KEY = {"TESTERARMY_API_KEY": "sk_benchmark"}


@dataclass(frozen=True, slots=True)
class Cost:
    """What a process used; `peak_mb` is its peak resident set."""

    wall_s: float
    cpu_s: float
    peak_mb: float
    exit_code: int


def measured(arguments: list[str], stdout: Path) -> Cost:
    """Run bulk-trigger until it exits."""
    began = time.perf_counter()
    with stdout.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "bulk", *arguments], stdout=file, env=os.environ | KEY
        )
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    wall_s = time.perf_counter() - began
    unit = 1 if sys.platform == "darwin" else 1024
    return Cost(
        wall_s=wall_s,
        cpu_s=usage.ru_utime + usage.ru_stime,
        peak_mb=usage.ru_maxrss * unit / 1e6,
        exit_code=process.returncode,
    )


def write_manifest(path: Path, rows: int) -> None:
    """Write a manifest of `rows` rows, one trigger each, all of different tests."""
    platforms, modes = ("web", "ios", "android"), ("fast", "deep")
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["test_id", "platform", "mode", "name", "tags", "owner"])
        for number in range(rows):
            test_id = UUID(int=(number << 80) + (0x4000 << 64) + (0x8 << 60) + number)
            writer.writerow(
                [
                    test_id,
                    platforms[number % 3],
                    modes[number % 2],
                    f"Test {number}",
                    "smoke",
                    "Ana",
                ]
            )


def show(what: str, count: int, cost: Cost) -> None:
    """Print one line of the table."""
    print(
        f"{what:<34} {count:>9,}  {cost.wall_s:7.1f} s  {count / cost.wall_s:9,.0f}/s  "
        f"{cost.cpu_s / count * 1e6:8.0f} us CPU each  {cost.peak_mb:6.0f} MB  "
        f"exit {cost.exit_code}",
        flush=True,
    )


def main() -> None:
    """Run both and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--triggers", type=int, default=100_000)
    parser.add_argument("--rows", type=int, default=1_000_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        manifest = Path(folder) / "many.csv"
        write_manifest(manifest, options.rows)
        cost = measured(["run", str(manifest), "--dry-run"], Path(folder) / "expansion")
        show("manifest rows, --dry-run", options.rows, cost)

        write_manifest(manifest, options.triggers)
        sandbox = subprocess.Popen(
            [sys.executable, "-m", "bulk", "sandbox", "none"], stdout=subprocess.PIPE, text=True
        )
        with sandbox:
            assert sandbox.stdout is not None
            base_url = sandbox.stdout.readline().split()[1]
            arguments = [str(manifest), "--base-url", base_url, "--output", folder, "--quiet"]
            cost = measured(arguments, Path(folder) / "ending")
            sandbox.terminate()
        show("triggers, unlimited sandbox", options.triggers, cost)


if __name__ == "__main__":
    main()
