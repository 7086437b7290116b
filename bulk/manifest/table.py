"""CSV text to records with the line each begins on, streaming; knows no column's meaning."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import StringIO
from typing import TextIO

from bulk.manifest.findings import Findings, shown

DELIMITERS = (",", ";", "\t")
# Excel writes and reads this line to say how the rest is separated.
_SEP_LINE = re.compile(r'"?sep=(.)"?[,;\t]*', re.IGNORECASE)
_CSV_ERRORS = (
    (
        "unexpected end of data",
        'a quote (") is opened in the record that begins here, and never closed',
    ),
    (
        "field larger than field limit",
        "a cell of the record that begins here is longer than 131,072 characters; "
        'is a quote (") left open?',
    ),
    (
        "expected after",
        'text follows a closing quote (") in the record that begins here; a quote inside a quoted '
        'cell is written twice ("")',
    ),
)


@dataclass(frozen=True, slots=True)
class Layout:
    """How a table is separated, and whether its first line says so itself (`sep=;`)."""

    delimiter: str
    has_sep_line: bool


def layout_of(head: str, is_known: Callable[[str], bool], findings: Findings) -> Layout | None:
    """How the table that begins with `head` is separated: as its first header row reads best."""
    told = _SEP_LINE.fullmatch(re.split(r"[\r\n]", head, maxsplit=1)[0].strip(" "))
    if told:
        if told[1] not in DELIMITERS:
            findings.problem(
                1, f"sep={shown(told[1])[1:-1]}: cells are separated by comma, semicolon or tab"
            )
            return None
        return Layout(told[1], has_sep_line=True)

    def score(delimiter: str) -> tuple[int, int]:
        cells = _first_record(head, delimiter)
        return sum(map(is_known, cells)), len(cells)

    return Layout(max(DELIMITERS, key=score), has_sep_line=False)


def records(text: TextIO, layout: Layout, findings: Findings) -> Iterator[tuple[int, list[str]]]:
    """The records that hold anything, each with its first line. Tells what breaks the table."""
    skipped = 0
    if layout.has_sep_line:
        text.readline()
        skipped = 1
    reader = csv.reader(text, delimiter=layout.delimiter, strict=True)
    while True:
        line = skipped + reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as exc:
            # The rest cannot be trusted: nobody knows where the next record begins.
            findings.problem(line, _explained(str(exc)))
            return
        except UnicodeDecodeError:
            findings.problem(line, "the file was changed while it was read")
            return
        if any(cells) and "".join(cells).strip():
            yield line, cells


def _first_record(head: str, delimiter: str) -> list[str]:
    try:
        rows = csv.reader(StringIO(head, newline=""), delimiter=delimiter, strict=True)
        blank = "".join(DELIMITERS) + " "
        return next((row for row in rows if "".join(row).strip(blank)), [])
    except csv.Error:
        return []


def _explained(message: str) -> str:
    for part, text in _CSV_ERRORS:
        if part in message:
            return text
    return f"this is no CSV: {message}"
