"""What a batch's folder holds while no process works on it; read-only."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.cli.terminal import rows

NEVER_ASKED = "the process ended before the answer was recorded"


def begun(batch: Path) -> bool:
    """Whether it has a journal."""
    return (batch / "data" / "journal.sqlite").exists()


def sessions(batch: Path) -> int:
    """How many processes have begun to work on it, as its journal has it."""
    if not begun(batch):
        return 0
    with TemporaryDirectory() as copy:  # for looking folds the log in
        shutil.copytree(batch / "data", copy, dirs_exist_ok=True)
        with closing(sqlite3.connect(Path(copy) / "journal.sqlite")) as sql:
            return int(sql.execute("SELECT count(*) FROM session").fetchone()[0])


def reported_at(batch: Path) -> float:
    """When the table was written, the first of the reports; 0 if never."""
    table = batch / "report.csv"
    return table.stat().st_mtime if table.exists() else 0.0


def told_unfinished(batch: Path) -> bool:
    """Whether its report says that something is left to send or to ask for."""
    return any(
        row["outcome"] == "unsent"
        or (row["outcome"] == "unknown" and row["message"] == NEVER_ASKED)
        for row in rows(batch)
    )
