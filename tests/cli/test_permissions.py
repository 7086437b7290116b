"""Files and folders that may not be read or written: named, with the exit code and no traceback."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import pytest

from tests.cli.terminal import ENVIRONMENT, Terminal, sandbox, write_manifest
from tests.launch import Request
from tests.processes import ROOT, Launcher, clean_environment, launcher
from tests.programs import require_program

pytestmark = [
    pytest.mark.sockets,
    pytest.mark.skipif(os.name == "nt", reason="permissions are other things there"),
]
RELEASE = ROOT / "manifests" / "release.csv"


def call(folder: Path, *arguments: str | Path, **environment: str) -> tuple[int, str]:
    """Call as one whom permissions bind, even where the tests run as root; code and messages."""
    process = unprivileged().start(
        Request([*map(str, arguments)], str(folder), clean_environment(environment))
    )
    _, err = process.communicate(timeout=60)
    assert "Traceback" not in err
    return process.wait(), err


@cache
def unprivileged() -> Launcher:
    """Its processes may do what a user may."""
    if os.geteuid():
        return launcher()
    capabilities = "-dac_override,-dac_read_search"
    words = (require_program("setpriv"), "--bounding-set", capabilities, "--inh-caps", capabilities)
    return launcher(under=words)


@contextmanager
def mode(path: Path, bits: int) -> Iterator[None]:
    """Another mode while it lasts, so that the folder can be cleared away behind it."""
    before = path.stat().st_mode
    path.chmod(bits)
    try:
        yield
    finally:
        path.chmod(before)


@pytest.fixture
def batch(terminal: Terminal) -> Path:
    """A finished batch."""
    assert terminal.call(RELEASE, "--sandbox", "none", "--quiet").code == 0
    return terminal.batches()[0]


def test_a_folder_that_may_not_be_written_stops_before_anything_is_sent(tmp_path: Path) -> None:
    (tmp_path / "reports").mkdir()
    with mode(tmp_path / "reports", 0o555):
        code, err = call(tmp_path, RELEASE, "--sandbox")
    assert code == 8
    assert "the batch's folder cannot be created: Permission denied" in err
    assert "--output" in err


def test_a_batch_that_may_not_be_looked_at_is_named(batch: Path) -> None:
    folder = batch.parent.parent
    with mode(batch, 0):
        code, err = call(folder, RELEASE, "--sandbox", "--batch", batch.name)
        assert (code, "folder cannot be read: Permission denied" in err) == (8, True)
        assert call(folder, RELEASE, "--sandbox", "none", "--quiet")[0] == 0  # others go on


def test_a_journal_that_may_not_be_read_keeps_no_other_batch_from_being_begun(
    batch: Path,
) -> None:
    manifest = write_manifest(batch.parent.parent / "m.csv", 2)
    with sandbox("none") as base_url, mode(batch / "data" / "journal.sqlite", 0):
        run = (manifest, "--base-url", base_url)
        assert call(batch.parent.parent, *run, **ENVIRONMENT)[0] == 0


@pytest.mark.parametrize("command", ["report", "measure", "resume"])
def test_a_journal_that_may_not_be_written_says_what_to_do(batch: Path, command: str) -> None:
    with mode(batch / "data", 0o555), mode(batch / "data" / "journal.sqlite", 0o444):
        code, err = call(batch.parent.parent, command)
    assert code == 8
    assert "copy its folder to where you may write" in err


def test_a_report_that_may_not_be_written_is_named_and_the_rest_written(batch: Path) -> None:
    (batch / "data" / "summary.json").unlink()
    with mode(batch, 0o555):
        code, err = call(batch.parent.parent, "report")
    assert code == 8
    assert "report.csv: not written (Permission denied)" in err
    assert (batch / "data" / "summary.json").exists()


def test_a_manifest_that_may_not_be_read_is_named(tmp_path: Path) -> None:
    manifest = tmp_path / "m.csv"
    manifest.write_text("test_id\n")
    with mode(manifest, 0):
        code, err = call(tmp_path, "m.csv", "--sandbox")
    assert (code, "m.csv" in err, "not readable" in err) == (2, True, True)
