"""The command line: finds the command, runs it, and turns its end into an exit code.

Imports nothing but click and a few small modules until a command runs: `--help` must be instant.
"""

from __future__ import annotations

import difflib
import importlib
import sys
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

from bulk import __version__
from bulk.cli import failure, signals
from bulk.cli.streams import drop_unwritten, prepare
from bulk.exits import Exit, most_urgent

# Each command's name and help. Its module is named like it and holds it as `command`.
COMMANDS = {
    "run": "Trigger the tests of a manifest (the default).",
    "resume": "Continue a batch that was interrupted.",
    "cancel": "Cancel the runs that a batch queued.",
    "report": "Write the reports of a batch again.",
    "measure": "Estimate the rate limit from a batch's log; send nothing.",
    "sandbox": "Serve a local TesterArmy API with real rate limits.",
    "schema": "Print the YAML manifest's JSON Schema.",
}
DEFAULT = "run"


class BulkGroup(click.Group):
    """The group of commands. If the first argument looks like a manifest, `run` is the command."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The commands in the order in which they are used."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command's module and return the command."""
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"bulk.cli.{cmd_name}")
        command = module.command
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The commands and their help, without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Insert `run` if no command is given: options may come before the manifest."""
        first = args[0] if args else ""
        own = {name for option in self.get_params(ctx) for name in option.opts}
        if first and first not in COMMANDS and first not in own:
            if not first.startswith("-") and not looks_like_manifest(first):
                raise click.UsageError(_not_a_command(first), ctx)
            args = [DEFAULT, *args]
        return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command. Raises ReaderGoneError."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError as error:
            raise failure.ReaderGoneError from error

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Commands, files (a manifest may come first) and, after a dash, the options of `run`."""
        items = super().shell_complete(ctx, incomplete)
        if incomplete.startswith("-"):
            run = self.get_command(ctx, DEFAULT)
            assert run is not None
            items += run.shell_complete(click.Context(run, parent=ctx), incomplete)
        return [*items, CompletionItem(incomplete, type="file")]


def looks_like_manifest(word: str) -> bool:
    """Whether a first argument can only be a file."""
    return any(mark in word for mark in "./\\") or Path(word).exists()


def _not_a_command(word: str) -> str:
    near = difflib.get_close_matches(word.lower(), COMMANDS, n=1)
    meant = f'Did you mean "{near[0]}"?' if near else f"Commands: {', '.join(COMMANDS)}."
    return f'"{word}" is neither a command nor a file. {meant}'


@click.group(
    cls=BulkGroup,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="`bulk-trigger MANIFEST` is short for `bulk-trigger run MANIFEST`; "
    "its options: bulk-trigger run -h",
)
@click.version_option(__version__, prog_name="bulk-trigger")
def group() -> None:
    """Trigger every saved TesterArmy test of a release manifest: as fast as the API allows, never
    twice, with a report for the release meeting.

    \b
    Try it without a key:  bulk-trigger manifests/release.csv --sandbox
    """


def main() -> None:
    """The entry point: runs the command and exits with its code."""
    signals.catch()
    prepare()
    sys.exit(_exit_code(as_json=failure.wants_json(sys.argv[1:])))


def _exit_code(*, as_json: bool) -> int:
    try:
        try:
            code = group.main(prog_name="bulk-trigger", standalone_mode=False)
            sys.stdout.flush()
        except Exception as error:
            if isinstance(error, click.Abort):  # click's word for KeyboardInterrupt
                raise KeyboardInterrupt from error
            failed = failure.of_error(error)
            failed.show(as_json=as_json)
            drop_unwritten()
            # A terminal that was closed cannot be written to, and that is not the news.
            return most_urgent([Exit(failed.exit), *signals.received.exits])
    except KeyboardInterrupt:
        return _interrupted(as_json=as_json)
    return code if isinstance(code, int) else Exit.OK


def _interrupted(*, as_json: bool) -> int:
    """How a command ends that a signal stopped outside of a batch."""
    signals.leave_at_next()
    code = signals.received.first or Exit.INTERRUPTED
    word = signals.WORDS[code]
    failure.Failure(word, code, word).show(as_json=as_json)
    drop_unwritten()
    return code
