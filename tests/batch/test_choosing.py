"""Which batch is run: a new one, one to continue, none, or whatever the user decides."""

from __future__ import annotations

from pathlib import Path

import pytest

from bulk.batch.choosing import (
    ContinueBatch,
    FinishedBatch,
    NewBatchChoice,
    RemainingWork,
    UnfinishedFound,
    choose,
    create,
    folder_for,
    remaining_work,
)
from bulk.batch.folder import BatchFolder
from bulk.batch.running import BatchSettings, write_reports
from bulk.errors import OptionError
from bulk.http.address import DEFAULT_BASE_URL
from bulk.journal import Journal
from bulk.journal.tally import Tally
from bulk.manifest import Manifest, read_manifest
from bulk.model import OnUnknown
from tests.virtual import T0, VirtualRun

SAMPLE = Path(__file__).parent.parent.parent / "manifests" / "release.csv"


def a_manifest(folder: Path, count: int = 5, first: int = 0) -> Manifest:
    """A manifest of that many cells of different tests, numbered from the first."""
    path = folder / f"{first}-{count}.csv"
    lines = ["test_id,platform,mode"]
    lines += [f"00000000-0000-4000-8000-{first + n:012d},web,fast" for n in range(count)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return read_manifest(path)


def make(folder: BatchFolder, manifest: Manifest, sandbox: str | None = None) -> None:
    """A batch that has sent nothing yet."""
    choice = NewBatchChoice(folder)
    create(choice, manifest, DEFAULT_BASE_URL, BatchSettings(), sandbox).close()


def run(folder: BatchFolder, spec: str = "none") -> None:
    """Run the batch against a model of the API, in virtual time, and write its reports."""
    VirtualRun(folder.journal, spec).go()
    with Journal.open(folder.journal) as journal:
        write_reports(journal, folder, T0)


def test_a_new_batch_is_created_next_to_those_that_were_there(tmp_path: Path) -> None:
    output = tmp_path / "reports"
    other, folder = BatchFolder(output / "other"), BatchFolder(output / "b")
    make(other, a_manifest(tmp_path, first=100))
    run(other)
    choice = choose(folder, a_manifest(tmp_path), DEFAULT_BASE_URL, "reconcile")
    assert choice == NewBatchChoice(folder, (other,))
    assert not folder.exists, "choosing writes nothing"


def test_a_batch_without_a_name_is_new(tmp_path: Path) -> None:
    manifest = a_manifest(tmp_path)
    first, second = (folder_for(manifest, tmp_path, None) for _ in range(2))
    assert first.path.parent == tmp_path
    assert first != second


@pytest.mark.parametrize(
    ("spec", "remaining"),
    [("quota 2", RemainingWork(3, 0)), ("none; fault 500 first 2", RemainingWork(0, 2))],
)
def test_a_batch_that_exists_is_continued_with_what_remains(
    tmp_path: Path, spec: str, remaining: RemainingWork
) -> None:
    manifest, folder = a_manifest(tmp_path), BatchFolder(tmp_path / "b")
    make(folder, manifest)
    assert choose(folder, manifest, DEFAULT_BASE_URL, "reconcile") == ContinueBatch(
        folder, RemainingWork(5, 0)
    )
    run(folder, spec)
    assert choose(folder, manifest, DEFAULT_BASE_URL, "reconcile") == ContinueBatch(
        folder, remaining
    )


def test_a_batch_with_nothing_to_send_or_to_reconcile_is_finished(tmp_path: Path) -> None:
    manifest, folder = a_manifest(tmp_path), BatchFolder(tmp_path / "b")
    make(folder, manifest)
    run(folder, "none; fault 500 first 2")
    assert choose(folder, manifest, DEFAULT_BASE_URL, "report") == FinishedBatch(folder)


def test_another_batch_of_that_name_is_an_error(tmp_path: Path) -> None:
    manifest, folder = a_manifest(tmp_path), BatchFolder(tmp_path / "b")
    make(folder, manifest)
    with pytest.raises(OptionError, match="batch b has other triggers than"):
        choose(folder, a_manifest(tmp_path, 6), DEFAULT_BASE_URL, "reconcile")
    for base_url in ("http://127.0.0.1:9", None):
        with pytest.raises(OptionError, match=f"batch b was run at {DEFAULT_BASE_URL}"):
            choose(folder, manifest, base_url, "reconcile")


def test_an_unfinished_batch_is_left_to_the_user(tmp_path: Path) -> None:
    manifest, other = a_manifest(tmp_path), BatchFolder(tmp_path / "other")
    make(other, manifest)
    run(other, "quota 3")
    edited, folder = a_manifest(tmp_path, first=1), BatchFolder(tmp_path / "b")

    same = choose(folder, manifest, DEFAULT_BASE_URL, "reconcile")
    assert isinstance(same, UnfinishedFound)
    assert same.unfinished.same
    assert same.unfinished.tally is not None
    assert (same.unfinished.tally.queued, same.unfinished.tally.left) == (3, 2)
    assert same.new == NewBatchChoice(folder, (other,))

    some = choose(folder, edited, DEFAULT_BASE_URL, "reconcile")
    assert isinstance(some, UnfinishedFound)
    assert (some.unfinished.same, some.unfinished.shared, some.unfinished.total) == (False, 2, 5)

    with Journal.open(other.journal):
        busy = choose(folder, edited, DEFAULT_BASE_URL, "reconcile")
        assert isinstance(busy, UnfinishedFound)
        assert (busy.unfinished.in_use, busy.unfinished.shared) == (True, 4)


def test_an_unfinished_batch_does_not_matter_to_a_sandbox_or_with_new(tmp_path: Path) -> None:
    manifest, folder = a_manifest(tmp_path), BatchFolder(tmp_path / "b")
    make(BatchFolder(tmp_path / "other"), manifest)
    unconditional = NewBatchChoice(folder, None)
    assert choose(folder, manifest, DEFAULT_BASE_URL, "reconcile", new=True) == unconditional
    assert choose(folder, manifest, None, "reconcile") == unconditional


def test_a_trigger_counts_only_in_the_newest_batch_that_has_it(tmp_path: Path) -> None:
    """The batch that finished last has sent all that an older, unfinished one has."""
    both, one = a_manifest(tmp_path, 2), a_manifest(tmp_path, 1)
    older, newer, folder = (BatchFolder(tmp_path / "out" / name) for name in ("a", "b", "c"))
    make(older, both)
    VirtualRun(older.journal, "quota 1").go()
    make(newer, one)
    run(newer)
    assert isinstance(choose(folder, one, DEFAULT_BASE_URL, "reconcile"), NewBatchChoice)
    edited = a_manifest(tmp_path, 3)
    assert isinstance(choose(folder, edited, DEFAULT_BASE_URL, "reconcile"), NewBatchChoice)


def test_a_new_batch_does_not_continue_one_of_its_name(tmp_path: Path) -> None:
    manifest, folder = a_manifest(tmp_path), BatchFolder(tmp_path / "b")
    make(folder, manifest)
    with pytest.raises(OptionError, match="--new: batch b exists already"):
        choose(folder, manifest, DEFAULT_BASE_URL, "reconcile", new=True)


def test_of_two_batches_chosen_at_the_same_moment_one_is_created(tmp_path: Path) -> None:
    manifest = a_manifest(tmp_path)
    folders = [BatchFolder(tmp_path / "reports" / name) for name in ("one", "two")]
    first, second = (choose(folder, manifest, DEFAULT_BASE_URL, "reconcile") for folder in folders)
    assert isinstance(first, NewBatchChoice)
    assert isinstance(second, NewBatchChoice)
    create(first, manifest, DEFAULT_BASE_URL, BatchSettings(), None).close()
    with pytest.raises(OptionError, match="another process has just created batch one"):
        create(second, manifest, DEFAULT_BASE_URL, BatchSettings(), None)
    assert not folders[1].path.exists()


def test_a_sample_runs_only_against_a_sandbox(tmp_path: Path) -> None:
    sample, folder = read_manifest(SAMPLE), BatchFolder(tmp_path / "b")
    with pytest.raises(OptionError, match="is one of our samples"):
        choose(folder, sample, DEFAULT_BASE_URL, "reconcile")
    for base_url in ("http://127.0.0.1:9", None):
        assert isinstance(choose(folder, sample, base_url, "reconcile"), NewBatchChoice)


TALLY = Tally(total=100, queued=40, rejected=1, throttled=2, unknown=3, unsent=4)


@pytest.mark.parametrize(
    ("on_unknown", "failed_again", "reconcile_only", "remaining"),
    [
        ("reconcile", False, False, RemainingWork(54, 3)),
        ("resend", False, False, RemainingWork(54, 3)),
        ("report", False, False, RemainingWork(54, 0)),
        ("reconcile", True, False, RemainingWork(57, 3)),
        ("reconcile", False, True, RemainingWork(0, 3)),
    ],
)
def test_what_remains_depends_on_the_options(
    on_unknown: OnUnknown, failed_again: bool, reconcile_only: bool, remaining: RemainingWork
) -> None:
    assert remaining == remaining_work(
        TALLY, on_unknown, failed_again=failed_again, reconcile_only=reconcile_only
    )


def test_work_remains_unless_there_is_neither_a_trigger_to_send_nor_an_unknown_one() -> None:
    assert [bool(RemainingWork(*counts)) for counts in ((0, 0), (1, 0), (0, 1))] == [
        False,
        True,
        True,
    ]
