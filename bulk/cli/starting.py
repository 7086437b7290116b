"""Decides what `run` works on: with which key, where, and on a new batch or an old one."""

from __future__ import annotations

import secrets
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import click

from bulk import __version__
from bulk.cli.carry_out import SANDBOX_KEY, Work, carry_out, job_settings
from bulk.cli.endings import finish
from bulk.cli.options import BatchOptions, RunOptions
from bulk.cli.words import count_of, expansion_line
from bulk.client import DEFAULT_BASE_URL, check_base_url, is_loopback
from bulk.errors import AuthError, OptionError
from bulk.folder import BatchFolder, check_name, new_name, newest
from bulk.journal import BatchInUseError, EmptyJournalError, Journal, NewBatch
from bulk.secret import KEY_VARIABLE, ApiKey, find_key
from bulk.tally import Tally

if TYPE_CHECKING:
    from bulk.manifest import Manifest
    from bulk.sandbox import SandboxConfig

UNFINISHED_LOOKED_AT_MAX = 100  # a peek takes a millisecond; older batches are forgotten


def start(manifest: Manifest, options: RunOptions) -> int:
    """Carry out `run` on a checked manifest; the exit code. Raises BulkError."""
    sandbox = None
    if options.sandbox is not None:
        from bulk.sandbox import DEFAULT_SPEC

        sandbox = parse_sandbox(options.sandbox or DEFAULT_SPEC)
    starting = _Starting(
        manifest=manifest,
        options=options,
        base_url=check_base_url(options.base_url or DEFAULT_BASE_URL),
        key=SANDBOX_KEY if sandbox is not None else key_or_error(options, str(manifest.path)),
        sandbox=sandbox,
    )
    if starting.real and manifest.sample and not is_loopback(starting.base_url):
        raise OptionError(
            f"{manifest.path} is one of our samples: its test ids exist only in the sandbox. "
            "Put your own test ids into it, or add --sandbox"
        )
    folder = starting.folder()
    return starting.go_on(folder) if folder.exists else starting.begin(folder)


def key_or_error(options: BatchOptions, manifest: str) -> ApiKey:
    """The API key from options or environment; raises AuthError where there is none."""
    key = find_key(options.api_key, options.api_key_file)
    if key is None:
        raise AuthError(
            f"no API key. Set {KEY_VARIABLE}, or try it without one:\n"
            f"  bulk-trigger {manifest} --sandbox"
        )
    return key


def parse_sandbox(spec: str) -> SandboxConfig:
    """The sandbox a spec describes; raises OptionError where it describes none."""
    from bulk.sandbox import SpecError, parse_spec

    try:
        return parse_spec(spec)
    except SpecError as error:
        raise OptionError(f"--sandbox: {error}") from error


def same_api(one: str, other: str) -> bool:
    """Whether two base URLs mean the same server, with or without `/api`."""
    return urlsplit(one).netloc == urlsplit(other).netloc


@dataclass(frozen=True, slots=True)
class _Starting:
    """All that is known when `run` begins. `sandbox` is the embedded one, None for a real run."""

    manifest: Manifest
    options: RunOptions
    base_url: str
    key: ApiKey
    sandbox: SandboxConfig | None

    @property
    def real(self) -> bool:
        """Whether runs will be billed."""
        return self.sandbox is None

    def folder(self) -> BatchFolder:
        """Where to work: the folder named, the unfinished batch to continue, or a new one."""
        output, name = self.options.output, self.options.batch
        named = None if name is None else BatchFolder(output / check_name(name))
        if named is not None and named.exists:
            return named
        unfinished = self._unfinished() if self.real and not self.options.new else None
        if unfinished is not None:
            return unfinished
        token = secrets.token_hex(2)
        return named or BatchFolder(output / new_name(self.manifest.name, time.time(), token))

    def _unfinished(self) -> BatchFolder | None:
        """The open batch of the same triggers at the same API, if the user wants to continue it.

        Raises OptionError where there is one and nobody can be asked.
        """
        for folder in newest(self.options.output, UNFINISHED_LOOKED_AT_MAX):
            batch = Journal.peek(folder.journal)
            if (
                batch is None
                or batch.sandbox is not None
                or batch.fingerprint != self.manifest.fingerprint
                or not same_api(batch.base_url, self.base_url)
            ):
                continue
            try:
                with Journal.open(folder.journal) as journal:
                    left = Tally.of(journal.counts()).left
            except BatchInUseError as error:
                raise OptionError(
                    f"batch {folder.name} triggers the same tests right now, in another process. "
                    "Wait for it, or start another batch of them with --new"
                ) from error
            if left:
                return _ask(folder, left)
        return None

    def begin(self, folder: BatchFolder) -> int:
        """Make a new batch and carry it out."""

        def create(live_base_url: str) -> Journal:
            folder.make()
            try:
                return Journal.create(
                    folder.journal, self._new_batch(folder, live_base_url), self.manifest.triggers()
                )
            except BaseException:
                folder.unmake()
                raise

        return carry_out(self._work(folder, create, self._headlines(self.manifest.count)))

    def go_on(self, folder: BatchFolder) -> int:
        """Continue a batch that exists; send nothing if it is finished."""
        try:
            journal = Journal.open(folder.journal)
        except EmptyJournalError:  # its making was cut short: nothing was ever sent from it
            folder.journal.unlink()
            return self.begin(folder)
        with journal:
            self._check_same(journal.batch)
            left = Tally.of(journal.counts()).left
            if not left:
                click.echo(f"Batch {folder.name} is finished: nothing is sent.", err=True)
                return finish(journal, folder, time.time(), as_json=self.options.as_json)
        headlines = (f"continuing batch {folder.name}", *self._headlines(left))
        return carry_out(self._work(folder, lambda _: Journal.open(folder.journal), headlines))

    def _check_same(self, batch: NewBatch) -> None:
        if batch.fingerprint != self.manifest.fingerprint:
            raise OptionError(
                f"batch {batch.name} consists of other triggers than {self.manifest.path} with "
                "these options does; give this one another --batch name"
            )
        place = batch.base_url if batch.sandbox is None else "an embedded sandbox"
        if (batch.sandbox is None) != self.real or (
            self.real and not same_api(batch.base_url, self.base_url)
        ):
            raise OptionError(
                f"batch {batch.name} was begun at {place}; give this one another --batch name"
            )

    def _work(
        self,
        folder: BatchFolder,
        open_journal: Callable[[str], Journal],
        headlines: tuple[str, ...],
    ) -> Work:
        return Work(
            folder=folder,
            open_journal=open_journal,
            base_url=self.base_url,
            key=self.key,
            settings=job_settings(self.options),
            sandbox=self.sandbox,
            headlines=headlines,
            quiet=self.options.quiet,
            as_json=self.options.as_json,
        )

    def _new_batch(self, folder: BatchFolder, base_url: str) -> NewBatch:
        return NewBatch(
            name=folder.name,
            manifest=str(self.manifest.path),
            base_url=base_url,
            created_at=time.time(),
            version=__version__,
            fingerprint=self.manifest.fingerprint,
            sandbox=None if self.sandbox is None else self.sandbox.describe(),
            settings=job_settings(self.options).named(),
            notes=self.manifest.notes,
            own_columns=self.manifest.own_columns,
        )

    def _headlines(self, left: int) -> tuple[str, ...]:
        lines = [f"note: {note}" for note in self.manifest.notes]
        lines.append(expansion_line(self.manifest))
        if self.real:
            bill = f"{count_of(left, 'trigger')} = {count_of(left, 'billed run')}"
            lines.append(f"{bill} at {self.base_url}")
            if self.base_url.startswith("http:") and not is_loopback(self.base_url):
                lines.append("warning: http sends the API key in the clear; use https")
        return tuple(lines)


def _ask(folder: BatchFolder, left: int) -> BatchFolder | None:
    found = (
        f"batch {folder.name} of the same triggers is unfinished: "
        f"{count_of(left, 'trigger')} left to send"
    )
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise OptionError(
            f"{found}. Continue it: bulk-trigger resume {folder.name}\n"
            "  or start another batch, which triggers all of them again, with --new"
        )
    choices = click.Choice(["continue", "new", "quit"])
    question = f"{found}.\nContinue it, start a new batch (bills all of them again), or quit?"
    answer = click.prompt(question, type=choices, default="continue", err=True)
    if answer == "quit":
        raise click.Abort
    return folder if answer == "continue" else None
