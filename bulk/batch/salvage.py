"""Saves what is left of a batch whose journal is damaged, and says what to do next.

Two sources are merged: what SQLite can still read of the journal, and the list of queued runs
beside it, `data/runs.txt`. Where they contradict each other the list counts, whose lines carry a
checksum.
"""

from __future__ import annotations

import csv
import io
import math
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bulk.batch.folder import BatchFolder, write_files
from bulk.errors import DamagedError, StorageError
from bulk.journal import (
    DamagedBatch,
    DamagedTrigger,
    ListedRuns,
    RunLine,
    read_damaged,
    read_runs,
    runs_path,
)
from bulk.manifest.formulas import escape_formula
from bulk.model import Outcome, Trigger

COLUMNS = (
    *("place", "key", "test_id", "name", "platform", "mode", "device_model", "app_id"),
    *("environment_id", "repetition", "outcome", "run_id", "candidates"),
)
SHOWN_MAX = 1_000  # run ids that are printed where they cannot be written


@dataclass(frozen=True, slots=True)
class SalvagedTrigger:
    """What is known of a trigger; None where it is not.

    `place` is its place in the batch, from 1. `line` is its line in `runs.txt`. `candidates` are
    further run ids that the damaged journal has for it; all of them, and no `run_id`, where nothing
    says which is right.
    """

    place: int | None
    key: str | None
    trigger: Trigger | None
    line: RunLine | None
    outcome: Outcome
    run_id: str | None
    candidates: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SalvagedBatch:
    """Both sources, and the triggers that they make: by place, those without a place at the end."""

    journal: DamagedBatch
    listed: ListedRuns
    triggers: tuple[SalvagedTrigger, ...]
    unreadable_list: str = ""  # why `runs.txt` could not be read

    @property
    def count_min(self) -> int:
        """How many triggers the batch had at least."""
        places = [one.place for one in self.triggers if one.place is not None]
        return max(len(self.triggers), *places, 0)

    @property
    def run_ids(self) -> int:
        """How many triggers have a run id."""
        return sum(one.run_id is not None for one in self.triggers)


def salvage(journal: Path) -> SalvagedBatch:
    """Read both sources. Raises nothing for damage; writes nothing."""
    damaged = read_damaged(journal)
    listed, unreadable = ListedRuns({}), ""
    path = runs_path(journal)
    try:
        listed = read_runs(path, damaged.batch)
    except OSError as error:
        unreadable = f"{path}: not readable: {error.strerror or error}"
    triggers = sorted(_merged(damaged, listed.runs.values()), key=_in_order)
    return SalvagedBatch(damaged, listed, tuple(triggers), unreadable)


def _in_order(one: SalvagedTrigger) -> float:
    return math.inf if one.place is None else one.place


def _merged(damaged: DamagedBatch, lines: Iterable[RunLine]) -> Iterator[SalvagedTrigger]:
    by_key: defaultdict[str, list[RunLine]] = defaultdict(list)
    listed: dict[str, RunLine] = {}
    for line in lines:
        by_key[line.key].append(line)
        listed[line.run_id] = line
    keys = {one.key for one in damaged.triggers}
    for one in damaged.triggers:
        key = one.key
        if key is None:  # a run of the list may say whose place this is
            lost = {listed[run].key for run in one.run_ids if run in listed} - keys
            key = lost.pop() if len(lost) == 1 else None
            keys |= {key} if key else set()
        own = by_key.pop(key, []) if key is not None else []
        # A run that the list has for another trigger is not this one's; and one that the journal
        # has but once, where the list has another, is that one, altered.
        others = [run for run in one.run_ids if run not in listed]
        if own and not one.confirmed:
            others = []
        run_ids = [*others, *(line.run_id for line in own)]
        certain = bool(own) or one.confirmed or len(run_ids) == 1
        if one.key is None and not run_ids:
            continue
        yield SalvagedTrigger(
            place=one.seq,
            key=key,
            trigger=one.trigger,
            line=own[-1] if own else None,
            outcome=_outcome(one, certain and bool(run_ids)),
            run_id=run_ids[-1] if certain and run_ids else None,
            candidates=tuple(run_ids[:-1] if certain else run_ids),
        )
    taken = {one.seq for one in damaged.triggers}
    for key, own in by_key.items():
        place = damaged.places.get(key)
        *others, last = (line.run_id for line in own)
        yield SalvagedTrigger(
            place=None if place in taken else place,
            key=key,
            trigger=None,
            line=own[-1],
            outcome=Outcome.QUEUED,
            run_id=last,
            candidates=tuple(others),
        )


def _outcome(one: DamagedTrigger, queued: bool) -> Outcome:
    if queued:
        return Outcome.QUEUED
    return Outcome.UNKNOWN if one.outcome is Outcome.QUEUED else one.outcome


def salvaged(damage: DamagedError) -> StorageError:
    """The error to show for it, after what can be read was written to `salvaged.csv`."""
    batch = salvage(damage.journal)
    lines = [str(damage)]
    lines += [
        f"SQLite's check says: {fault}" for fault in batch.journal.faults if fault not in lines[0]
    ]
    executed = "each of its triggers may have been executed"
    if batch.triggers:
        if not batch.journal.triggers:
            path = runs_path(damage.journal)
            lines.append(f"Nothing could be read from the journal itself, only runs from {path}.")
        lines += _save(BatchFolder(damage.journal.parent.parent), batch)
        executed = (
            "only a trigger with a run id in salvaged.csv is known to be queued, and each "
            "other one may have been executed as well"
        )
    else:
        lines.append("Nothing of a batch could be read from it. Is it another program's file?")
    if batch.journal.foreign_log:
        lines.append("Its -wal file is another batch's, so the newest outcomes are not in it.")
    if batch.unreadable_list:
        lines.append(batch.unreadable_list)
    if batch.listed.broken:
        path = runs_path(damage.journal)
        lines.append(f"{path}: {batch.listed.broken:,} damaged lines were left out.")
    manifest = batch.journal.manifest
    lines.append(
        "To continue, put an intact copy of the folder `data` back and resume. Without one, look "
        f"at the server before you trigger any of this batch again: {executed}"
        + (f" (all of them: {manifest})." if manifest else ".")
    )
    lines.append("To begin another batch of the same manifest all the same, use --new.")
    return StorageError("\n".join(lines))


@contextmanager
def saving() -> Iterator[None]:
    """Where a journal turns out to be damaged, save what is left and raise the error to show."""
    try:
        yield
    except DamagedError as damage:
        raise salvaged(damage) from damage


def _save(folder: BatchFolder, batch: SalvagedBatch) -> list[str]:
    """Write the table; what was written, or what to copy by hand where that fails."""
    content = _table(batch.triggers)
    name, number = "salvaged.csv", 1
    while (path := folder.path / name).is_file() and not _holds(path, content):
        number += 1  # an earlier one may hold more
        name = f"salvaged-{number}.csv"
    summary = (
        f"{len(batch.triggers)} of at least {batch.count_min} triggers could be read, "
        f"{batch.run_ids} of them with a run id"
    )
    problems = write_files(folder, [(name, content)])
    if not problems:
        return [f"{summary}: saved in {path}"]
    with_run = [one for one in batch.triggers if one.run_id]
    shown = [f"  trigger {one.key or one.place}  run {one.run_id}" for one in with_run[:SHOWN_MAX]]
    return [*problems, f"{summary}; keep this text:", *shown]


def _holds(path: Path, content: bytes) -> bool:
    try:
        return path.read_bytes() == content
    except OSError:
        return False


def _table(triggers: Iterable[SalvagedTrigger]) -> bytes:
    """As `report.csv` is written: a byte order mark, CRLF, nothing that runs as a formula."""
    text = io.StringIO(newline="")
    rows = csv.writer(text)
    rows.writerow(COLUMNS)
    rows.writerows(map(_row, triggers))
    return b"\xef\xbb\xbf" + text.getvalue().encode("utf-8", "replace")


def _row(one: SalvagedTrigger) -> list[str]:
    """The columns, by name: what is not known stays empty."""
    known: dict[str, object] = {
        "place": one.place,
        "key": one.key,
        "outcome": one.outcome,
        "run_id": one.run_id,
        "candidates": " ".join(one.candidates),
    }
    for source in (one.line, one.trigger):  # the trigger has more
        for name in COLUMNS:
            if hasattr(source, name):
                known[name] = getattr(source, name)
    cells = (known.get(name) for name in COLUMNS)
    return ["" if value is None else escape_formula(str(value)) for value in cells]
