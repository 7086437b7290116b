"""Reads a CSV or YAML manifest into triggers; must know no clock, no network and no other file.

`read_manifest` checks a whole file and counts what it expands to; `Manifest.triggers` streams the
triggers. Which file to open:

- `manifest`: `read_manifest` and `Manifest`, the entry point.
- `text_file`: whether a file can be read at all, its encoding and its digest.
- `csv_form`: a CSV file's delimiter, records and rows.
- `header`: the columns there are, and the header row of a CSV file.
- `yaml_form`: the keys of a YAML file, their JSON Schema, and the rows.
- `yaml_tree`: YAML parsed with positions, and the limits on depth, size and aliases.
- `matrix`: the product of a matrix, its excludes and its includes.
- `values`: what one value may be (a platform, a UUID, a tag), and the message if it is wrong.
- `ids`: what a UUID may look like, and what is wrong with one that is none.
- `dataframes`: what pandas and PowerShell make of a table, and its undoing.
- `expansion`: the rows both forms are read into, and the triggers a row expands to.
- `selection`: the options that choose among the triggers.
- `unmatched`: the values of those options that match nothing.
- `trigger_counter`: the counts, the fingerprint and the search for duplicates.
- `caseless`: the one form in which texts are compared.
- `findings`: where problems and notes are collected, and how messages quote a value.
- `formulas`: how a report keeps spreadsheets from running a cell as a formula.
"""

from __future__ import annotations

from bulk.manifest.manifest import Manifest, read_manifest
from bulk.manifest.matrix import Change
from bulk.manifest.selection import Selection, SelectionStep
from bulk.manifest.text_file import title_of
from bulk.manifest.yaml_form import manifest_schema

__all__ = [
    "Change",
    "Manifest",
    "Selection",
    "SelectionStep",
    "manifest_schema",
    "read_manifest",
    "title_of",
]
