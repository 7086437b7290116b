"""Checks a manifest from end to end, then streams it; must know neither columns nor keys."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from io import TextIOWrapper
from pathlib import Path
from typing import BinaryIO

from bulk.errors import ManifestError, Problem
from bulk.manifest.csv_form import read_csv
from bulk.manifest.expansion import RowStream
from bulk.manifest.findings import Findings
from bulk.manifest.matrix import Change
from bulk.manifest.selection import Selection, SelectionFilter, SelectionStep
from bulk.manifest.text_file import TextFile, inspect_text, open_bytes, title_of
from bulk.manifest.trigger_counter import TriggerCounter
from bulk.manifest.yaml_form import read_yaml
from bulk.manifest.yaml_tree import CHARACTERS_MAX
from bulk.model import Platform, Trigger

EVERYTHING = Selection()


@dataclass(frozen=True, slots=True)
class Manifest:
    """A manifest that was checked from end to end under one selection.

    `rows` counts CSV rows or YAML tests. `count` is the number of selected triggers, and
    `by_platform` splits it in the order of `Platform`, None (not set) last, without zeros.
    `fingerprint` identifies the set of selected triggers, whatever their order; `digest` identifies
    the bytes of the file. `sample` is true if a selected test id comes from our sample manifests.
    `changes` lists what each exclude and include did, `steps` what each selection
    option kept and left out. `is_yaml` tells the two forms apart. `copy`, which must stay open, is
    read in place of a path that can be read only once.
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
    steps: tuple[SelectionStep, ...]
    selection: Selection
    digest: str
    is_yaml: bool
    copy: BinaryIO | None = field(default=None, repr=False, compare=False)

    @property
    def title(self) -> str:
        """What messages call the manifest."""
        return title_of(self.path)

    def triggers(self) -> Iterator[Trigger]:
        """The selected triggers in the order of the manifest. Reads the file again.

        Raises ManifestError if the file has changed since it was checked.
        """
        findings = Findings(self.title)
        selection_filter = SelectionFilter(self.selection)
        yielded = 0
        with open_bytes(self.path, self.copy) as handle:
            text = inspect_text(self.path, handle, findings)
            if text is None or text.digest != self.digest:
                raise self._changed()
            with _open_rows(handle, text, findings) as stream:
                for trigger in stream.triggers(self.selection.app_ids):
                    if selection_filter.keeps_all or not selection_filter.dropped_by(trigger):
                        yielded += 1
                        yield trigger
                        if yielded == self.selection.first:
                            return
        if findings.problem_count or yielded != self.count:
            raise self._changed()

    def _changed(self) -> ManifestError:
        text = "has changed since it was checked; start again"
        return ManifestError([Problem(self.title, 0, 0, text)])


def read_manifest(
    path: Path,
    selection: Selection = EVERYTHING,
    *,
    triggers_max: int | None = None,
    copy: BinaryIO | None = None,
) -> Manifest:
    """Checks the whole file and counts the triggers that the selection keeps.

    `copy` is an open binary file that is read in place of the path, which then only names it.

    Raises ManifestError with all problems of the file, or with all values of the selection that
    match nothing in it, or if the selection keeps no trigger or more than `triggers_max`.
    """
    checked = _check(path, selection, copy)
    exact = checked.counter.unmatched.exact_tests()
    if exact:
        # A name comes before a glob. Which values are names is known only at the end of the file.
        globs = tuple(test for test in selection.tests if test not in exact)
        selection = replace(selection, tests=globs, exact_tests=(*selection.exact_tests, *exact))
        checked = _check(path, selection, copy)
    counter, stream, findings = checked.counter, checked.stream, checked.findings
    for problem in counter.unmatched.problems(stream.own_columns, has_tags=stream.has_tags):
        findings.add_problem(0, problem)
    findings.check()
    if counter.count == 0:
        findings.add_problem(0, counter.why_empty())
    elif triggers_max is not None and counter.count > triggers_max:
        findings.add_problem(
            0,
            f"{counter.count} triggers are more than --max-triggers {triggers_max} allows; "
            "select fewer, or raise the limit",
        )
    findings.check()
    return Manifest(
        path=path,
        name=_name(path),
        notes=tuple(findings.notes),
        rows=counter.rows,
        count=counter.count,
        by_platform=counter.by_platform(),
        own_columns=stream.own_columns,
        sample=counter.sample,
        fingerprint=counter.fingerprint(),
        changes=stream.changes,
        steps=counter.steps(),
        selection=selection,
        digest=checked.text.digest,
        is_yaml=checked.text.is_yaml,
        copy=copy,
    )


def _name(path: Path) -> str:
    """What a batch is named after."""
    if str(path) == "-" or path.parts[1:2] in (("dev",), ("proc",)):
        return "stdin" if path.name in ("-", "stdin", "0") else "pipe"
    return path.stem


@dataclass(frozen=True, slots=True)
class _Checked:
    """A file that was read to its end and has no problem."""

    text: TextFile
    counter: TriggerCounter
    stream: RowStream
    findings: Findings


def _check(path: Path, selection: Selection, copy: BinaryIO | None) -> _Checked:
    """Read the whole file. Raises ManifestError with all problems of the file."""
    findings = Findings(title_of(path))
    with open_bytes(path, copy) as handle:
        text = inspect_text(path, handle, findings)
        if text is None:
            raise findings.error()
        counter = TriggerCounter(selection, findings)
        with _open_rows(handle, text, findings) as stream:
            for row in stream.rows:
                if not counter.add(row):
                    break
    findings.check()
    return _Checked(text, counter, stream, findings)


@contextmanager
def _open_rows(handle: BinaryIO, text: TextFile, findings: Findings) -> Iterator[RowStream]:
    handle.seek(0)
    decoded = TextIOWrapper(handle, encoding=text.encoding, newline="")
    try:
        if text.is_yaml:
            yield read_yaml(decoded.read(CHARACTERS_MAX + 1), findings)
        else:
            yield read_csv(decoded, text.head, findings)
    finally:
        decoded.detach()  # closing the file is up to whoever opened it
