"""A process may die between any two statements: its journal is never taken for damaged."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from itertools import count
from pathlib import Path
from uuid import UUID

import pytest

from bulk.errors import DamagedError, DiskError
from bulk.journal import AttemptEnded, Intent, Journal, peek_batch
from bulk.journal.wal import WRITE_VERSION_AT, wal_path
from bulk.model import Outcome
from tests.virtual import a_batch, some_triggers

COUNT = 3
PAGE_BYTES = 4_096


class Deaths:
    """What a process would leave on the disk if it died before each statement that it executes."""

    def __init__(self, path: Path, kept: Path) -> None:
        self.path = path
        self.runs = 0  # surely durable
        self.left: list[tuple[Path, int]] = []
        self._kept = kept
        self._places = count()

    def work(self, seq: int) -> None:
        """One process: opens the batch, queues one run, and ends."""
        make = partial(Journal.create, self.path, a_batch(), some_triggers(COUNT))
        with Journal.open(self.path) if self.path.exists() else make() as journal:
            journal.begin_session(1.0)
            journal.write([Intent(seq, seq, 1, 1.5)])
            sent = (2.0, 3.0, 0.0, 9.0, 1, 202, None, str(UUID(int=seq)))
            journal.write([AttemptEnded(seq, seq, Outcome.QUEUED, Outcome.QUEUED, *sent)])
            self.runs += 1
            journal.end_session(1.0, None, "")

    def note(self) -> None:
        """Keep what is there now."""
        place = self._kept / str(next(self._places))
        shutil.copytree(self.path.parent, place)
        self.left.append((place / self.path.name, self.runs))


@pytest.fixture
def deaths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Deaths:
    (tmp_path / "data").mkdir()
    deaths = Deaths(tmp_path / "data" / "journal.sqlite", tmp_path / "kept")

    class Mortal(sqlite3.Connection):
        def execute(self, *arguments: object) -> sqlite3.Cursor:
            deaths.note()
            return super().execute(*arguments)  # type: ignore[arg-type]

        def executescript(self, sql_script: str) -> sqlite3.Cursor:
            for statement in sql_script.split(";"):
                self.execute(statement).fetchall()
            return self.cursor()

    monkeypatch.setattr(sqlite3, "connect", partial(sqlite3.connect, factory=Mortal))
    monkeypatch.setattr("bulk.journal.store.LOGGED_MAX", 1)
    return deaths


def queued(path: Path) -> int:
    with Journal.open(path) as journal:
        return sum(result.outcome is Outcome.QUEUED for result in journal.results())


def check(deaths: Deaths, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Each journal left is sound and holds what was durable; where they are."""
    monkeypatch.undo()
    there = [(path, runs) for path, runs in deaths.left if path.exists()]
    for path, runs in there:
        assert queued(path) in (runs, runs + 1), path
    return [path for path, _ in there]


def test_a_process_that_dies_at_any_statement_loses_nothing(
    deaths: Deaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    deaths.work(1)
    born = len(deaths.left)
    deaths.work(2)
    assert len(check(deaths, monkeypatch)) > len(deaths.left) - born > 10


def test_a_second_process_that_dies_as_well_loses_nothing(
    deaths: Deaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its first session has no end; opening it moves the log into the file before the next."""
    deaths.work(1)
    path, _ = next(left for left in reversed(deaths.left) if left[1] == 0)  # just before its run
    assert wal_path(path).exists()
    shutil.rmtree(deaths.path.parent)
    shutil.copytree(path.parent, deaths.path.parent)
    deaths.left, deaths.runs = [], 0
    Journal.open(deaths.path).close()
    deaths.work(2)
    assert len(check(deaths, monkeypatch)) > 20


def test_what_a_process_left_that_died_as_it_made_the_journal_is_cleared_away(path: Path) -> None:
    Journal.create(path, a_batch(), some_triggers(COUNT)).close()
    for name in (".journal.sqlite.4e7df6ee", ".journal.sqlite.4e7df6ee-journal"):
        path.with_name(name).write_bytes(b"half a journal")
    Journal.open(path).close()
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.long
def test_a_ctrl_c_at_any_statement_loses_nothing(
    path: Path, monkeypatch: pytest.MonkeyPatch, after: bool
) -> None:
    """SQLite then moves the log into the file by itself; `after` the statement or before it."""
    deaths = Deaths(path, path)

    class Interrupted(sqlite3.Connection):
        left = -1

        def execute(self, *arguments: object) -> sqlite3.Cursor:
            return self._run(super().execute, *arguments)

        def executescript(self, sql_script: str) -> sqlite3.Cursor:
            return self._run(super().executescript, sql_script)

        def _run(self, statement: Callable[..., sqlite3.Cursor], *given: object) -> sqlite3.Cursor:
            Interrupted.left -= 1
            if Interrupted.left == 0 and not after:
                raise KeyboardInterrupt
            done = statement(*given)
            if Interrupted.left == 0:
                del done  # as in a frame that Python unwinds, which this one would keep alive
                raise KeyboardInterrupt
            return done

    monkeypatch.setattr(sqlite3, "connect", partial(sqlite3.connect, factory=Interrupted))
    monkeypatch.setattr("bulk.journal.store.LOGGED_MAX", 1)
    for turn in count(1):
        Interrupted.left, deaths.runs = turn, 0
        with suppress(KeyboardInterrupt):
            deaths.work(1)
        if Interrupted.left > 0:
            break
        Interrupted.left = -1
        assert not path.exists() or queued(path) in (deaths.runs, deaths.runs + 1), turn
        path.unlink(missing_ok=True)
    assert turn > 20


@pytest.mark.parametrize("done", range(4))
def test_a_disk_that_is_full_as_the_log_is_begun_loses_nothing(
    path: Path, monkeypatch: pytest.MonkeyPatch, done: int
) -> None:
    """SQLite removes a log that it moved into the file, even if the file has the mark of one."""

    class Full(sqlite3.Connection):
        opened = False

        def executescript(self, sql_script: str) -> sqlite3.Cursor:
            if not Full.opened:
                Full.opened = True
                return super().executescript(sql_script)
            for statement in sql_script.split(";")[:done]:
                self.execute(statement).fetchall()
            raise sqlite3.OperationalError("database or disk is full")

        def execute(self, *arguments: object) -> sqlite3.Cursor:
            if arguments[0] == "PRAGMA journal_mode = DELETE":
                raise sqlite3.OperationalError("database or disk is full")
            return super().execute(*arguments)  # type: ignore[arg-type]

    Deaths(path, path).work(1)
    with monkeypatch.context() as patch:
        patch.setattr(sqlite3, "connect", partial(sqlite3.connect, factory=Full))
        patch.setattr("bulk.journal.store.LOGGED_MAX", 1)
        with pytest.raises(DiskError, match=r"the journal failed: database or disk is full"):
            Deaths(path, path).work(2)
    assert queued(path) == 1


@pytest.mark.parametrize("torn", [0, 1_000])
def test_a_process_that_dies_during_a_checkpoint_loses_nothing(
    path: Path, tmp_path: Path, torn: int
) -> None:
    """SQLite writes page after page; `torn`: so many bytes of a page had reached the disk."""
    with Journal.create(path, a_batch(), some_triggers(400)) as journal:
        journal.begin_session(1.0)
        journal.write([Intent(seq, seq, 1, 1.5) for seq in range(1, 301)])
        before, log = path.read_bytes(), wal_path(path).read_bytes()
    after = path.read_bytes()
    assert len(after) > len(before)
    (tmp_path / "killed").mkdir()
    killed = tmp_path / "killed" / path.name
    for written in range(0, len(after), PAGE_BYTES):
        here = written + torn
        killed.write_bytes(after[:here] + before[here:])
        assert torn or peek_batch(killed) == a_batch(), "also where another process has the log"
        wal_path(killed).write_bytes(log)
        assert peek_batch(killed) == a_batch(), written
        with Journal.open(killed) as journal:
            assert len(list(journal.attempts())) == 300, written


def _marked_as_logged(path: Path) -> None:
    """As SQLite leaves the file after it removed the log and before the file says so."""
    with path.open("r+b") as file:
        file.seek(WRITE_VERSION_AT)
        file.write(b"\x02\x02")


def _with_an_old_mark(path: Path) -> None:
    """As closing it on a full disk leaves it, or an earlier version did."""
    with sqlite3.connect(path) as sql:
        sql.execute("INSERT INTO meta VALUES ('log', '1.3')")


@pytest.mark.parametrize("change", [_marked_as_logged, _with_an_old_mark])
def test_a_journal_that_was_closed_is_whole(path: Path, change: Callable[[Path], None]) -> None:
    Journal.create(path, a_batch(), some_triggers(COUNT)).close()
    change(path)
    assert queued(path) == 0


def test_a_missing_log_is_noticed_before_the_first_session(path: Path, tmp_path: Path) -> None:
    """The file says by itself that there was one."""
    with Journal.create(path, a_batch(), some_triggers(COUNT)):
        copy = tmp_path / "copy.sqlite"
        shutil.copy(path, copy)
    with pytest.raises(DamagedError, match=r"copy\.sqlite-wal is missing"):
        Journal.open(copy)
