"""What `run` does with a checked manifest: it chooses a batch, perhaps asks, and runs it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import click

from bulk.batch import choosing
from bulk.batch.folder import BatchFolder
from bulk.batch.other_batches import UnfinishedBatch
from bulk.cli.embedded_sandbox import SANDBOX_KEY, parse_sandbox, with_new_seed
from bulk.cli.finish import finish_again
from bulk.cli.options import RunOptions
from bulk.cli.phrases import count_of, describe_remaining, expansion_line
from bulk.cli.runner import BatchRun, batch_settings, new_batch_base_url, require_key
from bulk.errors import UnfinishedError
from bulk.http.address import DEFAULT_BASE_URL, is_loopback
from bulk.http.api_key import ApiKey
from bulk.journal import Journal

if TYPE_CHECKING:
    from bulk.manifest import Manifest
    from bulk.sandbox import SandboxConfig


def run_manifest(manifest: Manifest, options: RunOptions) -> int:
    """Run the manifest's batch; the exit code. Raises BulkError, click.Abort."""
    sandbox = None
    if options.sandbox is not None:
        from bulk.sandbox import DEFAULT_SPEC

        sandbox = parse_sandbox(options.sandbox or DEFAULT_SPEC)

    @cache
    def key() -> ApiKey:
        if sandbox is not None:
            return SANDBOX_KEY
        return require_key(
            options, f"try it without one:\n  bulk-trigger {manifest.path} --sandbox"
        )

    base_url = DEFAULT_BASE_URL if sandbox is not None else new_batch_base_url(options)
    return ManifestRun(manifest, options, base_url, key, sandbox).run()


@dataclass(frozen=True, slots=True)
class ManifestRun:
    """A manifest and how to run it. `sandbox` is the embedded one, None for a real API.

    `key` reads the key, once. It raises AuthError if there is none.
    """

    manifest: Manifest
    options: RunOptions
    base_url: str
    key: Callable[[], ApiKey]
    sandbox: SandboxConfig | None

    def run(self) -> int:
        """Choose the batch, with the user's help if need be, and run it; the exit code."""
        folder = choosing.folder_for(self.manifest, self.options.output, self.options.batch)
        if not folder.exists:
            self.key()  # a new batch needs it: say so before anything else is asked
        choice = self._choose(folder)
        while isinstance(choice, choosing.UnfinishedFound):
            unfinished = choice.unfinished
            choice = self._choose(unfinished.folder) if _continues(unfinished) else choice.new
        match choice:
            case choosing.FinishedBatch(folder):
                return finish_again(folder, as_json=self.options.as_json)
            case choosing.ContinueBatch():
                return self._continue(choice)
            case choosing.NewBatchChoice():
                return self._begin(choice)

    def _choose(self, folder: BatchFolder) -> choosing.BatchChoice:
        return choosing.choose(
            folder,
            self.manifest,
            self.base_url if self.sandbox is None else None,
            self.options.on_unknown,
            new=self.options.new,
        )

    def _begin(self, choice: choosing.NewBatchChoice) -> int:
        """Create the batch and run it."""
        spec = None if self.sandbox is None else self.sandbox.describe()
        settings = batch_settings(self.options)

        def create(live_base_url: str) -> Journal:
            return choosing.create(choice, self.manifest, live_base_url, settings, spec)

        return self._run_batch(
            choice.folder, create, self._headlines(self.manifest.count), self.sandbox
        )

    def _continue(self, choice: choosing.ContinueBatch) -> int:
        folder = choice.folder
        remaining = describe_remaining(choice.remaining)
        headlines = (
            f"continuing batch {folder.name}: {remaining}",
            *self._headlines(choice.remaining.to_send),
        )
        sandbox = None if self.sandbox is None else with_new_seed(self.sandbox)
        return self._run_batch(folder, lambda _: Journal.open(folder.journal), headlines, sandbox)

    def _run_batch(
        self,
        folder: BatchFolder,
        open_journal: Callable[[str], Journal],
        headlines: tuple[str, ...],
        sandbox: SandboxConfig | None,
    ) -> int:
        return BatchRun(
            folder=folder,
            open_journal=open_journal,
            base_url=self.base_url,
            key=self.key(),
            settings=batch_settings(self.options),
            sandbox=sandbox,
            headlines=headlines,
            quiet=self.options.quiet,
            as_json=self.options.as_json,
        ).run()

    def _headlines(self, to_send: int) -> tuple[str, ...]:
        lines = [f"note: {note}" for note in self.manifest.notes]
        lines.append(expansion_line(self.manifest))
        if self.sandbox is None:
            if to_send:
                bill = f"{count_of(to_send, 'trigger')} = {count_of(to_send, 'billed run')}"
                lines.append(f"{bill} at {self.base_url}")
            if self.base_url.startswith("http:") and not is_loopback(self.base_url):
                lines.append("warning: http sends the API key unencrypted; use https")
        return tuple(lines)


def _continues(unfinished: UnfinishedBatch) -> bool:
    """Ask the user about an unfinished batch: True to continue it, False to start a new one.

    Raises UnfinishedError if nobody can be asked, click.Abort if the user wants neither.
    """
    if unfinished.tally is None:
        raise UnfinishedError(f"{unfinished}. Wait for it, or start another batch with --new")
    same, resume = unfinished.same, f"bulk-trigger resume {unfinished.folder.cli_name}"
    found = str(unfinished)
    if same:
        tally = unfinished.tally
        remaining = choosing.RemainingWork(tally.left, tally.unknown)
        found += f": {describe_remaining(remaining)}"
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        again = "start another batch, which sends all of them again" if same else "send those again"
        raise UnfinishedError(f"{found}. Continue it: {resume}\n  or {again}, with --new")
    choices, default = ["continue", "new", "quit"], "continue"
    question = "Continue it, start a new batch (bills all of them again), or quit?"
    if not same:
        choices, default = ["again", "quit"], "quit"
        question = f"Continue it: {resume}\nSend those again (bills them again), or quit?"
    answer = click.prompt(
        f"{found}.\n{question}", type=click.Choice(choices), default=default, err=True
    )
    if answer == "quit":
        raise click.Abort
    return bool(answer == "continue")
