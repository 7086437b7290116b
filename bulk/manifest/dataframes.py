"""What programs make of a table that went through them, and its undoing; must know no column.

pandas, R, PowerShell and others write a missing value as a word, a list as the text that prints it,
and the numbers of the rows as a column. Read as it stands, a manifest would be refused, or `nan`
would be a tag. What they lost for good is an error that says what they did.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence

# In this case only, as the programs write them: pandas and numpy, R, SQL and JSON. Excel's errors
# (`#N/A`) are not here: a failed formula does not mean that a cell was left empty.
MISSING = frozenset(("nan", "NaN", "<NA>", "NaT", "None", "NA", "N/A", "NULL", "null"))
# Those of them that no person writes as a name.
_MISSING_NAMES = frozenset(("nan", "NaN", "<NA>", "NaT", "None"))
_QUOTED = r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\""
_ITEM = re.compile(rf"(?:UUID\()?({_QUOTED})\)?|([^\s,'\"\[\](){{}}]+)")
_SEPARATOR = re.compile(r"\s*,\s*|\s+")
_CONSTRUCTOR = re.compile(r"(?:frozenset|set|array)\((.*?)(?:,\s*dtype=\S+)?\)", re.DOTALL)
_CONTAINER = re.compile(r"[\[({](.*)[\])}]", re.DOTALL)
_EMPTY = frozenset(("", "[]", "()", "{}"))
# What .NET prints for a list or table whose items it does not print.
_DOTNET = re.compile(r"System\.[\w.`]+(\[[^\]]*\])?")
_UNNAMED = re.compile(r"Unnamed: \d+(_level_\d+)?(\.\d+)?")
_ROW_NUMBER = re.compile(r"\d+(\.0)?")


def is_missing(text: str) -> bool:
    """Whether a program wrote this cell, of a column that holds no such word, for a missing one."""
    return text.strip() in MISSING


def is_missing_name(text: str) -> bool:
    """Whether a program may have written this text for a missing one: it can be a name too."""
    return text in _MISSING_NAMES


def printed_list(text: str) -> tuple[str, ...] | None:
    """The items of a list as Python, numpy or JSON print it: `['web', 'ios']`, `['web' 'ios']`.

    None if the text is no such list. One word in brackets without quotes is none: it is a text that
    has brackets. Raises ValueError for a list that was printed without its items.
    """
    text = text.strip()
    if _DOTNET.fullmatch(text):
        raise ValueError(
            f'"{text[:60]}" is what PowerShell writes for a list; join its items before you '
            "export them, as in ($list -join '|')"
        )
    constructed = _CONSTRUCTOR.fullmatch(text)
    if constructed:
        text = constructed[1].strip()
    if text in _EMPTY:
        return () if text or constructed else None
    container = _CONTAINER.fullmatch(text)
    if container is None:
        return None
    items: list[str] = []
    has_quotes = False
    rest = container[1].strip().removesuffix(",").rstrip()
    position = 0
    while position < len(rest):
        item = _ITEM.match(rest, position)
        if item is None:
            return None
        has_quotes = has_quotes or item[1] is not None
        word = str(ast.literal_eval(item[1])) if item[1] is not None else item[2]
        if item[1] is not None or not is_missing(word):
            items.append(word)
        position = item.end()
        separator = _SEPARATOR.match(rest, position)
        if separator is None and position < len(rest):
            return None
        position = separator.end() if separator else position
    return None if len(items) == 1 and not has_quotes else tuple(items)


def row_number_columns(titles: Sequence[str], first_row: Sequence[str]) -> int:
    """How many columns at the left hold the numbers of the rows: pandas' index.

    It has no title, or one that pandas made up when it read the file again (`Unnamed: 0`).
    """
    count = 0
    for title, cell in zip(titles, first_row, strict=False):
        if (title and not _UNNAMED.fullmatch(title)) or not is_row_number(cell):
            break
        count += 1
    return count


def is_row_number(cell: str) -> bool:
    """Whether a cell can be the number of its row."""
    return bool(_ROW_NUMBER.fullmatch(cell.strip()))
