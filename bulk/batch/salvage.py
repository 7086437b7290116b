"""Saves what a damaged journal still tells, beside its reports, and says what to do next."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bulk.batch.folder import BatchFolder, write_files
from bulk.errors import DamagedError, StorageError
from bulk.journal import Remains, Remnant, remains_of
from bulk.manifest.formulas import escape_formula

COLUMNS = (
    *("place", "key", "test_id", "name", "platform", "mode", "device_model", "app_id"),
    *("environment_id", "repetition", "outcome", "run_id", "candidates"),
)
SHOWN_MAX = 1_000  # run ids that are printed where they cannot be written


def salvaged(damage: DamagedError) -> StorageError:
    """The error to show for it, after what can be read was written to `salvaged.csv`."""
    remains = remains_of(damage.journal)
    lines = [str(damage)]
    executed = "each of its triggers may have been executed"
    if remains.remnants:
        lines += _save(BatchFolder(damage.journal.parent.parent), remains)
        executed = (
            "only a trigger with a run id in salvaged.csv is known to be done, and each other one "
            "may have been executed as well"
        )
    else:
        lines.append("Nothing of a batch could be read from it; is it another program's file?")
    if remains.foreign_log:
        lines.append("Its -wal file is another batch's, so the newest outcomes are not in it.")
    lines.append(
        "To go on, put an intact copy of the folder `data` back and resume. Without one, trigger "
        f"nothing of this batch again without a look at the server: {executed}"
        + (f" (all of them: {remains.manifest})." if remains.manifest else ".")
    )
    lines.append("Another batch of the same manifest begins beside it only with --new.")
    return StorageError("\n".join(lines))


@contextmanager
def saving() -> Iterator[None]:
    """Where a journal turns out to be damaged, save what is left and raise the error to show."""
    try:
        yield
    except DamagedError as damage:
        raise salvaged(damage) from damage


def _save(folder: BatchFolder, remains: Remains) -> list[str]:
    """Write the table; what was written, or what to copy by hand where that fails."""
    content = _table(remains)
    name, turn = "salvaged.csv", 1
    while (path := folder.path / name).is_file() and not _holds(path, content):
        turn += 1  # an earlier one may hold more
        name = f"salvaged-{turn}.csv"
    told = (
        f"{len(remains.remnants)} of at least {remains.least} triggers could be read, "
        f"{remains.run_ids} of them with a run id"
    )
    problems = write_files(folder, [(name, content)])
    if not problems:
        return [f"{told}: saved in {path}"]
    with_run = [remnant for remnant in remains.remnants if remnant.run_id]
    shown = [f"  trigger {one.key or one.seq}  run {one.run_id}" for one in with_run[:SHOWN_MAX]]
    return [*problems, f"{told}; keep this text:", *shown]


def _holds(path: Path, content: bytes) -> bool:
    try:
        return path.read_bytes() == content
    except OSError:
        return False


def _table(remains: Remains) -> bytes:
    """As `report.csv` is written: a byte order mark, CRLF, nothing that runs as a formula."""
    text = io.StringIO(newline="")
    rows = csv.writer(text)
    rows.writerow(COLUMNS)
    rows.writerows(map(_row, remains.remnants))
    return b"\xef\xbb\xbf" + text.getvalue().encode("utf-8", "replace")


def _row(remnant: Remnant) -> list[str]:
    cell: list[object] = [None] * 8
    if (trigger := remnant.trigger) is not None:
        cell = [trigger.test_id, trigger.name, trigger.platform, trigger.mode]
        cell += [trigger.device_model, trigger.app_id, trigger.environment_id, trigger.repetition]
    row = [remnant.seq, remnant.key, *cell, remnant.outcome, remnant.run_id]
    row.append(" ".join(remnant.candidates))
    return ["" if value is None else escape_formula(str(value)) for value in row]
