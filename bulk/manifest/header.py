"""What the header row of a CSV manifest says of its columns; knows no row below it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from bulk.manifest.findings import Findings, shown
from bulk.manifest.formulas import unescape_formula

REQUIRED = ("test_id", "platform", "mode")
OPTIONAL = ("name", "device_model", "app_id", "environment_id", "tags", "repeat")
COLUMNS = REQUIRED + OPTIONAL
# What our reports add to a trigger's own columns. A file with the three marks is such a report.
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
# Stricter than for values: an own column such as "code" is no slip for "mode".
_CLOSE_HEADER = 0.8
_PREFIX_LENGTH_MIN = 3  # "device" and "env" are a known column's beginning, "a" is nobody's


@dataclass(frozen=True, slots=True)
class Header:
    """Which column stands where: `known` and `own` pair a column with its place, from 0.

    `titles` are the headers as the file writes them, for messages.
    """

    titles: tuple[str, ...]
    known: tuple[tuple[str, int], ...]
    own: tuple[tuple[str, int], ...]
    is_report: bool


def normal(title: str) -> str:
    """`Test ID`, `test-id` and `test_id` are the same header."""
    return "_".join(title.replace("-", " ").replace("_", " ").lower().split())


def read_header(line: int, cells: Sequence[str], findings: Findings) -> Header | None:
    """The header; None, with the problems told, where rows below could not be read by it."""
    titles = [cell.strip() for cell in cells]
    while titles and not titles[-1]:
        titles.pop()  # a spreadsheet writes a separator after the last column now and then
    names = [normal(title) for title in titles]
    is_report = set(names) >= _REPORT_MARKS
    if is_report:
        titles = [unescape_formula(title) for title in titles]
    known: dict[str, int] = {}
    seen: dict[str, int] = {}
    own: list[tuple[str, int]] = []
    ignored: list[str] = []
    usable = True
    for place, name in enumerate(names):
        title = titles[place]
        if not name:
            findings.problem(line, f"column {place + 1} has no header")
            usable = False
        elif is_report and name in RESULT_COLUMNS and name not in ignored:
            # Only the first is ours: an own column of the manifest may bear the same name.
            ignored.append(name)
        elif name in seen:
            where = f"in columns {seen[name] + 1} and {place + 1}"
            findings.problem(line, f"the header {shown(title)} stands twice, {where}")
            usable = False
        else:
            seen[name] = place
            if name in COLUMNS or (is_report and name == REPETITION):
                known[name] = place
            else:
                own.append((title, place))
    usable = _complete(line, known, own, findings) and usable
    if is_report and "repeat" in known and REPETITION in known:
        findings.problem(line, 'a report says "repetition"; remove the column "repeat" beside it')
        usable = False
    if ignored:
        findings.note(f"a report of ours; result columns ignored: {', '.join(ignored)}")
    if not usable:
        return None
    return Header(tuple(titles), tuple(known.items()), tuple(own), is_report)


def _complete(
    line: int, known: dict[str, int], own: list[tuple[str, int]], findings: Findings
) -> bool:
    if not any(column in known for column in COLUMNS):
        words = f"at least {', '.join(REQUIRED[:-1])} and {REQUIRED[-1]}"
        findings.problem(line, f"this is no header row; the first row names the columns, {words}")
        return False
    usable = True
    free = {normal(title): title for title, _ in own}
    for column in COLUMNS:
        near = "" if column in known else _near(column, tuple(free))
        if not near and column in REQUIRED and column not in known:
            near = next((name for name in free if column.endswith("_" + name)), "")
        if column in REQUIRED and column not in known:
            hint = f" (is it the one called {shown(free[near])}?)" if near else ""
            findings.problem(line, f'column "{column}" is missing{hint}')
            usable = False
        elif near:
            findings.note(
                f"column {shown(free[near])} is carried along as one of your own; "
                f'did you mean "{column}"?'
            )
    return usable


def _near(column: str, names: tuple[str, ...]) -> str:
    close = get_close_matches(column, names, n=1, cutoff=_CLOSE_HEADER)
    begins = (name for name in names if len(name) >= _PREFIX_LENGTH_MIN and column.startswith(name))
    return close[0] if close else next(begins, "")
