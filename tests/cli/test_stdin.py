"""Manifests that can be read only once: stdin, named pipes and what a shell makes of `<(...)`."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import bulk
from bulk.batch import manifest_copy
from tests.cli.terminal import (
    ENVIRONMENT,
    KEY,
    Said,
    Terminal,
    at_a_terminal,
    command_line,
    request,
    rows,
    sandbox,
    truth,
    wait_until_accepted,
)
from tests.processes import Process, clean_environment, launcher, wait_until

ID = "00000000-0000-4000-8000-000000000001"
TABLE = f"test_id,platform,mode,name\n{ID},web|ios,fast,Café\n"
TREE = f"version: 1\nmatrix: {{platform: [web, ios]}}\ntests: [{{id: {ID}}}]\n"

pytestmark = pytest.mark.sockets


@pytest.fixture
def piped(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> Piped:
    return Piped(terminal, monkeypatch)


class Piped:
    """Calls with something on stdin."""

    def __init__(self, terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
        self.terminal = terminal
        self._monkeypatch = monkeypatch

    def call(self, content: str | bytes, *arguments: str | Path, **environment: str) -> Said:
        raw = content if isinstance(content, bytes) else content.encode()
        with self._monkeypatch.context() as patch:
            patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(raw)))
            return self.terminal.call(*arguments, **environment)

    def files(self) -> set[str]:
        folder = self.terminal.folder
        return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


@contextmanager
def writing(path: Path, content: str) -> Iterator[None]:
    """Write into a named pipe as soon as somebody reads it."""
    thread = threading.Thread(target=path.write_text, args=[content])
    thread.start()
    try:
        yield
    finally:
        thread.join(timeout=30)


FORMS = {
    "CSV": (TABLE, "<stdin>: 1 row, 2 triggers (web 1, ios 1)"),
    "CSV in UTF-16": (TABLE.encode("utf-16"), "<stdin>: 1 row, 2 triggers (web 1, ios 1)"),
    "YAML": (TREE, "<stdin>: 1 test, 2 triggers (web 1, ios 1)"),
    "YAML after comments": (f"# x\n%YAML 1.2\n---\n\n{TREE}", "<stdin>: 1 test, 2 triggers"),
    "YAML as JSON": (
        json.dumps({"version": 1, "tests": [{"id": ID}]}),
        "<stdin>: 1 test, 1 trigger (unset 1)",
    ),
}


@pytest.mark.parametrize(("content", "line"), FORMS.values(), ids=FORMS.keys())
def test_a_dry_run_reads_stdin_in_either_form_and_leaves_nothing(
    piped: Piped, content: str | bytes, line: str
) -> None:
    said = piped.call(content, "-", "--dry-run")
    assert (said.code, line in said.err) == (0, True)
    assert piped.files() == set()


@pytest.mark.parametrize(("content", "kept"), [(TABLE, "manifest.csv"), (TREE, "manifest.yaml")])
@pytest.mark.parametrize("how", [["--sandbox"], ["--simulate", "none"]])
def test_the_batch_keeps_what_came_from_stdin(
    piped: Piped, content: str, kept: str, how: list[str]
) -> None:
    assert piped.call(content, *how, "-").code == 0
    (batch,) = piped.terminal.batches()
    assert "-stdin-" in batch.name
    assert (batch / "data" / kept).read_text(encoding="utf-8") == content
    summary = json.loads((batch / "data" / "summary.json").read_text())
    assert summary["manifest"] == f"reports/{batch.name}/data/{kept}"
    assert len(rows(batch)) == 2


def test_an_interrupted_batch_from_stdin_is_resumed(piped: Piped) -> None:
    ids = "".join(f"00000000-0000-4000-8000-{n:012d},web,fast\n" for n in range(60))
    folder = piped.terminal.folder
    with sandbox("token-bucket 10/s burst 5; headers retry-after-fractional") as base_url:
        process = _start(folder, "test_id,platform,mode\n" + ids, "--base-url", base_url)
        wait_until_accepted(base_url, 3)
        os.kill(process.pid, signal.SIGINT)
        process.communicate(timeout=30)
        assert process.returncode == 130
        (batch,) = piped.terminal.batches()
        copy = f"reports/{batch.name}/data/manifest.csv"
        said = piped.terminal.call("resume", batch.name)
        assert f"bulk-trigger {copy} --sandbox" in said.err
        again = piped.call(
            "test_id,platform,mode\n" + ids, "-", "--base-url", base_url, **ENVIRONMENT
        )
        assert again.code == 2
        assert f"Continue it: bulk-trigger resume {batch.name}" in again.err
        assert piped.terminal.call("resume", batch.name, **ENVIRONMENT).code == 0
        accepted = truth(base_url)["accepted"]
        assert len({run["test_id"] for run in accepted}) == len(accepted) == 60


def _start(folder: Path, content: str, *arguments: str) -> Process:
    reader, writer = os.pipe()
    wanted = request("-", *arguments, folder=folder, environment=ENVIRONMENT)
    process = launcher().start(wanted, stdin=reader)
    os.close(reader)
    os.write(writer, content.encode())
    os.close(writer)
    return process


BAD: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "<stdin>: is empty; does what writes it print anything?"),
    "a bad row": (
        b"test_id,platform,mode\nx,web,fast\n",
        '<stdin>:2: column "test_id": "x" is not',
    ),
    "a bad document": (b"version: 1\ntests: []\n", '<stdin>:2:8: key "tests": is an empty list'),
    "a workbook": (b"PK\x03\x04", "<stdin>: is a spreadsheet"),
}


@pytest.mark.parametrize(("content", "words"), BAD.values(), ids=BAD.keys())
def test_what_is_wrong_with_stdin_is_said_and_nothing_is_left(
    piped: Piped, content: bytes, words: str
) -> None:
    said = piped.call(content, "-", "--sandbox")
    assert (said.code, words in said.err) == (2, True), said.err
    assert piped.files() == set()


def test_too_much_is_an_error(piped: Piped, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manifest_copy, "COPY_BYTES_MAX", 1 << 20)
    said = piped.call(TABLE + "\n" * (1 << 20), "-", "--sandbox")
    assert said.code == 2
    assert "<stdin>: more than 1 MiB; save so large a manifest to a file" in said.err
    assert piped.files() == set()


def test_a_terminal_is_not_waited_for(terminal: Terminal) -> None:
    code, said = at_a_terminal("", "-", "--sandbox", folder=terminal.folder)
    assert code == 2
    assert "<stdin>: is a terminal; pipe a manifest in (... | bulk-trigger -)" in said


@pytest.mark.skipif(os.name == "nt", reason="needs a POSIX shell")
def test_a_closed_stdin_is_an_empty_one(terminal: Terminal) -> None:
    done = subprocess.run(
        ["sh", "-c", 'exec "$@" <&-', "sh", *command_line("-", "--sandbox")],
        cwd=terminal.folder,
        env=clean_environment({}),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (
        2,
        "error: <stdin>: is empty; does what writes it print anything?\n",
    )


def test_key_and_manifest_cannot_both_come_from_stdin(piped: Piped) -> None:
    said = piped.call(TABLE, "-", "--api-key-file", "/dev/stdin")
    assert said.code == 2
    assert "--api-key-file: stdin is the manifest already" in said.err


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the platform has no named pipes")
@pytest.mark.parametrize(
    ("name", "content", "kept"),
    [("pipe", TREE, "manifest.yaml"), ("pipe.csv", TABLE, "manifest.csv")],
)
def test_a_named_pipe_is_read_once_and_kept(
    terminal: Terminal, name: str, content: str, kept: str
) -> None:
    pipe = terminal.folder / name
    os.mkfifo(pipe)
    with writing(pipe, content):
        assert terminal.call(pipe, "--sandbox").code == 0
    (batch,) = terminal.batches()
    assert (batch / "data" / kept).read_text(encoding="utf-8") == content
    assert "-pipe-" in batch.name


@pytest.mark.skipif(not Path("/dev/fd").exists(), reason="the platform has no /dev/fd")
def test_what_a_shell_substitutes_for_a_process_is_read(terminal: Terminal) -> None:
    reader, writer = os.pipe()
    os.write(writer, TREE.encode())
    os.close(writer)
    said = terminal.call(f"/dev/fd/{reader}", "--dry-run")
    os.close(reader)
    assert said.code == 0
    assert f"/dev/fd/{reader}: 1 test, 2 triggers" in said.err


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the platform has no named pipes")
def test_the_python_api_reads_a_pipe_too(terminal: Terminal) -> None:
    pipe = terminal.folder / "m.csv"
    os.mkfifo(pipe)
    with sandbox("none") as base_url, writing(pipe, TABLE):
        result = bulk.trigger(pipe, api_key=KEY, base_url=base_url)
    assert result.summary.queued == 2
    assert (result.folder / "data" / "manifest.csv").read_text(encoding="utf-8") == TABLE


def test_a_kept_manifest_is_removed_where_no_batch_was_created(
    piped: Piped, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("bulk.batch.manifest_copy.os.fsync", full)
    said = piped.call(TABLE, "-", "--sandbox")
    assert said.code == 8
    assert "the manifest cannot be kept: No space left on device" in said.err
    assert piped.terminal.batches() == []


def test_an_interrupted_simulation_leaves_nothing_of_it(terminal: Terminal) -> None:
    ids = "".join(f"00000000-0000-4000-8000-{n:012d},web,fast\n" for n in range(20_000))
    reader, writer = os.pipe()
    wanted = request("-", "--simulate", "none", folder=terminal.folder, environment={})
    process = launcher().start(wanted, stdin=reader)
    os.close(reader)
    with os.fdopen(writer, "w") as pipe:
        pipe.write("test_id,platform,mode\n" + ids)

    def begun() -> bool:
        logs = (terminal.folder / "reports").glob("*/data/*-wal")
        return any(log.stat().st_size >= 100_000 for log in logs)

    wait_until(begun, "a log of 100,000 bytes")
    assert len([*(terminal.folder / "reports").glob("*/data/manifest.csv")]) == 1
    os.kill(process.pid, signal.SIGINT)
    process.communicate(timeout=30)
    assert process.returncode == 130
    assert terminal.batches() == []
