"""Frames to CSV bytes that Excel opens directly and in which no cell is a formula.

UTF-8 with a byte order mark, commas and CRLF, as RFC 4180 specifies and Excel expects. A line feed
inside a cell is kept, in quotes.
"""

from __future__ import annotations

import csv

import pandas as pd

from bulk.manifest.formulas import escape_formula


def csv_bytes(frame: pd.DataFrame) -> bytes:
    """The frame as a CSV file: milliseconds with one decimal, missing values as empty cells."""
    shown = pd.DataFrame(index=frame.index)
    for name in frame.columns:
        column = frame[name]
        if column.dtype == "string":
            # Each distinct value is escaped once: names, codes and messages repeat within a batch.
            escaped = {value: escape_formula(value) for value in column.dropna().unique()}
            column = column.map(escaped, na_action="ignore")
        shown[escape_formula(str(name))] = column
    text = shown.to_csv(
        index=False,
        lineterminator="\r\n",
        float_format="%.1f",
        quoting=csv.QUOTE_MINIMAL,
        na_rep="",
    )
    return b"\xef\xbb\xbf" + text.encode("utf-8", "replace")
