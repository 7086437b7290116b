"""The columns of a manifest, and the header row of a CSV file; must know no row below it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from bulk.manifest.caseless import fold
from bulk.manifest.dataframes import row_number_columns
from bulk.manifest.findings import Findings, quoted
from bulk.manifest.formulas import unescape_formula

REQUIRED = ("test_id", "platform", "mode")
OPTIONAL = ("name", "device_model", "app_id", "environment_id", "tags", "repeat")
COLUMNS = REQUIRED + OPTIONAL
# The columns that report.csv adds to a manifest's. A file with all of `_REPORT_MARKS` is a report.
RESULT_COLUMNS = (
    "line",
    "key",
    "outcome",
    "run_id",
    "http_status",
    "failure_code",
    "error",
    "message",
    "attempts",
    "throttles",
    "wait_ms",
    "latency_ms",
    "total_ms",
    "first_sent",
    "finished",
    "origin",
    "candidates",
    "cancelled",
)
REPETITION = "repetition"
_REPORT_MARKS = frozenset(("key", "outcome", "run_id"))
# Stricter than for values: a column of the user's own such as "code" is not a misspelt "mode".
_SIMILARITY_MIN = 0.8
_PREFIX_LENGTH_MIN = 3  # "device" and "env" abbreviate a known column, "a" does not


@dataclass(frozen=True, slots=True)
class Header:
    """Where each column is: `known` and `own` pair a column's name with its index, from 0.

    `own` are the columns that only the user knows. `titles` are the headers as the file writes
    them, for messages. The first `numbered` columns hold the numbers of the rows.
    """

    titles: tuple[str, ...]
    known: tuple[tuple[str, int], ...]
    own: tuple[tuple[str, int], ...]
    is_report: bool
    numbered: int = 0


def normalized(title: str) -> str:
    """The title to compare by: `Test ID`, `test-id` and `test_id` are all `test_id`."""
    return "_".join(fold(title).replace("-", " ").replace("_", " ").split())


def read_header(
    line: int, cells: Sequence[str], findings: Findings, first_row: Sequence[str] = ()
) -> Header | None:
    """The header. None if the rows below it cannot be read, after reporting the problems.

    `first_row` shows which columns without a title hold row numbers.
    """
    titles = [cell.strip() for cell in cells]
    while titles and not titles[-1]:
        titles.pop()  # spreadsheets sometimes write a separator after the last column
    names = [normalized(title) for title in titles]
    is_report = set(names) >= _REPORT_MARKS
    if is_report:
        titles = [unescape_formula(title) for title in titles]
    numbered = row_number_columns(titles, first_row)
    known: dict[str, int] = {}
    seen: dict[str, int] = {}
    own: list[tuple[str, int]] = []
    ignored: list[str] = []
    usable = True
    for index, name in enumerate(names):
        title = titles[index]
        if index < numbered:
            continue
        if not name:
            findings.add_problem(line, f"column {index + 1} has no header")
            usable = False
        elif is_report and name in RESULT_COLUMNS and name not in ignored:
            # Only the first is the report's: a column of the user's own may have the same name.
            ignored.append(name)
        elif name in seen:
            findings.add_problem(
                line,
                f"the header {quoted(title)} appears twice, "
                f"in columns {seen[name] + 1} and {index + 1}",
            )
            usable = False
        else:
            seen[name] = index
            if name in COLUMNS or (is_report and name == REPETITION):
                known[name] = index
            else:
                own.append((title, index))
    usable = _is_complete(line, known, own, findings) and usable
    if is_report and "repeat" in known and REPETITION in known:
        findings.add_problem(line, 'a report has "repetition"; remove the column "repeat"')
        usable = False
    if ignored:
        findings.add_note(f"this is a report; result columns ignored: {', '.join(ignored)}")
    if numbered:
        which = "column 1 holds" if numbered == 1 else f"columns 1 to {numbered} hold"
        findings.add_note(f"{which} row numbers, as pandas writes them; ignored")
    if not usable:
        return None
    return Header(tuple(titles), tuple(known.items()), tuple(own), is_report, numbered)


def _is_complete(
    line: int, known: dict[str, int], own: list[tuple[str, int]], findings: Findings
) -> bool:
    if not any(column in known for column in COLUMNS):
        words = f"at least {', '.join(REQUIRED[:-1])} and {REQUIRED[-1]}"
        findings.add_problem(
            line, f"this is not a header row; the first row must name the columns, {words}"
        )
        return False
    usable = True
    own_names = {normalized(title): title for title, _ in own}
    for column in COLUMNS:
        similar = "" if column in known else _similar(column, tuple(own_names))
        if not similar and column in REQUIRED and column not in known:
            similar = next((name for name in own_names if column.endswith("_" + name)), "")
        if column in REQUIRED and column not in known:
            hint = f" (did you name it {quoted(own_names[similar])}?)" if similar else ""
            findings.add_problem(line, f'column "{column}" is missing{hint}')
            usable = False
        elif similar:
            findings.add_note(
                f"column {quoted(own_names[similar])} is treated as one of your own; "
                f'did you mean "{column}"?'
            )
    return usable


def similar_title(column: str, titles: Sequence[str]) -> str:
    """The title that looks like a misspelt `column`; an empty string if none does."""
    by_name = {normalized(title): title for title in titles}
    return by_name.get(_similar(column, tuple(by_name)), "")


def _similar(column: str, names: tuple[str, ...]) -> str:
    close = get_close_matches(column, names, n=1, cutoff=_SIMILARITY_MIN)
    if close:
        return close[0]
    long_enough = (name for name in names if len(name) >= _PREFIX_LENGTH_MIN)
    return next((name for name in long_enough if column.startswith(name)), "")
