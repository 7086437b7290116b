"""How a command on a batch ends: it writes the reports, prints the result and exits."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

import click

from bulk.batch.folder import BatchFolder
from bulk.batch.running import WrittenReports, write_reports
from bulk.cli.interrupts import shielded_reports
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

UNKNOWN_SHOWN_MAX = 5  # report.csv has all


def finish(
    journal: Journal,
    folder: BatchFolder,
    now: float,
    *,
    as_json: bool,
    unsaved: tuple[tuple[str, str], ...] = (),
) -> int:
    """Write the reports and print the result on stdout, all else on stderr; the exit code.

    `now` is Unix time. `unsaved` are pairs of a trigger's key and a run id that the journal lacks.
    """
    if unsaved:  # first of all: what broke the journal may break the reports as well
        click.echo("error: these run ids could not be saved; keep this text:", err=True)
        for key, run_id in unsaved:
            click.echo(f"  trigger {key}  run {run_id}", err=True)
    reported = write_reports(journal, folder, now)
    paths = _paths(folder)
    _print(closing_lines(reported.facts, reported.summary), reported, paths, as_json=as_json)
    problems = [*reported.problems, *_write_github_files(reported, journal, paths)]
    for problem in problems:
        click.echo(f"error: {problem}", err=True)
    return most_urgent([reported.exit, Exit.STORAGE if unsaved else Exit.OK])


def finish_cancelling(
    journal: Journal, folder: BatchFolder, now: float, end: CancelEnd, *, as_json: bool
) -> int:
    """Write the reports and print which runs were cancelled; the exit code of `cancel`."""
    reported = write_reports(journal, folder, now)
    summary, again = reported.summary, f"bulk-trigger cancel {folder.cli_name}"
    possible = end.stop is not StopCode.ALL_REJECTED  # else the server cannot cancel runs
    left = summary.queued - sum(summary.cancelled[word] for word in CANCEL_SETTLED)
    lines = cancelled_lines(summary) or [f"Of {summary.queued:,} queued runs, none was cancelled."]
    if left and possible:
        lines.append(f"For the rest: {again}")
    if summary.unsent:
        lines.append(f"{summary.unsent:,} unsent: only bulk-trigger resume sends them.")
    if summary.unknown:
        unknown = (r.trigger for r in journal.results() if r.outcome is Outcome.UNKNOWN)
        shown = "; ".join(
            reported.names.of(trigger).text for trigger in islice(unknown, UNKNOWN_SHOWN_MAX)
        )
        more = summary.unknown - UNKNOWN_SHOWN_MAX
        lines += [
            f"{summary.unknown:,} unknown, whose runs may be running and were not cancelled: "
            + shown
            + (f"; and {more:,} more in report.csv" if more > 0 else ""),
            f"  To find them: bulk-trigger resume {folder.cli_name} --reconcile-only"
            + (f"; then {again}" if possible else ""),
        ]
    _print(lines, reported, _paths(folder), as_json=as_json)
    problems = list(reported.problems)
    if end.stop is not None:
        reason = end.stop.replace("_", " ")
        problems.insert(0, f"cancelling stopped early: {end.detail or reason}")
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


def _print(
    lines: Sequence[str], reported: WrittenReports, paths: ReportPaths, *, as_json: bool
) -> None:
    """Print the result on stdout; with `as_json` on stderr, and the summary on stdout."""
    files = (("Report  ", paths.report), ("Table   ", paths.table))
    # A full disk may have taken none of them.
    written = (label + path for label, path in files if Path(path).is_file())
    for line in ("", *lines, *written):
        click.echo(line, err=as_json)
    if as_json:
        click.echo(summary_json(reported.facts, reported.summary).rstrip("\n"))


def finish_again(folder: BatchFolder, *, as_json: bool) -> int:
    """Print the result of a batch that has nothing left to send or to reconcile."""
    with Journal.open(folder.journal) as journal, shielded_reports(folder.cli_name):
        why = "is finished: nothing is sent"
        if Outcome.UNKNOWN in journal.counts():
            why = "has nothing left to send, and its unknown triggers are not looked up"
        click.echo(f"Batch {folder.name} {why}.", err=True)
        journal.note_finished(time.time())
        return finish(journal, folder, time.time(), as_json=as_json)


def report_on(folder: BatchFolder, *, as_json: bool) -> int:
    """Write the reports of a batch again and print its result."""
    with Journal.open(folder.journal) as journal, shielded_reports(folder.cli_name):
        return finish(journal, folder, time.time(), as_json=as_json)


def _write_github_files(
    reported: WrittenReports, journal: Journal, paths: ReportPaths
) -> list[str]:
    """Append to the files that GitHub Actions names. Return a message for each that failed."""
    if os.environ.get("GITHUB_ACTIONS") != "true":
        return []
    texts = (
        ("GITHUB_OUTPUT", github_output(reported.facts, reported.summary, paths)),
        (
            "GITHUB_STEP_SUMMARY",
            step_summary(reported.facts, reported.summary, journal.results(), reported.names),
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
