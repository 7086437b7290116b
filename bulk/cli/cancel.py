"""`bulk-trigger cancel BATCH`: cancels the runs that a batch queued."""

from __future__ import annotations

from typing import Any

import click

from bulk.cli.options import (
    SETTINGS,
    RequestOptions,
    api_options,
    json_option,
    output_option,
    request_options,
)


@click.command("cancel", context_settings=SETTINGS)
@click.argument("batch")
@output_option
@json_option
@api_options
@request_options
def command(batch: str, **given: Any) -> int:
    """Cancel the runs that BATCH queued; a cancelled run may still be billed.

    It sends no trigger: unsent triggers stay unsent. Repeat it to cancel the runs that were not
    cancelled the first time.
    """
    from bulk.cli.cancel_runs import cancel

    return cancel(batch, RequestOptions(**given))
