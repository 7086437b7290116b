"""What `cancel` does: cancels a batch's runs and says how that went."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial
from random import Random

import click

from bulk.batch.folder import BatchFolder, find
from bulk.batch.running import RunContext, cancel_runs, live_client
from bulk.cli.failure import Failure
from bulk.cli.finish import finish_cancelling
from bulk.cli.interrupts import Interrupts, shielded_reports
from bulk.cli.options import RequestOptions
from bulk.cli.phrases import count_of
from bulk.cli.runner import (
    progress_shown,
    request_settings,
    require_key,
    run_async,
    stopping_line,
)
from bulk.dispatch import LeaveNow
from bulk.dispatch.cancelling import CancelEnd
from bulk.errors import OptionError
from bulk.http.address import check_base_url
from bulk.http.api_key import ApiKey
from bulk.journal import Journal
from bulk.report import exit_of_stop


def cancel(batch: str, options: RequestOptions) -> int:
    """Cancel the batch's runs; the exit code. Raises BulkError, click.Abort."""
    folder = find(options.output, batch)
    with Journal.open(folder.journal) as journal:
        born, left = journal.batch, len(journal.uncancelled())
        if born.simulated:
            raise OptionError(
                f"batch {folder.name} is a simulation, which sent nothing: there is nothing to "
                "cancel. Name another batch"
            )
        if born.sandbox is not None:
            raise OptionError(
                f"batch {folder.name} ran against an embedded sandbox, whose runs are gone with "
                "it: there is nothing to cancel. Name another batch"
            )
        if not left:
            click.echo(f"Batch {folder.name} has no run left to cancel: nothing is sent.", err=True)
            with shielded_reports(folder.cli_name):
                return finish_cancelling(
                    journal, folder, time.time(), CancelEnd(0, 0), as_json=options.as_json
                )
    key = require_key(options, "name a file that holds it with --api-key-file")
    base_url = check_base_url(options.base_url or born.base_url)
    return run_async(CancelRun(folder, base_url, key, left, options).run)


@dataclass(frozen=True, slots=True)
class CancelRun:
    """One process's cancelling of a batch that has `left` runs to cancel."""

    folder: BatchFolder
    base_url: str
    key: ApiKey
    left: int
    options: RequestOptions

    async def run(self) -> int:
        """Cancel the runs and write the reports; the exit code."""
        settings, cli_name = request_settings(self.options), self.folder.cli_name
        interrupts = Interrupts(cli_name)
        say_stopping = partial(self._say, stopping_line(settings.drain_timeout_s))
        async with live_client(self.base_url, self.key, settings) as client:
            with Journal.open(self.folder.journal) as journal:
                self._say(f"cancelling {count_of(self.left, 'run')} at {client.base_url}")
                with (
                    progress_shown(self._say, quiet=self.options.quiet) as progress,
                    interrupts.stop_codes(say_stopping) as stops,
                ):
                    context = RunContext(random=Random(), progress=progress, interrupts=stops)
                    try:
                        end = await cancel_runs(journal, client, settings, context)
                    except LeaveNow as leave:
                        rest = f"bulk-trigger cancel {cli_name}"
                        text = f"\nExited at once. For the rest: {rest}"
                        left = Failure(leave.code, exit_of_stop(leave.code), text)
                        left.show(as_json=self.options.as_json)
                        return left.exit
                code = finish_cancelling(
                    journal, self.folder, time.time(), end, as_json=self.options.as_json
                )
                interrupts.done()
                return code

    def _say(self, line: str) -> None:
        if not self.options.quiet:
            click.echo(line, err=True)
