"""Renders a batch's records into the bytes of each report file; reads no clock, writes no file."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TypeVar

from bulk.model import AttemptRecord, BatchFacts, TriggerResult
from bulk.report.case_names import CaseNames, name_cases
from bulk.report.columns import ATTEMPT_COLUMNS, REPORT_COLUMNS, Column
from bulk.report.csv_file import csv_bytes
from bulk.report.frames import attempts_frame, results_frame
from bulk.report.github import ReportPaths, github_output, step_summary
from bulk.report.junit import junit_bytes
from bulk.report.page import page_bytes
from bulk.report.summary import (
    Summary,
    cancelled_lines,
    closing_lines,
    exit_of_stop,
    summarize,
    summary_json,
)

__all__ = [
    "ATTEMPT_COLUMNS",
    "REPORT_COLUMNS",
    "CaseNames",
    "Column",
    "Rendered",
    "ReportPaths",
    "Summary",
    "cancelled_lines",
    "closing_lines",
    "exit_of_stop",
    "github_output",
    "render_all",
    "step_summary",
    "summary_json",
]

Record = TypeVar("Record", TriggerResult, AttemptRecord)


@dataclass(frozen=True, slots=True)
class Rendered:
    """A batch's report files, each with its path in the batch's folder, and what they share."""

    files: tuple[tuple[str, bytes], ...]
    summary: Summary
    names: CaseNames


def render_all(
    facts: BatchFacts,
    results: Iterable[TriggerResult],
    attempts: Iterable[AttemptRecord],
    *,
    now: float,
) -> Rendered:
    """All report files of a batch, written at Unix time `now`."""
    all_results = [_marked(result) if facts.simulated else result for result in results]
    all_attempts = [_marked(attempt) if facts.simulated else attempt for attempt in attempts]
    summary = summarize(facts, all_results, all_attempts)
    names = name_cases(lambda: (result.trigger for result in all_results))
    return Rendered(
        files=(
            ("report.csv", csv_bytes(results_frame(all_results, facts.own_columns))),
            ("report.html", page_bytes(facts, summary, all_results, names, now=now)),
            ("data/summary.json", summary_json(facts, summary).encode("utf-8", "replace")),
            ("data/attempts.csv", csv_bytes(attempts_frame(all_attempts))),
            ("data/junit.xml", junit_bytes(facts, all_results, names)),
        ),
        summary=summary,
        names=names,
    )


def _marked(record: Record) -> Record:
    """The record with a run id that cannot be mistaken for a server's, wherever it is copied."""
    if record.run_id is None:
        return record
    return replace(record, run_id=f"simulated-{record.run_id}")
