"""`bulk-trigger resume [BATCH]`: continues a batch from its journal alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import click

from bulk.cli.options import (
    SETTINGS,
    SendingOptions,
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
    help="Also send what was rejected or throttled, as further attempts in the same report.",
)
@click.option(
    "--reconcile-only",
    is_flag=True,
    help="Find out the status of unknown triggers; send nothing.",
)
@sending_options
def command(batch: str | None, last_failed: bool, reconcile_only: bool, **given: Any) -> int:
    """Continue BATCH (default: the newest) after an interrupt, a crash or a stop.

    Queued triggers are not sent again. Triggers that may have been executed are looked up at the
    server first, and resent only if it has no run of them. The manifest is not needed.
    """
    from bulk.batch.choosing import remaining_work
    from bulk.batch.folder import find
    from bulk.cli.embedded_sandbox import SANDBOX_KEY, parse_sandbox, with_new_seed
    from bulk.cli.finish import finish_again, report_on
    from bulk.cli.phrases import describe_remaining
    from bulk.cli.runner import BatchRun, batch_settings, require_key
    from bulk.errors import OptionError
    from bulk.http.address import check_base_url
    from bulk.journal import Journal

    options = SendingOptions(**given)
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
        tally = journal.tally()
    if born.simulated:
        raise OptionError(
            f"batch {folder.name} is a simulation, which sent nothing: there is nothing to resume. "
            "Name another batch"
        )
    remaining = remaining_work(
        tally, options.on_unknown, failed_again=last_failed, reconcile_only=reconcile_only
    )
    if not remaining:
        if tally.left:
            click.echo(f"Batch {folder.name} has no unknown trigger: nothing is sent.", err=True)
            return report_on(folder, as_json=options.as_json)
        return finish_again(folder, as_json=options.as_json)
    without_key = f"try it without one:\n  bulk-trigger {born.manifest} --sandbox"
    return BatchRun(
        folder=folder,
        open_journal=lambda _: Journal.open(folder.journal),
        base_url=check_base_url(options.base_url or born.base_url),
        key=SANDBOX_KEY if born.sandbox else require_key(options, without_key),
        settings=replace(
            batch_settings(options), failed_again=last_failed, reconcile_only=reconcile_only
        ),
        sandbox=with_new_seed(parse_sandbox(born.sandbox)) if born.sandbox else None,
        headlines=(f"continuing batch {folder.name}: {describe_remaining(remaining)}",),
        quiet=options.quiet,
        as_json=options.as_json,
    ).run()
