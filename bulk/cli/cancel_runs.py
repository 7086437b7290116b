"""Carries out `cancel`: which batch, with which key, and how it went, in words and as a code."""

from __future__ import annotations

import time
from dataclasses import dataclass
from random import Random

import click

from bulk.batch.folder import BatchFolder, find
from bulk.batch.running import (
    BatchSettings,
    RunContext,
    cancel_runs,
    live_client,
)
from bulk.cli.finish import finish_cancelling
from bulk.cli.interrupts import Interrupts, reports_come_first
from bulk.cli.options import RequestOptions
from bulk.cli.phrases import count_of
from bulk.cli.runner import progress_line, run_to_its_end
from bulk.dispatch import LeaveNow
from bulk.dispatch.cancelling import CancelEnd
from bulk.errors import AuthError, OptionError
from bulk.http.address import check_base_url
from bulk.http.api_key import KEY_VARIABLE, ApiKey, find_key
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
                "cancel. Name the batch you mean"
            )
        if born.sandbox is not None:
            raise OptionError(
                f"batch {folder.name} ran against an embedded sandbox, whose runs went with it: "
                "there is nothing to cancel. Name the batch you mean"
            )
        if not left:
            click.echo(f"Batch {folder.name} has no run left to cancel: nothing is sent.", err=True)
            end = CancelEnd(0, 0)
            with reports_come_first(folder.cli_name):
                return finish_cancelling(journal, folder, time.time(), end, as_json=options.as_json)
    key = find_key(options.api_key, options.api_key_file)
    if key is None:
        raise AuthError(
            f"no API key. Set {KEY_VARIABLE}, or name a file that holds it with --api-key-file"
        )
    work = _Work(folder, check_base_url(options.base_url or born.base_url), key, left, options)
    return run_to_its_end(work.carry_out)


@dataclass(frozen=True, slots=True)
class _Work:
    """One process's cancelling of one batch, which has `left` runs to cancel."""

    folder: BatchFolder
    base_url: str
    key: ApiKey
    left: int
    options: RequestOptions

    async def carry_out(self) -> int:
        """Do it; the exit code."""
        async with live_client(self.base_url, self.key, self._settings()) as client:
            with Journal.open(self.folder.journal) as journal:
                self._say(f"cancelling {count_of(self.left, 'run')} at {client.base_url}")
                progress = progress_line(self._say, quiet=self.options.quiet)
                interrupts = Interrupts(self.folder.cli_name)
                with interrupts.stops(self._say_stopping) as stops:
                    around = RunContext(random=Random(), progress=progress, interrupts=stops)
                    try:
                        end = await cancel_runs(journal, client, self._settings(), around)
                    except LeaveNow as leave:
                        rest = f"bulk-trigger cancel {self.folder.cli_name}"
                        click.echo(f"\nLeft at once. For the rest: {rest}", err=True)
                        return exit_of_stop(leave.code)
                    finally:
                        if progress is not None:
                            progress.close()
                code = finish_cancelling(
                    journal, self.folder, time.time(), end, as_json=self.options.as_json
                )
                interrupts.told()
                return code

    def _settings(self) -> BatchSettings:
        options = self.options
        return BatchSettings(
            rate_per_s=options.rate,
            burst=options.burst,
            concurrency_max=options.max_concurrency,
            deadline_s=options.deadline,
            connect_timeout_s=options.connect_timeout,
            answer_timeout_s=options.timeout,
            drain_timeout_s=options.drain_timeout,
        )

    def _say(self, line: str) -> None:
        if not self.options.quiet:
            click.echo(line, err=True)

    def _say_stopping(self) -> None:
        self._say(
            f"\nStopping: waiting at most {self.options.drain_timeout:g} s for what is under way. "
            "Once more leaves at once."
        )
