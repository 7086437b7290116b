"""Whole runs against a server that echoes the key in every form it can: it shows nowhere.

Looked through are all files (the journal's bytes too), all output, and the process list.
"""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from tests.cli.terminal import command_line, write_manifest
from tests.fuzz.canary import CANARY, FORMS, shows_canary
from tests.fuzz.echoing import PLACES, EchoServer, echo_server
from tests.launch import Request
from tests.processes import Process, clean_environment, launcher

pytestmark = [
    pytest.mark.sockets,
    pytest.mark.skipif(os.name == "nt", reason="signals, modes and /proc are other things there"),
]
EACH_FORM = len(PLACES) * len(FORMS)  # triggers, so that each form is at each place once
FAST = ("--max-retries", "0", "--timeout", "5s", "--connect-timeout", "2s")


@pytest.fixture
def server() -> Iterator[EchoServer]:
    with echo_server() as running:
        yield running


def environment(more: Mapping[str, str] | None = None) -> dict[str, str]:
    """The canary is the key, unless `more` says otherwise."""
    variables = clean_environment({"TESTERARMY_API_KEY": CANARY, **(more or {})})
    return {name: value for name, value in variables.items() if value}


def start(
    folder: Path,
    *arguments: str | Path,
    file_bytes_max: int | None = None,
    more: Mapping[str, str] | None = None,
) -> Process:
    """The command, with the canary as its key."""
    request = Request(
        [*map(str, arguments)], str(folder), environment(more), file_bytes_max=file_bytes_max
    )
    return launcher().start(request)


def start_python(
    folder: Path, *arguments: str | Path, more: Mapping[str, str] | None = None
) -> subprocess.Popen[str]:
    """The command as a process of Python's own, in which Python reports what it else keeps quiet
    about.
    """
    python, *words = command_line(*arguments)
    return subprocess.Popen(
        [python, "-X", "dev", *words],
        cwd=folder,
        env=environment(more),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def ended(
    process: Process | subprocess.Popen[str], folder: Path, said: str = ""
) -> tuple[int, str]:
    """Its exit code and output, of which `said` was read before; fails where that or a file shows
    the key, or it crashed.
    """
    out, err = process.communicate(timeout=120)
    err = said + err
    assert "Traceback" not in err, err
    assert not shows_canary(out), out
    assert not shows_canary(err), err
    for path in folder.rglob("*"):
        if path.is_file():
            assert not shows_canary(path.read_bytes()), path
            assert not shows_canary(str(path.relative_to(folder)))
    return process.returncode, out + err


def test_a_whole_run_and_all_that_follows_it_show_no_key(
    tmp_path: Path, server: EchoServer
) -> None:
    manifest = write_manifest(tmp_path / "m.csv", EACH_FORM)
    github = {
        "GITHUB_ACTIONS": "true",
        "GITHUB_OUTPUT": str(tmp_path / "output"),
        "GITHUB_STEP_SUMMARY": str(tmp_path / "summary"),
    }
    process = start_python(tmp_path, manifest, "--base-url", server.base_url, *FAST, more=github)
    code, _ = ended(process, tmp_path)
    assert code == 7
    assert server.triggers >= EACH_FORM
    text = (next((tmp_path / "reports").glob("*/report.csv"))).read_text("utf-8-sig")
    assert text.count("[API key]") > EACH_FORM / 3
    assert "API key" in (tmp_path / "summary").read_text()
    for command in ("report", "measure"):
        ended(start(tmp_path, command, "--json"), tmp_path)
    server.listing = 200
    ended(start(tmp_path, "resume", "--last-failed", *FAST), tmp_path)


@pytest.mark.parametrize("status", [200, 401, 500])
def test_a_preflight_that_echoes_shows_no_key(
    tmp_path: Path, server: EchoServer, status: int
) -> None:
    server.listing = status
    manifest = write_manifest(tmp_path / "m.csv", 3)
    process = start(
        tmp_path, manifest, "--base-url", server.base_url, *FAST, "--on-unknown", "report"
    )
    code, _ = ended(process, tmp_path)
    assert (code == 3) == (status == 401)


def test_an_interrupt_shows_no_key_and_the_journal_is_its_owners(
    tmp_path: Path, server: EchoServer
) -> None:
    manifest = write_manifest(tmp_path / "m.csv", EACH_FORM)
    for interrupts in (1, 2):
        server.triggers = 0
        process = start(
            tmp_path,
            *(manifest, "--base-url", server.base_url, "--output", str(interrupts), *FAST),
        )
        _wait_for(lambda: server.triggers > len(PLACES), process)
        server.go_on.clear()
        (journal,) = (tmp_path / str(interrupts)).glob("*/data/journal.sqlite")
        files = [path for path in journal.parent.iterdir() if path.name.startswith(journal.name)]
        assert {"journal.sqlite", "journal.sqlite-wal"} <= {path.name for path in files}
        for path in files:
            assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
        process.send_signal(signal.SIGINT)
        assert process.stderr is not None
        said = ""
        while "Stopping" not in said:
            said += process.stderr.readline()
        if interrupts == 2:
            process.send_signal(signal.SIGINT)
            process.wait(timeout=60)  # while the server still keeps its answers back
        server.go_on.set()
        assert ended(process, tmp_path, said)[0] == 130


def test_a_full_disk_shows_no_key(tmp_path: Path, server: EchoServer) -> None:
    manifest = write_manifest(tmp_path / "m.csv", EACH_FORM)
    process = start(
        tmp_path,
        *(manifest, "--base-url", server.base_url, *FAST),
        file_bytes_max=250_000,
    )
    assert ended(process, tmp_path)[0] == 8


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="no /proc here")
@pytest.mark.parametrize("source", ["environment", "file", "option"])
def test_only_the_option_shows_the_key_in_the_process_list(
    tmp_path: Path, server: EchoServer, source: str
) -> None:
    (tmp_path / "place").mkdir()
    (tmp_path / "key").write_text(CANARY)
    manifest = write_manifest(tmp_path / "place" / "m.csv", 3)
    given: dict[str, tuple[str | Path, ...]] = {
        "environment": (),
        "file": ("--api-key-file", tmp_path / "key"),
        "option": ("--api-key", CANARY),
    }
    server.go_on.clear()
    process = start_python(
        tmp_path / "place",
        *(manifest, "--base-url", server.base_url, *FAST, *given[source]),
        more={} if source == "environment" else {"TESTERARMY_API_KEY": ""},
    )
    _wait_for(lambda: server.triggers > 0, process)
    shown = shows_canary(Path(f"/proc/{process.pid}/cmdline").read_bytes())
    server.go_on.set()
    ended(process, tmp_path / "place")
    assert shown == (source == "option")


def _wait_for(true: Callable[[], bool], process: Process | subprocess.Popen[str]) -> None:
    for _ in range(600):
        if true():
            return
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    pytest.fail("it did not come so far in thirty seconds")
