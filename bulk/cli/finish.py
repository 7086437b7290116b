"""How a command on a batch ends: reports written, the closing words said, the exit code."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

import click

from bulk.batch.folder import BatchFolder
from bulk.batch.running import WrittenReports, write_reports
from bulk.cli.interrupts import reports_come_first
from bulk.dispatch.cancelling import CancelEnd
from bulk.exits import Exit, most_urgent
from bulk.journal import Journal
from bulk.model import CANCEL_SETTLED, Outcome, StopCode
from bulk.report import (
    ReportPaths,
    cancelled_lines,
    closing_lines,
    exit_of_stop,
    github_output,
    step_summary,
    summary_json,
)

UNKNOWN_NAMED_MAX = 5  # of more, report.csv tells


def finish(
    journal: Journal,
    folder: BatchFolder,
    now: float,
    *,
    as_json: bool,
    unsaved: tuple[tuple[str, str], ...] = (),
) -> int:
    """Write the reports and say how it went: the summary on stdout, all else on stderr."""
    if unsaved:  # first of all: what made the journal fail may break the reports as well
        click.echo("error: these run ids could not be saved; keep this text:", err=True)
        for key, run_id in unsaved:
            click.echo(f"  trigger {key}  run {run_id}", err=True)
    reported = write_reports(journal, folder, now)
    paths = _paths(folder)
    _say(closing_lines(reported.facts, reported.summary), reported, paths, as_json=as_json)
    problems = [*reported.problems, *_tell_github(reported, journal, paths)]
    for problem in problems:
        click.echo(f"error: {problem}", err=True)
    return most_urgent([reported.exit, Exit.STORAGE if unsaved else Exit.OK])


def finish_cancelling(
    journal: Journal, folder: BatchFolder, now: float, end: CancelEnd, *, as_json: bool
) -> int:
    """Write the reports and say which runs were cancelled; the exit code of that."""
    reported = write_reports(journal, folder, now)
    summary, again = reported.summary, f"bulk-trigger cancel {folder.cli_name}"
    possible = end.stop is not StopCode.ALL_REJECTED  # else the server offers no cancelling
    left = summary.queued - sum(summary.cancelled[word] for word in CANCEL_SETTLED)
    lines = cancelled_lines(summary) or [f"Of {summary.queued:,} queued runs, none was cancelled."]
    if left and possible:
        lines.append(f"For the rest: {again}")
    if summary.unsent:
        lines.append(f"{summary.unsent:,} unsent: only bulk-trigger resume would send them.")
    if summary.unknown:
        cases = (r.trigger.case for r in journal.results() if r.outcome is Outcome.UNKNOWN)
        named = "; ".join(islice(cases, UNKNOWN_NAMED_MAX))
        more = summary.unknown - UNKNOWN_NAMED_MAX
        lines += [
            f"{summary.unknown:,} unknown, whose runs may be running and were not cancelled: "
            + named
            + (f"; and {more:,} more in report.csv" if more > 0 else ""),
            f"  To find them: bulk-trigger resume {folder.cli_name} --reconcile-only"
            + (f"; then {again}" if possible else ""),
        ]
    _say(lines, reported, _paths(folder), as_json=as_json)
    problems = list(reported.problems)
    if end.stop is not None:
        reason = end.stop.replace("_", " ")
        problems.insert(0, f"not all runs were asked for: {end.detail or reason}")
    for problem in problems:
        click.echo(f"error: {problem}", err=True)
    return most_urgent(
        [
            Exit.OK if end.stop is None else exit_of_stop(end.stop),
            Exit.STORAGE if reported.problems else Exit.OK,
            Exit.UNKNOWN if summary.unknown else Exit.OK,
            Exit.FAILED if left else Exit.OK,
        ]
    )


def _paths(folder: BatchFolder) -> ReportPaths:
    return ReportPaths(
        report=str(folder.path / "report.html"), table=str(folder.path / "report.csv")
    )


def _say(
    lines: Sequence[str], reported: WrittenReports, paths: ReportPaths, *, as_json: bool
) -> None:
    """The closing words on stdout; with `as_json` the summary, and the words on stderr."""
    named = (("Report  ", paths.report), ("Table   ", paths.table))
    there = (word + path for word, path in named if Path(path).is_file())  # a full disk takes none
    for line in ("", *lines, *there):
        click.echo(line, err=as_json)
    if as_json:
        click.echo(summary_json(reported.facts, reported.summary).rstrip("\n"))


def finish_again(folder: BatchFolder, *, as_json: bool) -> int:
    """Say how a batch went that has nothing left to send."""
    with Journal.open(folder.journal) as journal, reports_come_first(folder.cli_name):
        why = "is finished: nothing is sent"
        if Outcome.UNKNOWN in journal.counts():
            why = "has nothing left to send, and nobody is asked about the unknown"
        click.echo(f"Batch {folder.name} {why}.", err=True)
        journal.note_finished(time.time())
        return finish(journal, folder, time.time(), as_json=as_json)


def report_on(folder: BatchFolder, *, as_json: bool) -> int:
    """Write the reports of a batch anew and say how it went."""
    with Journal.open(folder.journal) as journal, reports_come_first(folder.cli_name):
        return finish(journal, folder, time.time(), as_json=as_json)


def _tell_github(reported: WrittenReports, journal: Journal, paths: ReportPaths) -> list[str]:
    """Append to the files that GitHub Actions names; what could not be written."""
    if os.environ.get("GITHUB_ACTIONS") != "true":
        return []
    texts = (
        ("GITHUB_OUTPUT", github_output(reported.facts, reported.summary, paths)),
        (
            "GITHUB_STEP_SUMMARY",
            step_summary(reported.facts, reported.summary, journal.results()),
        ),
    )
    problems = []
    for variable, text in texts:
        if name := os.environ.get(variable):
            try:
                with Path(name).open("ab") as file:
                    file.write(text.encode("utf-8", "surrogateescape"))  # paths need not be text
            except (OSError, UnicodeError) as error:
                why = getattr(error, "strerror", None) or error
                problems.append(f"{variable} {name}: not written: {why}")
    return problems
