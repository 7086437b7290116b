"""What dispatch is told, whom it tells how things stand, and how it ends."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from bulk.journal.tally import Tally
from bulk.model import StopCode
from bulk.pacing import PaceView


@dataclass(frozen=True, slots=True)
class DispatchSettings:
    """`retries_max` counts resends of one trigger, after a 429 or a failed connection."""

    concurrency_max: int = 32
    retries_max: int = 20
    drain_timeout_s: float = 5.0
    fail_fast: bool = False


class ProgressLine(Protocol):
    """Shows how things stand."""

    def show(self, tally: Tally, view: PaceView, now: float) -> None:
        """`now` is on the clock of the view's instants."""

    def say(self, line: str) -> None:
        """A line for people, beside the standing."""


@dataclass(frozen=True, slots=True)
class DispatchEnd:
    """How dispatch ended. `unsaved` are run ids the journal could not take: key and run id.

    `not_cancelled`: why runs that the user wanted cancelled were not, empty where they were.
    """

    tally: Tally
    stop: StopCode | None = None
    stop_detail: str = ""
    unsaved: tuple[tuple[str, str], ...] = ()
    not_cancelled: str = ""


class LeaveNow(Exception):  # noqa: N818  # it is a wish, not an error
    """A second interrupt: leave at once and write nothing more. Not raised by the first."""

    def __init__(self, code: StopCode) -> None:
        super().__init__(code)
        self.code = code
