"""What `--dry-run` prints: the triggers that would be sent, and how they were selected."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING

import click

from bulk.cli.phrases import expansion_line, on_one_line

if TYPE_CHECKING:
    from bulk.manifest import Manifest
    from bulk.model import Trigger

CHANGES_SHOWN_MAX = 50  # a matrix has a handful; a generated one must not flood the terminal


def show_expansion(manifest: Manifest, *, as_json: bool, quiet: bool) -> None:
    """Print the triggers on stdout, one per line or as JSON, and their selection on stderr."""
    for part in _json_parts(manifest) if as_json else map(_line, manifest.triggers()):
        click.echo(part)
    if not quiet:
        for line in _selection_lines(manifest):
            click.echo(line, err=True)
        click.echo("Dry run: nothing was sent.", err=True)


def _line(trigger: Trigger) -> str:
    fields = [trigger.test_id, trigger.platform, trigger.mode, trigger.device_model]
    fields += [trigger.app_id, trigger.environment_id]
    words = [str(field or "-") for field in fields]
    if trigger.repetition > 1:
        words.append(f"#{trigger.repetition}")
    return "  ".join([*words, on_one_line(trigger.name)]).rstrip()


def _selection_lines(manifest: Manifest) -> Iterable[str]:
    for note in manifest.notes:
        yield f"note: {note}"
    yield from map(str, manifest.changes[:CHANGES_SHOWN_MAX])
    if len(manifest.changes) > CHANGES_SHOWN_MAX:
        yield f"... and {len(manifest.changes) - CHANGES_SHOWN_MAX} more rules"
    for step in manifest.steps:
        yield on_one_line(str(step))
    yield expansion_line(manifest)


def _json_parts(manifest: Manifest) -> Iterable[str]:
    """One JSON object in lines: what is known of the manifest, then one line per trigger."""
    facts = {
        "format": 1,
        "dry_run": True,
        "manifest": manifest.title,
        "rows": manifest.rows,
        "total": manifest.count,
        "notes": manifest.notes,
        "changes": [str(change) for change in manifest.changes],
        "kept": {step.option: step.kept for step in manifest.steps},
        "left_out": {step.option: step.left_out for step in manifest.steps},
    }
    yield f'{json.dumps(facts)[:-1]}, "triggers": ['
    line = ""
    for trigger in manifest.triggers():
        if line:
            yield f"{line},"
        line = json.dumps(_fields(trigger))
    yield f"{line}]}}"


def _fields(trigger: Trigger) -> dict[str, object]:
    """Named as in report.csv."""
    return {
        "line": trigger.line,
        "key": trigger.key,
        "test_id": trigger.test_id,
        "name": trigger.name,
        "platform": trigger.platform,
        "mode": trigger.mode,
        "device_model": trigger.device_model,
        "app_id": trigger.app_id,
        "environment_id": trigger.environment_id,
        "tags": trigger.tags,
        "repetition": trigger.repetition,
    }
