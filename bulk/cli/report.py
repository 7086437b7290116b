"""`bulk-trigger report [BATCH]`: writes a batch's reports anew, from its journal."""

from __future__ import annotations

from pathlib import Path

import click

from bulk.cli.options import SETTINGS, json_option, output_option


@click.command("report", context_settings=SETTINGS)
@click.argument("batch", required=False)
@output_option
@json_option
def command(batch: str | None, output: Path, as_json: bool) -> int:
    """Write the reports of BATCH (the newest, if none is named) anew; sends nothing.

    Exits as the batch did.
    """
    import time

    from bulk.cli.endings import finish
    from bulk.folder import find
    from bulk.journal import Journal

    folder = find(output, batch)
    with Journal.open(folder.journal) as journal:
        return finish(journal, folder, time.time(), as_json=as_json)
