"""The list of queued runs beside the journal: complete, of one batch, and never in the way."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from random import Random
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk.errors import StorageError
from bulk.journal import (
    AttemptEnded,
    Intent,
    Journal,
    Reconciled,
    RunLine,
    read_runs,
    runs_path,
)
from bulk.model import Found, Outcome
from tests.virtual import a_batch, some_triggers

COUNT = 12


def run_of(seq: int) -> str:
    return str(UUID(int=(4 << 76) + (8 << 60) + seq))


def queue(journal: Journal, *seqs: int) -> None:
    for seq in seqs:
        journal.write([Intent(100 + seq, seq, 1, 1_790_035_200.0)])
    journal.write([ended(seq) for seq in seqs])


def ended(seq: int, run_id: str | None = None) -> AttemptEnded:
    times = (1_790_035_200.0, 1_790_035_200.25, 0.0, 250.0)
    run = run_id or run_of(seq)
    return AttemptEnded(
        100 + seq, seq, Outcome.QUEUED, Outcome.QUEUED, *times, 1, 202, None, run_id=run
    )


def listed(path: Path) -> dict[str, RunLine]:
    return read_runs(runs_path(path), None).runs


def owned(path: Path) -> dict[str, str]:
    """The key that owns each run, by the journal."""
    with Journal.open(path) as journal:
        return {one.run_id: one.trigger.key for one in journal.results() if one.run_id}


def test_a_line_says_what_is_needed_after_a_disaster(path: Path) -> None:
    with Journal.create(path, a_batch(name="nightly"), some_triggers(COUNT)) as journal:
        journal.begin_session(1.0)
        assert not runs_path(path).exists()
        queue(journal, 1, 2)
        header, line, _ = runs_path(path).read_text("ascii").splitlines()
    trigger = some_triggers(1)[0]
    fields = ["2026-09-22T00:00:00.250Z", run_of(1), trigger.key, trigger.test_id, "web", "fast"]
    assert line.split("\t")[:6] == fields
    assert header.startswith("# batch ")
    assert " nightly: time, run_id, key, test_id, platform, mode, batch, check" in header
    if os.name != "nt":
        assert runs_path(path).stat().st_mode & 0o777 == 0o600


def test_each_run_that_a_trigger_comes_to_own_is_listed_once_it_is_durable(path: Path) -> None:
    with Journal.create(path, a_batch(), some_triggers(COUNT)) as journal:
        journal.begin_session(1.0)
        queue(journal, 1, 2, 3)
        journal.write([Intent(1, 4, 1, 1.5), Intent(2, 5, 1, 1.5)])
        with pytest.raises(StorageError):  # a run of another trigger
            journal.write([ended(6, run_of(1))])
        journal.stage([ended(7)])
        journal.roll_back()
        journal.begin_session(2.0)
        journal.write([Reconciled(Found(4, run_of(4), by_count=False), 99.0)])
        journal.write([Reconciled(Found(1, run_of(9), by_count=False), 99.0)])  # it has one
        assert listed(path).keys() == {run_of(seq) for seq in (1, 2, 3, 4)}
    assert {run: line.key for run, line in listed(path).items()} == owned(path)


def test_a_run_that_an_answer_gives_to_another_trigger_is_listed_as_that_ones(path: Path) -> None:
    with Journal.create(path, a_batch(), some_triggers(COUNT)) as journal:
        journal.begin_session(1.0)
        journal.write([Intent(1, 1, 1, 1.5)])
        journal.begin_session(2.0)
        journal.write([Reconciled(Found(1, run_of(5), by_count=True), 99.0)])
        queue(journal, 5)
    assert {run: line.key for run, line in listed(path).items()} == owned(path)


@pytest.mark.parametrize(
    "left", ["nothing", "an empty file", "a part", "garbage", "an earlier version's none"]
)
def test_what_the_file_lacks_is_added_by_the_next_session(path: Path, left: str) -> None:
    with Journal.create(path, a_batch(), some_triggers(COUNT)) as journal:
        journal.begin_session(1.0)
        queue(journal, *range(1, 9))
    file = runs_path(path)
    whole = file.read_bytes()
    match left:
        case "an empty file":
            file.write_bytes(b"")
        case "a part":
            file.write_bytes(whole[: len(whole) // 2])
        case "garbage":
            file.write_bytes(b"\x00\xff" * 1_000)
        case _:
            file.unlink()
    with Journal.open(path) as journal:
        journal.begin_session(2.0)
        queue(journal, 9)
    assert {run: line.key for run, line in listed(path).items()} == owned(path)
    assert len(listed(path)) == 9


@pytest.mark.long
@given(cut=st.integers(min_value=0), appended=st.binary(max_size=40))
def test_wherever_a_crash_tears_the_file_it_becomes_complete_again(
    cut: int, appended: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("torn") / "journal.sqlite"
    with Journal.create(path, a_batch(), some_triggers(COUNT)) as journal:
        journal.begin_session(1.0)
        queue(journal, 1, 2, 3)
        whole = runs_path(path).read_bytes()
        kept = whole[: cut % (len(whole) + 1)]
        runs_path(path).write_bytes(kept + appended)
        torn = listed(path)
        assert {run: line.key for run, line in torn.items()}.items() <= {
            run_of(seq): trigger.key for seq, trigger in enumerate(some_triggers(3), 1)
        }.items()
        assert len(torn) >= max(0, kept.count(b"\n") - 1 - bool(appended))
    with Journal.open(path) as journal:
        journal.begin_session(2.0)
        queue(journal, 4)
    assert listed(path).keys() == {run_of(seq) for seq in (1, 2, 3, 4)}
    shutil.rmtree(path.parent)


@pytest.mark.long
@given(garbage=st.binary(max_size=400), random=st.randoms(use_true_random=False))
def test_no_garbage_is_taken_for_a_run(
    garbage: bytes, random: Random, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("garbage") / "journal.sqlite"
    with Journal.create(path, a_batch(), some_triggers(COUNT)) as journal:
        journal.begin_session(1.0)
        queue(journal, 1, 2, 3)
    before = listed(path)
    content = bytearray(runs_path(path).read_bytes())
    at = random.randrange(len(content) + 1)
    content[at : at + random.choice((0, 1, len(garbage)))] = garbage
    runs_path(path).write_bytes(content)
    assert listed(path).items() <= before.items()
    shutil.rmtree(path.parent)


def test_another_batchs_lines_do_not_count(path: Path, tmp_path: Path) -> None:
    """As where a journal was removed and another begun at its path, or two files were joined."""
    with Journal.create(path, a_batch(name="one"), some_triggers(COUNT)) as journal:
        journal.begin_session(1.0)
        queue(journal, 1, 2)
    path.unlink()
    with Journal.create(path, a_batch(name="two"), some_triggers(COUNT)) as journal:
        journal.begin_session(1.0)
        assert listed(path) == {}, "the file says by itself that it is of another batch now"
        queue(journal, 3)
    assert listed(path).keys() == {run_of(3)}
    lines = runs_path(path).read_bytes().splitlines(keepends=True)
    Random(1).shuffle(lines)
    runs_path(path).write_bytes(b"".join(lines))
    runs = read_runs(runs_path(path), None)
    assert runs.last_batch is not None
    assert runs.runs.keys() in ({run_of(1), run_of(2)}, {run_of(3)})


@pytest.mark.skipif(os.name == "nt", reason="an open file cannot be moved there")
@pytest.mark.parametrize("opened", [True, False], ids=["open", "not yet open"])
def test_a_displaced_journal_adds_nothing_to_another_batchs_file(
    tmp_path: Path, opened: bool
) -> None:
    folder, moved = tmp_path / "data", tmp_path / "moved"
    folder.mkdir()
    path = folder / "journal.sqlite"
    with Journal.create(path, a_batch(name="mine"), some_triggers(COUNT)) as mine:
        mine.begin_session(1.0)
        if opened:
            queue(mine, 1)
        mine.stage([Intent(102, 2, 1, 1.5), ended(2)])  # about to be committed
        folder.rename(moved)
        folder.mkdir()
        with Journal.create(path, a_batch(name="other"), some_triggers(COUNT)) as other:
            other.begin_session(1.0)
            queue(other, 3)
            mine.commit()
            with pytest.raises(StorageError, match="moved, removed or replaced"):
                queue(mine, 4)
    assert listed(path).keys() == {run_of(3)}
    with Journal.open(moved / path.name) as mine:
        mine.begin_session(2.0)
    assert listed(moved / path.name).keys() == ({run_of(1), run_of(2)} if opened else {run_of(2)})


@pytest.mark.skipif(os.name == "nt", reason="pipes and permissions are other things there")
@pytest.mark.parametrize("obstacle", ["folder", "pipe", "device"])
def test_a_file_that_cannot_be_written_stops_nothing_and_is_reported(
    path: Path, obstacle: str
) -> None:
    file = runs_path(path)
    match obstacle:
        case "folder":
            file.mkdir()
        case "pipe":
            os.mkfifo(file)
        case "device":
            file.symlink_to("/dev/full")
    with Journal.create(path, a_batch(), some_triggers(COUNT)) as journal:
        journal.begin_session(1.0)
        queue(journal, 1, 2)
        (problem,) = journal.complete_runs_file()
        assert problem.startswith(f"{file}: not complete (")
        assert "The journal has all runs" in problem
        if obstacle == "folder":
            file.rmdir()
        else:
            file.unlink()
        queue(journal, 3)
        assert journal.complete_runs_file() == []
    assert {run: line.key for run, line in listed(path).items()} == owned(path)
    assert len(listed(path)) == 3


@pytest.mark.parametrize("now", ["removed", "moved", "replaced"])
def test_a_file_that_is_taken_away_while_a_batch_runs_becomes_complete_again(
    path: Path, now: str
) -> None:
    there = runs_path(path)
    with Journal.create(path, a_batch(), some_triggers(4)) as journal:
        journal.begin_session(1.0)
        queue(journal, 1, 2)
        if now == "moved":
            there.rename(there.with_name("elsewhere"))
        else:
            there.unlink()
        if now == "replaced":
            there.write_text("another program's\n")
        queue(journal, 3)
        assert journal.complete_runs_file() == []
        queue(journal, 4)
        assert list(listed(path)) == [run_of(seq) for seq in (1, 2, 3, 4)]


@pytest.mark.skipif(os.name == "nt", reason="links need a privilege there")
def test_a_link_is_not_followed(path: Path, tmp_path: Path) -> None:
    foreign = tmp_path / "foreign"
    foreign.write_text("precious\n")
    runs_path(path).symlink_to(foreign)
    with Journal.create(path, a_batch(), some_triggers(2)) as journal:
        journal.begin_session(1.0)
        queue(journal, 1)
        (problem,) = journal.complete_runs_file()
    assert "it is not a regular file; move it away" in problem
    assert foreign.read_text() == "precious\n"


def test_a_simulated_batch_has_no_list(path: Path) -> None:
    """Its runs exist nowhere."""
    with Journal.create(path, a_batch(simulated=True), some_triggers(COUNT)) as journal:
        journal.begin_session(1.0)
        queue(journal, 1)
        assert journal.complete_runs_file() == []
    assert not runs_path(path).exists()
