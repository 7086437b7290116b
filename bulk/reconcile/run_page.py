"""Parses a page of `GET /v1/runs`; it never raises, whatever a server sends.

Several fields may be null. A field that cannot be read is None, which means "unknown".
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime

from bulk.model import UUID_PATTERN

FIELD_CHARACTERS_MAX = 200  # ids and names of platforms are shorter
CURSOR_CHARACTERS_MAX = 2_000  # common servers limit a request's first line to a few thousand


@dataclass(frozen=True, slots=True)
class ListedRun:
    """A run as the server lists it; None for what it does not say.

    `created_at` is Unix time by the server's clock. Ids are in lower case.
    """

    run_id: str
    test_id: str | None = None
    platform: str | None = None
    mode: str | None = None
    device_model: str | None = None
    app_id: str | None = None
    environment_id: str | None = None
    source: str | None = None
    created_at: float | None = None


@dataclass(frozen=True, slots=True)
class RunPage:
    """One page of the list, newest first. `whole`: every row of it could be read."""

    runs: tuple[ListedRun, ...]
    next_cursor: str | None
    whole: bool = True


def read_page(body: bytes) -> RunPage | None:
    """The page in an answer's body; None if it is not a page of runs."""
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        return None
    if not isinstance(content, dict) or not isinstance(content.get("runs"), list):
        return None
    runs = [_run(row) for row in content["runs"]]
    cursor = content.get("nextCursor")
    following = cursor if isinstance(cursor, str) and _can_be_sent(cursor) else None
    return RunPage(
        runs=tuple(run for run in runs if run is not None),
        next_cursor=following,
        whole=None not in runs and cursor in (None, "", following),
    )


def _can_be_sent(cursor: str) -> bool:
    return 0 < len(cursor) <= CURSOR_CHARACTERS_MAX and cursor.isprintable()


def _run(row: object) -> ListedRun | None:
    if not isinstance(row, dict):
        return None
    run_id = _text(row.get("id"))
    if run_id is None or not UUID_PATTERN.fullmatch(run_id):
        return None
    raw_input = row.get("input")
    run_input = raw_input if isinstance(raw_input, dict) else {}
    return ListedRun(
        run_id=run_id,
        test_id=_text(row.get("testId")),
        platform=_text(row.get("platform")),
        mode=_text(row.get("executionMode")),
        device_model=_text(row.get("deviceModel")),
        app_id=_text(run_input.get("appId")),
        environment_id=_text(run_input.get("projectEnvironmentId")),
        source=_text(row.get("source")),
        created_at=_instant(row.get("createdAt")),
    )


def _text(value: object) -> str | None:
    if not isinstance(value, str):
        return None
    return value.strip().lower()[:FIELD_CHARACTERS_MAX] or None


def _instant(value: object) -> float | None:
    """An RFC 3339 instant; one without a zone is taken as UTC."""
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value.strip())
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        return moment.timestamp()
    except (ValueError, OverflowError):
        return None
