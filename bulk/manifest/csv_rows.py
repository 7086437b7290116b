"""The rows of a CSV manifest, validated; must know neither its bytes nor what is selected."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from operator import itemgetter
from typing import Annotated, TextIO

from pydantic import BaseModel, ConfigDict, PlainValidator, ValidationError, model_validator

from bulk.manifest import values
from bulk.manifest.findings import Findings, shown
from bulk.manifest.formulas import unescape_formula
from bulk.manifest.header import COLUMNS, REPETITION, Header, normal, read_header
from bulk.manifest.rows import Cell, Row, Source
from bulk.manifest.table import layout_of, records
from bulk.model import DEVICES_BY_PLATFORM, UUID_PATTERN, DeviceModel, Mode, Platform

# A manifest holds a handful of combinations of its small columns; where each row has its own,
# this bounds the memory.
_SHAPES_MAX = 4096
_SHAPE_COLUMNS = frozenset((*COLUMNS, REPETITION)) - {"test_id", "name"}


class RowForm(BaseModel):
    """One CSV row: every cell read on its own, so that all that is wrong with it is told."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    test_id: Annotated[str, PlainValidator(values.uuid_text)]
    name: str = ""
    platform: Annotated[
        tuple[Platform, ...], PlainValidator(values.cell_list(values.choice(Platform)))
    ] = ()
    mode: Annotated[tuple[Mode, ...], PlainValidator(values.cell_list(values.choice(Mode)))] = ()
    device_model: Annotated[
        tuple[DeviceModel, ...], PlainValidator(values.cell_list(values.choice(DeviceModel)))
    ] = ()
    app_id: Annotated[tuple[str, ...], PlainValidator(values.cell_list(values.uuid_text))] = ()
    environment_id: Annotated[
        tuple[str, ...], PlainValidator(values.cell_list(values.uuid_text))
    ] = ()
    tags: Annotated[tuple[str, ...], PlainValidator(values.tag_cell)] = ()
    repeat: Annotated[int, PlainValidator(values.whole_number)] = 1
    repetition: Annotated[int | None, PlainValidator(values.whole_number)] = None

    @model_validator(mode="after")
    def _cells_make_sense(self) -> RowForm:
        for device in self.device_model:
            misfit = values.device_misfit(device, self.platform)
            if misfit:
                raise ValueError(f'column "device_model": {misfit}')
        lists = (self.platform, self.mode, self.device_model, self.app_id, self.environment_id)
        if prod(max(1, len(one)) for one in lists) > values.CELLS_MAX:
            raise ValueError(f"makes more than {values.CELLS_MAX} cells; split the row")
        return self

    @property
    def cells(self) -> tuple[Cell, ...]:
        """The product. A device or app goes only with the platforms it belongs to."""
        return tuple(
            Cell(platform, mode, device, app_id, environment_id)
            for platform in self.platform or (None,)
            for mode in self.mode or (None,)
            for device in self._devices(platform)
            for app_id in self._app_ids(platform)
            for environment_id in self.environment_id or (None,)
        )

    def _devices(self, platform: Platform | None) -> tuple[DeviceModel | None, ...]:
        fitting = DEVICES_BY_PLATFORM[platform] if platform else frozenset()
        return tuple(device for device in self.device_model if device in fitting) or (None,)

    def _app_ids(self, platform: Platform | None) -> tuple[str | None, ...]:
        # Beside another platform the app is that one's; alone, the row means what it says.
        if platform is Platform.WEB and len(self.platform) > 1:
            return (None,)
        return self.app_id or (None,)


@dataclass(frozen=True, slots=True)
class _Shape:
    """What a row's small columns say; rows that write them alike share it."""

    cells: tuple[Cell, ...]
    tags: tuple[str, ...]
    repetitions: range


def csv_source(text: TextIO, head: str, findings: Findings) -> Source:
    """An opened CSV manifest. Problems of the header are told at once, those of rows on the way."""
    layout = layout_of(head, lambda title: normal(title) in COLUMNS, findings)
    if layout is None:
        return Source(iter(()))
    lines = records(text, layout, findings)
    first = next(lines, None)
    if first is None:
        if not findings.problem_count:
            findings.problem(0, "is empty")
        return Source(iter(()))
    header = read_header(*first, findings)
    if header is None:
        return Source(iter(()))
    own_columns = tuple(title for title, _ in header.own)
    return Source(_rows(lines, header, findings), own_columns)


def _rows(
    lines: Iterator[tuple[int, list[str]]], header: Header, findings: Findings
) -> Iterator[Row]:
    width = len(header.titles)
    places = dict(header.known)
    id_place, name_place = places["test_id"], places.get("name")
    shape_of = itemgetter(*(place for name, place in header.known if name in _SHAPE_COLUMNS))
    shapes: dict[tuple[str, ...], _Shape] = {}
    for line, cells in lines:
        if len(cells) != width:
            # Separators after the last column are a spreadsheet's; anything else is a slip.
            if len(cells) < width or any(cell.strip() for cell in cells[width:]):
                findings.problem(line, _ragged(len(cells), width))
                continue
            del cells[width:]
        if header.is_report:
            cells = [unescape_formula(cell) for cell in cells]
        test_id = cells[id_place].strip().lower()
        shape = shapes.get(shape_of(cells))
        if shape is None or not UUID_PATTERN.fullmatch(test_id):
            form = _validated(line, cells, header, findings)
            if form is None:
                continue
            shape = _shape(form)
            if len(shapes) >= _SHAPES_MAX:
                shapes.clear()
            shapes[shape_of(cells)] = shape
        yield Row(
            line,
            test_id,
            cells[name_place].strip() if name_place is not None else "",
            shape.tags,
            tuple([(title, cells[place]) for title, place in header.own if cells[place]]),
            shape.cells,
            shape.repetitions,
        )


def _validated(line: int, cells: list[str], header: Header, findings: Findings) -> RowForm | None:
    filled = {name: cells[place] for name, place in header.known if cells[place].strip()}
    try:
        return RowForm.model_validate(filled)
    except ValidationError as exc:
        titles = {name: header.titles[place] for name, place in header.known}
        for error in exc.errors(include_url=False):
            told = error.get("ctx", {}).get("error")
            text = str(told) if told else "is empty"  # only `test_id` can be missing
            if error["loc"]:
                text = f"column {shown(titles[str(error['loc'][0])])}: {text}"
            findings.problem(line, text)
        return None


def _shape(form: RowForm) -> _Shape:
    if form.repetition is not None:
        return _Shape(form.cells, form.tags, range(form.repetition, form.repetition + 1))
    return _Shape(form.cells, form.tags, range(1, form.repeat + 1))


def _ragged(count: int, width: int) -> str:
    advice = "is a separator inside a cell that is not quoted?" if count > width else "add the rest"
    return f"has {count} cells where the header has {width}; {advice}"
