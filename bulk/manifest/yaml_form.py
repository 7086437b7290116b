"""The YAML form of a manifest, its keys and its JSON Schema; must know neither file nor places."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    WithJsonSchema,
    model_validator,
)
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from bulk.manifest import values
from bulk.manifest.findings import shown
from bulk.manifest.header import COLUMNS, normal
from bulk.manifest.matrix import Pairs
from bulk.model import DeviceModel, Mode, Platform

AXES = ("platform", "mode", "device_model", "app_id", "environment_id")
# Each include is tried on each combination of each test.
ENTRIES_MAX = 1000

# An editor reads `1.10` or `no` as a number or a truth; to us all are text, so it must not object.
_TEXT_SCHEMA = WithJsonSchema({"type": ["string", "number", "boolean"]})
_UUID_SCHEMA = WithJsonSchema(
    {
        "type": "string",
        "pattern": "^[0-9a-fA-F]{8}-([0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}$",
    }
)


def _version(value: object) -> object:
    if values.single(value) != "1":
        raise ValueError("only version 1 is known")
    return 1


def _own_name(value: object) -> str:
    name = values.single(value)
    if not name:
        raise ValueError("an own column needs a name")
    if normal(name) in COLUMNS:
        raise ValueError(f"{shown(name)} is no own column; it has a meaning of its own")
    return name


def _once_each(items: list[Any]) -> list[Any]:
    values.unique(tuple(items))
    return items


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
Version = Annotated[Literal[1], BeforeValidator(_version)]


class _Form(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class CombinationForm(_Form):
    """Values of one cell, or of a part of it."""

    platform: OnePlatform | None = None
    mode: OneMode | None = None
    device_model: OneDevice | None = None
    app_id: Uuid | None = None
    environment_id: Uuid | None = None

    @model_validator(mode="after")
    def _says_something(self) -> CombinationForm:
        if not self.model_fields_set:
            raise ValueError("says nothing; give it a pair such as platform: ios")
        return self


class MatrixForm(_Form):
    """Each list is an axis; a test runs in every combination of their values."""

    platform: Axis[OnePlatform] | None = None
    mode: Axis[OneMode] | None = None
    device_model: Axis[OneDevice] | None = None
    app_id: Axis[Uuid] | None = None
    environment_id: Axis[Uuid] | None = None
    exclude: Annotated[list[CombinationForm], Field(max_length=ENTRIES_MAX)] = Field(
        default_factory=list, description="Combinations to leave out: all that have these values."
    )
    include: Annotated[list[CombinationForm], Field(max_length=ENTRIES_MAX)] = Field(
        default_factory=list,
        description="Values to add to the combinations they do not contradict, "
        "or a combination of its own where they contradict all.",
    )

    @property
    def has_axis(self) -> bool:
        """Whether there is a product to exclude from."""
        return any(getattr(self, axis) is not None for axis in AXES)


class DefaultsForm(_Form):
    """Values for the tests and cells that do not say their own."""

    platform: OnePlatform | None = None
    mode: OneMode | None = None
    device_model: OneDevice | None = Field(
        default=None, description="Used where it fits the cell's platform."
    )
    environment_id: Uuid | None = None
    tags: Tags = Field(default_factory=list)
    repeat: Repeat = 1
    own: dict[OwnName, Text] = Field(default_factory=dict)


class AppsForm(_Form):
    """The app each platform runs, where a cell names none of its own."""

    web: Uuid | None = None
    ios: Uuid | None = None
    android: Uuid | None = None


class TestForm(_Form):
    """A saved test and how it is run."""

    __test__ = False  # pytest collects classes by this name

    id: Uuid = Field(description="The test's id in the dashboard.")
    name: Text = Field(default="", description="What reports call the test.")
    tags: Tags | None = None
    repeat: Repeat | None = Field(default=None, description="How often each cell is run.")
    own: dict[OwnName, Text] = Field(
        default_factory=dict, description="Further columns, carried into the report."
    )
    matrix: MatrixForm | None = Field(
        default=None, description="Used for this test in place of the manifest's matrix."
    )


class ManifestForm(_Form):
    """A bulk-trigger manifest: tests, and the platforms and modes they run in."""

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


def known_keys(parent: str) -> tuple[str, ...]:
    """The keys that may stand in the mapping (or in each mapping of the list) called `parent`."""
    return tuple(_FORMS_BY_KEY[parent].model_fields) if parent in _FORMS_BY_KEY else ()


def pairs_of(form: CombinationForm, order: tuple[str, ...]) -> Pairs:
    """The values a combination gives, in the order they are written."""
    return tuple((axis, getattr(form, axis)) for axis in order if axis in form.model_fields_set)


class _SchemaWithoutNull(GenerateJsonSchema):
    """A key that may be left out may not be empty: None is how the forms say "left out"."""

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        made = super().default_schema(schema)
        made.pop("default", None)
        return made


def manifest_schema() -> str:
    """The JSON Schema of the YAML form, as text that ends in a newline; the same each time."""
    schema = ManifestForm.model_json_schema(schema_generator=_SchemaWithoutNull)
    whole = {"$schema": GenerateJsonSchema.schema_dialect, **schema}
    return json.dumps(whole, indent=2) + "\n"
