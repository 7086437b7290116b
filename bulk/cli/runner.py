"""What `run`, `resume` and in part `cancel` have in common: one async main around a batch.

Opens what has to be open around dispatch: embedded sandbox, client, journal, signals, progress.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from random import Random
from typing import TYPE_CHECKING

import click
import trio

from bulk.batch.folder import BatchFolder
from bulk.batch.other_batches import claims_of_others
from bulk.batch.running import (
    BatchSettings,
    RunContext,
    live_client,
    run_batch,
)
from bulk.cli.finish import finish
from bulk.cli.interrupts import Interrupts
from bulk.cli.options import SendingOptions
from bulk.cli.progress import PlainLines, TerminalBar
from bulk.dispatch import LeaveNow
from bulk.errors import BulkError
from bulk.exits import Exit
from bulk.http.api_key import ApiKey
from bulk.http.client import Client
from bulk.journal import Journal
from bulk.report import exit_of_stop

if TYPE_CHECKING:
    from bulk.sandbox import SandboxConfig

SANDBOX_KEY = ApiKey("sk_sandbox_local", "the sandbox's key")


@dataclass(frozen=True, slots=True)
class Work:
    """One process's work on one batch.

    `open_journal` gets the base URL that was found to be live. `sandbox` is the embedded one to
    start, whose address then takes the place of `base_url`. `headlines` are said before the first
    send.
    """

    folder: BatchFolder
    open_journal: Callable[[str], Journal]
    base_url: str
    key: ApiKey
    settings: BatchSettings
    sandbox: SandboxConfig | None
    headlines: tuple[str, ...]
    quiet: bool
    as_json: bool

    def say(self, line: str) -> None:
        """A line for people, on stderr, unless they asked for quiet."""
        if not self.quiet:
            click.echo(line, err=True)


def batch_settings(options: SendingOptions) -> BatchSettings:
    """How to send, by the options."""
    return BatchSettings(
        rate_per_s=options.rate,
        burst=options.burst,
        concurrency_max=options.max_concurrency,
        retries_max=options.max_retries,
        deadline_s=options.deadline,
        connect_timeout_s=options.connect_timeout,
        answer_timeout_s=options.timeout,
        drain_timeout_s=options.drain_timeout,
        fail_fast=options.fail_fast,
        on_unknown=options.on_unknown,
        on_interrupt=options.on_interrupt,
    )


def carry_out(work: Work) -> int:
    """Do the work and return the process's exit code. Raises BulkError."""
    return run_to_its_end(partial(_main, work))


def run_to_its_end(main: Callable[[], Awaitable[int]]) -> int:
    """Run it and return its exit code. Raises click.Abort on a Ctrl-C that nobody waits for."""
    interrupted = False
    code: int = Exit.INTERRUPTED
    try:
        code = trio.run(main)
    except* KeyboardInterrupt:  # before or after dispatch, which has its own way of stopping
        interrupted = True
    if interrupted:
        raise click.Abort
    return code


async def _main(work: Work) -> int:
    if work.sandbox is None:
        return await _with_api(work, work.base_url)
    return await _with_sandbox(work.sandbox, lambda base_url: _with_api(work, base_url))


async def _with_sandbox(config: SandboxConfig, inner: Callable[[str], Awaitable[int]]) -> int:
    from bulk.sandbox import Served, serve

    code: int = Exit.OK
    failure: BulkError | None = None
    async with trio.open_nursery() as nursery:
        served: Served = await nursery.start(serve, config)
        try:
            code = await inner(served.url)
        except BulkError as error:  # out of the nursery's sight, which would wrap it in a group
            failure = error
        nursery.cancel_scope.cancel()
    if failure is not None:
        raise failure
    return code


async def _with_api(work: Work, base_url: str) -> int:
    if work.sandbox is not None:
        work.say(f"SANDBOX {base_url} (nothing is billed)")
    async with live_client(base_url, work.key, work.settings) as client:
        if client.base_url != base_url:
            work.say(f"note: the API answers at {client.base_url}")
        with work.open_journal(client.base_url) as journal:
            for line in work.headlines:
                work.say(line)
            return await _with_journal(work, journal, client)


async def _with_journal(work: Work, journal: Journal, client: Client) -> int:
    progress = progress_line(work.say, quiet=work.quiet)
    interrupts = Interrupts(work.folder.cli_name)
    with interrupts.stops(partial(_say_stopping, work)) as stops:
        around = RunContext(
            random=Random(),
            progress=progress,
            interrupts=stops,
            other_claims=partial(claims_of_others, work.folder),
        )
        try:
            end = await run_batch(journal, client, work.settings, around)
        except LeaveNow as leave:
            click.echo(
                "\nLeft at once. Nothing is lost; to go on: "
                f"bulk-trigger resume {work.folder.cli_name}",
                err=True,
            )
            if work.settings.on_interrupt == "cancel":
                click.echo(
                    f"To cancel what was queued: bulk-trigger cancel {work.folder.cli_name}",
                    err=True,
                )
            return exit_of_stop(leave.code)
        finally:
            if progress is not None:
                progress.close()
    code = finish(journal, work.folder, time.time(), as_json=work.as_json, unsaved=end.unsaved)
    if end.not_cancelled:
        click.echo(f"error: not all runs were cancelled: {end.not_cancelled}", err=True)
    interrupts.told()
    return code


def progress_line(say: Callable[[str], None], *, quiet: bool) -> TerminalBar | PlainLines | None:
    """What shows how things stand: a bar on a terminal, otherwise lines; nothing where `quiet`."""
    if quiet:
        return None
    return TerminalBar(sys.stderr) if sys.stderr.isatty() else PlainLines(say)


def _say_stopping(work: Work) -> None:
    cancelling = "cancelling what was queued, and " * (work.settings.on_interrupt == "cancel")
    work.say(
        f"\nStopping: {cancelling}waiting at most {work.settings.drain_timeout_s:g} s for what is "
        "under way. Once more leaves at once."
    )
