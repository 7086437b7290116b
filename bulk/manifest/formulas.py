"""Keeps a report's cell from running as a formula, and undoes that; must know no file."""

from __future__ import annotations

import re

# A spreadsheet runs a cell that starts with one of these signs as a formula; with East Asian
# settings also one that starts with a full-width sign (OWASP, "CSV Injection"). A text that starts
# with quotes before such a sign gets one more quote, so that unescaping restores every text.
_SIGNS = r"[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]"
_RISKY = re.compile(f"'*{_SIGNS}")
_ESCAPED = re.compile(f"'+{_SIGNS}")


def escape_formula(text: str) -> str:
    """The text as a report may contain it: with a `'` in front if it could run as a formula."""
    return "'" + text if _RISKY.match(text) else text


def unescape_formula(text: str) -> str:
    """The text that `escape_formula` was given."""
    return text[1:] if _ESCAPED.match(text) else text
