"""Whatever happens to a journal's file is reported, nothing is invented, and what is left is saved.

Each damage is done twice: with the list of queued runs beside the journal, of which no run may be
lost, and without it, where only what SQLite can read is left.
"""

from __future__ import annotations

import csv
import shutil
import sqlite3
from collections import Counter
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from random import Random
from uuid import UUID

import pytest

from bulk.batch.folder import BatchFolder, find, newest_batches
from bulk.batch.salvage import salvage, salvaged
from bulk.errors import DamagedError, StorageError
from bulk.journal import (
    AttemptEnded,
    Intent,
    Journal,
    peek_batch,
    runs_path,
)
from bulk.journal.wal import wal_path
from bulk.model import Outcome
from bulk.reconcile.claims import claims_of
from tests.properties import examples
from tests.virtual import a_batch, some_triggers

COUNT = 400
QUEUED = 300
MOST, MOST_RUNS = 350, 250  # one page holds fewer than 50 of them
SCHEMA, TRIGGER_ROOT = 0, 2  # pages above all rows, from 0
LONG = "x" * 9_000  # spills over two further pages
Truth = dict[str, str | None]  # the run of each trigger's key


def run_of(seq: int, batch: int = 0) -> str:
    return str(UUID(int=(batch << 80) + (0x4000 << 64) + (0x8000 << 48) + seq, version=4))


def work(journal: Journal, batch: int = 0) -> None:
    """300 queued, one of them after a 429, one rejected, one in flight, the rest not sent."""
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
    for file in (alive, wal_path(alive), runs_path(alive)):
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
    assert wal_path(path).stat().st_size > 10_000
    return path


LISTED = pytest.mark.parametrize("listed", [True, False], ids=["with runs.txt", "without"])


def copy(path: Path, folder: Path, *, listed: bool = True) -> Path:
    """A copy to spoil, in a batch's folder of its own, with or without the list of its runs."""
    shutil.copytree(path.parent, folder / "batch" / "data")
    there = folder / "batch" / "data" / path.name
    if not listed:
        runs_path(there).unlink(missing_ok=True)
    return there


def rescue(path: Path) -> tuple[list[dict[str, str]], str]:
    """The rows that are saved and the message that is shown; the files stay as they are."""
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


def check(
    rows: list[dict[str, str]], truth: Truth, *, listed: bool, least: int = 0, runs: int = 0
) -> None:
    """All rows are true, and there are so many of them, and with run ids: all, if they were listed.

    A row says which trigger it is by its key, its place or its run.
    """
    keys = list(truth)
    of_run = {run: key for key, run in truth.items() if run}
    tests = {trigger.key: trigger for trigger in some_triggers(COUNT)}
    found = Counter(row["key"] for row in rows if row["key"])
    assert set(found.values()) <= {1}
    for row in rows:
        assert row["place"] or row["key"]
        key = row["key"] or keys[int(row["place"]) - 1]
        trigger = tests[key]
        assert not row["place"] or keys[int(row["place"]) - 1] == key
        assert row["test_id"] in (trigger.test_id, "")
        assert row["platform"] in (trigger.platform, "")
        assert row["mode"] in (trigger.mode, "")
        assert row["run_id"] in (truth[key] or "", "")
        if row["candidates"]:
            assert not row["run_id"]
            assert truth[key] in row["candidates"].split()
        if row["run_id"]:
            assert row["outcome"] == "queued"
            assert of_run[row["run_id"]] == key
        elif row["outcome"] != "unknown":
            assert (row["outcome"], key) == ("rejected", keys[300])
    assert len(rows) >= least
    assert sum(bool(row["run_id"]) for row in rows) >= (QUEUED if listed else runs)
    if listed:
        with_run = {row["run_id"]: row for row in rows if row["run_id"]}
        for key in keys[:QUEUED]:
            assert with_run[truth[key] or ""]["test_id"] == tests[key].test_id


def opens(path: Path, truth: Truth) -> bool:
    """Whether it opens, in which case all that it holds is true."""
    try:
        with Journal.open(path) as journal:
            results = list(journal.results())
            assert len(list(journal.attempts())) == QUEUED + 3
    except DamagedError:
        return False
    assert {result.trigger.key: result.run_id for result in results} == truth
    return True


@LISTED
def test_a_sound_journal_is_read_whole(
    closed: Path, died: Path, truth: Truth, tmp_path: Path, listed: bool
) -> None:
    for number, whole in enumerate((closed, died)):
        batch = salvage(copy(whole, tmp_path / str(number), listed=listed))
        assert (len(batch.triggers), batch.run_ids, batch.count_min) == (COUNT, QUEUED, COUNT)
        assert {one.key: one.run_id for one in batch.triggers} == truth
        assert all(one.trigger and one.trigger.key == one.key for one in batch.triggers)
        assert batch.triggers[4].trigger is not None
        assert batch.triggers[4].trigger.name == LONG
        assert [one.outcome for one in batch.triggers[300:302]] == ["rejected", "unknown"]
        journal = batch.journal
        assert (journal.manifest, journal.foreign_log, journal.faults) == ("release.csv", False, ())
        assert (len(batch.listed.runs), batch.listed.broken) == (QUEUED if listed else 0, 0)


@pytest.mark.seeds
@pytest.mark.long
@pytest.mark.parametrize("seed", range(examples(4)))
def test_a_file_cut_short_anywhere(closed: Path, truth: Truth, tmp_path: Path, seed: int) -> None:
    listed = seed % 2 == 0
    path = copy(closed, tmp_path, listed=listed)
    kept = Random(f"cut {seed}").randrange(100, path.stat().st_size)
    with path.open("r+b") as file:
        file.truncate(kept)
    rows, said = rescue(path)
    check(rows, truth, listed=listed, runs=readable_runs(path))
    if rows:
        assert f"{len(rows)} of at least" in said


def readable_runs(path: Path) -> int:
    """How many runs SQLite gives by the simplest way to the table, up to the first broken page."""
    found = 0
    with closing(sqlite3.connect(f"{path.as_uri()}?immutable=1", uri=True)) as sql:
        sql.execute("PRAGMA writable_schema = ON")
        with suppress(sqlite3.Error):
            for _ in sql.execute(
                "SELECT run_id FROM trigger NOT INDEXED WHERE run_id LIKE '%-4___-8%'"
            ):
                found += 1
    return found


@pytest.mark.seeds
@pytest.mark.long
@pytest.mark.parametrize("seed", range(examples(4)))
def test_a_file_cut_short_beside_its_log(
    died: Path, truth: Truth, tmp_path: Path, seed: int
) -> None:
    """Where the log has all that was cut off the batch is whole, as during a checkpoint."""
    listed = seed % 2 == 0
    path = copy(died, tmp_path, listed=listed)
    size = path.stat().st_size
    kept = Random(f"cut {seed}").choice((size - 1_000 * (seed + 1), size // (seed + 2)))
    with path.open("r+b") as file:
        file.truncate(kept)
    if not opens(copy(path, tmp_path / "opened", listed=listed), truth):
        rows, _ = rescue(path)
        check(rows, truth, listed=listed)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(40))
def test_bytes_overwritten_anywhere(
    closed: Path, died: Path, truth: Truth, tmp_path: Path, seed: int
) -> None:
    listed = seed % 2 == 0
    rng = Random(f"overwritten {seed}")
    path = copy(rng.choice((closed, died)), tmp_path, listed=listed)
    with path.open("r+b") as file:
        for _ in range(rng.choice((1, 3, 20))):
            file.seek(rng.randrange(4_096, path.stat().st_size - 64))  # see the next test
            file.write(rng.randbytes(rng.choice((8, 16, 64))))
    if not opens(copy(path, tmp_path / "opened", listed=listed), truth):
        rows, _ = rescue(path)
        check(rows, truth, listed=listed, least=COUNT // 4, runs=QUEUED // 4)


@pytest.mark.parametrize("seed", range(20))
def test_bytes_overwritten_in_the_first_page(
    closed: Path, truth: Truth, tmp_path: Path, seed: int
) -> None:
    """It says where all tables begin: SQLite may be able to read nothing without it."""
    listed = seed % 2 == 0
    rng = Random(f"first page {seed}")
    path = copy(closed, tmp_path, listed=listed)
    with path.open("r+b") as file:
        file.seek(rng.randrange(4_096 - 64))
        file.write(rng.randbytes(rng.choice((1, 8, 64))))
    if not opens(copy(path, tmp_path / "opened", listed=listed), truth):
        rows, _ = rescue(path)
        check(rows, truth, listed=listed)


@pytest.mark.parametrize("seed", range(20))
def test_single_bits_flipped(closed: Path, truth: Truth, tmp_path: Path, seed: int) -> None:
    """A bit may make one digit of an id another: that is no trigger and no run of the batch."""
    listed = seed % 2 == 0
    rng = Random(f"flipped {seed}")
    path = copy(closed, tmp_path, listed=listed)
    content = bytearray(path.read_bytes())
    for _ in range(20):
        content[rng.randrange(4_096, len(content))] ^= 1 << rng.randrange(8)
    path.write_bytes(content)
    if not opens(copy(path, tmp_path / "opened", listed=listed), truth):
        rows, _ = rescue(path)
        check(rows, truth, listed=listed, least=COUNT // 4, runs=QUEUED // 4)


@pytest.mark.long
@LISTED
@pytest.mark.parametrize("page", range(20))
def test_a_page_of_zeros(
    closed: Path, truth: Truth, tmp_path: Path, page: int, listed: bool
) -> None:
    path = copy(closed, tmp_path, listed=listed)
    with path.open("r+b") as file:
        file.seek(4096 * page)
        file.write(bytes(4096))
    rows, said = rescue(path)
    if page == SCHEMA:
        assert ("Nothing of a batch could be read" in said) != listed
        check(rows, truth, listed=listed)
    elif page == TRIGGER_ROOT:  # the indexes and the attempts are left
        check(rows, truth, listed=listed, runs=QUEUED)
    else:
        check(rows, truth, listed=listed, least=MOST, runs=MOST_RUNS)


@pytest.mark.long
@LISTED
@pytest.mark.parametrize("pages", [range(3, 6), range(8, 30, 5), range(20, 60)])
def test_several_broken_pages_lose_only_their_own_rows(
    closed: Path, truth: Truth, tmp_path: Path, pages: range, listed: bool
) -> None:
    path = copy(closed, tmp_path, listed=listed)
    with path.open("r+b") as file:
        for page in pages:
            file.seek(4096 * page)
            file.write(b"\xa5" * 4096)
    rows, _ = rescue(path)
    check(rows, truth, listed=listed)


@LISTED
def test_a_log_that_is_gone(died: Path, truth: Truth, tmp_path: Path, listed: bool) -> None:
    path = copy(died, tmp_path, listed=listed)
    wal_path(path).unlink()
    rows, said = rescue(path)
    assert "journal.sqlite-wal is missing" in said
    check(rows, truth, listed=listed, least=COUNT)
    unknown = sum(row["outcome"] == "unknown" for row in rows)  # and none of them unsent
    assert unknown >= COUNT - QUEUED - 1
    assert listed or unknown > COUNT - QUEUED


@LISTED
def test_a_log_of_another_batch_with_the_same_triggers(
    died: Path, truth: Truth, tmp_path: Path, listed: bool
) -> None:
    path = copy(died, tmp_path, listed=listed)
    other = make(tmp_path / "other", batch=1, closed=False)
    shutil.copy(wal_path(other), wal_path(path))
    rows, said = rescue(path)
    assert "-wal file is another batch's" in said
    check(rows, truth, listed=listed, least=COUNT)


def test_a_list_of_another_batch_with_the_same_triggers(
    closed: Path, truth: Truth, tmp_path: Path
) -> None:
    path = copy(closed, tmp_path)
    other = make(tmp_path / "other", batch=1, closed=True)
    ours = runs_path(path).read_bytes()
    content = path.read_bytes()
    path.write_bytes(content[:-4096])  # what the batch is can still be read
    for listed, lines in (
        (False, runs_path(other).read_bytes()),
        (True, runs_path(other).read_bytes() + ours),
        (True, ours + runs_path(other).read_bytes()),
    ):
        runs_path(path).write_bytes(lines)
        (path.parent.parent / "salvaged.csv").unlink(missing_ok=True)
        rows, _ = rescue(path)
        check(rows, truth, listed=listed)


def test_a_log_without_its_file(died: Path, truth: Truth, tmp_path: Path) -> None:
    path = copy(died, tmp_path)
    path.write_bytes(b"")
    rows, said = rescue(path)
    assert "it is empty" in said
    check(rows, truth, listed=True)
    path.unlink()
    with pytest.raises(DamagedError, match=r"is missing, and journal.sqlite-wal is there"):
        Journal.create(path, a_batch(), some_triggers(1))


@pytest.mark.parametrize("kept", [0, 1, 100])
def test_looking_at_it_for_another_batch_changes_nothing(
    died: Path, tmp_path: Path, kept: int
) -> None:
    path = copy(died, tmp_path)
    with path.open("r+b") as file:
        file.truncate(kept)
    before = {file.name: file.read_bytes() for file in path.parent.iterdir()}
    peek_batch(path)
    claims_of(path, 0.0)
    assert {file.name: file.read_bytes() for file in path.parent.iterdir()} == before


@pytest.mark.parametrize("seed", range(20))
@LISTED
def test_a_log_cut_short_is_damage_if_a_run_that_was_committed_is_lost(
    died: Path, truth: Truth, tmp_path: Path, seed: int, listed: bool
) -> None:
    """SQLite goes back to the last whole commit, as after a power cut; but no commit whose runs are
    listed can have been torn.
    """
    path = copy(died, tmp_path, listed=listed)
    rng = Random(f"torn {seed}")
    with wal_path(path).open("r+b") as file:
        file.truncate(rng.randrange(wal_path(path).stat().st_size))
        file.seek(0, 2)
        file.write(rng.randbytes(rng.choice((0, 100, 5_000))))
    with suppress(DamagedError):
        with Journal.open(path) as journal:
            queued = [result for result in journal.results() if result.outcome is Outcome.QUEUED]
        assert [result.run_id for result in queued] == [run_of(n + 1) for n in range(len(queued))]
        assert not listed or len(queued) == QUEUED
        return
    assert listed
    rows, said = rescue(path)
    assert "of the runs that runs.txt beside it lists" in said
    check(rows, truth, listed=True, least=COUNT)


@pytest.mark.parametrize("seed", range(20))
def test_a_log_altered_before_its_end_is_noticed(
    died: Path, truth: Truth, tmp_path: Path, seed: int
) -> None:
    """One bit is enough for SQLite to leave out all commits behind it."""
    path = copy(died, tmp_path)
    at = Random(f"bit {seed}").randrange(20 * 4_120)  # older commits are behind
    with wal_path(path).open("r+b") as file:
        file.seek(at)
        (byte,) = file.read(1)
        file.seek(at)
        file.write(bytes([byte ^ 1]))
    with pytest.raises(DamagedError):
        Journal.open(path).close()
    rows, _ = rescue(path)
    check(rows, truth, listed=True, least=COUNT)


def test_a_journal_that_is_gone_is_noticed_by_the_list_of_its_runs(
    closed: Path, truth: Truth, tmp_path: Path
) -> None:
    path = copy(closed, tmp_path)
    path.unlink()
    assert newest_batches(tmp_path) == [BatchFolder(tmp_path / "batch")]
    assert find(tmp_path, "batch").exists
    rows, said = rescue(path)
    assert f"it is missing, and runs.txt beside it lists {QUEUED} runs" in said
    check(rows, truth, listed=True)


@pytest.mark.parametrize(
    ("was", "becomes"),
    [(b"latency_ms REAL", b"lbtency_ms REAL"), (b"sent_at REAL", b"sent_at BLOB")],
)
def test_tables_that_were_altered_are_noticed(
    closed: Path, tmp_path: Path, was: bytes, becomes: bytes
) -> None:
    path = copy(closed, tmp_path)
    content = path.read_bytes()
    assert was in content
    path.write_bytes(content.replace(was, becomes))
    with pytest.raises(DamagedError, match="its tables are not those that were created"):
        Journal.open(path)


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
        (lambda path: path.write_bytes(b"x"), "it is not a bulk-trigger journal"),
        (lambda path: path.write_bytes(bytes(50_000)), "not a database"),
        (_sqlite, "it is not a bulk-trigger journal"),
    ],
)
@LISTED
def test_a_file_without_a_batch(
    closed: Path,
    truth: Truth,
    tmp_path: Path,
    spoil: Callable[[Path], object],
    what: str,
    listed: bool,
) -> None:
    """A wholly destroyed journal: the list beside it has every queued run all the same."""
    path = copy(closed, tmp_path, listed=listed)
    spoil(path)
    rows, said = rescue(path)
    assert what in said
    assert ("Nothing of a batch could be read from it" in said) != listed
    check(rows, truth, listed=listed)
    assert len(rows) == (QUEUED if listed else 0)


@pytest.mark.seeds
@pytest.mark.long
@pytest.mark.parametrize("seed", range(examples(4)))
def test_a_damaged_list_beside_a_destroyed_journal(
    closed: Path, truth: Truth, tmp_path: Path, seed: int
) -> None:
    rng = Random(f"list {seed}")
    path = copy(closed, tmp_path)
    path.write_bytes(b"")
    content = bytearray(runs_path(path).read_bytes())
    damaged = set()
    for _ in range(rng.choice((1, 5, 40))):
        at = rng.randrange(len(content))
        content[at] ^= 1 << rng.randrange(7)
        damaged.add(bytes(content[:at]).count(b"\n"))
    runs_path(path).write_bytes(content)
    rows, said = rescue(path)
    assert "damaged lines were left out" in said
    check(rows, truth, listed=False, runs=QUEUED - 2 * len(damaged))


def test_a_list_that_cannot_be_read_is_named(closed: Path, truth: Truth, tmp_path: Path) -> None:
    path = copy(closed, tmp_path, listed=False)
    runs_path(path).mkdir()
    path.write_bytes(path.read_bytes()[:-4096])
    rows, said = rescue(path)
    assert f"{runs_path(path)}: not readable" in said
    check(rows, truth, listed=False, least=COUNT - 1)


def test_a_folder_in_its_place(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="this is a folder"):
        Journal.open(tmp_path)


@pytest.mark.long
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


def test_where_nothing_can_be_written_the_run_ids_are_shown(closed: Path, tmp_path: Path) -> None:
    path = copy(closed, tmp_path)
    (path.parent.parent / "salvaged.csv").mkdir()
    said = str(salvaged(DamagedError(path, "as a test says")))
    assert "salvaged.csv" in said
    assert all(run_of(seq) in said for seq in range(1, QUEUED + 1))
