"""Records to pandas frames, one row per record: text stays text, and counts stay whole numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import pandas as pd

from bulk.model import AttemptRecord, TriggerResult
from bulk.report.columns import (
    ATTEMPT_COLUMNS,
    DATE_HEADER,
    REPORT_COLUMNS,
    Column,
    Dtype,
    Record,
    distinct_names,
    names,
)
from bulk.report.summary import iso

# Real servers send about ten. One that invents names would make as many columns as rows.
HEADER_COLUMNS_MAX = 50


def results_frame(results: Sequence[TriggerResult], own_columns: Sequence[str]) -> pd.DataFrame:
    """One row per trigger: `REPORT_COLUMNS`, then the manifest's own columns as text.

    An own column that has the name of one of ours is renamed. Times are ISO 8601 in UTC.
    """
    series = _series_by_name(REPORT_COLUMNS, results)
    own_cells = [dict(result.trigger.own) for result in results]
    titles = distinct_names(names(REPORT_COLUMNS), own_columns, "manifest")
    for own_column, title in zip(own_columns, titles, strict=True):
        series[title] = _series([cells.get(own_column) for cells in own_cells], "string")
    return pd.DataFrame(series)


def attempts_frame(attempts: Sequence[AttemptRecord]) -> pd.DataFrame:
    """One row per attempt: `ATTEMPT_COLUMNS`, then a column for each rate-limit header seen.

    If there are more than `HEADER_COLUMNS_MAX` headers, the most frequent ones are kept.
    """
    series = _series_by_name(ATTEMPT_COLUMNS, attempts)
    headers = [_joined(attempt.headers) for attempt in attempts]
    counts = Counter(name for of_attempt in headers for name in of_attempt if name != DATE_HEADER)
    seen = sorted(name for name, _ in counts.most_common(HEADER_COLUMNS_MAX))
    titles = distinct_names(names(ATTEMPT_COLUMNS), seen, "header")
    for name, title in zip(seen, titles, strict=True):
        series[title] = _series([of_attempt.get(name) for of_attempt in headers], "string")
    return pd.DataFrame(series)


def _joined(headers: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Each header by its name; the values of one that was sent several times as a list."""
    joined: dict[str, str] = {}
    for name, value in headers:
        joined[name] = f"{joined[name]}, {value}" if name in joined else value
    return joined


def _series_by_name(
    columns: Iterable[Column[Record]], records: Sequence[Record]
) -> dict[str, pd.Series]:
    return {
        column.name: _series([column.value(record) for record in records], column.dtype)
        for column in columns
    }


def _series(values: list[object], dtype: Dtype) -> pd.Series:
    if dtype != "time":
        return pd.Series(values, dtype=dtype)
    # Not by pandas: where a time is missing, its version 2 computes with memory as it finds it.
    return pd.Series(
        [iso(at) if isinstance(at, int | float) else None for at in values], dtype="string"
    )
