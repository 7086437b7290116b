"""The YAML form of a manifest, from a document to rows; must know neither bytes nor selection.

The classes declare the keys, and the JSON Schema is made from them. Below them, a document is
validated, its matrices are expanded, and its tests become rows.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from typing import Annotated, Any, Literal, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    WithJsonSchema,
    model_validator,
)
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue

from bulk.manifest import values
from bulk.manifest.expansion import Combination, Row, RowStream
from bulk.manifest.findings import Findings, did_you_mean, quoted
from bulk.manifest.header import COLUMNS, normalized
from bulk.manifest.matrix import Change, Entry, Matrix, MatrixExpansion, Pairs, expand
from bulk.manifest.yaml_tree import NodePath, Tree, read_tree
from bulk.model import DEVICES_BY_PLATFORM, DeviceModel, Mode, Platform

AXES = ("platform", "mode", "device_model", "app_id", "environment_id")
# A bound on the work: each include is tried on each combination.
ENTRIES_MAX = 1000

# An editor reads `1.10` as a number and `no` as a boolean. Here both are text, so the schema
# accepts all three.
_TEXT_SCHEMA = WithJsonSchema({"type": ["string", "number", "boolean"]})
_UUID_SCHEMA = WithJsonSchema(
    {
        "type": "string",
        # Within other text: an id may be a URL's; see `bulk.manifest.ids`.
        "pattern": "[0-9a-fA-F]{8}-?([0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12}",
    }
)


def _version(value: object) -> object:
    if values.single(value) != "1":
        raise ValueError("only version 1 is supported")
    return 1


def _own_name(value: object) -> str:
    name = values.single(value)
    if not name:
        raise ValueError("a column of your own needs a name")
    if normalized(name) in COLUMNS:
        raise ValueError(f"{quoted(name)} is already a manifest column; choose another name")
    return name


def _once_each(items: list[Any]) -> list[Any]:
    values.unique(tuple(items))
    return items


def _different_names(own: dict[str, str]) -> dict[str, str]:
    seen: dict[str, str] = {}
    for name in own:
        other = seen.setdefault(normalized(name), name)
        if other != name:
            raise ValueError(f"{quoted(other)} and {quoted(name)} are the same column")
    return own


Text = Annotated[str, BeforeValidator(values.single), _TEXT_SCHEMA]
Uuid = Annotated[str, BeforeValidator(values.uuid_text), _UUID_SCHEMA]
Tag = Annotated[str, BeforeValidator(values.tag), _TEXT_SCHEMA]
OwnName = Annotated[str, BeforeValidator(_own_name)]
Repeat = Annotated[
    int,
    BeforeValidator(values.whole_number),
    WithJsonSchema({"type": "integer", "minimum": 1, "maximum": values.REPEAT_MAX}),
]
OnePlatform = Annotated[Platform, BeforeValidator(values.choice(Platform))]
OneMode = Annotated[Mode, BeforeValidator(values.choice(Mode))]
OneDevice = Annotated[DeviceModel, BeforeValidator(values.choice(DeviceModel))]
T = TypeVar("T")
Axis = Annotated[list[T], Field(min_length=1), AfterValidator(_once_each)]
Tags = Annotated[list[Tag], AfterValidator(_once_each)]
Own = Annotated[dict[OwnName, Text], AfterValidator(_different_names)]
Version = Annotated[Literal[1], BeforeValidator(_version)]


class _Form(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class CombinationForm(_Form):
    """Some or all values of a combination."""

    platform: OnePlatform | None = None
    mode: OneMode | None = None
    device_model: OneDevice | None = None
    app_id: Uuid | None = None
    environment_id: Uuid | None = None

    @model_validator(mode="after")
    def _check_not_empty(self) -> CombinationForm:
        if not self.model_fields_set:
            raise ValueError("is empty; give it a pair such as platform: ios")
        return self


class MatrixForm(_Form):
    """Lists of values. A test runs in every combination of them."""

    platform: Axis[OnePlatform] | None = None
    mode: Axis[OneMode] | None = None
    device_model: Axis[OneDevice] | None = None
    app_id: Axis[Uuid] | None = None
    environment_id: Axis[Uuid] | None = None
    exclude: Annotated[list[CombinationForm], Field(max_length=ENTRIES_MAX)] = Field(
        default_factory=list, description="Combinations to remove: all that have these values."
    )
    include: Annotated[list[CombinationForm], Field(max_length=ENTRIES_MAX)] = Field(
        default_factory=list,
        description="Values to add to each combination they do not contradict. "
        "If they contradict all, they become a new combination.",
    )


class DefaultsForm(_Form):
    """Values for the tests and combinations that do not set them."""

    platform: OnePlatform | None = None
    mode: OneMode | None = None
    device_model: OneDevice | None = Field(
        default=None, description="Used for combinations with the platform it belongs to."
    )
    environment_id: Uuid | None = None
    tags: Tags = Field(default_factory=list)
    repeat: Repeat = 1
    own: Own = Field(default_factory=dict)


class AppsForm(_Form):
    """The app for each platform, for combinations that do not set one."""

    web: Uuid | None = None
    ios: Uuid | None = None
    android: Uuid | None = None


class TestForm(_Form):
    """A saved test and how to run it."""

    __test__ = False  # pytest collects classes by this name

    id: Uuid = Field(description="The test's id in the dashboard.")
    name: Text = Field(default="", description="The test's name in reports.")
    tags: Tags | None = None
    repeat: Repeat | None = Field(default=None, description="How often each combination runs.")
    own: Own = Field(default_factory=dict, description="Your own columns, copied into the report.")
    matrix: MatrixForm | None = Field(
        default=None, description="Replaces the manifest's matrix for this test."
    )


class ManifestForm(_Form):
    """A bulk-trigger manifest: tests, and the platforms and modes to run them in."""

    version: Version
    defaults: DefaultsForm = DefaultsForm()
    apps: AppsForm = AppsForm()
    matrix: MatrixForm | None = None
    tests: Annotated[list[TestForm], Field(min_length=1)]


_FORMS_BY_KEY: dict[str, type[_Form]] = {
    "": ManifestForm,
    "defaults": DefaultsForm,
    "apps": AppsForm,
    "matrix": MatrixForm,
    "exclude": CombinationForm,
    "include": CombinationForm,
    "tests": TestForm,
}
# Without a matrix, a test has one combination, which sets nothing.
_NO_MATRIX = MatrixExpansion(((),), ())
_SHARED_MATRIX: NodePath = ("matrix",)
# Where a key belongs that is not allowed here, by the parent it was found under.
_MISPLACED = {
    ("defaults", "app_id"): 'app ids go under "apps", by platform',
    ("defaults", "matrix"): '"matrix" goes next to "defaults", not inside it',
    ("tests", "test_id"): 'the key for a test\'s id is "id"',
    **{("tests", axis): 'it goes in the test\'s "matrix", as a list' for axis in AXES},
}


def known_keys(parent: str) -> tuple[str, ...]:
    """The keys of the mapping, or of each mapping in the list, under the key `parent`.

    `""` is the document itself; a parent without fixed keys has none.
    """
    return tuple(_FORMS_BY_KEY[parent].model_fields) if parent in _FORMS_BY_KEY else ()


class _SchemaWithoutNull(GenerateJsonSchema):
    """The schema of optional keys: they may be absent, but not null, and have no default."""

    def nullable_schema(self, schema: Any) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])

    def default_schema(self, schema: Any) -> JsonSchemaValue:
        with_default = super().default_schema(schema)
        with_default.pop("default", None)
        return with_default


def manifest_schema() -> str:
    """The JSON Schema of the YAML form: deterministic text that ends in a newline."""
    schema = ManifestForm.model_json_schema(schema_generator=_SchemaWithoutNull)
    whole = {"$schema": GenerateJsonSchema.schema_dialect, **schema}
    return json.dumps(whole, indent=2) + "\n"


def read_yaml(text: str, findings: Findings) -> RowStream:
    """The rows of a YAML manifest. All problems of the document are reported at once."""
    tree = read_tree(text, findings)
    form = None if tree is None else _validated(tree, findings)
    # After a duplicate key, the paths of the tree may not lead to what aliases stand for.
    if tree is None or form is None or findings.problem_count:
        return RowStream(iter(()))
    expansions = _expansions(form, tree, findings)
    if findings.problems:
        return RowStream(iter(()))
    own: dict[str, str] = {}
    for names in (form.defaults.own, *(test.own for test in form.tests)):
        for name in names:
            own.setdefault(normalized(name), name)
    changes = _changes(form, tree, expansions, findings)
    rows = _rows(form, tree, expansions, own)
    return RowStream(rows, tuple(own.values()), changes)


def _validated(tree: Tree, findings: Findings) -> ManifestForm | None:
    try:
        return ManifestForm.model_validate(tree.plain)
    except ValidationError as exc:
        _report(exc, tree, findings)
        return None


def _report(exc: ValidationError, tree: Tree, findings: Findings) -> None:
    """Add the problems of the document. What is wrong where it is written is reported there, and
    not again for each alias of it.
    """
    reported: set[tuple[NodePath, str]] = set()
    of_aliases = []
    for error in exc.errors(include_url=False):
        of_key = error["type"] == "extra_forbidden" or error["loc"][-1:] == ("[key]",)
        path = tuple(step for step in error["loc"] if step != "[key]")
        text = _explain(path, error)
        line, column = tree.position(path, of_key=of_key)
        origin = tree.origin(path)
        if origin == path:
            reported.add((path, text))
            findings.add_problem(line, text, column)
        else:
            of_aliases.append((origin, text, line, column))
    for origin, text, line, column in of_aliases:
        if (origin, text) not in reported:
            written, at = tree.position(origin)
            findings.add_problem(line, f"{text} (the value on line {written}:{at})", column)


def _explain(path: NodePath, error: Any) -> str:
    """A pydantic error as a message: which key, which value, what to do."""
    words = [step for step in path if isinstance(step, str)]
    key = words[-1] if words else ""
    kind = error["type"]
    if kind == "extra_forbidden":
        parent = words[-2] if len(words) > 1 else ""
        advice = _MISPLACED.get((parent, key))
        hint = f": {advice}" if advice else did_you_mean(key, known_keys(parent))
        return f"unknown key {quoted(key)}{hint}"
    if kind == "missing":
        return f'the key "{key}" is missing'
    cause = error.get("ctx", {}).get("error")
    text = str(cause) if cause else str(error["msg"])
    if kind == "list_type":
        text = "must be a list, such as [a, b]"
    elif kind in ("model_type", "dict_type"):
        text = "must be a mapping, such as key: value"
        if path and isinstance(path[-1], int):
            return f"each entry of {quoted(key)} {text}"
    elif kind == "too_short":
        text = "is an empty list"
    elif kind == "too_long":
        text = f"has more than {error['ctx']['max_length']} entries"
    return f"key {quoted(key)}: {text}" if key else f"the manifest {text}"


def _matrix(form: MatrixForm, path: NodePath, tree: Tree) -> Matrix:
    def entries(name: str) -> tuple[Entry, ...]:
        return tuple(
            Entry(
                tree.position((*path, name, index))[0],
                _pairs(entry, tree.keys((*path, name, index))),
            )
            for index, entry in enumerate(getattr(form, name))
        )

    order = [name for name in tree.keys(path) if name in AXES]
    axes = tuple((name, tuple(getattr(form, name))) for name in order)
    return Matrix(tree.position(path)[0], axes, entries("exclude"), entries("include"))


def _pairs(form: CombinationForm, order: tuple[str, ...]) -> Pairs:
    """The pairs of an exclude or include, in the order of `order`."""
    return tuple((axis, getattr(form, axis)) for axis in order if axis in form.model_fields_set)


def _expansions(
    form: ManifestForm, tree: Tree, findings: Findings
) -> dict[NodePath, MatrixExpansion]:
    """Each matrix's expansion, by the path where the matrix is written.

    Aliases of one matrix share its expansion, so that a short document stays cheap.
    """
    matrices: dict[NodePath, MatrixForm] = {}
    if form.matrix is not None:
        matrices[tree.origin(_SHARED_MATRIX)] = form.matrix
    for index, test in enumerate(form.tests):
        if test.matrix is not None:
            matrices.setdefault(_matrix_path(form, tree, index), test.matrix)
    expansions = {}
    for path, matrix_form in matrices.items():
        matrix = _matrix(matrix_form, path, tree)
        line, column = tree.position(path, of_key=True)
        if matrix.size_max > values.COMBINATIONS_MAX:
            findings.add_problem(
                line,
                f"the matrix expands to more than {values.COMBINATIONS_MAX} combinations",
                column,
            )
            continue
        expansion = expand(matrix) if matrix.axes or matrix.include else _NO_MATRIX
        _check_matrix(form, path, matrix, expansion, tree, findings)
        expansions[path] = expansion
    return expansions


def _matrix_path(form: ManifestForm, tree: Tree, index: int) -> NodePath:
    """Where the matrix of a test is written."""
    own = form.tests[index].matrix is not None
    return tree.origin(("tests", index, "matrix") if own else _SHARED_MATRIX)


def _check_matrix(
    form: ManifestForm,
    path: NodePath,
    matrix: Matrix,
    expansion: MatrixExpansion,
    tree: Tree,
    findings: Findings,
) -> None:
    used = path != tree.origin(_SHARED_MATRIX) or any(
        _matrix_path(form, tree, index) == path for index in range(len(form.tests))
    )
    line, column = tree.position(path, of_key=True)
    if not used:
        findings.add_note(f"line {line}: no test uses this matrix; each has its own")
    if not expansion.combinations:
        findings.add_problem(line, "the excludes of this matrix leave no combination", column)
    matched = [change.matched for change in expansion.changes if change.kind == "exclude"]
    matched = matched or [0] * len(matrix.exclude)
    for index, count in enumerate(matched):
        if count == 0 or not used:
            exclude_line, exclude_column = tree.position((*path, "exclude", index))
            findings.add_problem(
                exclude_line,
                "this exclude matches nothing in the manifest; correct it or remove it",
                exclude_column,
            )
    misfits = dict.fromkeys(
        values.device_misfit(combination.device_model, (combination.platform,))
        for combination in _combinations(form, expansion)
        if combination.device_model is not None
    )
    for misfit in filter(None, misfits):
        findings.add_problem(
            line,
            f"this matrix produces a combination in which {misfit}; exclude that combination, "
            "or put the device in an include with its platform",
            column,
        )


def _changes(
    form: ManifestForm,
    tree: Tree,
    expansions: dict[NodePath, MatrixExpansion],
    findings: Findings,
) -> tuple[Change, ...]:
    changes: list[Change] = []
    uses = Counter(_matrix_path(form, tree, index) for index in range(len(form.tests)))
    for path, expansion in expansions.items():
        changes.extend(change.times(uses[path]) for change in expansion.changes if uses[path])
    for change in changes:
        if change.kind == "include" and not change.extended and not change.added:
            findings.add_note(f"line {change.line}: this include changes nothing")
    return tuple(changes)


def _rows(
    form: ManifestForm,
    tree: Tree,
    expansions: dict[NodePath, MatrixExpansion],
    own_columns: dict[str, str],
) -> Iterator[Row]:
    by_matrix = {path: _combinations(form, one) for path, one in expansions.items()}
    without = _combinations(form, _NO_MATRIX)
    for index, test in enumerate(form.tests):
        yield Row(
            line=tree.position(("tests", index))[0],
            test_id=test.id,
            name=test.name,
            tags=tuple(form.defaults.tags if test.tags is None else test.tags),
            own=_own(form, test, own_columns),
            combinations=by_matrix.get(_matrix_path(form, tree, index), without),
            repetitions=range(1, (test.repeat or form.defaults.repeat) + 1),
        )


def _own(
    form: ManifestForm, test: TestForm, columns: dict[str, str]
) -> tuple[tuple[str, str], ...]:
    """The test's own columns, each under the name that the file gives it first."""
    merged = {**form.defaults.own, **test.own}
    return tuple({columns[normalized(name)]: value for name, value in merged.items()}.items())


def _combinations(form: ManifestForm, expansion: MatrixExpansion) -> tuple[Combination, ...]:
    return tuple(_combination(form, dict(pairs)) for pairs in expansion.combinations)


def _combination(form: ManifestForm, given: dict[str, Any]) -> Combination:
    """The combination with these values; what they leave open comes from `apps` and `defaults`."""
    defaults = form.defaults
    platform: Platform | None = given.get("platform", defaults.platform)
    mode: Mode | None = given.get("mode", defaults.mode)
    device: DeviceModel | None = given.get("device_model")
    if device is None and platform is not None:
        fits = defaults.device_model in DEVICES_BY_PLATFORM[platform]
        device = defaults.device_model if fits else None
    app_id = given.get("app_id") or (getattr(form.apps, platform) if platform else None)
    return Combination(
        platform, mode, device, app_id, given.get("environment_id", defaults.environment_id)
    )
