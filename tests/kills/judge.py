"""Compares a batch's report with what the sandbox counted."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Mapping, Set
from pathlib import Path
from typing import Any

from bulk.journal import read_runs
from tests.cli.terminal import rows

# The outcome that decides the exit code, the most urgent first.
EXIT_OF = {"throttled": 11, "unknown": 7, "rejected": 1, "unsent": 1}


def problems(
    batch: Path,
    manifest: Path,
    truth: Mapping[str, Any],
    code: int,
    cancelled: Set[str] = frozenset(),
) -> list[str]:
    """Each broken promise, in words; empty where all were kept. `code` is the exit code.

    `cancelled` are the runs that were, as the server has it.
    """
    if not (batch / "report.csv").exists():
        return [f"exit {code} without a report"]
    found = []
    report, accepted = rows(batch), truth["accepted"]
    with manifest.open(encoding="utf-8", newline="") as file:
        wanted = Counter(row["test_id"] for row in csv.DictReader(file))
    if Counter(row["test_id"] for row in report) != wanted:
        found.append("a cell is not in the report exactly once")
    executed = Counter(run["test_id"] for run in accepted)
    if twice := {test: count for test, count in executed.items() if count > wanted[test]}:
        found.append(f"accepted more often than wanted: {twice}")
    theirs = {run["run_id"]: run["test_id"] for run in accepted}
    ours = [(row["run_id"], row["test_id"]) for row in report if row["run_id"]]
    if len(dict(ours)) != len(ours):
        found.append("a run has two owners")
    if wrong := [run for run, test in ours if theirs.get(run) != test]:
        found.append(f"run ids that are another cell's, or nobody's: {wrong}")
    listed = set(read_runs(batch / "data" / "runs.txt", None).runs)
    if unlisted := dict(ours).keys() - listed:
        found.append(f"runs that are not in data/runs.txt: {unlisted}")
    if any((row["outcome"] == "queued") != bool(row["run_id"]) for row in report):
        found.append("queued without a run id, or a run id without being queued")
    suspected = {row["test_id"] for row in report if row["outcome"] == "unknown"}
    if lost := {theirs[run] for run in theirs.keys() - dict(ours).keys()} - suspected:
        found.append(f"runs that nobody owns or suspects: {lost}")
    if strange := cancelled - dict(ours).keys():
        found.append(f"runs that nobody owns were cancelled: {strange}")
    if still := {row["run_id"] for row in report if row["cancelled"] == "yes"} - cancelled:
        found.append(f"said to be cancelled, and were not: {still}")
    outcomes = {row["outcome"] for row in report}
    expected = next((exit_ for name, exit_ in EXIT_OF.items() if name in outcomes), 0)
    summary = json.loads((batch / "data" / "summary.json").read_text("utf-8"))
    if not code == expected == summary["exit_code"]:
        found.append(f"exit {code}, by the outcomes {expected}, by the summary {summary}")
    if left := [
        file.name
        for file in (batch / "data").iterdir()
        if "sqlite-" in file.name or file.name.startswith(".journal.")
    ]:
        found.append(f"left beside the journal: {left}")
    return found
