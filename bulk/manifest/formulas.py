"""How a report's cell is kept from running as a formula, and how that is undone; knows no file."""

from __future__ import annotations

import re

# A spreadsheet takes a cell that begins so for a formula, in East Asian settings also one with a
# full-width sign (OWASP, "CSV Injection"). Cells that already begin with quotes before such a sign
# get one more, so that undoing gives back each text as it was.
_SIGNS = r"[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]"
_RISKY = re.compile(f"'*{_SIGNS}")
_ESCAPED = re.compile(f"'+{_SIGNS}")


def escape_formula(text: str) -> str:
    """The text as it may stand in a report: one `'` before what could run as a formula."""
    return "'" + text if _RISKY.match(text) else text


def unescape_formula(text: str) -> str:
    """The text a report's cell was made from: undoes `escape_formula`."""
    return text[1:] if _ESCAPED.match(text) else text
