"""Processes killed at random moments, on full disks, and two at once: nothing twice, nothing lost.

`make soak` kills more of them. A round that fails is lived through again by its number, as far as
real time allows: `python -m tests.kills.soak --from 17 --kills 1`.
"""

from __future__ import annotations

import signal
from pathlib import Path
from random import Random

import pytest

from tests.cli.terminal import ENVIRONMENT, Terminal, request, sandbox, spawn, truth, write_manifest
from tests.kills.judge import problems
from tests.kills.soak import soak
from tests.processes import launcher

SLOW = "token-bucket 40/s burst 5; headers retry-after-fractional; latency 20ms"
IN_USE = "another bulk-trigger is at work on this batch"
PATIENCE = ("--timeout", "2s", "--connect-timeout", "2s")

pytestmark = pytest.mark.sockets


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="cannot stop a process here")
async def test_killed_stopped_interrupted_and_cut_off(tmp_path: Path) -> None:
    happened, broken = await soak(
        5, 200, tmp_path, at_once=5, mishaps=range(1, 3), short_waits=True
    )
    assert happened["kill"] >= 5
    assert broken == {}


@pytest.mark.parametrize("seed", range(5))
def test_a_disk_that_is_full_at_any_write(terminal: Terminal, seed: int) -> None:
    """A limit on the size of files stands in for the full disk: none fits, or almost all."""
    limit = Random(f"disk {seed}").choice((0, 10_000, 60_000, 100_000, 200_000)) + 5_000 * seed
    manifest = write_manifest(terminal.folder / "m.csv", 60)
    with sandbox("none; latency 5ms") as base_url:
        run = (str(manifest), "--base-url", base_url, "--batch", "b", *PATIENCE)
        wanted = request(
            *run, folder=terminal.folder, environment=ENVIRONMENT, file_bytes_max=limit
        )
        process = launcher().start(wanted)
        out, err = process.communicate(timeout=60)
        assert (process.returncode, "Traceback" in err) == (8, False), err
        said = out + err
        assert "resume b" in said or "nothing was sent. Check the disk" in said
        again = terminal.call(*run, "--on-unknown", "report", **ENVIRONMENT)
        assert again.code in (0, 7), again
        batch = terminal.folder / "reports" / "b"
        assert problems(batch, manifest, truth(base_url), again.code) == []


@pytest.mark.parametrize("turn", range(2))
def test_two_that_begin_one_batch_at_the_same_moment(terminal: Terminal, turn: int) -> None:
    manifest = write_manifest(terminal.folder / "m.csv", 60)
    with sandbox(SLOW) as base_url:
        run = (manifest, "--base-url", base_url, "--batch", "b", *PATIENCE)
        both = [spawn(*run, folder=terminal.folder, **ENVIRONMENT) for _ in range(2)]
        ends = [(process.communicate(timeout=120), process.returncode) for process in both]
        assert sorted(code for _, code in ends) == [0, 2], ends
        (refused,) = [err for (_, err), code in ends if code]
        assert IN_USE in refused
        assert "Traceback" not in refused
        batch = terminal.folder / "reports" / "b"
        assert problems(batch, manifest, truth(base_url), 0) == []


@pytest.mark.parametrize("first", [0, 59], ids=["all", "one"])
def test_two_that_begin_batches_of_the_same_triggers_at_the_same_moment(
    terminal: Terminal, first: int
) -> None:
    manifests = [
        write_manifest(terminal.folder / "m.csv", 60),
        write_manifest(terminal.folder / "n.csv", 60, first),
    ]
    with sandbox(SLOW) as base_url:
        rest = ("--base-url", base_url, *PATIENCE)
        both = [spawn(path, *rest, folder=terminal.folder, **ENVIRONMENT) for path in manifests]
        ends = [(process.communicate(timeout=120), process.returncode) for process in both]
        assert sorted(code for _, code in ends) == [0, 2], ends
        (refused,) = [err for (_, err), code in ends if code]
        (batch,) = terminal.batches()
        assert f"batch {batch.name}" in refused
        (begun,) = [path for path, (_, code) in zip(manifests, ends, strict=True) if not code]
        assert problems(batch, begun, truth(base_url), 0) == []


def test_two_that_resume_one_batch_at_the_same_moment(terminal: Terminal) -> None:
    manifest = write_manifest(terminal.folder / "m.csv", 60)
    with sandbox(SLOW) as base_url:
        arguments = ("--base-url", base_url, "--batch", "b", "--deadline", "0.3s")
        assert terminal.call(manifest, *arguments, **ENVIRONMENT).code == 11
        resume = ("resume", "b", *PATIENCE)
        both = [spawn(*resume, folder=terminal.folder, **ENVIRONMENT) for _ in range(2)]
        ends = [(process.communicate(timeout=120), process.returncode) for process in both]
        assert sorted(code for _, code in ends) == [0, 2], ends
        assert any(IN_USE in err for (_, err), _ in ends)
        batch = terminal.folder / "reports" / "b"
        assert problems(batch, manifest, truth(base_url), 0) == []
