"""A manifest checked as a whole, then streamed; reads the one file it is handed and no other."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import TextIOWrapper
from pathlib import Path
from typing import BinaryIO

from bulk.errors import ManifestError, Problem
from bulk.manifest.csv_rows import csv_source
from bulk.manifest.findings import Findings
from bulk.manifest.matrix import Change
from bulk.manifest.rows import Source
from bulk.manifest.selection import Drop, Selection, Sieve
from bulk.manifest.survey import YAML_SUFFIXES, Survey, opened, survey
from bulk.manifest.tally import Tally
from bulk.manifest.yaml_rows import yaml_source
from bulk.manifest.yaml_tree import CHARACTERS_MAX
from bulk.model import Platform, Trigger

EVERYTHING = Selection()


@dataclass(frozen=True, slots=True)
class Manifest:
    """A manifest that was checked from end to end under one selection.

    `rows` counts CSV rows or YAML tests, `count` the selected triggers; `by_platform` splits
    `count`, in the order of `Platform`, None (not set) last, without zeros. `fingerprint` is the
    same for the same set of selected triggers, in whatever order. `sample` says that an id of our
    own samples is among them. `changes` tell what each include and exclude did, `drops` what each
    option of the selection dropped.
    """

    path: Path
    name: str
    notes: tuple[str, ...]
    rows: int
    count: int
    by_platform: tuple[tuple[Platform | None, int], ...]
    own_columns: tuple[str, ...]
    sample: bool
    fingerprint: str
    changes: tuple[Change, ...]
    drops: tuple[Drop, ...]
    selection: Selection
    digest: str

    def triggers(self) -> Iterator[Trigger]:
        """The selected triggers in the manifest's order, read anew.

        Raises ManifestError where the file is not the one that was checked.
        """
        findings = Findings(str(self.path))
        sieve = Sieve(self.selection)
        yielded = 0
        with opened(self.path) as handle:
            seen = survey(self.path, handle, findings)
            if seen is None or seen.digest != self.digest:
                raise self._changed()
            with _source(self.path, handle, seen, findings) as source:
                for trigger in source.triggers(self.selection.app_ids):
                    if sieve.open or sieve.dropped_by(trigger) is None:
                        yielded += 1
                        yield trigger
                        if yielded == self.selection.first:
                            return
        if findings.problem_count or yielded != self.count:
            raise self._changed()

    def _changed(self) -> ManifestError:
        text = "was changed after it was checked; start again"
        return ManifestError([Problem(str(self.path), 0, 0, text)])


def read_manifest(
    path: Path, selection: Selection = EVERYTHING, *, triggers_max: int | None = None
) -> Manifest:
    """Checks the whole file and counts what the selection chooses.

    `triggers_max` is the most triggers there may be. Raises ManifestError with all problems of the
    file, or because nothing or too much is selected.
    """
    findings = Findings(str(path))
    with opened(path) as handle:
        seen = survey(path, handle, findings)
        if seen is None:
            raise findings.error()
        tally = Tally(selection, findings)
        with _source(path, handle, seen, findings) as source:
            for row in source.rows:
                if not tally.add(row):
                    break
    findings.check()
    if tally.count == 0:
        findings.problem(0, tally.emptiness())
    elif triggers_max is not None and tally.count > triggers_max:
        findings.problem(
            0,
            f"{tally.count} triggers are more than --max-triggers {triggers_max} allows; "
            "select fewer, or allow more",
        )
    findings.check()
    return Manifest(
        path=path,
        name=path.stem,
        notes=tuple(findings.notes),
        rows=tally.rows,
        count=tally.count,
        by_platform=tally.by_platform(),
        own_columns=source.own_columns,
        sample=tally.sample,
        fingerprint=tally.fingerprint(),
        changes=source.changes,
        drops=tally.drops(),
        selection=selection,
        digest=seen.digest,
    )


@contextmanager
def _source(path: Path, handle: BinaryIO, seen: Survey, findings: Findings) -> Iterator[Source]:
    handle.seek(0)
    text = TextIOWrapper(handle, encoding=seen.encoding, newline="")
    try:
        if path.suffix.lower() in YAML_SUFFIXES:
            yield yaml_source(text.read(CHARACTERS_MAX + 1), findings)
        else:
            yield csv_source(text, seen.head, findings)
    finally:
        text.detach()  # the file is closed by whoever opened it
