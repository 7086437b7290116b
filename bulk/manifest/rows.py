"""What both forms of a manifest are read into, and how it becomes triggers; knows no file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from bulk.manifest.matrix import Change
from bulk.model import DeviceModel, Mode, Platform, Trigger


@dataclass(frozen=True, slots=True)
class Cell:
    """What a test is run with. None is not set: nothing is sent for it."""

    platform: Platform | None = None
    mode: Mode | None = None
    device_model: DeviceModel | None = None
    app_id: str | None = None
    environment_id: str | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """One test of a manifest with its cells. Each cell is run once for each of `repetitions`."""

    line: int
    test_id: str
    name: str
    tags: tuple[str, ...]
    own: tuple[tuple[str, str], ...]
    cells: tuple[Cell, ...]
    repetitions: range


@dataclass(frozen=True, slots=True)
class Source:
    """An opened manifest: its rows, once, in order, and what is known before the first of them."""

    rows: Iterator[Row]
    own_columns: tuple[str, ...] = ()
    changes: tuple[Change, ...] = ()

    def triggers(self, app_ids: tuple[tuple[Platform, str], ...]) -> Iterator[Trigger]:
        """All triggers of all rows, in order."""
        for row in self.rows:
            yield from triggers_of(row, app_ids)


def triggers_of(row: Row, app_ids: tuple[tuple[Platform, str], ...]) -> Iterator[Trigger]:
    """A row's triggers in order. `app_ids` win over the row's own."""
    for cell in with_app_ids(row.cells, app_ids) if app_ids else row.cells:
        for repetition in row.repetitions:
            yield Trigger(
                test_id=row.test_id,
                platform=cell.platform,
                mode=cell.mode,
                device_model=cell.device_model,
                app_id=cell.app_id,
                environment_id=cell.environment_id,
                repetition=repetition,
                name=row.name,
                tags=row.tags,
                line=row.line,
                own=row.own,
            )


def with_app_ids(
    cells: tuple[Cell, ...], app_ids: tuple[tuple[Platform, str], ...]
) -> tuple[Cell, ...]:
    """The cells with these app ids by platform. Cells that differed only in the app become one."""
    by_platform: dict[Platform | None, str] = dict(app_ids)
    changed = (
        Cell(
            cell.platform,
            cell.mode,
            cell.device_model,
            by_platform.get(cell.platform, cell.app_id),
            cell.environment_id,
        )
        for cell in cells
    )
    return tuple(dict.fromkeys(changed))
