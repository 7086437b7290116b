"""Batch folders: safe names, the newest, and files that are whole or not there."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from bulk.batch.folder import (
    OUTPUT,
    BatchFolder,
    check_name,
    find,
    latest_name,
    new_name,
    newest_batches,
    note_latest,
    write_files,
    write_whole,
)
from bulk.errors import OptionError, StorageError


def batch(output: Path, name: str, age: int = 0) -> BatchFolder:
    folder = BatchFolder(output / name)
    folder.make()
    folder.journal.touch()
    os.utime(folder.journal, (1_000_000 - age, 1_000_000 - age))
    return folder


def test_a_name_sorts_by_time_and_holds_nothing_a_file_system_minds() -> None:
    assert new_name("release", 1_790_035_200.0, "a1b2") == "20260922T000000Z-release-a1b2"
    assert new_name("Ré: l|e/a\\se?", 0.0, "x") == "19700101T000000Z-R-l-e-a-se-x"
    assert new_name("…", 0.0, "x") == "19700101T000000Z-batch-x"


@pytest.mark.parametrize("name", ["release-1.2", "pr_7+x=y", "a" * 100])
def test_a_safe_name_is_accepted(name: str) -> None:
    assert check_name(name) == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        "../x",
        "a/b",
        "a\\b",
        "a:b",
        "a|b",
        "-x",
        "a b",
        "a" * 101,
        "x.",
    ],
)
def test_an_unsafe_name_is_a_clear_error(name: str) -> None:
    with pytest.raises(OptionError, match="is not a batch name"):
        check_name(name)


@pytest.mark.parametrize("name", ["NUL", "com1.x", "latest.txt"])
def test_a_reserved_name_is_a_clear_error(name: str) -> None:
    with pytest.raises(OptionError, match="is reserved"):
        check_name(name)


def test_a_batch_is_found_by_name_by_folder_and_as_the_newest(tmp_path: Path) -> None:
    older, newer = batch(tmp_path, "older", age=9), batch(tmp_path, "newer")
    (tmp_path / "no-batch").mkdir()
    assert newest_batches(tmp_path) == [newer, older]
    assert find(tmp_path, "older") == older
    assert find(tmp_path / "another", str(older.path)) == older
    assert find(tmp_path, None) == newer
    note_latest(older)
    assert (tmp_path / "latest.txt").read_text() == "older\n"
    assert find(tmp_path, None) == older
    (tmp_path / "latest.txt").write_text("gone\n")
    assert latest_name(tmp_path) == "newer"


@pytest.mark.skipif(sys.platform != "linux", reason="file names are text on other systems")
@pytest.mark.parametrize(
    "name", [b"it's \\ here", b"-x", b"caf\xe9 '1'", b"line\nend \x1b[1m", b"\xc3\xa9"]
)
@pytest.mark.processes
def test_a_folders_cli_name_is_quoted_for_a_shell(name: bytes) -> None:
    cli_name = BatchFolder(Path(os.fsdecode(name)) / "b").cli_name
    assert cli_name.isprintable()
    said = subprocess.run(["bash", "-c", f"printf %s {cli_name}"], capture_output=True, check=True)
    assert said.stdout.removeprefix(b"./") == name + b"/b"
    assert not said.stdout.startswith(b"-")


@pytest.mark.parametrize("output", [".", "x", "reports", "./reports/x", "-y"])
@pytest.mark.parametrize("name", ["b", "my batch", "-b", "it's", "$HOME", "new\nline"])
@pytest.mark.processes
def test_a_batchs_cli_name_finds_that_batch_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, output: str, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    for place in (".", "x", "reports", "reports/x", "reports/reports", "-y", "reports/-y"):
        batch(Path(place), name)
    mine = BatchFolder(Path(output) / name)
    said = subprocess.run(
        ["bash", "-c", f"printf %s. {mine.cli_name}"], capture_output=True, check=True
    )
    pasted = os.fsdecode(said.stdout[:-1])
    assert not pasted.startswith("-")
    assert find(OUTPUT, pasted).path.samefile(mine.path)


def test_a_missing_batch_is_an_error_that_names_others(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="there is no batch here yet"):
        find(tmp_path, None)
    batch(tmp_path, "there")
    with pytest.raises(OptionError, match=r"nope: no such batch under .*; the newest here: there"):
        find(tmp_path, "nope")


def test_a_file_is_replaced_whole_and_others_may_read_it(tmp_path: Path) -> None:
    path = tmp_path / "report.csv"
    write_whole(path, b"one")
    write_whole(path, b"two")
    assert path.read_bytes() == b"two"
    assert [entry.name for entry in tmp_path.iterdir()] == ["report.csv"]
    if os.name != "nt":
        umask = os.umask(0)
        os.umask(umask)
        assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~umask


def test_temporary_files_of_a_dead_process_are_removed(tmp_path: Path) -> None:
    old, new = tmp_path / ".report.csv.old", tmp_path / ".report.csv.new"
    for left in (old, new):
        left.write_bytes(b"half a report")
    os.utime(old, (1e9, 1e9))
    write_whole(tmp_path / "report.csv", b"whole")
    assert not old.exists()
    assert new.exists(), "another process may be writing it"


def test_a_file_that_cannot_be_written_is_named_and_the_rest_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = batch(tmp_path, "b")
    replace = Path.replace

    def held_open(self: Path, target: Path) -> Path:
        if Path(target).name == "report.csv":
            raise PermissionError(13, "The process cannot access the file")
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", held_open)
    problems = write_files(folder, [("report.csv", b"1"), ("data/summary.json", b"2")])
    assert len(problems) == 1
    assert "report.csv: not written" in problems[0]
    assert "Excel" in problems[0]
    assert f"bulk-trigger report {tmp_path / 'b'}" in problems[0]
    assert (folder.path / "data" / "summary.json").read_bytes() == b"2"
    assert sorted(entry.name for entry in folder.path.iterdir()) == ["data"]


def test_a_folder_that_cannot_be_created_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match=r"cannot be created.*--output"):
        BatchFolder(tmp_path / "file" / "batch").make()
