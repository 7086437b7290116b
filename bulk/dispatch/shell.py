"""Runs a piece of work, and until it ends shows progress and acts on interrupts."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Protocol, TypeVar

import trio

from bulk.journal.tally import Tally
from bulk.model import StopCode
from bulk.pacing import PaceView

PROGRESS_S = 0.25  # often enough to look alive
T = TypeVar("T")


class ProgressLine(Protocol):
    """Shows the progress of a batch."""

    def show(self, tally: Tally, view: PaceView, now: float) -> None:
        """Show it. `now` is on the clock of the view's instants."""

    def say(self, line: str) -> None:
        """Print a line for people above it."""


class LeaveNow(Exception):  # noqa: N818  # it is a wish, not an error
    """A second interrupt: leave at once and write nothing more. The first one does not raise it."""

    def __init__(self, code: StopCode) -> None:
        super().__init__(code)
        self.code = code


class Shell:
    """One nursery around one piece of work. Build it, call `run` once.

    `show` is called every `PROGRESS_S` seconds and once after the work. `on_interrupt` gets each of
    `interrupts`.
    """

    def __init__(
        self,
        *,
        show: Callable[[], None] | None = None,
        interrupts: AsyncIterator[StopCode] | None = None,
        on_interrupt: Callable[[StopCode], None] = lambda code: None,
    ) -> None:
        self._show = show
        self._interrupts = interrupts
        self._on_interrupt = on_interrupt
        self._nursery: trio.Nursery | None = None
        self._leave: StopCode | None = None

    async def run(self, work: Callable[[], Awaitable[T]]) -> T:
        """Return what `work` returns and raise what it raises, after ending all that runs beside.

        Raises LeaveNow after `leave`.
        """
        results: list[T] = []
        failure: Exception | None = None
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            if self._interrupts is not None:
                nursery.start_soon(self._watch_interrupts, self._interrupts)
            if self._show is not None:
                nursery.start_soon(self._show_progress, self._show)
            try:
                results.append(await work())
            except Exception as error:  # raised below, where the nursery does not wrap it
                failure = error
            nursery.cancel_scope.cancel()
        if self._leave is not None:
            raise LeaveNow(self._leave)
        if failure is not None:
            raise failure
        if self._show is not None:
            self._show()
        return results[0]

    def leave(self, code: StopCode) -> None:
        """Cancel everything, because a second interrupt came."""
        self._leave = code
        if self._nursery is not None:
            self._nursery.cancel_scope.cancel()

    def start_soon(self, task: Callable[[], Awaitable[object]]) -> None:
        """Run a task beside the work. It is cancelled when the work ends; its errors end both."""
        assert self._nursery is not None
        self._nursery.start_soon(task)

    async def _watch_interrupts(self, interrupts: AsyncIterator[StopCode]) -> None:
        async for code in interrupts:
            self._on_interrupt(code)

    async def _show_progress(self, show: Callable[[], None]) -> None:
        while True:
            show()
            await trio.sleep(PROGRESS_S)
