"""The rows of a YAML manifest, validated and expanded; must know neither bytes nor selection."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic import ValidationError

from bulk.manifest import values
from bulk.manifest.findings import Findings, did_you_mean, shown
from bulk.manifest.matrix import Change, Entry, Expansion, Matrix, expand
from bulk.manifest.rows import Cell, Row, Source
from bulk.manifest.yaml_form import AXES, ManifestForm, MatrixForm, TestForm, known_keys, pairs_of
from bulk.manifest.yaml_tree import Path, Tree, read_tree
from bulk.model import DEVICES_BY_PLATFORM, DeviceModel, Mode, Platform

_NO_MATRIX = Expansion(((),), ())
# A key that has no place where it stands, but elsewhere.
_PLACES = {
    ("defaults", "app_id"): 'app ids stand under "apps", by platform',
    ("defaults", "matrix"): '"matrix" stands beside "defaults", not in it',
    ("tests", "test_id"): 'a test\'s id is called "id"',
    **{("tests", axis): 'it stands in the test\'s "matrix", as a list' for axis in AXES},
}


def yaml_source(text: str, findings: Findings) -> Source:
    """An opened YAML manifest. Problems of the document are told at once."""
    tree = read_tree(text, findings)
    form = None if tree is None else _validated(tree, findings)
    if tree is None or form is None:
        return Source(iter(()))
    expansions = _expansions(form, tree, findings)
    if findings.problem_count:
        return Source(iter(()))
    own = [*form.defaults.own, *(name for test in form.tests for name in test.own)]
    changes = _changes(form, expansions, findings)
    rows = _rows(form, tree, expansions)
    return Source(rows, tuple(dict.fromkeys(own)), changes)


def _validated(tree: Tree, findings: Findings) -> ManifestForm | None:
    try:
        return ManifestForm.model_validate(tree.plain)
    except ValidationError as exc:
        for error in exc.errors(include_url=False):
            of_key = error["type"] == "extra_forbidden" or error["loc"][-1:] == ("[key]",)
            path = tuple(step for step in error["loc"] if step != "[key]")
            line, column = tree.place(path, of_key=of_key)
            findings.problem(line, _explained(path, error), column)
        return None


def _explained(path: Path, error: Any) -> str:
    """A pydantic error in the words of the rest: which key, which value, what to do."""
    words = [step for step in path if isinstance(step, str)]
    key = words[-1] if words else ""
    kind = error["type"]
    if kind == "extra_forbidden":
        parent = words[-2] if len(words) > 1 else ""
        advice = _PLACES.get((parent, key))
        hint = f": {advice}" if advice else did_you_mean(key, known_keys(parent))
        return f"unknown key {shown(key)}{hint}"
    if kind == "missing":
        return f'the key "{key}" is missing'
    told = error.get("ctx", {}).get("error")
    text = str(told) if told else str(error["msg"])
    if kind == "list_type":
        text = "needs a list, as [a, b]"
    elif kind in ("model_type", "dict_type"):
        text = "needs a mapping, as key: value"
        if path and isinstance(path[-1], int):
            return f"each entry of {shown(key)} {text}"
    elif kind == "too_short":
        text = "is an empty list"
    elif kind == "too_long":
        text = f"has more than {error['ctx']['max_length']} entries"
    return f"key {shown(key)}: {text}" if key else f"the manifest {text}"


def _matrix(form: MatrixForm, path: Path, tree: Tree) -> Matrix:
    def entries(name: str) -> tuple[Entry, ...]:
        return tuple(
            Entry(
                tree.place((*path, name, index))[0],
                pairs_of(entry, tree.keys((*path, name, index))),
            )
            for index, entry in enumerate(getattr(form, name))
        )

    order = [name for name in tree.keys(path) if name in AXES]
    axes = tuple((name, tuple(getattr(form, name))) for name in order)
    return Matrix(tree.place(path)[0], axes, entries("exclude"), entries("include"))


def _expansions(form: ManifestForm, tree: Tree, findings: Findings) -> dict[Path, Expansion]:
    """Each matrix's expansion by its path; the shared one's path is `("matrix",)`."""
    matrices: list[tuple[MatrixForm, Path]] = []
    if form.matrix is not None:
        matrices.append((form.matrix, ("matrix",)))
    for index, test in enumerate(form.tests):
        if test.matrix is not None:
            matrices.append((test.matrix, ("tests", index, "matrix")))
    expansions = {}
    for matrix_form, path in matrices:
        matrix = _matrix(matrix_form, path, tree)
        line, column = tree.place(path, of_key=True)
        if matrix.size_max > values.CELLS_MAX:
            findings.problem(line, f"the matrix makes more than {values.CELLS_MAX} cells", column)
            continue
        expansion = expand(matrix) if matrix.axes or matrix.include else _NO_MATRIX
        _check_matrix(form, path, matrix, expansion, tree, findings)
        expansions[path] = expansion
    return expansions


def _check_matrix(
    form: ManifestForm,
    path: Path,
    matrix: Matrix,
    expansion: Expansion,
    tree: Tree,
    findings: Findings,
) -> None:
    used = path != ("matrix",) or any(test.matrix is None for test in form.tests)
    line, column = tree.place(path, of_key=True)
    if not used:
        findings.note(f"line {line}: no test uses this matrix; each has its own")
    if not expansion.combinations:
        findings.problem(line, "the excludes of this matrix leave no cell", column)
    matched = [change.matched for change in expansion.changes if change.kind == "exclude"]
    matched = matched or [0] * len(matrix.exclude)
    for index, count in enumerate(matched):
        if count == 0 or not used:
            where = tree.place((*path, "exclude", index))
            findings.problem(
                where[0],
                "this exclude matches nothing in the manifest; correct it or remove it",
                where[1],
            )
    misfits = dict.fromkeys(
        values.device_misfit(cell.device_model, (cell.platform,))
        for cell in (_cell(form, dict(pairs)) for pairs in expansion.combinations)
        if cell.device_model is not None
    )
    for misfit in filter(None, misfits):
        findings.problem(
            line,
            f"this matrix makes a cell where {misfit}; exclude that cell, or give the "
            "device in an include with its platform",
            column,
        )


def _changes(
    form: ManifestForm, expansions: dict[Path, Expansion], findings: Findings
) -> tuple[Change, ...]:
    changes: list[Change] = []
    for path, expansion in expansions.items():
        own = path != ("matrix",)
        uses = 1 if own else sum(test.matrix is None for test in form.tests)
        changes.extend(change.times(uses) for change in expansion.changes if uses)
    for change in changes:
        if change.kind == "include" and not change.extended and not change.added:
            findings.note(f"line {change.line}: this include changes nothing")
    return tuple(changes)


def _rows(form: ManifestForm, tree: Tree, expansions: dict[Path, Expansion]) -> Iterator[Row]:
    shared = _cells(form, expansions.get(("matrix",), _NO_MATRIX))
    for index, test in enumerate(form.tests):
        cells = shared
        if test.matrix is not None:
            cells = _cells(form, expansions[("tests", index, "matrix")])
        yield Row(
            line=tree.place(("tests", index))[0],
            test_id=test.id,
            name=test.name,
            tags=tuple(form.defaults.tags if test.tags is None else test.tags),
            own=_own(form, test),
            cells=cells,
            repetitions=range(1, (test.repeat or form.defaults.repeat) + 1),
        )


def _own(form: ManifestForm, test: TestForm) -> tuple[tuple[str, str], ...]:
    return tuple({**form.defaults.own, **test.own}.items())


def _cells(form: ManifestForm, expansion: Expansion) -> tuple[Cell, ...]:
    return tuple(_cell(form, dict(pairs)) for pairs in expansion.combinations)


def _cell(form: ManifestForm, said: dict[str, Any]) -> Cell:
    """A combination as a cell: what it leaves open comes from `apps` and `defaults`."""
    defaults = form.defaults
    platform: Platform | None = said.get("platform", defaults.platform)
    mode: Mode | None = said.get("mode", defaults.mode)
    device: DeviceModel | None = said.get("device_model")
    if device is None and platform is not None:
        fits = defaults.device_model in DEVICES_BY_PLATFORM[platform]
        device = defaults.device_model if fits else None
    app_id = said.get("app_id") or (getattr(form.apps, platform) if platform else None)
    return Cell(platform, mode, device, app_id, said.get("environment_id", defaults.environment_id))
