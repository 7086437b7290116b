"""Records to pandas frames, one row a record; every text stays text and every count a count."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import pandas as pd

from bulk.model import AttemptRecord, TriggerResult
from bulk.report.columns import ATTEMPT_COLUMNS, REPORT_COLUMNS, apart_from, names

# Of our own columns; all others are text. Never inferred: pandas would make 7.0 of "007" and NaN of
# "NA".
DTYPES = {
    "line": "Int64",
    "repetition": "Int64",
    "http_status": "Int64",
    "attempts": "Int64",
    "throttles": "Int64",
    "number": "Int64",
    "in_flight": "Int64",
    "wait_ms": "Float64",
    "latency_ms": "Float64",
    "total_ms": "Float64",
    **dict.fromkeys(("first_sent", "finished", "sent", "received"), "Float64"),
}


# Servers send under ten names. One that makes up names would make the table square.
HEADER_COLUMNS_MAX = 50


def results_frame(results: Iterable[TriggerResult], own_columns: Sequence[str]) -> pd.DataFrame:
    """A row a trigger: `REPORT_COLUMNS`, then the manifest's own columns, all but counts as text.

    Own columns that bear one of our names get another. Times are ISO 8601 in UTC.
    """
    rows = []
    for result in results:
        trigger = result.trigger
        own = dict(trigger.own)
        rows.append(
            (
                *(trigger.line, trigger.key, trigger.test_id, trigger.name, trigger.platform),
                *(trigger.mode, trigger.device_model, trigger.app_id, trigger.environment_id),
                *("|".join(trigger.tags), trigger.repetition, result.outcome, result.run_id),
                *(result.http_status, result.failure_code, result.error, result.message),
                *(result.attempts, result.throttles, result.wait_ms, result.latency_ms),
                *(result.total_ms, result.first_sent_at, result.finished_at),
                *(result.origin, " ".join(result.candidates) or None),
                result.cancelled,
                *(own.get(column) for column in own_columns),
            )
        )
    ours = names(REPORT_COLUMNS)
    frame = _frame(rows, ours, apart_from(ours, own_columns, "manifest"))
    return _with_times(frame, ["first_sent", "finished"])


def attempts_frame(attempts: Iterable[AttemptRecord]) -> pd.DataFrame:
    """A row an attempt: `ATTEMPT_COLUMNS`, then a column for each rate header that was seen.

    Of more than `HEADER_COLUMNS_MAX` names, the ones seen most often.
    """
    rows = []
    headers: list[dict[str, str]] = []
    for attempt in attempts:
        said = dict(attempt.headers)
        rows.append(
            (
                *(attempt.key, attempt.test_id, attempt.number, attempt.end, attempt.sent_at),
                *(attempt.received_at, attempt.wait_ms, attempt.latency_ms, attempt.in_flight),
                *(attempt.http_status, attempt.failure_code, attempt.run_id, attempt.error),
                *(attempt.message, said.pop("date", None)),
            )
        )
        headers.append(said)
    counts = Counter(name for said in headers for name in said)
    seen = sorted(name for name, _ in counts.most_common(HEADER_COLUMNS_MAX))
    ours = names(ATTEMPT_COLUMNS)
    frame = _with_times(_frame(rows, ours), ["sent", "received"])
    for name, column in zip(seen, apart_from(ours, seen, "header"), strict=True):
        frame[column] = pd.Series([said.get(name) for said in headers], dtype="string")
    return frame


def _frame(
    rows: Sequence[tuple[object, ...]], ours: Sequence[str], own: Sequence[str] = ()
) -> pd.DataFrame:
    # An own column may bear the name of a column of the other table: it is text all the same.
    dtypes = [DTYPES.get(name, "string") for name in ours] + ["string"] * len(own)
    columns = [*ours, *own]
    by_column = zip(*rows, strict=True) if rows else ([] for _ in columns)
    return pd.DataFrame(
        {
            name: pd.Series(list(values), dtype=dtype)
            for name, values, dtype in zip(columns, by_column, dtypes, strict=True)
        }
    )


def _with_times(frame: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    for column in columns:
        moments = pd.to_datetime(frame[column].astype("float64"), unit="s", utc=True)
        text = moments.dt.strftime("%Y-%m-%dT%H:%M:%S.%f").str[:-3] + "Z"
        frame[column] = text.astype("string")
    return frame
