"""Calls the command line as a user does: in this process where that shows the same."""

from __future__ import annotations

import csv
import json
import os
import signal
import sys
import threading
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from queue import Queue
from typing import Any

import pytest
import trio

from bulk.cli import main
from bulk.cli.interrupts import STOP_SIGNALS
from bulk.sandbox import Served, parse_spec, serve
from tests.launch import Request
from tests.processes import Process, clean_environment, launcher, wait_until
from tests.short_waits import shorten

KEY = "sk_live_CANARY_7f3a"
ENVIRONMENT = {"TESTERARMY_API_KEY": KEY}


@dataclass(frozen=True, slots=True)
class Said:
    """What a call said and how it ended."""

    code: int
    out: str
    err: str


class Terminal:
    """A place to call from: a folder of its own, an environment without surprises."""

    def __init__(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        self.folder = folder
        self._monkeypatch = monkeypatch
        self._capsys = capsys
        monkeypatch.chdir(folder)
        shorten(monkeypatch.setattr)
        for name in list(os.environ):
            if name.startswith(("TESTERARMY_", "GITHUB_")):
                monkeypatch.delenv(name)

    def call(self, *arguments: str | Path, **environment: str) -> Said:
        """Call in this process; nothing that was said may hold the key."""
        with self._monkeypatch.context() as patch:
            patch.setattr(sys, "argv", ["bulk-trigger", *map(str, arguments)])
            for name, value in environment.items():
                patch.setenv(name, value)
            before = {number: signal.getsignal(number) for number in STOP_SIGNALS}
            try:
                main()
            except SystemExit as end:
                code = end.code
            finally:
                for number, handler in before.items():
                    signal.signal(number, handler)
        out, err = self._capsys.readouterr()
        assert "CANARY" not in out + err
        assert "Traceback" not in err
        assert isinstance(code, int)
        return Said(int(code), out, err)

    def batches(self, output: str = "reports") -> list[Path]:
        """The batch folders, oldest first."""
        parent = self.folder / output
        return sorted(path for path in parent.iterdir() if path.is_dir()) if parent.exists() else []


def rows(batch: Path) -> list[dict[str, str]]:
    """The rows of a batch's report."""
    with (batch / "report.csv").open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def spawn(*arguments: str | Path, folder: Path, **environment: str) -> Process:
    """Call in a process of its own, in a folder."""
    return launcher().start(request(*arguments, folder=folder, environment=environment))


def request(
    *arguments: str | Path,
    folder: Path,
    environment: Mapping[str, str],
    before: str = "",
    file_bytes_max: int | None = None,
) -> Request:
    """A request to the launcher, with a controlled environment."""
    return Request(
        [*map(str, arguments)],
        str(folder),
        clean_environment(environment),
        before=before,
        file_bytes_max=file_bytes_max,
    )


def at_a_terminal(
    answer: str, *arguments: str | Path, folder: Path, **environment: str
) -> tuple[int, str]:
    """Call at a terminal, where it is answered; the exit code, and what was said on stderr."""
    ours, theirs = os.openpty()
    wanted = request(*arguments, folder=folder, environment=environment)
    process = launcher().start(wanted, stdin=theirs, stderr=theirs)
    os.close(theirs)
    os.write(ours, f"{answer}\n".encode())
    process.communicate(timeout=60)
    said = os.read(ours, 10_000).decode()
    os.close(ours)
    return process.wait(), said


def command_line(*arguments: str | Path) -> list[str]:
    """What starts Python with the command, for what only that start can show."""
    return [sys.executable, "-m", "bulk", *map(str, arguments)]


@contextmanager
def sandbox(spec: str) -> Iterator[str]:
    """A sandbox on a port of its own, served from a thread; its address."""
    started: Queue[tuple[trio.lowlevel.TrioToken, trio.CancelScope, str]] = Queue()

    async def serve_until_cancelled() -> None:
        async with trio.open_nursery() as nursery:
            served: Served = await nursery.start(serve, config)
            token = trio.lowlevel.current_trio_token()
            started.put((token, nursery.cancel_scope, served.url))

    config = parse_spec(spec)
    thread = threading.Thread(target=trio.run, args=[serve_until_cancelled], name="sandbox")
    thread.start()
    token, scope, url = started.get(timeout=60)
    try:
        yield url
    finally:
        token.run_sync_soon(scope.cancel)
        thread.join()


def truth(base_url: str, *, summary: bool = False) -> Mapping[str, Any]:
    """What the sandbox counted; with `summary` the counts alone."""
    with urllib.request.urlopen(f"{base_url}/sandbox/truth?summary={int(summary)}") as answer:
        content = json.load(answer)
    assert isinstance(content, dict)
    return content


def listed_runs(base_url: str) -> list[Mapping[str, Any]]:
    """All runs, as the server lists them."""
    runs: list[Mapping[str, Any]] = []
    cursor = ""
    while True:
        request = urllib.request.Request(f"{base_url}/v1/runs?limit=100{cursor}")
        request.add_header("Authorization", f"Bearer {KEY}")
        with urllib.request.urlopen(request) as answer:
            page = json.load(answer)
        runs += page["runs"]
        if page["nextCursor"] is None:
            return runs
        cursor = f"&cursor={page['nextCursor']}"


def wait_until_accepted(base_url: str, least: int) -> None:
    """Return when the sandbox has accepted that many triggers."""
    _wait_for(base_url, "accepted", least)


def wait_until_asked(base_url: str, least: int) -> None:
    """Return when that many requests have reached the sandbox."""
    _wait_for(base_url, "requests", least)


def _wait_for(base_url: str, count: str, least: int) -> None:
    def reached() -> bool:
        return bool(truth(base_url, summary=True)["counts"][count] >= least)

    wait_until(reached, f"{count} of {least}")


def write_manifest(path: Path, count: int, first: int = 0) -> Path:
    """A manifest of that many cells of different tests, numbered from the first."""
    numbers = range(first, first + count)
    lines = ["test_id,platform,mode,name"]
    lines += [f"00000000-0000-4000-8000-{n:012d},web,fast,Test {n}" for n in numbers]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path
