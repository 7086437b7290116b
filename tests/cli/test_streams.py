"""A process that cannot print: the batch continues, and the exit code is right."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.cli.terminal import ENVIRONMENT, Terminal, command_line, rows, sandbox, write_manifest
from tests.processes import ROOT

FULL = Path("/dev/full")
COUNT = 3

pytestmark = pytest.mark.sockets


def close_both() -> None:
    """As some services start their processes."""
    os.close(1)
    os.close(2)


@pytest.mark.skipif(not FULL.exists(), reason="there is no device that is always full")
@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize(("full", "code"), [(["stderr"], 0), (["stdout", "stderr"], 8), ([], 0)])
def test_a_batch_does_not_end_because_it_cannot_tell(
    terminal: Terminal, full: list[str], code: int, unbuffered: str
) -> None:
    manifest = write_manifest(terminal.folder / "m.csv", COUNT)
    with sandbox("none") as base_url, FULL.open("w") as nowhere:
        done = subprocess.run(
            command_line(manifest, "--base-url", base_url, "--batch", "b"),
            cwd=terminal.folder,
            env={"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": unbuffered, **ENVIRONMENT},
            preexec_fn=None if full else close_both,
            **dict.fromkeys(full, nowhere),  # type: ignore[call-overload]
        )
    assert done.returncode == code
    assert len([row for row in rows(terminal.folder / "reports" / "b") if row["run_id"]]) == COUNT
