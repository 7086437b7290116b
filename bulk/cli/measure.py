"""`bulk-trigger measure [BATCH]`: estimates the API's rate limit from a batch's log."""

from __future__ import annotations

from pathlib import Path

import click

from bulk.cli.options import SETTINGS, output_option
from bulk.exits import Exit


@click.command("measure", context_settings=SETTINGS)
@click.argument("batch", required=False)
@output_option
@click.option("--json", "as_json", is_flag=True, help="Print the measurement as JSON on stdout.")
def command(batch: str | None, output: Path, as_json: bool) -> int:
    """Estimate the API's rate limit from the log of BATCH (default: the newest).

    It sends nothing. A kind of limit is named only if the log rules out the others.
    """
    from bulk.batch.folder import find
    from bulk.journal import Journal
    from bulk.measure import measure, measurement_json, measurement_lines

    folder = find(output, batch)
    with Journal.open(folder.journal) as journal:
        measured = measure(journal.attempts())
        if journal.batch.simulated:
            click.echo("note: this batch is a simulation; this measures its SPEC", err=True)
    if as_json:
        click.echo(measurement_json(folder.name, measured).rstrip("\n"))
    else:
        for line in measurement_lines(folder.name, measured):
            click.echo(line)
    return Exit.OK
