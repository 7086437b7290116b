"""`bulk-trigger schema`: the manifest's JSON Schema, for editors."""

from __future__ import annotations

import click


@click.command("schema")
def command() -> None:
    """Print the JSON Schema of YAML manifests.

    \b
    Editors use it if the manifest's first line is
      # yaml-language-server: $schema=manifest.schema.json
    """
    from bulk.manifest import manifest_schema

    click.echo(manifest_schema().rstrip("\n"))
