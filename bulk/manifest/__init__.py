"""Manifests: from a CSV or YAML file to triggers; must know no clock, no network and no other file.

`read_manifest` checks a whole file and tells what it holds; `Manifest.triggers` streams it.
"""

from __future__ import annotations

from bulk.manifest.matrix import Change
from bulk.manifest.reading import Manifest, read_manifest
from bulk.manifest.selection import Drop, Selection
from bulk.manifest.yaml_form import manifest_schema

__all__ = ["Change", "Drop", "Manifest", "Selection", "manifest_schema", "read_manifest"]
