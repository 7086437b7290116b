"""`bulk-trigger resume [BATCH]`: goes on with a batch from its journal alone."""

from __future__ import annotations

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
@sending_options
def command(batch: str | None, **given: Any) -> int:
    """Continue BATCH (the newest, if none is named) after an interrupt, a crash or a stop.

    What was queued is not sent again. What may have been executed is reported as unknown and not
    sent again either. The manifest is not needed.
    """
    from bulk.batch import left_in
    from bulk.cli.carry_out import SANDBOX_KEY, Work, carry_out, job_settings
    from bulk.cli.endings import finish_again
    from bulk.cli.starting import key_or_error, parse_sandbox
    from bulk.cli.words import count_of
    from bulk.client import check_base_url
    from bulk.errors import OptionError
    from bulk.folder import find
    from bulk.journal import Journal

    options = BatchOptions(**given)
    folder = find(options.output, batch)
    with Journal.open(folder.journal) as journal:
        born = journal.batch
    if born.simulated:
        raise OptionError(
            f"batch {folder.name} is a simulation, which sent nothing: there is nothing to resume. "
            "Name the batch you mean"
        )
    left = left_in(folder)
    if not left:
        return finish_again(folder, as_json=options.as_json)
    return carry_out(
        Work(
            folder=folder,
            open_journal=lambda _: Journal.open(folder.journal),
            base_url=check_base_url(options.base_url or born.base_url),
            key=SANDBOX_KEY if born.sandbox else key_or_error(options, born.manifest),
            settings=job_settings(options),
            sandbox=parse_sandbox(born.sandbox) if born.sandbox else None,
            headlines=(f"continuing batch {folder.name}: {count_of(left, 'trigger')} left",),
            quiet=options.quiet,
            as_json=options.as_json,
        )
    )
