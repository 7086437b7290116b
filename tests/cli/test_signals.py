"""Each signal that ends a process, at each stage of a command, as each kind of parent sends it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.cli.terminal import (
    ENVIRONMENT,
    Terminal,
    command_line,
    request,
    rows,
    sandbox,
    spawn,
    wait_until_accepted,
    write_manifest,
)
from tests.processes import clean_environment, launcher

SLOW = "token-bucket 20/s burst 5"
ENDING = [
    (signal.SIGHUP, 129),
    (signal.SIGINT, 130),
    (signal.SIGQUIT, 131),
    (signal.SIGTERM, 143),
]

pytestmark = [
    pytest.mark.sockets,
    pytest.mark.skipif(os.name == "nt", reason="needs POSIX signals"),
]


def start(words: list[str], folder: Path) -> subprocess.Popen[bytes]:
    """A process that no launcher prepared."""
    return subprocess.Popen(words, cwd=folder, env=clean_environment(ENVIRONMENT))


@pytest.mark.parametrize(("number", "code"), ENDING)
def test_a_signal_at_the_question_ends_with_its_code(
    terminal: Terminal, number: signal.Signals, code: int
) -> None:
    manifest = write_manifest(terminal.folder / "m.csv", 40)
    with sandbox(SLOW) as base_url:
        run = (manifest, "--base-url", base_url)
        assert terminal.call(*run, "--deadline", "0.2s", **ENVIRONMENT).code == 11
    ours, theirs = os.openpty()
    wanted = request(*run, folder=terminal.folder, environment=ENVIRONMENT)
    process = launcher().start(wanted, stdin=theirs, stderr=theirs)
    os.close(theirs)
    said = ""
    while "quit?" not in said:
        said += os.read(ours, 10_000).decode()
    process.send_signal(number)
    process.communicate(timeout=20)
    assert process.returncode == code
    os.close(ours)
    assert len(terminal.batches()) == 1


@pytest.mark.parametrize(("number", "code"), ENDING)
def test_a_signal_ends_a_simulation_and_leaves_nothing_of_it(
    terminal: Terminal, number: signal.Signals, code: int
) -> None:
    manifest = write_manifest(terminal.folder / "m.csv", 20_000)
    run = (manifest, "--simulate", "token-bucket 1/s burst 1", "--json")
    process = spawn(*run, folder=terminal.folder)
    while not terminal.batches():
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(number)
    out, err = process.communicate(timeout=20)
    assert process.returncode == code, err
    assert json.loads(out)["exit_code"] == code
    assert "Traceback" not in err
    assert terminal.batches() == []


@pytest.mark.parametrize(("number", "code"), ENDING)
def test_a_signal_ends_a_command_whose_reader_does_not_read(
    terminal: Terminal, number: signal.Signals, code: int
) -> None:
    manifest = write_manifest(terminal.folder / "m.csv", 5_000)
    process = spawn(manifest, "--dry-run", folder=terminal.folder)
    assert process.stdout is not None
    assert process.stdout.readline()
    process.send_signal(number)
    assert process.wait(timeout=20) == code
    process.communicate()


@pytest.mark.parametrize("number", [number for number, _ in ENDING])
def test_a_signal_is_the_end_of_the_sandbox_command(
    terminal: Terminal, number: signal.Signals
) -> None:
    process = spawn("sandbox", folder=terminal.folder)
    assert process.stdout is not None
    assert process.stdout.readline().startswith("SANDBOX")
    process.send_signal(number)
    _, err = process.communicate(timeout=20)
    assert process.returncode == 0
    assert "requests 0" in err


def test_a_batch_whose_terminal_is_closed_drains_and_writes_its_reports(terminal: Terminal) -> None:
    """The kernel sends SIGHUP to the terminal's processes; they can no longer print."""
    import fcntl
    import termios

    manifest = write_manifest(terminal.folder / "m.csv", 80)
    ours, theirs = os.openpty()

    def own_terminal() -> None:
        os.setsid()
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)

    with sandbox(SLOW) as base_url:
        process = subprocess.Popen(
            command_line(manifest, "--base-url", base_url, "--batch", "b"),
            cwd=terminal.folder,
            env=clean_environment(ENVIRONMENT),
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            preexec_fn=own_terminal,
        )
        os.close(theirs)
        wait_until_accepted(base_url, 8)
        os.close(ours)
        assert process.wait(timeout=20) == 129
    summary = json.loads((terminal.folder / "reports/b/data/summary.json").read_text())
    assert (summary["exit_code"], summary["stop"]) == (129, "hangup")
    assert len(rows(terminal.folder / "reports" / "b")) == 80


def test_ctrl_c_that_ends_the_reader_of_the_output_too_is_an_interrupt(terminal: Terminal) -> None:
    """At a terminal it goes to the whole process group, as with `bulk-trigger ... | tee log`."""
    manifest = write_manifest(terminal.folder / "m.csv", 80)
    with sandbox(SLOW) as base_url:
        words = command_line(manifest, "--base-url", base_url, "--batch", "b")
        script = '{ "$@"; echo $? >code; } 2>&1 | cat >log'
        process = subprocess.Popen(
            ["bash", "-c", script, "bash", *words],
            cwd=terminal.folder,
            env=clean_environment(ENVIRONMENT),
            start_new_session=True,
        )
        wait_until_accepted(base_url, 8)
        os.killpg(process.pid, signal.SIGINT)
        process.wait(timeout=20)
    code = terminal.folder / "code"
    while not code.exists() or not code.read_text():
        time.sleep(0.01)
    assert code.read_text() == "130\n"
    assert len(rows(terminal.folder / "reports" / "b")) == 80


@pytest.mark.parametrize(
    ("ignored", "number"),
    [("trap '' HUP; exec \"$@\"", signal.SIGHUP), ('"$@" & echo $! >pid; wait $!', signal.SIGINT)],
    ids=["nohup", "background job"],
)
def test_what_is_ignored_at_the_start_stays_ignored_and_the_rest_does_not(
    terminal: Terminal, ignored: str, number: signal.Signals
) -> None:
    manifest = write_manifest(terminal.folder / "m.csv", 80)
    with sandbox(SLOW) as base_url:
        words = command_line(manifest, "--base-url", base_url, "--batch", "b")
        process = start(["sh", "-c", ignored, "sh", *words], terminal.folder)
        wait_until_accepted(base_url, 8)
        pid_file = terminal.folder / "pid"
        pid = int(pid_file.read_text()) if pid_file.exists() else process.pid
        os.kill(pid, number)
        wait_until_accepted(base_url, 20)
        os.kill(pid, signal.SIGTERM)
        assert process.wait(timeout=20) == 143
    assert len(rows(terminal.folder / "reports" / "b")) == 80


def test_a_background_job_ends_at_another_signal_than_the_ignored_one_outside_a_batch(
    terminal: Terminal,
) -> None:
    manifest = write_manifest(terminal.folder / "m.csv", 20_000)
    words = command_line(manifest, "--simulate", "token-bucket 1/s burst 1")
    script = '"$@" & echo $! >pid; wait $!'
    process = start(["sh", "-c", script, "sh", *words], terminal.folder)
    while not terminal.batches():
        assert process.poll() is None
        time.sleep(0.01)
    pid = int((terminal.folder / "pid").read_text())
    os.kill(pid, signal.SIGINT)
    os.kill(pid, signal.SIGTERM)
    assert process.wait(timeout=20) == 143
    assert terminal.batches() == []


def test_process_1_of_a_container_ends_at_a_signal(terminal: Terminal) -> None:
    """It has no default handlers: a signal that it does not handle is ignored."""
    unshare = ["unshare", "--user", "--map-root-user", "--pid", "--fork", "--mount-proc"]
    try:
        subprocess.run([*unshare, "true"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no process namespaces here")
    manifest = write_manifest(terminal.folder / "m.csv", 20_000)
    words = command_line(manifest, "--simulate", "token-bucket 1/s burst 1")
    process = start([*unshare, *words], terminal.folder)
    while not terminal.batches():
        assert process.poll() is None
        time.sleep(0.01)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    (child,) = children.read_text().split()
    os.kill(int(child), signal.SIGTERM)
    assert process.wait(timeout=20) == 143
    assert terminal.batches() == []
