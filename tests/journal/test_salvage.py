"""Whatever befalls a journal's file is told, nothing is made up, and what is left is saved."""

from __future__ import annotations

import csv
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from random import Random
from uuid import UUID

import pytest

from bulk.batch.salvage import salvaged
from bulk.errors import DamagedError, StorageError
from bulk.journal import (
    AttemptEnded,
    Intent,
    Journal,
    born_of,
    remains_of,
)
from bulk.journal.checking import log_of
from bulk.model import Outcome
from bulk.reconcile.claims import claims_of
from tests.virtual import a_batch, some_triggers

COUNT = 400
QUEUED = 300
LONG = "x" * 9_000  # runs over two pages
Truth = dict[str, str | None]  # the run of each trigger's key


def run_of(seq: int, batch: int = 0) -> str:
    return str(UUID(int=(batch << 80) + (0x4000 << 64) + (0x8000 << 48) + seq, version=4))


def work(journal: Journal, batch: int = 0) -> None:
    """300 queued, one of them after a 429, one rejected, one under way, the rest not sent."""
    journal.begin_session(1.0)
    throttled = AttemptEnded(
        1, 1, Outcome.THROTTLED, None, 2.0, 3.0, 0.0, 9.0, 1, 429, "rate_limited"
    )
    journal.write([Intent(1, 1, 1, 1.5), throttled])
    for seq in range(1, QUEUED + 1):
        sent = (2.0, 3.0, 0.0, 9.0, 1, 202, None, run_of(seq, batch))
        journal.write([Intent(seq + 1, seq, 1, 1.5)])
        journal.write([AttemptEnded(seq + 1, seq, Outcome.QUEUED, Outcome.QUEUED, *sent)])
    refused = (2.0, 3.0, 0.0, 9.0, 1, 404, "http_404")
    journal.write([Intent(900, 301, 1, 1.5), Intent(901, 302, 1, 1.5)])
    journal.write([AttemptEnded(900, 301, Outcome.REJECTED, Outcome.REJECTED, *refused)])


def make(folder: Path, batch: int = 0, *, closed: bool) -> Path:
    """A batch that was closed, or whose process died: its file and its log."""
    (folder / "alive").mkdir(parents=True)
    path = folder / "data" / "journal.sqlite"
    path.parent.mkdir()
    triggers = some_triggers(COUNT)
    object.__setattr__(triggers[4], "name", LONG)
    alive = folder / "alive" / path.name
    journal = Journal.create(alive, a_batch(name=f"batch {batch}"), triggers)
    work(journal, batch)
    if closed:
        journal.close()
    for file in (alive, log_of(alive)):
        if file.exists():
            shutil.copy(file, path.parent)
    if not closed:
        journal.close()
    shutil.rmtree(alive.parent)
    return path


@pytest.fixture(scope="module")
def truth() -> Truth:
    keys = [trigger.key for trigger in some_triggers(COUNT)]
    return {key: run_of(seq) if seq <= QUEUED else None for seq, key in enumerate(keys, 1)}


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("closed"), closed=True)


@pytest.fixture(scope="module")
def died(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = make(tmp_path_factory.mktemp("died"), closed=False)
    assert log_of(path).stat().st_size > 10_000
    return path


def copy(path: Path, folder: Path) -> Path:
    """A copy to spoil, in a batch's folder of its own."""
    shutil.copytree(path.parent, folder / "batch" / "data")
    return folder / "batch" / "data" / path.name


def rescue(path: Path) -> tuple[list[dict[str, str]], str]:
    """The rows that are saved and the words that are said; the files stay as they are."""
    before = {file: file.read_bytes() for file in path.parent.iterdir() if file.is_file()}
    with pytest.raises(DamagedError) as caught:
        Journal.open(path)
    said = str(salvaged(caught.value))
    after = {file: file.read_bytes() for file in path.parent.iterdir() if file.is_file()}
    assert after == before
    assert said.startswith(f"{path}: the journal is damaged: ")
    saved = path.parent.parent / "salvaged.csv"
    if not saved.exists():
        return [], said
    assert str(saved) in said
    with saved.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file)), said


def check(rows: list[dict[str, str]], truth: Truth, least: int = 0, runs: int = 0) -> None:
    """All rows are true, and there are so many of them, and with run ids."""
    keys = list(truth)
    assert len({row["place"] for row in rows}) == len(rows)
    for row in rows:
        key = keys[int(row["place"]) - 1]
        assert row["key"] in (key, "")
        assert row["run_id"] in (truth[key] or "", "")
        assert not row["candidates"]
        if row["run_id"]:
            assert row["outcome"] == "queued"
        elif row["outcome"] != "unknown":
            assert (row["outcome"], row["place"]) == ("rejected", "301")
    assert len(rows) >= least
    assert sum(bool(row["run_id"]) for row in rows) >= runs


def opens(path: Path, truth: Truth) -> bool:
    """Whether it opens, in which case all that it says is true."""
    try:
        with Journal.open(path) as journal:
            results = list(journal.results())
            assert len(list(journal.attempts())) == QUEUED + 3
    except DamagedError:
        return False
    assert {result.trigger.key: result.run_id for result in results} == truth
    return True


def test_a_sound_journal_is_read_whole_page_by_page(closed: Path, died: Path, truth: Truth) -> None:
    for path in (closed, died):
        remains = remains_of(path)
        assert (len(remains.remnants), remains.run_ids, remains.least) == (COUNT, QUEUED, COUNT)
        assert {one.key: one.run_id for one in remains.remnants} == truth
        assert all(one.trigger and one.trigger.key == one.key for one in remains.remnants)
        assert remains.remnants[4].trigger is not None
        assert remains.remnants[4].trigger.name == LONG
        assert [one.outcome for one in remains.remnants[300:302]] == ["rejected", "unknown"]
        assert (remains.manifest, remains.foreign_log) == ("release.csv", False)


@pytest.mark.parametrize("seed", range(25))
def test_a_file_cut_short_anywhere(closed: Path, truth: Truth, tmp_path: Path, seed: int) -> None:
    path = copy(closed, tmp_path)
    kept = Random(f"cut {seed}").randrange(100, path.stat().st_size)
    with path.open("r+b") as file:
        file.truncate(kept)
    rows, said = rescue(path)
    left = path.read_bytes()[: kept // 4096 * 4096]
    there = sum(run is not None and run.encode() in left for run in truth.values())
    check(rows, truth, runs=there - 1)  # of the long record, the rest may be cut off
    if rows:
        assert f"{len(rows)} of at least" in said


@pytest.mark.parametrize("seed", range(25))
def test_a_file_cut_short_beside_its_log(
    died: Path, truth: Truth, tmp_path: Path, seed: int
) -> None:
    """Where the log holds all that was cut off, it is whole: so it is as the log is folded back."""
    path = copy(died, tmp_path)
    size = path.stat().st_size
    kept = Random(f"cut {seed}").choice((size - 1_000 * (seed + 1), size // (seed + 2)))
    with path.open("r+b") as file:
        file.truncate(kept)
    if not opens(copy(path, tmp_path / "opened"), truth):
        rows, _ = rescue(path)
        check(rows, truth)


@pytest.mark.parametrize("seed", range(40))
def test_bytes_overwritten_anywhere(
    closed: Path, died: Path, truth: Truth, tmp_path: Path, seed: int
) -> None:
    rng = Random(f"overwritten {seed}")
    path = copy(rng.choice((closed, died)), tmp_path)
    with path.open("r+b") as file:
        for _ in range(rng.choice((1, 3, 20))):
            file.seek(rng.randrange(path.stat().st_size - 64))
            file.write(rng.randbytes(rng.choice((8, 16, 64))))
    if not opens(copy(path, tmp_path / "opened"), truth):
        rows, _ = rescue(path)
        check(rows, truth, least=COUNT // 4, runs=QUEUED // 4)


@pytest.mark.parametrize("page", range(20))
def test_a_page_of_zeros(closed: Path, truth: Truth, tmp_path: Path, page: int) -> None:
    path = copy(closed, tmp_path)
    with path.open("r+b") as file:
        file.seek(4096 * page)
        file.write(bytes(4096))
    rows, _ = rescue(path)
    check(rows, truth, least=COUNT - 1, runs=QUEUED - 1)  # the indexes hold what the table lost


def test_a_log_that_is_gone(died: Path, truth: Truth, tmp_path: Path) -> None:
    path = copy(died, tmp_path)
    log_of(path).unlink()
    rows, said = rescue(path)
    assert "journal.sqlite-wal is missing" in said
    check(rows, truth, least=COUNT)
    assert sum(row["outcome"] == "unknown" for row in rows) > COUNT - QUEUED  # not: unsent


def test_a_log_of_another_batch_with_the_same_triggers(
    died: Path, truth: Truth, tmp_path: Path
) -> None:
    path = copy(died, tmp_path)
    other = make(tmp_path / "other", batch=1, closed=False)
    shutil.copy(log_of(other), log_of(path))
    rows, said = rescue(path)
    assert "-wal file is another batch's" in said
    check(rows, truth, least=COUNT)


def test_a_log_without_its_file(died: Path, truth: Truth, tmp_path: Path) -> None:
    path = copy(died, tmp_path)
    path.write_bytes(b"")
    rows, said = rescue(path)
    assert "it is empty" in said
    check(rows, truth, runs=QUEUED)
    path.unlink()
    with pytest.raises(DamagedError, match=r"is missing, and journal.sqlite-wal is there"):
        Journal.create(path, a_batch(), some_triggers(1))


@pytest.mark.parametrize("kept", [0, 1, 100])
def test_who_looks_at_it_for_another_batch_changes_nothing(
    died: Path, tmp_path: Path, kept: int
) -> None:
    path = copy(died, tmp_path)
    with path.open("r+b") as file:
        file.truncate(kept)
    before = {file.name: file.read_bytes() for file in path.parent.iterdir()}
    born_of(path)
    claims_of(path, 0.0)
    assert {file.name: file.read_bytes() for file in path.parent.iterdir()} == before


@pytest.mark.parametrize("seed", range(20))
def test_a_log_cut_short_is_no_damage(died: Path, tmp_path: Path, seed: int) -> None:
    """SQLite goes back to the last whole commit, as after a power cut."""
    path = copy(died, tmp_path)
    rng = Random(f"torn {seed}")
    with log_of(path).open("r+b") as file:
        file.truncate(rng.randrange(log_of(path).stat().st_size))
        file.seek(0, 2)
        file.write(rng.randbytes(rng.choice((0, 100, 5_000))))
    with Journal.open(path) as journal:
        queued = [result for result in journal.results() if result.outcome is Outcome.QUEUED]
    assert [result.run_id for result in queued] == [run_of(n + 1) for n in range(len(queued))]


def _sqlite(path: Path) -> None:
    path.unlink()
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE songs (name TEXT)")
    connection.close()


@pytest.mark.parametrize(
    ("spoil", "what"),
    [
        (lambda path: path.write_bytes(b""), "it is empty"),
        (lambda path: path.write_bytes(b"\x89PNG" * 5_000), "not a database"),
        (lambda path: path.write_bytes(b"x"), "it is not marked as one of ours"),
        (lambda path: path.write_bytes(bytes(50_000)), "not a database"),
        (_sqlite, "it is not marked as one of ours"),
    ],
)
def test_a_file_without_a_batch(
    closed: Path, tmp_path: Path, spoil: Callable[[Path], object], what: str
) -> None:
    path = copy(closed, tmp_path)
    spoil(path)
    rows, said = rescue(path)
    assert not rows
    assert what in said
    assert "Nothing of a batch could be read from it" in said


def test_a_folder_in_its_place(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="this is a folder"):
        Journal.open(tmp_path)


def test_what_was_saved_before_is_kept(closed: Path, tmp_path: Path) -> None:
    path = copy(closed, tmp_path)
    saved = path.parent.parent / "salvaged.csv"
    whole = path.read_bytes()
    for kept in (len(whole) - 1, len(whole) - 1, len(whole) // 3):
        path.write_bytes(whole[:kept])
        salvaged(DamagedError(path, "it is short"))
    assert sorted(file.name for file in saved.parent.glob("*.csv")) == [
        "salvaged-2.csv",
        "salvaged.csv",
    ]


def test_where_nothing_can_be_written_the_run_ids_are_said(closed: Path, tmp_path: Path) -> None:
    path = copy(closed, tmp_path)
    (path.parent.parent / "salvaged.csv").mkdir()
    said = str(salvaged(DamagedError(path, "as a test says")))
    assert "salvaged.csv" in said
    assert all(run_of(seq) in said for seq in range(1, QUEUED + 1))
