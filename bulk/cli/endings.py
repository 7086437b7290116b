"""How a command on a batch ends: reports written, the closing words said, the exit code."""

from __future__ import annotations

import os
import time
from pathlib import Path

import click

from bulk.exits import Exit, most_urgent
from bulk.folder import BatchFolder
from bulk.job import Reported, write_reports
from bulk.journal import Journal
from bulk.report import ReportPaths, closing_lines, github_output, step_summary, summary_json


def finish(
    journal: Journal,
    folder: BatchFolder,
    now: float,
    *,
    as_json: bool,
    unsaved: tuple[tuple[str, str], ...] = (),
) -> int:
    """Write the reports and say how it went: the summary on stdout, all else on stderr."""
    reported = write_reports(journal, folder, now)
    paths = ReportPaths(
        report=str(folder.path / "report.html"), table=str(folder.path / "report.csv")
    )
    lines = ["", *closing_lines(reported.facts, reported.summary)]
    lines += [f"Report  {paths.report}", f"Table   {paths.table}"]
    for line in lines:
        click.echo(line, err=as_json)
    if as_json:
        click.echo(summary_json(reported.facts, reported.summary).rstrip("\n"))
    problems = [*reported.problems, *_tell_github(reported, journal, paths)]
    for problem in problems:
        click.echo(f"error: {problem}", err=True)
    if unsaved:
        click.echo("error: these run ids could not be saved; keep this text:", err=True)
        for key, run_id in unsaved:
            click.echo(f"  trigger {key}  run {run_id}", err=True)
    return most_urgent([reported.exit, Exit.STORAGE if unsaved else Exit.OK])


def finish_again(folder: BatchFolder, *, as_json: bool) -> int:
    """Say how a finished batch went; nothing is sent."""
    click.echo(f"Batch {folder.name} is finished: nothing is sent.", err=True)
    return report_on(folder, as_json=as_json)


def report_on(folder: BatchFolder, *, as_json: bool) -> int:
    """Write the reports of a batch anew and say how it went."""
    with Journal.open(folder.journal) as journal:
        return finish(journal, folder, time.time(), as_json=as_json)


def _tell_github(reported: Reported, journal: Journal, paths: ReportPaths) -> list[str]:
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
                with Path(name).open("a", encoding="utf-8", newline="\n") as file:
                    file.write(text)
            except OSError as error:
                problems.append(f"{variable} {name}: not written: {error.strerror or error}")
    return problems
