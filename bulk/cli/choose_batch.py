"""Decides what `run` works on: with which key, where, and on a new batch or an old one."""

from __future__ import annotations

import secrets
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING

import click

from bulk.batch import choosing as batch
from bulk.batch.batch_runner import to_reconcile
from bulk.batch.folder import BatchFolder
from bulk.batch.other_batches import Unfinished, batches_in, unfinished
from bulk.cli.finish import finish_again
from bulk.cli.options import BatchOptions, RunOptions
from bulk.cli.phrases import count_of, expansion_line, left_words
from bulk.cli.runner import (
    SANDBOX_KEY,
    Work,
    batch_settings,
    carry_out,
)
from bulk.errors import AuthError, OptionError
from bulk.http.address import DEFAULT_BASE_URL, check_base_url, is_loopback
from bulk.http.api_key import KEY_VARIABLE, ApiKey, find_key
from bulk.journal import Journal
from bulk.journal.tally import Tally

if TYPE_CHECKING:
    from bulk.manifest import Manifest
    from bulk.sandbox import SandboxConfig


def start(manifest: Manifest, options: RunOptions) -> int:
    """Carry out `run` on a checked manifest; the exit code. Raises BulkError."""
    sandbox = None
    if options.sandbox is not None:
        from bulk.sandbox import DEFAULT_SPEC

        sandbox = parse_sandbox(options.sandbox or DEFAULT_SPEC)

    @cache
    def key() -> ApiKey:
        return SANDBOX_KEY if sandbox is not None else key_or_error(options, str(manifest.path))

    starting = _Starting(
        manifest=manifest,
        options=options,
        base_url=check_base_url(options.base_url or DEFAULT_BASE_URL),
        key=key,
        sandbox=sandbox,
    )
    folder, known = starting.place()
    return starting.go_on(folder) if folder.exists else starting.begin(folder, known)


def key_or_error(options: BatchOptions, manifest: str) -> ApiKey:
    """The API key from options or environment; raises AuthError where there is none."""
    key = find_key(options.api_key, options.api_key_file)
    if key is None:
        raise AuthError(
            f"no API key. Set {KEY_VARIABLE}, or try it without one:\n"
            f"  bulk-trigger {manifest} --sandbox"
        )
    return key


def parse_sandbox(spec: str, option: str = "--sandbox") -> SandboxConfig:
    """The sandbox a spec describes; raises OptionError, naming the option, where it does not."""
    from bulk.sandbox import SpecError, parse_spec

    try:
        return parse_spec(spec)
    except SpecError as error:
        raise OptionError(f"{option}: {error}") from error


def another_sandbox(config: SandboxConfig) -> SandboxConfig:
    """What a batch goes on with: the sandbox it was begun at went with its process, and another one
    of the same seed would give the same run ids once more, to other triggers.
    """
    return replace(config, seed=secrets.randbits(32))


@dataclass(frozen=True, slots=True)
class _Starting:
    """All that is known when `run` begins. `sandbox` is the embedded one, None for a real run.

    `key` reads the key, once, where one is needed; raises AuthError where there is none.
    """

    manifest: Manifest
    options: RunOptions
    base_url: str
    key: Callable[[], ApiKey]
    sandbox: SandboxConfig | None

    @property
    def real(self) -> bool:
        """Whether runs will be billed."""
        return self.sandbox is None

    def place(self) -> tuple[BatchFolder, list[BatchFolder] | None]:
        """Where to work: the folder named, the unfinished batch to continue, or a new one; and
        which batches that one may be beside, None for any.
        """
        options = self.options
        folder = batch.folder_for(self.manifest, options.output, options.batch)
        if folder.exists:
            return folder, None
        self._check_new()
        if not self.real or options.new:
            return folder, None
        known = batches_in(options.output)
        found = unfinished(self.manifest, known, self.base_url)
        if found is not None:
            folder = _ask(found) or folder
        return folder, known

    def _check_new(self) -> None:
        """Raise what stands against a new batch, before anything is asked or made."""
        self.key()
        if self.real and self.manifest.sample and not is_loopback(self.base_url):
            raise OptionError(
                f"{self.manifest.path} is one of our samples: its test ids exist only in the "
                "sandbox. Put your own test ids into it, or add --sandbox"
            )

    def begin(self, folder: BatchFolder, known: list[BatchFolder] | None) -> int:
        """Make a new batch and carry it out; `known` as of `place`."""
        spec = None if self.sandbox is None else self.sandbox.describe()

        def create(live_base_url: str) -> Journal:
            settings = batch_settings(self.options)
            return batch.create(folder, self.manifest, live_base_url, settings, spec, known=known)

        headlines = self._headlines(self.manifest.count)
        return carry_out(self._work(folder, create, headlines, self.sandbox))

    def go_on(self, folder: BatchFolder) -> int:
        """Continue a batch that exists; send nothing if it is finished."""
        with Journal.open(folder.journal) as journal:
            base_url = self.base_url if self.real else None
            batch.check_same(folder.name, journal.batch, self.manifest, base_url)
            tally = Tally.of(journal.counts())
        asked = to_reconcile(tally, self.options.on_unknown)
        if not tally.left + asked:
            return finish_again(folder, as_json=self.options.as_json)
        headlines = (
            f"continuing batch {folder.name}: {left_words(tally.left, asked)}",
            *self._headlines(tally.left),
        )
        sandbox = None if self.sandbox is None else another_sandbox(self.sandbox)
        return carry_out(
            self._work(folder, lambda _: Journal.open(folder.journal), headlines, sandbox)
        )

    def _work(
        self,
        folder: BatchFolder,
        open_journal: Callable[[str], Journal],
        headlines: tuple[str, ...],
        sandbox: SandboxConfig | None,
    ) -> Work:
        return Work(
            folder=folder,
            open_journal=open_journal,
            base_url=self.base_url,
            key=self.key(),
            settings=batch_settings(self.options),
            sandbox=sandbox,
            headlines=headlines,
            quiet=self.options.quiet,
            as_json=self.options.as_json,
        )

    def _headlines(self, left: int) -> tuple[str, ...]:
        lines = [f"note: {note}" for note in self.manifest.notes]
        lines.append(expansion_line(self.manifest))
        if self.real:
            if left:
                bill = f"{count_of(left, 'trigger')} = {count_of(left, 'billed run')}"
                lines.append(f"{bill} at {self.base_url}")
            if self.base_url.startswith("http:") and not is_loopback(self.base_url):
                lines.append("warning: http sends the API key in the clear; use https")
        return tuple(lines)


def _ask(found: Unfinished) -> BatchFolder | None:
    """What to do beside an unfinished batch: the one to continue, None to begin another.

    Raises OptionError where nobody can be asked, click.Abort where nothing shall be done.
    """
    if found.tally is None:
        raise OptionError(f"{found}. Wait for it, or start another batch of them with --new")
    left = f": {left_words(found.tally.left, found.tally.unknown)}" if found.same else ""
    resume = f"bulk-trigger resume {found.folder.cli_name}"
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        go_on = "Continue it" if found.same else "Go on with it"
        again = (
            "start another batch, which triggers all of them again,"
            if found.same
            else "trigger those again"
        )
        raise OptionError(f"{found}{left}. {go_on}: {resume}\n  or {again} with --new")
    choices, default = ["continue", "new", "quit"], "continue"
    question = "Continue it, start a new batch (bills all of them again), or quit?"
    if not found.same:
        choices, default = ["again", "quit"], "quit"
        question = f"Go on with it: {resume}\nTrigger those again (bills them again), or quit?"
    answer = click.prompt(
        f"{found}{left}.\n{question}", type=click.Choice(choices), default=default, err=True
    )
    if answer == "quit":
        raise click.Abort
    return found.folder if answer == "continue" else None
