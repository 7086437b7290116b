"""Which signals end a command, with which exit code, and what they do outside a batch.

Handlers are installed before anything else: process 1 of a container has no default ones, and a
signal without a handler would be ignored there. Imports nothing that is not instant.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

from bulk.exits import Exit

EXIT_BY_SIGNAL = {
    getattr(signal, name): code
    for name, code in (
        ("SIGHUP", Exit.HANGUP),  # the terminal was closed
        ("SIGINT", Exit.INTERRUPTED),
        ("SIGQUIT", Exit.QUIT),  # by default it dumps a core, which would hold the API key
        ("SIGTERM", Exit.TERMINATED),
        ("SIGBREAK", Exit.TERMINATED),  # Windows sends it for Ctrl-Break and at log-off
    )
    if hasattr(signal, name)
}
# As `bulk.model.StopCode` has them for a batch.
WORDS = {
    Exit.HANGUP: "hangup",
    Exit.INTERRUPTED: "interrupted",
    Exit.QUIT: "quit",
    Exit.TERMINATED: "terminated",
}
STDERR = 2


class Received:
    """The first signal of this process. Each one is noted here, whoever handles it."""

    def __init__(self) -> None:
        self.first: Exit | None = None

    def note(self, number: int) -> bool:
        """Note a signal; whether it is the first."""
        first = self.first is None
        if first:
            self.first = EXIT_BY_SIGNAL[signal.Signals(number)]
        return first

    @property
    def exits(self) -> Iterator[Exit]:
        """The exit code that the signal asks for, if there was one."""
        if self.first is not None:
            yield self.first


received = Received()


def catch() -> None:
    """End the command by KeyboardInterrupt at a first signal and at once at a second one.

    What is ignored at the start, as SIGHUP under `nohup` and SIGINT in a script's background job,
    stays ignored. KeyboardInterrupt, because trio knows where it may be raised and where not.
    """
    received.first = None
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # Blocked, which is as good as ignored, so that the handler is there for other signals.
        if hasattr(signal, "pthread_sigmask"):
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        else:
            return
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in handled():
        if number != signal.SIGINT:
            signal.signal(number, _interrupt)


def handled() -> tuple[signal.Signals, ...]:
    """The signals that end a command here: those that are not ignored."""
    return tuple(one for one in EXIT_BY_SIGNAL if signal.getsignal(one) is not signal.SIG_IGN)


def _interrupt(number: int, frame: FrameType | None) -> None:
    if not received.note(number):
        leave(EXIT_BY_SIGNAL[signal.Signals(number)], "\nExited at once.\n")
    as_ctrl_c = signal.getsignal(signal.SIGINT)
    if callable(as_ctrl_c):  # Python's or, while its loop runs, trio's
        as_ctrl_c(signal.SIGINT, frame)


@contextmanager
def held() -> Iterator[None]:
    """A block that no signal interrupts: what comes meanwhile is delivered at its end."""
    came: list[int] = []
    before = {one: signal.signal(one, lambda number, _: came.append(number)) for one in handled()}
    try:
        yield
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)
        for number in came:
            signal.raise_signal(number)


def leave_at_next() -> None:
    """The command is about to end: let a further signal end it at once."""
    for number in handled():
        signal.signal(number, lambda number, _: os._exit(EXIT_BY_SIGNAL[signal.Signals(number)]))


def leave(code: Exit, text: str) -> None:
    """Say it and end the process, now."""
    say(text)
    os._exit(code)


def say(text: str) -> None:
    """Write to stderr without its buffer, because a signal can interrupt a write to that."""
    with suppress(OSError):
        os.write(STDERR, text.encode(errors="replace"))
