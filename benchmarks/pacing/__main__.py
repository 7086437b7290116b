"""Measures the pacing and writes the page of results: `python -m benchmarks.pacing`.

Only a complete run of the report set writes RESULTS.md. Any other run prints the page, and
writes it to `--output` if given.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import platform
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.pacing.cases import Row, cases_of
from benchmarks.pacing.drawn import drawn_rows
from benchmarks.pacing.grid import ROWS
from benchmarks.pacing.measuring import PRODUCT, RIVALS, Figures, Job, work
from benchmarks.pacing.table import page

RESULTS = Path(__file__).parent / "RESULTS.md"
DRAWN_SEED = 8


def main() -> None:
    """Run the selected cases and print the page."""
    options = _options()
    every = (*ROWS, *drawn_rows(options.drawn)) if options.set == "report" else ROWS
    rows = [row for row in every if not options.only or row.name in options.only]
    jobs = _jobs(rows, options)
    began = time.monotonic()
    figures = _measured(jobs, options.processes)
    facts = _facts(jobs, time.monotonic() - began, options)
    text = page(rows, figures, facts)
    if options.nginx:
        from benchmarks.pacing.behind_nginx import section  # needs what the tests need

        text += "\n" + section()
    print(text)
    whole = options.set == "report" and not (options.quick or options.only or options.seeds)
    output = options.output or (RESULTS if whole else None)
    if output is not None:
        output.write_text(text, encoding="utf-8")
        print(f"written to {output}", file=sys.stderr)


def _options() -> argparse.Namespace:
    names = [row.name for row in (*ROWS, *drawn_rows(DRAWN_SEED))]
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.pacing", description="Measures the pacing in virtual time."
    )
    parser.add_argument("--quick", action="store_true", help="one case a row, N at most 1,000")
    parser.add_argument("--only", nargs="+", metavar="ROW", choices=names, help=", ".join(names))
    parser.add_argument("--seeds", type=int, metavar="N", help="seeds of each server (1 or 3)")
    parser.add_argument("--set", choices=("tune", "report"), default="report")
    parser.add_argument(
        "--drawn",
        type=int,
        metavar="SEED",
        default=DRAWN_SEED,
        help="draw other limiters at random [default: %(default)s]",
    )
    parser.add_argument("--no-rivals", action="store_true", help="the product alone")
    parser.add_argument("--nginx", action="store_true", help="also over sockets, behind nginx")
    parser.add_argument("--output", type=Path, metavar="FILE")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    return parser.parse_args()


def _jobs(rows: Sequence[Row], options: argparse.Namespace) -> list[Job]:
    """All jobs, longest first, so that all cores stay busy to the end."""
    jobs = []
    for row in rows:
        for case in cases_of(row, options.set, seeds=options.seeds, quick=options.quick):
            jobs.append(Job(case, PRODUCT))
            if case.with_rivals and not options.no_rivals:
                jobs += [Job(case, rival) for rival in RIVALS]
    return sorted(jobs, key=lambda job: job.cost, reverse=True)


def _measured(jobs: Sequence[Job], processes: int) -> list[Figures]:
    began, found = time.monotonic(), []
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        for figures in pool.imap_unordered(work, jobs):
            found.append(figures)
            crash = f"  crashed: {figures.crashed}" if figures.crashed else ""
            print(
                f"{len(found):>4} of {len(jobs)}  {time.monotonic() - began:5.0f} s  "
                f"{figures.client} · {figures.case.row} · seed {figures.case.seed}{crash}",
                file=sys.stderr,
            )
    return sorted(found, key=lambda figures: (figures.case.seed, figures.client))


def _facts(jobs: Sequence[Job], took_s: float, options: argparse.Namespace) -> list[str]:
    seeds = [job.case.seed for job in jobs]
    drawn = f"; limiters drawn by seed {options.drawn}" if options.set == "report" else ""
    facts = [
        f"{time.strftime('%Y-%m-%d', time.gmtime())}, commit {_commit()}, Python "
        f"{platform.python_version()}",
        f"`python -m benchmarks.pacing {' '.join(sys.argv[1:])}".rstrip() + "`",
        f"{len({job.case for job in jobs})} cases, {len(jobs)} runs, {took_s / 60:.0f} minutes",
        f"seeds {min(seeds)} to {max(seeds)}{drawn}",
    ]
    if options.quick:
        facts.append("quick: N is at most 1,000, so the cost of learning weighs ten times as much")
    return facts


def _commit() -> str:
    folder = Path(__file__).parent
    try:
        commit = _git(folder, "rev-parse", "--short", "HEAD")
        changed = _git(folder, "status", "--porcelain", "--", ":/bulk")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return f"{commit} with changes" if changed else commit


def _git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", *arguments], cwd=folder, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


if __name__ == "__main__":
    main()
