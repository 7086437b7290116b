"""What Ctrl-C and SIGTERM do to a command that sends: stop it, and then wait for its reports."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

import trio

from bulk.model import StopCode
from bulk.report import exit_of_stop

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
Handler = Callable[[int, FrameType | None], Any] | int | signal.Handlers | None


class Interrupts:
    """The signals that a process gets, from its first send to its end.

    While it sends, the first one stops that and the second one leaves at once. When it writes its
    reports nothing is left to stop: the first one lets them be written, and the exit code is as
    they say; the second one leaves at once. `cli_name` is what commands call the batch.
    """

    def __init__(self, cli_name: str) -> None:
        self._called = cli_name
        self._heard = 0  # when nothing was left to stop
        self._told = False

    @contextmanager
    def stops(self, tell: Callable[[], None]) -> Iterator[AsyncIterator[StopCode]]:
        """While something is sent: the signals as the stops they ask for; `tell` tells the user."""

        async def as_stops() -> AsyncIterator[StopCode]:
            async for number in signals:
                tell()
                yield STOP_BY_SIGNAL[signal.Signals(number)]

        before = self.let_reports_be_written()  # what the receiver gives back at its end
        try:
            with trio.open_signal_receiver(*STOP_SIGNALS) as signals:
                yield as_stops()
        except BaseException:
            for number, handler in before.items():
                signal.signal(number, handler)
            raise

    def let_reports_be_written(self) -> dict[signal.Signals, Handler]:
        """From here on nothing is left to stop; the handlers before."""
        return {number: signal.signal(number, self._heed) for number in STOP_SIGNALS}

    def told(self) -> None:
        """The reports are written and the user knows: the process is about to end."""
        self._told = True

    def _heed(self, number: int, _: FrameType | None) -> None:
        if self._told:
            return
        self._heard += 1
        if self._heard == 1:
            _say("\nNothing is left to stop: writing the reports. Once more leaves at once.\n")
        else:
            _say(f"\nLeft at once. Nothing is lost: bulk-trigger report {self._called}\n")
            os._exit(exit_of_stop(STOP_BY_SIGNAL[signal.Signals(number)]))


@contextmanager
def reports_come_first(cli_name: str) -> Iterator[None]:
    """Around what only writes the reports of the batch that commands call so."""
    interrupts = Interrupts(cli_name)
    interrupts.let_reports_be_written()
    yield
    interrupts.told()


def _say(text: str) -> None:
    """On stderr, past its buffer, which a signal may have come upon in mid-write."""
    with suppress(OSError):
        os.write(STDERR, text.encode(errors="replace"))
