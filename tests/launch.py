"""Starts processes of the command without the second that each would need to import it.

`python -m tests.launch CONTROL` imports the product once and then forks for each request that comes
through the socket CONTROL. A fork takes the folder, environment, arguments and streams it is given
and calls `bulk.cli.main`: its signals, its exit code and its death are a process's own. What only
Python's own start can show is tested with `python -m bulk`.

The fork's parent, its keeper, reports the process id and then the wait status through the first
descriptor of the request. `tests.processes` is the other end.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import pkgutil
import signal
import socket
import struct
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

REPORT = struct.Struct("i")  # what a keeper sends, twice: the process id and the wait status
LENGTH = struct.Struct("I")
STREAMS = 3
# Imported in a run, and not by the product's modules as they are imported.
FURTHER = (
    "pandas",
    "altair",
    "vl_convert",
    "xlsxwriter",
    "httpcore",
    "h11",
    "encodings.idna",
)


@dataclass(frozen=True, slots=True)
class Request:
    """A process to start. `arguments` follow the command's name.

    `before` is code that runs first. `file_bytes_max`: no file may become larger, as on a full
    disk. `short_waits`: see `tests.short_waits`. `shifts` is the file of the machine's clocks, see
    `tests.kills.clocks`.
    """

    arguments: list[str]
    folder: str
    environment: dict[str, str]
    before: str = ""
    file_bytes_max: int | None = None
    short_waits: bool = True
    shifts: str | None = None

    def send(self, control: socket.socket, descriptors: list[int]) -> None:
        """Send it with the keeper's descriptor and those of stdin, stdout and stderr."""
        content = json.dumps(asdict(self)).encode()
        socket.send_fds(control, [LENGTH.pack(len(content))], descriptors)
        control.sendall(content)


def receive(control: socket.socket) -> tuple[Request, list[int]] | None:
    """The next request and its descriptors; None at the end."""
    head, descriptors, *_ = socket.recv_fds(control, LENGTH.size, 1 + STREAMS)
    if not head:
        return None
    (length,) = LENGTH.unpack(head)
    content = b""
    while len(content) < length:
        content += control.recv(length - len(content))
    return Request(**json.loads(content)), descriptors


def fork_on_request(control: socket.socket) -> Request | None:
    """Serve. Returns None at the end, and in each fork what it is to do."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a Ctrl-C is for the tests
    keepers: set[int] = set()
    while received := receive(control):
        request, descriptors = received
        keeper = os.fork()
        if not keeper:
            control.close()
            child = os.fork()
            if child:
                _keep(child, descriptors)
            _become(request, descriptors)
            return request
        for descriptor in descriptors:
            os.close(descriptor)
        keepers.add(keeper)
        keepers -= {one for one in keepers if os.waitpid(one, os.WNOHANG)[0]}
    for keeper in keepers:
        os.waitpid(keeper, 0)
    return None


def _keep(child: int, descriptors: list[int]) -> None:
    """Report on the child; does not return."""
    report, *streams = descriptors
    for stream in streams:
        os.close(stream)
    try:
        os.write(report, REPORT.pack(child))
        os.write(report, REPORT.pack(os.waitpid(child, 0)[1]))
    finally:
        os._exit(0)


def _become(request: Request, descriptors: list[int]) -> None:
    """Become the requested process, up to its first line of code."""
    os.environ.clear()
    os.environ.update(request.environment)
    report, *streams = descriptors
    os.close(report)
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
    for stream in streams:
        if stream >= STREAMS:
            os.close(stream)
    os.chdir(request.folder)
    # As Python creates them: it checks at once whether they are terminals.
    sys.stdin = sys.__stdin__ = open(0, encoding="utf-8", closefd=False)  # type: ignore[misc]  # noqa: SIM115
    sys.stdout = sys.__stdout__ = open(1, "w", encoding="utf-8", closefd=False)  # type: ignore[misc]  # noqa: SIM115
    sys.stderr = sys.__stderr__ = open(  # type: ignore[misc]  # noqa: SIM115
        2, "w", encoding="utf-8", errors="backslashreplace", buffering=1, closefd=False
    )
    sys.argv = ["bulk-trigger", *request.arguments]
    signal.signal(signal.SIGINT, signal.default_int_handler)


def run(request: Request) -> None:
    """Do what the process is for; does not return."""
    if request.file_bytes_max is not None:
        import resource

        limit = request.file_bytes_max
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    if request.shifts is not None:
        # That of tests/kills/shifted, as the launcher was started.
        importlib.import_module("sitecustomize").shift_by(Path(request.shifts))
    if request.short_waits:
        from tests.short_waits import shorten

        shorten(setattr)
    if request.before:
        exec(request.before, {})
    from bulk.cli import main as command

    command()


def import_all() -> None:
    """Import what a process may need."""
    import bulk

    for module in pkgutil.walk_packages(bulk.__path__, "bulk."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    for name in FURTHER:
        if importlib.util.find_spec(name.partition(".")[0]):
            importlib.import_module(name)


def main() -> None:
    """Import, serve, and, in a fork, run."""
    control = socket.socket(fileno=int(sys.argv[1]))
    import_all()
    gc.collect()
    gc.freeze()  # a fork that collects garbage would copy all of it
    request = fork_on_request(control)
    if request is not None:
        run(request)


if __name__ == "__main__":
    main()
