"""Real processes of the command, started by `tests.launch` where that shows the same as Python."""

from __future__ import annotations

import atexit
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import IO, Any

import pytest
import trio

from tests.launch import REPORT, Request

ROOT = Path(__file__).parent.parent
SHIFTED = ROOT / "tests" / "kills" / "shifted"  # its sitecustomize shifts the clocks


COMES_TRUE_S = 60.0  # a machine under load takes its time; nothing is judged by it


def wait_until(come_true: Callable[[], bool], what: str, *, every_s: float = 0.02) -> None:
    """Return when something another process or thread does has come true; else fail in the end."""
    end = time.monotonic() + COMES_TRUE_S
    while not come_true():
        if time.monotonic() > end:
            pytest.fail(f"{what} did not come true within {COMES_TRUE_S:g} s")
        time.sleep(every_s)


def clean_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables of a process that is started in this environment, without surprises."""
    return {
        **{k: v for k, v in os.environ.items() if not k.startswith(("TESTERARMY", "GITHUB"))},
        "PYTHONPATH": str(ROOT),
        **environment,
    }


class Process:
    """A process that a launcher started. As `subprocess.Popen`, as far as tests need it.

    `stdout` and `stderr` are what it writes, where they were not sent elsewhere.
    """

    def __init__(
        self, report: socket.socket, stdout: IO[str] | None = None, stderr: IO[str] | None = None
    ) -> None:
        self._report = report
        self.stdout, self.stderr = stdout, stderr
        self.pid = self._receive()
        self.returncode: int | Any = None  # as `Popen` has it: None while it runs

    def poll(self) -> int | None:
        """The exit code, or the negative signal; None while it runs."""
        try:
            return self._end(timeout=0)
        except BlockingIOError:
            return None

    def wait(self, timeout: float | None = None) -> int:
        """The same at its end. Raises subprocess.TimeoutExpired."""
        try:
            return self._end(timeout)
        except TimeoutError:
            raise subprocess.TimeoutExpired(str(self.pid), timeout or 0.0) from None

    async def wait_in_trio(self) -> int:
        """The same for a trio task."""
        while (code := self.poll()) is None:
            await trio.lowlevel.wait_readable(self._report)
        return code

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """What it writes up to its end, to stdout and to stderr. Raises TimeoutExpired."""
        said = ["", ""]

        def read(place: int, stream: IO[str]) -> None:
            said[place] = stream.read()
            stream.close()

        streams = [(0, self.stdout), (1, self.stderr)]
        readers = [
            threading.Thread(target=read, args=(place, stream), daemon=True)
            for place, stream in streams
            if stream is not None and not stream.closed
        ]
        for reader in readers:
            reader.start()
        self.wait(timeout)
        for reader in readers:
            reader.join()
        return said[0], said[1]

    def send_signal(self, number: int) -> None:
        """Send it, unless the process has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """Send SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Send SIGKILL."""
        self.send_signal(signal.SIGKILL)

    def _end(self, timeout: float | None) -> int:
        if self.returncode is None:
            self._report.settimeout(timeout)
            self.returncode = os.waitstatus_to_exitcode(self._receive())
            self._report.close()
        return int(self.returncode)

    def _receive(self) -> int:
        content = self._report.recv(REPORT.size)
        assert len(content) == REPORT.size, "the launcher died"
        number: int = REPORT.unpack(content)[0]
        return number


class Launcher:
    """Starts processes of the command.

    `environment` is that of Python's own start. `under` are the words of a program that starts it.
    """

    def __init__(self, environment: Mapping[str, str], under: Sequence[str] = ()) -> None:
        self._control, theirs = socket.socketpair()
        self._process = subprocess.Popen(
            [*under, sys.executable, "-m", "tests.launch", str(theirs.fileno())],
            cwd=ROOT,
            env=clean_environment(environment),
            pass_fds=[theirs.fileno()],
        )
        theirs.close()
        self._lock = threading.Lock()

    def start(
        self,
        request: Request,
        *,
        stdin: int | None = None,
        stdout: int | None = None,
        stderr: int | None = None,
    ) -> Process:
        """Start it. Streams are descriptors; what is not sent elsewhere can be read."""
        ours, theirs = socket.socketpair()
        nothing = os.open(os.devnull, os.O_RDONLY)
        descriptors = [theirs.fileno(), nothing if stdin is None else stdin]
        writers: list[int] = []
        readers: list[IO[str] | None] = []
        for stream in (stdout, stderr):
            if stream is None:
                reader, writer = os.pipe()
                writers.append(writer)
                readers.append(os.fdopen(reader, encoding="utf-8", errors="replace"))
                descriptors.append(writer)
            else:
                readers.append(None)
                descriptors.append(stream)
        with self._lock:
            request.send(self._control, descriptors)
        theirs.close()
        for descriptor in (nothing, *writers):
            os.close(descriptor)
        return Process(ours, *readers)

    def close(self) -> None:
        """Start no more."""
        self._control.close()
        self._process.wait()


@cache
def launcher(
    *, shifted: bool = False, preload: str | None = None, under: tuple[str, ...] = ()
) -> Launcher:
    """This process's own, which all its tests share.

    `shifted`: its processes have clocks that a test can shift. `preload`: a library that Python
    loads before all others. `under` as in `Launcher`.
    """
    environment = {"PYTHONPATH": f"{SHIFTED}{os.pathsep}{ROOT}"} if shifted else {}
    if preload is not None:
        environment["LD_PRELOAD"] = preload
    made = Launcher(environment, under)
    atexit.register(made.close)
    return made
