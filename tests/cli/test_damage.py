"""A damaged journal as a user meets it: nothing is sent, what is left is saved and named."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

import bulk
from bulk.errors import StorageError
from bulk.journal import read_runs
from tests.cli.terminal import (
    ENVIRONMENT,
    KEY,
    Terminal,
    rows,
    sandbox,
    spawn,
    truth,
    wait_until_accepted,
    write_manifest,
)

SLOW = "token-bucket 40/s burst 5; headers retry-after-fractional; latency 20ms"
COUNT = 80

pytestmark = pytest.mark.sockets


def _cut(journal: Path) -> None:
    """By more than the log beside it holds."""
    journal.write_bytes(journal.read_bytes()[:9_000])


def _zeros(journal: Path) -> None:
    content = journal.read_bytes()
    journal.write_bytes(content[:8_192] + bytes(8_192) + content[16_384:])


def _without_log(journal: Path) -> None:
    journal.with_name(f"{journal.name}-wal").unlink()


def _emptied(journal: Path) -> None:
    journal.write_bytes(b"")


def saved(batch: Path) -> list[dict[str, str]]:
    """The rows of what was saved."""
    with (batch / "salvaged.csv").open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("spoil", [_cut, _zeros, _without_log, _emptied])
def test_a_damaged_journal_is_never_gone_on_with(
    terminal: Terminal, spoil: Callable[[Path], None]
) -> None:
    manifest = write_manifest(terminal.folder / "m.csv", COUNT)
    with sandbox(SLOW) as base_url:
        run = (manifest, "--base-url", base_url, "--batch", "nightly")
        process = spawn(*run, folder=terminal.folder, **ENVIRONMENT)
        wait_until_accepted(base_url, 25)
        process.kill()
        process.communicate()
        (batch,) = terminal.batches()
        shutil.copytree(batch / "data", terminal.folder / "backup")
        spoil(batch / "data" / "journal.sqlite")
        content = {file: file.read_bytes() for file in (batch / "data").iterdir()}
        before = truth(base_url)["accepted"]
        for call in (("resume",), ("report",), ("measure",), run, run[:3]):
            said = terminal.call(*call, **ENVIRONMENT)
            assert (said.code, said.out) == (8, ""), said
            assert "nightly/data/journal.sqlite: the journal is damaged: " in said.err
            assert "nightly/salvaged.csv" in said.err
            assert "put an intact copy of the folder `data` back and resume" in said.err
        with pytest.raises(StorageError, match=r"salvaged\.csv"):
            bulk.trigger(
                manifest,
                api_key=KEY,
                base_url=base_url,
                output=terminal.folder / "reports",
                batch="nightly",
            )
        assert {file: file.read_bytes() for file in (batch / "data").iterdir()} == content
        assert truth(base_url)["accepted"] == before
        theirs = {run["run_id"]: run["test_id"] for run in before}
        for row in saved(batch):
            assert (
                not row["run_id"] or theirs[row["run_id"]] == row["test_id"] or not row["test_id"]
            )
            assert row["outcome"] == ("queued" if row["run_id"] else "unknown")
        assert len(saved(batch)) >= COUNT * 3 // 4 or spoil is _emptied
        listed = read_runs(batch / "data" / "runs.txt", None).runs
        assert {row["run_id"] for row in saved(batch)} >= listed.keys()
        assert len(listed) >= 10

        shutil.rmtree(batch / "data")
        (terminal.folder / "backup").rename(batch / "data")
        went_on = terminal.call("resume", "--on-unknown", "report", **ENVIRONMENT)
        assert went_on.code in (0, 7)
        assert len(rows(batch)) == COUNT
        assert len(truth(base_url)["accepted"]) <= COUNT


@pytest.mark.parametrize("content", [b"", b"another program's text"])
def test_beside_a_journal_that_tells_nothing_a_batch_begins_only_where_that_is_asked_for(
    terminal: Terminal, content: bytes
) -> None:
    manifest = write_manifest(terminal.folder / "m.csv", 2)
    with sandbox("none") as base_url:
        run = (manifest, "--base-url", base_url)
        assert terminal.call(*run, **ENVIRONMENT).code == 0
        (batch,) = terminal.batches()
        (batch / "data" / "journal.sqlite").write_bytes(content)
        said = terminal.call(*run, **ENVIRONMENT)
        assert (said.code, "use --new" in said.err) == (8, True)
        assert "Nothing could be read from the journal itself" in said.err
        runs = {run["run_id"] for run in truth(base_url)["accepted"]}
        assert {row["run_id"] for row in saved(batch)} == runs, "data/runs.txt has them all"
        assert len(truth(base_url)["accepted"]) == 2
        assert terminal.call(*run, "--new", **ENVIRONMENT).code == 0
