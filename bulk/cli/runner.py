"""Runs a batch for `run` and `resume`, and what `cancel` shares with them.

It opens what must be open while requests are sent: embedded sandbox, client, journal, signal
handlers, progress.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from random import Random
from typing import TYPE_CHECKING

import click
import trio

from bulk.batch.folder import BatchFolder
from bulk.batch.other_batches import other_claims
from bulk.batch.running import BatchSettings, RunContext, live_client, run_batch
from bulk.cli.embedded_sandbox import with_sandbox
from bulk.cli.failure import Failure
from bulk.cli.finish import finish
from bulk.cli.interrupts import Interrupts
from bulk.cli.options import RequestOptions, SendingOptions
from bulk.cli.progress import PlainLines, SafeProgress, TerminalBar
from bulk.dispatch import LeaveNow
from bulk.errors import AuthError, OptionError
from bulk.exits import Exit
from bulk.http.address import DEFAULT_BASE_URL, check_base_url
from bulk.http.api_key import ApiKey, find_key
from bulk.http.client import Client
from bulk.http.variables import BASE_URL_VARIABLE, KEY_VARIABLE, meant_as
from bulk.journal import Journal
from bulk.report import exit_of_stop

if TYPE_CHECKING:
    from bulk.sandbox import SandboxConfig


@dataclass(frozen=True, slots=True)
class BatchRun:
    """One process's run of a batch.

    `open_journal` takes the base URL under which the API answers. `sandbox` is the embedded one to
    serve, None for a real API; its address replaces `base_url`. `headlines` are printed before the
    first request.
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

    def run(self) -> int:
        """Run it; the exit code. Raises BulkError, click.Abort."""
        return run_async(self._main)

    async def _main(self) -> int:
        if self.sandbox is None:
            return await self._with_api(self.base_url)
        return await with_sandbox(self.sandbox, self._with_api)

    async def _with_api(self, base_url: str) -> int:
        if self.sandbox is not None:
            self._say(f"SANDBOX {base_url} (nothing is billed)")
        async with live_client(base_url, self.key, self.settings) as client:
            for note in client.proxy.notes:
                self._say(f"note: {note}")
            if client.base_url != base_url:
                self._say(f"note: the API answers at {client.base_url}")
            with self.open_journal(client.base_url) as journal:
                for line in self.headlines:
                    self._say(line)
                return await self._with_journal(journal, client)

    async def _with_journal(self, journal: Journal, client: Client) -> int:
        cli_name, cancels = self.folder.cli_name, self.settings.on_interrupt == "cancel"
        interrupts = Interrupts(cli_name)
        stopping = "cancelling what was queued, and " * cancels
        say_stopping = partial(self._say, stopping_line(self.settings.drain_timeout_s, stopping))
        with (
            progress_shown(self._say, quiet=self.quiet) as progress,
            interrupts.stop_codes(say_stopping) as stops,
        ):
            context = RunContext(
                random=Random(),
                progress=progress,
                interrupts=stops,
                other_claims=partial(other_claims, self.folder),
            )
            try:
                end = await run_batch(journal, client, self.settings, context)
            except LeaveNow as leave:
                text = (
                    "\nExited at once. Nothing is lost. To continue: "
                    f"bulk-trigger resume {cli_name}"
                )
                if cancels:
                    text += f"\nTo cancel what was queued: bulk-trigger cancel {cli_name}"
                left = Failure(leave.code, exit_of_stop(leave.code), text)
                left.show(as_json=self.as_json)
                return left.exit
        code = finish(journal, self.folder, time.time(), as_json=self.as_json, unsaved=end.unsaved)
        if end.not_cancelled:
            click.echo(f"error: not all runs were cancelled: {end.not_cancelled}", err=True)
        interrupts.done()
        return code

    def _say(self, line: str) -> None:
        if not self.quiet:
            click.echo(line, err=True)


def run_async(main: Callable[[], Awaitable[int]]) -> int:
    """Run it and return its exit code. Raises click.Abort on a Ctrl-C that it does not handle."""
    interrupted = False
    code: int = Exit.INTERRUPTED
    try:
        code = trio.run(main)
    except* KeyboardInterrupt:  # before or after the requests, which stop in a way of their own
        interrupted = True
    if interrupted:
        raise click.Abort
    return code


@contextmanager
def progress_shown(say: Callable[[str], None], *, quiet: bool) -> Iterator[SafeProgress | None]:
    """Progress for a block: a bar on a terminal, otherwise lines by `say`; None if `quiet`."""
    if quiet:
        yield None
        return
    shown = TerminalBar(sys.stderr) if sys.stderr.isatty() else PlainLines(say)
    progress = SafeProgress(shown, say)
    try:
        yield progress
    finally:
        progress.close()


def stopping_line(drain_timeout_s: float, also: str = "") -> str:
    """What is printed when the first signal stops a command."""
    return (
        f"\nStopping: {also}waiting at most {drain_timeout_s:g} s for requests in flight. "
        "A second signal exits at once."
    )


def require_key(options: RequestOptions, otherwise: str) -> ApiKey:
    """The API key from options or environment. Raises AuthError, which says what else to do."""
    key = find_key(options.api_key, options.api_key_file)
    if key is None:
        unread = _unread(KEY_VARIABLE)
        raise AuthError(f"no API key{unread}. Set {KEY_VARIABLE}, or {otherwise}")
    return key


def new_batch_base_url(options: RequestOptions) -> str:
    """The address for a new batch. Raises OptionError.

    A variable that seems to name another address, and is not read, is an error: what is billed at
    the wrong address cannot be taken back.
    """
    if not options.base_url and (unread := _unread(BASE_URL_VARIABLE)):
        raise OptionError(
            f"no address{unread}. Set {BASE_URL_VARIABLE}, or confirm the default with "
            f"--base-url {DEFAULT_BASE_URL}"
        )
    return check_base_url(options.base_url or DEFAULT_BASE_URL)


def _unread(variable: str) -> str:
    """Names the variables that are set in place of this one, never their values."""
    names = meant_as(variable, os.environ)
    are = "is" if len(names) == 1 else "are"
    return f": {', '.join(names)} {are} set, but only {variable} is read" if names else ""


def request_settings(options: RequestOptions) -> BatchSettings:
    """The settings that the options of `cancel` give."""
    return BatchSettings(
        rate_per_s=options.rate,
        burst=options.burst,
        concurrency_max=options.max_concurrency,
        deadline_s=options.deadline,
        wait_max_s=options.max_wait,
        connect_timeout_s=options.connect_timeout,
        answer_timeout_s=options.timeout,
        drain_timeout_s=options.drain_timeout,
    )


def batch_settings(options: SendingOptions) -> BatchSettings:
    """The settings that the options of `run` and `resume` give."""
    return replace(
        request_settings(options),
        retries_max=options.max_retries,
        fail_fast=options.fail_fast,
        on_unknown=options.on_unknown,
        on_interrupt=options.on_interrupt,
    )
