"""`bulk-trigger run MANIFEST`: from a manifest to a finished batch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bulk.cli.options import (
    SETTINGS,
    RunOptions,
    api_options,
    json_option,
    output_option,
    sending_options,
)
from bulk.exits import Exit

if TYPE_CHECKING:
    from bulk.manifest import Manifest, Selection

PLATFORMS = ["web", "ios", "android"]
MODES = ["fast", "deep"]


class RunCommand(click.Command):
    """A command whose `--sandbox` takes an optional spec."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """`--sandbox manifests/release.csv` is the flag and a manifest, not a spec."""
        words = []
        for index, word in enumerate(args):
            following = args[index + 1] if index + 1 < len(args) else "-"
            alone = following.startswith("-") or _is_manifest(following)
            words.append("--sandbox=" if word == "--sandbox" and alone else word)
        return super().parse_args(ctx, words)


def _is_manifest(word: str) -> bool:
    suffixes = (".csv", ".yaml", ".yml", ".tsv", ".txt", ".xlsx")
    return word.lower().endswith(suffixes) or Path(word).exists()


@click.command("run", cls=RunCommand, context_settings=SETTINGS)
@click.argument("manifest", type=click.Path(path_type=Path))
@click.option("--dry-run", is_flag=True, help="Show what would be triggered; send nothing.")
@click.option(
    "--sandbox",
    metavar="[SPEC]",
    help="Run against an embedded local API: no key, no bill. A SPEC such as "
    '"token-bucket 10/s burst 20" sets its rate limit.',
)
@click.option(
    "--simulate",
    metavar="SPEC",
    help="Say how long the batch would take under the limit SPEC; send nothing.",
)
@click.option("--batch", metavar="NAME", help="Name the batch; continue it if it exists.")
@click.option(
    "--new",
    is_flag=True,
    help="Start a new batch even if an unfinished one has some of the same triggers.",
)
@output_option
@json_option
@click.option(
    "--platform",
    type=click.Choice(PLATFORMS),
    multiple=True,
    help="Only this platform; repeatable.",
)
@click.option("--mode", type=click.Choice(MODES), multiple=True, help="Only this mode; repeatable.")
@click.option(
    "--tags",
    metavar="TAG,...",
    multiple=True,
    help="Only tests with any of these tags; repeatable, which means the same as a comma.",
)
@click.option(
    "--exclude-tags",
    metavar="TAG,...",
    multiple=True,
    help="No tests with any of these tags; repeatable.",
)
@click.option(
    "--test",
    metavar="GLOB",
    multiple=True,
    help="Only tests with this name or id, or whose name or id matches this glob; repeatable.",
)
@click.option("--first", type=click.IntRange(1), metavar="N", help="Only the first N triggers.")
@click.option(
    "--app-id",
    metavar="PLATFORM=UUID",
    multiple=True,
    help="The app to test on a platform; overrides the manifest.",
)
@click.option(
    "--max-triggers",
    type=click.IntRange(1),
    metavar="N",
    help="Exit with an error if more are selected.",
)
@api_options
@sending_options
def command(**given: Any) -> int:
    """Trigger the tests of MANIFEST (CSV or YAML), each cell of test, platform and mode once.

    With - the manifest is read from stdin.
    """
    from bulk.batch.manifest_copy import check_one_reader, readable_again
    from bulk.manifest import read_manifest

    options = RunOptions(**given)
    _check_no_command(options.manifest)
    _check_exclusive(options)
    check_one_reader(options.manifest, options.api_key_file)
    selection = _selection(options)
    with readable_again(options.manifest) as copy:
        manifest = read_manifest(
            options.manifest, selection, triggers_max=options.max_triggers, copy=copy
        )
        return _act_on(manifest, options)


def _act_on(manifest: Manifest, options: RunOptions) -> int:
    """Do what the options say with a checked manifest; the exit code."""
    if options.dry_run:
        from bulk.cli.dry_run import show_expansion

        show_expansion(manifest, as_json=options.as_json, quiet=options.quiet)
        return Exit.OK
    if options.simulate is not None:
        from bulk.cli.simulate import simulate

        return simulate(manifest, options)
    from bulk.cli.choose_batch import run_manifest

    return run_manifest(manifest, options)


def _check_no_command(path: Path) -> None:
    from bulk.cli import COMMANDS

    if str(path) in COMMANDS and not path.exists():
        raise click.UsageError(f"put the options after the command: bulk-trigger {path} ...")


def _check_exclusive(options: RunOptions) -> None:
    if options.simulate is None:
        return
    for option, given in (
        ("--sandbox", options.sandbox is not None),
        ("--dry-run", options.dry_run),
    ):
        if given:
            raise click.UsageError(f"--simulate and {option} cannot be used together; choose one")


def _selection(options: RunOptions) -> Selection:
    from bulk.manifest import Selection
    from bulk.model import Mode, Platform

    app_ids = []
    for given in options.app_id:
        platform, equals, app_id = given.partition("=")
        if not equals or platform not in PLATFORMS:
            raise click.UsageError(
                f"--app-id: {given!r} is not PLATFORM=UUID with one of {', '.join(PLATFORMS)}"
            )
        app_ids.append((Platform(platform), app_id.strip()))
    return Selection(
        platforms=tuple(map(Platform, options.platform)),
        modes=tuple(map(Mode, options.mode)),
        tags=_split(options.tags),
        exclude_tags=_split(options.exclude_tags),
        tests=tuple(options.test),
        first=options.first,
        app_ids=tuple(app_ids),
    )


def _split(given: tuple[str, ...]) -> tuple[str, ...]:
    """The tags of all values. An empty one stays, for it is an error."""
    return tuple(dict.fromkeys(word.strip() for text in given for word in text.split(",")))
