"""A process that cannot print: the batch continues, and the exit code is right."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.cli.terminal import (
    ENVIRONMENT,
    Terminal,
    command_line,
    request,
    rows,
    sandbox,
    write_manifest,
)
from tests.processes import ROOT, launcher

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


@pytest.mark.parametrize("closed", ["0<&-", "1>&-", "2>&-", "0<&- 1>&- 2>&-"])
@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["m.csv", "--sandbox", "none", "--json"], 0),
        (["m.csv", "--dry-run"], 0),
        (["m.csv"], 3),
        (["missing.csv", "--json"], 2),
        (["--help"], 0),
    ],
    ids=str,
)
def test_a_stream_that_was_closed_changes_no_exit_code(
    terminal: Terminal, closed: str, words: list[str], code: int
) -> None:
    write_manifest(terminal.folder / "m.csv", COUNT)
    done = in_a_shell(f'exec "$@" {closed}', *words, folder=terminal.folder)
    assert (done.returncode, b"Traceback" in done.stdout + done.stderr) == (code, False)


def test_with_a_closed_stdin_nobody_is_asked(terminal: Terminal) -> None:
    write_manifest(terminal.folder / "m.csv", 40)
    with sandbox("token-bucket 20/s burst 5") as base_url:
        run = ("m.csv", "--base-url", base_url)
        assert terminal.call(*run, "--deadline", "0.2s", **ENVIRONMENT).code == 11
        done = in_a_shell('exec "$@" 0<&-', *run, folder=terminal.folder)
    assert (done.returncode, b"is unfinished" in done.stderr) == (2, True), done.stderr


def test_what_is_meant_for_a_closed_stderr_reaches_no_socket_and_no_file(
    terminal: Terminal,
) -> None:
    """A signal's message is written to the descriptor itself."""
    write_manifest(terminal.folder / "m.csv", 40)
    before = (
        "import os, sys\n"
        "os.close(0); os.close(2); sys.stdin = sys.stderr = None\n"
        "from bulk.cli.streams import prepare\n"
        "prepare()\n"
        "file = os.open('file', os.O_CREAT | os.O_WRONLY)\n"
        "from bulk.cli import signals\n"
        "signals.say('lost')\n"
        "sys.exit(0 if file > 2 else 1)\n"
    )
    wanted = request(folder=terminal.folder, environment={}, before=before)
    process = launcher().start(wanted)
    process.communicate(timeout=30)
    assert process.returncode == 0
    assert (terminal.folder / "file").read_bytes() == b""


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        {"PYTHONIOENCODING": "ascii:strict"},
        {"PYTHONIOENCODING": "latin-1"},
        {"TMPDIR": "/nonexistent", "HOME": ""},
        {"TZ": "Bogus/Zone"},
        {"PYTHONWARNINGS": "error", "PYTHONDEVMODE": "1"},
    ],
    ids=str,
)
def test_a_batch_runs_in_any_environment(terminal: Terminal, environment: dict[str, str]) -> None:
    """With nothing but these variables, and a name that not every encoding has."""
    manifest = terminal.folder / "m.csv"
    row = "7c9e6679-7425-40de-944b-e07fc1f90ae7,web,fast,Paiement réussi ✓"
    manifest.write_text(f"test_id,platform,mode,name\n{row}\n", encoding="utf-8")
    for words in (["--sandbox", "none"], ["--dry-run"]):
        done = subprocess.run(
            command_line(manifest, *words),
            cwd=terminal.folder,
            env={"PYTHONPATH": str(ROOT), **environment},
            capture_output=True,
        )
        assert (done.returncode, b"Traceback" in done.stderr) == (0, False), done.stderr


def test_forty_descriptors_are_enough(terminal: Terminal) -> None:
    write_manifest(terminal.folder / "m.csv", 200)
    with sandbox("none") as base_url:
        run = ("m.csv", "--base-url", base_url, "--max-concurrency", "16")
        done = in_a_shell('ulimit -n 40; exec "$@"', *run, folder=terminal.folder)
    assert done.returncode == 0, done.stderr


def in_a_shell(script: str, *words: str, folder: Path) -> subprocess.CompletedProcess[bytes]:
    """Call by a shell's script, in which "$@" is the command."""
    return subprocess.run(
        ["sh", "-c", script, "sh", *command_line(*words)],
        cwd=folder,
        env={"PYTHONPATH": str(ROOT), **(ENVIRONMENT if "--base-url" in words else {})},
        capture_output=True,
    )
