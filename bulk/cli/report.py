"""`bulk-trigger report [BATCH]`: writes a batch's reports again, from its journal."""

from __future__ import annotations

from pathlib import Path

import click

from bulk.cli.options import SETTINGS, json_option, output_option


@click.command("report", context_settings=SETTINGS)
@click.argument("batch", required=False)
@output_option
@json_option
def command(batch: str | None, output: Path, as_json: bool) -> int:
    """Write the reports of BATCH (default: the newest) again; send nothing.

    The exit code is the batch's.
    """
    from bulk.batch.folder import find
    from bulk.cli.finish import report_on

    return report_on(find(output, batch), as_json=as_json)
