"""Whole runs against a server that echoes the key in every way it can: it shows nowhere.

Looked through are all files (the journal's bytes too), all output, and the process list.
"""

from __future__ import annotations

import os
import resource
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from tests.cli.terminal import write_manifest
from tests.fuzz.canary import CANARY, WAYS, shows_canary
from tests.fuzz.echoing import PLACES, EchoServer, echo_server
from tests.processes import ROOT

pytestmark = [
    pytest.mark.sockets,
    pytest.mark.skipif(os.name == "nt", reason="signals, modes and /proc are other things there"),
]
EACH_WAY = len(PLACES) * len(WAYS)  # triggers, so that each way of echoing is at each place once
FAST = ("--max-retries", "0", "--timeout", "5s", "--connect-timeout", "2s")


@pytest.fixture
def server() -> Iterator[EchoServer]:
    with echo_server() as running:
        yield running


def start(
    folder: Path,
    *arguments: str | Path,
    before: Callable[[], None] | None = None,
    more: Mapping[str, str] | None = None,
) -> subprocess.Popen[str]:
    """The command; the canary is its key, in the environment unless `more` of it says other."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("TESTERARMY", "GITHUB"))}
    kept |= {"TESTERARMY_API_KEY": CANARY, "PYTHONPATH": str(ROOT), **(more or {})}
    return subprocess.Popen(
        [sys.executable, "-X", "dev", "-m", "bulk", *map(str, arguments)],
        cwd=folder,
        env={name: value for name, value in kept.items() if value},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=before,
    )


def ended(process: subprocess.Popen[str], folder: Path) -> tuple[int, str]:
    """Its exit code and output; fails where that or a file shows the key, or it crashed."""
    out, err = process.communicate(timeout=120)
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
    manifest = write_manifest(tmp_path / "m.csv", EACH_WAY)
    github = {
        "GITHUB_ACTIONS": "true",
        "GITHUB_OUTPUT": str(tmp_path / "output"),
        "GITHUB_STEP_SUMMARY": str(tmp_path / "summary"),
    }
    process = start(tmp_path, manifest, "--base-url", server.base_url, *FAST, more=github)
    code, _ = ended(process, tmp_path)
    assert code == 7
    assert server.triggers >= EACH_WAY
    text = (next((tmp_path / "reports").glob("*/report.csv"))).read_text("utf-8-sig")
    assert text.count("[API key]") > EACH_WAY / 3
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
    manifest = write_manifest(tmp_path / "m.csv", EACH_WAY)
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
        for _ in range(interrupts):
            process.send_signal(signal.SIGINT)
            time.sleep(0.3)
        server.go_on.set()
        # The second may also come when all is done but for Python's own end, which it cuts short.
        assert ended(process, tmp_path)[0] in ((130,) if interrupts == 1 else (130, -signal.SIGINT))


def test_a_full_disk_shows_no_key(tmp_path: Path, server: EchoServer) -> None:
    manifest = write_manifest(tmp_path / "m.csv", EACH_WAY)
    process = start(
        tmp_path,
        *(manifest, "--base-url", server.base_url, *FAST),
        before=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (250_000, 250_000)),
    )
    assert ended(process, tmp_path)[0] == 8


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="no /proc here")
@pytest.mark.parametrize("way", ["environment", "file", "option"])
def test_only_the_option_shows_the_key_in_the_process_list(
    tmp_path: Path, server: EchoServer, way: str
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
    process = start(
        tmp_path / "place",
        *(manifest, "--base-url", server.base_url, *FAST, *given[way]),
        more={} if way == "environment" else {"TESTERARMY_API_KEY": ""},
    )
    _wait_for(lambda: server.triggers > 0, process)
    shown = shows_canary(Path(f"/proc/{process.pid}/cmdline").read_bytes())
    server.go_on.set()
    ended(process, tmp_path / "place")
    assert shown == (way == "option")


def _wait_for(true: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    for _ in range(600):
        if true():
            return
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    pytest.fail("it did not come so far in thirty seconds")
