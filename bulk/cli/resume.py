"""`bulk-trigger resume [BATCH]`: goes on with a batch from its journal alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import click

from bulk.cli.options import (
    SETTINGS,
    BatchOptions,
    api_options,
    json_option,
    output_option,
    sending_options,
)


@click.command("resume", context_settings=SETTINGS)
@click.argument("batch", required=False)
@output_option
@json_option
@api_options
@click.option(
    "--last-failed",
    is_flag=True,
    help="Send also what was rejected or throttled, as further attempts in the same report.",
)
@click.option(
    "--reconcile-only",
    is_flag=True,
    help="Find out what became of unknown triggers; send nothing.",
)
@sending_options
def command(batch: str | None, last_failed: bool, reconcile_only: bool, **given: Any) -> int:
    """Continue BATCH (the newest, if none is named) after an interrupt, a crash or a stop.

    What was queued is not sent again. What may have been executed is looked for at the server
    first, and sent again only where the server has no run of it. The manifest is not needed.
    """
    from bulk.batch.batch_runner import to_reconcile
    from bulk.batch.folder import find
    from bulk.cli.choose_batch import another_sandbox, key_or_error, parse_sandbox
    from bulk.cli.finish import finish_again, report_on
    from bulk.cli.phrases import left_words
    from bulk.cli.runner import (
        SANDBOX_KEY,
        Work,
        batch_settings,
        carry_out,
    )
    from bulk.errors import OptionError
    from bulk.http.address import check_base_url
    from bulk.journal import Journal
    from bulk.journal.tally import Tally

    options = BatchOptions(**given)
    if last_failed and reconcile_only:
        raise click.UsageError("--last-failed sends, and --reconcile-only does not; choose one")
    if reconcile_only and options.on_unknown != "reconcile":
        raise click.UsageError(
            "--reconcile-only asks the server and sends nothing, and "
            f"--on-unknown {options.on_unknown} does not; choose one"
        )
    folder = find(options.output, batch)
    with Journal.open(folder.journal) as journal:
        born = journal.batch
        tally = Tally.of(journal.counts())
    if born.simulated:
        raise OptionError(
            f"batch {folder.name} is a simulation, which sent nothing: there is nothing to resume. "
            "Name the batch you mean"
        )
    to_send = 0 if reconcile_only else tally.left + (tally.refused if last_failed else 0)
    asked = to_reconcile(tally, options.on_unknown)
    if not to_send + asked:
        if tally.left:
            click.echo(f"Batch {folder.name} has no unknown trigger: nobody is asked.", err=True)
            return report_on(folder, as_json=options.as_json)
        return finish_again(folder, as_json=options.as_json)
    return carry_out(
        Work(
            folder=folder,
            open_journal=lambda _: Journal.open(folder.journal),
            base_url=check_base_url(options.base_url or born.base_url),
            key=SANDBOX_KEY if born.sandbox else key_or_error(options, born.manifest),
            settings=replace(
                batch_settings(options), failed_again=last_failed, reconcile_only=reconcile_only
            ),
            sandbox=another_sandbox(parse_sandbox(born.sandbox)) if born.sandbox else None,
            headlines=(f"continuing batch {folder.name}: {left_words(to_send, asked)}",),
            quiet=options.quiet,
            as_json=options.as_json,
        )
    )
