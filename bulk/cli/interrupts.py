"""What signals do to a batch: they stop its requests, but not its reports."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import trio

from bulk.cli import signals
from bulk.model import StopCode

Handler = Callable[[int, FrameType | None], Any] | int | signal.Handlers | None


class Interrupts:
    """Handles a process's signals from its first request to its end.

    While requests are sent, the first signal stops them and the second one exits at once. While
    reports are written, nothing is left to stop: after the first signal they are still written and
    decide the exit code, and the second one exits at once. `cli_name` is the batch as an argument
    of a command.
    """

    def __init__(self, cli_name: str) -> None:
        self._cli_name = cli_name
        self._signals_ignored = 0  # while reports are written
        self._done = False

    @contextmanager
    def stop_codes(self, on_first: Callable[[], None]) -> Iterator[AsyncIterator[StopCode]]:
        """While requests are sent: the signals as stop codes. The first one calls `on_first`.

        After the block, signals leave the reports alone, see `shield_reports`. If the block fails,
        the handlers are those before it.
        """

        async def received() -> AsyncIterator[StopCode]:
            first = True
            async for number in receiver:
                signals.received.note(number)
                if first:
                    on_first()
                first = False
                yield stop_code(number)

        # trio's receiver puts these handlers back at its end.
        before = self.shield_reports()
        try:
            with trio.open_signal_receiver(*before) as receiver:
                yield received()
        except BaseException:
            for number, handler in before.items():
                signal.signal(number, handler)
            raise

    def shield_reports(self) -> dict[signal.Signals, Handler]:
        """Let reports be written despite a signal from now on; return the previous handlers."""
        return {number: signal.signal(number, self._on_signal) for number in signals.handled()}

    def done(self) -> None:
        """Ignore signals from now on: reports are written and the process is about to exit."""
        self._done = True

    def _on_signal(self, number: int, _: FrameType | None) -> None:
        if self._done:
            return
        self._signals_ignored += 1
        if self._signals_ignored == 1:
            signals.received.note(number)
            signals.say(
                "\nNothing is left to stop: writing the reports. A second signal exits at once.\n"
            )
        else:
            text = f"\nExited at once. Nothing is lost: bulk-trigger report {self._cli_name}\n"
            signals.leave(signals.EXIT_BY_SIGNAL[signal.Signals(number)], text)


def stop_code(number: int) -> StopCode:
    """Why a batch stops that this signal stops."""
    return StopCode(signals.WORDS[signals.EXIT_BY_SIGNAL[signal.Signals(number)]])


@contextmanager
def shielded_reports(cli_name: str) -> Iterator[None]:
    """A block that only writes a batch's reports, despite a signal."""
    interrupts = Interrupts(cli_name)
    interrupts.shield_reports()
    yield
    interrupts.done()
