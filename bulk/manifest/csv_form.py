"""The CSV form of a manifest, from text to rows; must know neither its bytes nor the selection.

The text is read as a stream: first the delimiter, then records, then the rows they describe.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from io import StringIO
from itertools import chain
from math import prod
from operator import itemgetter
from typing import Annotated, TextIO

from pydantic import BaseModel, ConfigDict, PlainValidator, ValidationError, model_validator

from bulk.manifest import values
from bulk.manifest.dataframes import is_missing, is_missing_name, is_row_number
from bulk.manifest.expansion import Combination, Row, RowStream
from bulk.manifest.findings import Findings, quoted
from bulk.manifest.formulas import unescape_formula
from bulk.manifest.header import COLUMNS, REPETITION, Header, normalized, read_header
from bulk.model import DEVICES_BY_PLATFORM, UUID_PATTERN, DeviceModel, Mode, Platform

DELIMITERS = (",", ";", "\t")
# Excel writes and reads this line to state the delimiter of the lines below it.
_SEP_LINE = re.compile(r'"?sep=(.)"?[,;\t]*', re.IGNORECASE)
# PowerShell's Export-Csv up to version 5 writes this line, with the type of the objects.
_TYPE_LINE = re.compile(r'"?#TYPE .*', re.IGNORECASE)
_CSV_ERRORS = (
    (
        "unexpected end of data",
        'the row that starts here opens a quote (") and never closes it',
    ),
    (
        "field larger than field limit",
        "the row that starts here has a cell longer than 131,072 characters; "
        'is a closing quote (") missing?',
    ),
    (
        "expected after",
        'the row that starts here has text after a closing quote ("); '
        'write a quote inside a quoted cell twice ("")',
    ),
)
# Most rows repeat a few values of these columns, so each different set of values is parsed once.
# The cache is bounded because a manifest may have a different set in every row.
_CACHED_COLUMNS = frozenset((*COLUMNS, REPETITION)) - {"test_id", "name"}
_CACHE_ENTRIES_MAX = 4096
# In these, a word such as `nan` is not read as an empty cell.
_TEXT_COLUMNS = ("test_id", "name")

Record = tuple[int, list[str]]  # the line that a record starts on, from 1, and its cells


@dataclass(frozen=True, slots=True)
class Layout:
    """The delimiter of a table, and how many lines stand before its header.

    The first line may state the delimiter (`sep=;`) or the type of the rows (`#TYPE ...`).
    """

    delimiter: str
    lines_before: int = 0


class RowForm(BaseModel):
    """One row. Every cell is parsed on its own, so that all problems of a row are reported."""

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
    def _check_row(self) -> RowForm:
        for device in self.device_model:
            misfit = values.device_misfit(device, self.platform)
            if misfit:
                raise ValueError(f'column "device_model": {misfit}')
        lists = (self.platform, self.mode, self.device_model, self.app_id, self.environment_id)
        if prod(max(1, len(one)) for one in lists) > values.COMBINATIONS_MAX:
            raise ValueError(
                f"expands to more than {values.COMBINATIONS_MAX} combinations; split the row"
            )
        return self

    @property
    def combinations(self) -> tuple[Combination, ...]:
        """The product. A device or app combines only with the platforms it belongs to."""
        return tuple(
            Combination(platform, mode, device, app_id, environment_id)
            for platform in self.platform or (None,)
            for mode in self.mode or (None,)
            for device in self._devices(platform)
            for app_id in self._app_ids(platform)
            for environment_id in self.environment_id or (None,)
        )

    @property
    def repetitions(self) -> range:
        """The repetitions of each combination: the one that a report's row has, or all."""
        if self.repetition is not None:
            return range(self.repetition, self.repetition + 1)
        return range(1, self.repeat + 1)

    def _devices(self, platform: Platform | None) -> tuple[DeviceModel | None, ...]:
        fitting = DEVICES_BY_PLATFORM[platform] if platform else frozenset()
        return tuple(device for device in self.device_model if device in fitting) or (None,)

    def _app_ids(self, platform: Platform | None) -> tuple[str | None, ...]:
        # In a row with several platforms, the app is for the others; web alone sends it.
        if platform is Platform.WEB and len(self.platform) > 1:
            return (None,)
        return self.app_id or (None,)


@dataclass(frozen=True, slots=True)
class _CachedCells:
    """What the cells of `_CACHED_COLUMNS` mean."""

    combinations: tuple[Combination, ...]
    tags: tuple[str, ...]
    repetitions: range


def read_csv(text: TextIO, head: str, findings: Findings) -> RowStream:
    """The rows of a CSV manifest; `head` is the first part of `text`.

    Problems of the header are reported at once, those of a row when it is reached.
    """
    layout = _layout(head, findings)
    if layout is None:
        return RowStream(iter(()))
    records = _records(text, layout, findings)
    first = next(records, None)
    if first is None:
        if not findings.problem_count:
            findings.add_problem(0, "is empty")
        return RowStream(iter(()))
    second = next(records, None)
    header = read_header(*first, findings, second[1] if second else ())
    if header is None:
        return RowStream(iter(()))
    if second is not None:
        records = chain([second], records)
    own_columns = tuple(title for title, _ in header.own)
    has_tags = any(name == "tags" for name, _ in header.known)
    return RowStream(_rows(records, header, findings), own_columns, has_tags=has_tags)


def _layout(head: str, findings: Findings) -> Layout | None:
    """The delimiter under which the first row has the most known columns, then the most cells."""
    first, *rest = re.split(r"\r\n|\r|\n", head, maxsplit=1)
    sep_line = _SEP_LINE.fullmatch(first.strip(" "))
    if sep_line:
        if sep_line[1] not in DELIMITERS:
            findings.add_problem(
                1,
                f"sep={quoted(sep_line[1])[1:-1]}: "
                "the separator must be a comma, a semicolon or a tab",
            )
            return None
        return Layout(sep_line[1], lines_before=1)
    lines_before = 0
    if _TYPE_LINE.match(first):
        lines_before, head = 1, "".join(rest)

    def score(delimiter: str) -> tuple[int, int]:
        cells = _first_record(head, delimiter)
        return sum(normalized(cell) in COLUMNS for cell in cells), len(cells)

    return Layout(max(DELIMITERS, key=score), lines_before)


def _first_record(head: str, delimiter: str) -> list[str]:
    try:
        rows = csv.reader(StringIO(head, newline=""), delimiter=delimiter, strict=True)
        blank = "".join(DELIMITERS) + " "
        return next((row for row in rows if "".join(row).strip(blank)), [])
    except csv.Error:
        return []


def _records(text: TextIO, layout: Layout, findings: Findings) -> Iterator[Record]:
    """The records that are not blank. Ends, after reporting the problem, at malformed CSV."""
    skipped = layout.lines_before
    for _ in range(skipped):
        text.readline()
    reader = csv.reader(text, delimiter=layout.delimiter, strict=True)
    while True:
        line = skipped + reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as exc:
            # Nothing says where the next record starts, so the rest cannot be trusted.
            findings.add_problem(line, _explain(str(exc)))
            return
        except UnicodeDecodeError:
            findings.add_problem(line, "the file changed while it was being read")
            return
        if any(cells) and "".join(cells).strip():
            yield line, cells


def _explain(message: str) -> str:
    for part, text in _CSV_ERRORS:
        if part in message:
            return text
    return f"not valid CSV: {message}"


def _rows(records: Iterator[Record], header: Header, findings: Findings) -> Iterator[Row]:
    width = len(header.titles)
    indexes = dict(header.known)
    id_index, name_index = indexes["test_id"], indexes.get("name")
    cache_key = itemgetter(*(index for name, index in header.known if name in _CACHED_COLUMNS))
    cache: dict[tuple[str, ...], _CachedCells] = {}
    for line, cells in records:
        if len(cells) != width:
            # Spreadsheets write empty cells after the last column; any other count is a mistake.
            if len(cells) < width or any(cell.strip() for cell in cells[width:]):
                findings.add_problem(line, _wrong_count(len(cells), width))
                continue
            del cells[width:]
        if header.is_report:
            cells = [unescape_formula(cell) for cell in cells]
        if header.numbered and not all(map(is_row_number, cells[: header.numbered])):
            findings.add_problem(line, _no_row_number(cells, header))
            continue
        test_id = cells[id_index].strip().lower()
        cached = cache.get(cache_key(cells))
        if cached is None or not UUID_PATTERN.fullmatch(test_id):
            form = _validated(line, cells, header, findings)
            if form is None:
                continue
            cached = _CachedCells(form.combinations, form.tags, form.repetitions)
            if len(cache) >= _CACHE_ENTRIES_MAX:
                cache.clear()
            cache[cache_key(cells)] = cached
            test_id = form.test_id
        name = cells[name_index].strip() if name_index is not None else ""
        if is_missing_name(name):
            findings.add_note(
                f"the name {quoted(name)} is kept; pandas writes it for an empty cell"
            )
        yield Row(
            line,
            test_id,
            name,
            cached.tags,
            tuple([(title, cells[index]) for title, index in header.own if cells[index]]),
            cached.combinations,
            cached.repetitions,
        )


def _validated(line: int, cells: list[str], header: Header, findings: Findings) -> RowForm | None:
    filled = {name: cells[index] for name, index in header.known if cells[index].strip()}
    for name in [name for name in filled if name not in _TEXT_COLUMNS]:
        if is_missing(filled[name]):
            findings.add_note(
                f"column {quoted(name)}: {quoted(filled.pop(name).strip())} is read as an empty "
                "cell, for which programs such as pandas write it"
            )
    try:
        return RowForm.model_validate(filled)
    except ValidationError as exc:
        titles = {name: header.titles[index] for name, index in header.known}
        for error in exc.errors(include_url=False):
            cause = error.get("ctx", {}).get("error")
            text = str(cause) if cause else "is empty"  # only `test_id` can be missing
            if error["loc"]:
                text = f"column {quoted(titles[str(error['loc'][0])])}: {text}"
            findings.add_problem(line, text)
        return None


def _no_row_number(cells: list[str], header: Header) -> str:
    wrong = next(i for i, cell in enumerate(cells[: header.numbered]) if not is_row_number(cell))
    return (
        f"column {wrong + 1} has no header and is taken for row numbers, but "
        f"{quoted(cells[wrong])} is none; give the column a header, or remove it"
    )


def _wrong_count(count: int, width: int) -> str:
    if count < width:
        return f"has {count} cells, but the header has {width}; add the missing cells"
    return f"has {count} cells, but the header has {width}; quote a cell that contains a separator"
