"""The rows both forms of a manifest are read into, and their triggers; must know no file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from bulk.manifest.matrix import Change
from bulk.model import DeviceModel, Mode, Platform, Trigger


@dataclass(frozen=True, slots=True)
class Combination:
    """What a test runs with. None means not set: the request leaves the field out."""

    platform: Platform | None = None
    mode: Mode | None = None
    device_model: DeviceModel | None = None
    app_id: str | None = None
    environment_id: str | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """One test of a manifest. Each combination runs once for each of `repetitions`.

    `line` is the line the row starts on, from 1. `own` are the non-empty values of the user's own
    columns, as pairs of name and value.
    """

    line: int
    test_id: str
    name: str
    tags: tuple[str, ...]
    own: tuple[tuple[str, str], ...]
    combinations: tuple[Combination, ...]
    repetitions: range


@dataclass(frozen=True, slots=True)
class RowStream:
    """The rows of an open manifest, in order and only once, and what precedes them.

    `has_tags` is false if the manifest has no place for tags.
    """

    rows: Iterator[Row]
    own_columns: tuple[str, ...] = ()
    changes: tuple[Change, ...] = ()
    has_tags: bool = True

    def triggers(self, app_ids: tuple[tuple[Platform, str], ...]) -> Iterator[Trigger]:
        """The triggers of all rows, in order."""
        for row in self.rows:
            yield from triggers_of(row, app_ids)


def triggers_of(row: Row, app_ids: tuple[tuple[Platform, str], ...]) -> Iterator[Trigger]:
    """The triggers of a row, in order. `app_ids` take precedence over the row's own."""
    for combination in with_app_ids(row.combinations, app_ids) if app_ids else row.combinations:
        for repetition in row.repetitions:
            yield Trigger(
                test_id=row.test_id,
                platform=combination.platform,
                mode=combination.mode,
                device_model=combination.device_model,
                app_id=combination.app_id,
                environment_id=combination.environment_id,
                repetition=repetition,
                name=row.name,
                tags=row.tags,
                line=row.line,
                own=row.own,
            )


def with_app_ids(
    combinations: tuple[Combination, ...], app_ids: tuple[tuple[Platform, str], ...]
) -> tuple[Combination, ...]:
    """The combinations with each platform's app id replaced.

    Combinations that differed only in their app become one.
    """
    by_platform: dict[Platform | None, str] = dict(app_ids)
    changed = (
        Combination(
            combination.platform,
            combination.mode,
            combination.device_model,
            by_platform.get(combination.platform, combination.app_id),
            combination.environment_id,
        )
        for combination in combinations
    )
    return tuple(dict.fromkeys(changed))
