"""What Ctrl-C and SIGTERM do to a command that sends: stop it, and then wait for its reports."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

import trio

from bulk.model import StopCode

STOP_BY_SIGNAL = {
    getattr(signal, name): code
    for name, code in (
        ("SIGINT", StopCode.INTERRUPTED),
        ("SIGTERM", StopCode.TERMINATED),
        ("SIGBREAK", StopCode.TERMINATED),  # what Windows sends for Ctrl-Break and at log-off
    )
    if hasattr(signal, name)
}
STOP_SIGNALS = tuple(STOP_BY_SIGNAL)
STDERR = 2
SIGNALLED = 128  # plus the signal's number: how a shell tells that a signal ended a process


class Interrupts:
    """The signals that a process gets, from its first send to its end.

    Of all of them the first one stops what can be stopped, and the second one leaves at once. Once
    nothing is left to stop, the reports are written all the same, and the exit code is as they
    say. `called` is what commands call the batch; `tell` tells the user of each stop.
    """

    def __init__(self, called: str, tell: Callable[[], None]) -> None:
        self._called = called
        self._tell = tell
        self._heard = 0
        self._sending = False
        self._told = False

    @contextmanager
    def stops(self) -> Iterator[AsyncIterator[StopCode]]:
        """While something is sent: the signals as the stops they ask for."""
        before = {number: signal.signal(number, self._heed) for number in STOP_SIGNALS}
        try:
            with trio.open_signal_receiver(*STOP_SIGNALS) as signals:
                self._sending = True
                yield self._heard_of(signals)
        except BaseException:
            for number, handler in before.items():
                signal.signal(number, handler)
            raise

    def told(self) -> None:
        """The reports are written and the user knows: the process is about to end."""
        self._told = True

    async def _heard_of(self, signals: AsyncIterator[int]) -> AsyncIterator[StopCode]:
        async for number in signals:
            self._heard += 1
            self._tell()
            yield STOP_BY_SIGNAL[signal.Signals(number)]

    def _heed(self, number: int, _: FrameType | None) -> None:
        """A signal that comes when nothing is left to stop, or, hardly ever, nothing yet."""
        self._heard += 1
        if self._heard > 1 or not self._sending:
            if not self._told:
                _say(f"\nLeft at once. Nothing is lost: bulk-trigger report {self._called}\n")
            os._exit(SIGNALLED + number)
        if not self._told:
            _say("\nNothing is left to stop: writing the reports. Once more leaves at once.\n")


def _say(text: str) -> None:
    """On stderr, past its buffer, which a signal may have come upon in mid-write."""
    with suppress(OSError):
        os.write(STDERR, text.encode(errors="replace"))
