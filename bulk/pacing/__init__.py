"""Decides when the next request may leave: the interface of a pacing controller.

A controller is pure: each call is given `now` (seconds on any clock that never goes back), and none
reads a clock, sleeps or sends. `dispatch.paced_gate` calls it in these steps for each request:

    ask        may a request for this test leave?  -> Send, WaitUntil, WaitForEvent,
                                                      AnotherTest or Stop
    confirm    it is ready to leave (which took a while): does the Send still hold?
    sent       it leaves
    answered   its answer, or that there was none
    withdrawn  instead of `sent`: it was not sent after all

A `WaitForEvent` ends when any of the last three is called for any ticket. A `WaitUntil` ends then,
too, because an answer may have changed the plan.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

from bulk.http.answers import Pace
from bulk.http.rate_limit_headers import RateLimitHeaders
from bulk.model import StopCode


@dataclass(frozen=True, slots=True)
class Send:
    """The request may leave at instant `at`, not earlier. `ticket` identifies it in later calls."""

    ticket: int
    at: float


@dataclass(frozen=True, slots=True)
class WaitUntil:
    """Nothing may leave before `at`; ask again then."""

    at: float


@dataclass(frozen=True, slots=True)
class WaitForEvent:
    """Nothing may leave until a request in flight has ended; ask again then."""

    at: float = math.inf


@dataclass(frozen=True, slots=True)
class Stop:
    """Nothing may leave any more. `detail` says why, in one sentence for people."""

    code: StopCode
    detail: str


@dataclass(frozen=True, slots=True)
class AnotherTest:
    """Nothing for this test may leave before `at`; a request for another test may.

    `at` is infinite if a request in flight has to end first. `otherwise`: the decision if no other
    test is left and nothing is in flight.
    """

    at: float
    otherwise: Stop | None = None


Decision = Send | WaitUntil | WaitForEvent | AnotherTest | Stop


@dataclass(frozen=True, slots=True)
class Observation:
    """What the answer to one request says about the pace."""

    pace: Pace
    headers: RateLimitHeaders


@dataclass(frozen=True, slots=True)
class LongWait:
    """The server asked at instant `since` to wait for `asked_s`, which is too long to be believed.

    It is asked again earlier, at the end of the pause.
    """

    since: float
    asked_s: float


@dataclass(frozen=True, slots=True)
class PaceView:
    """A snapshot for progress lines. `paused_until` is an instant, or None while not paused.

    `apart`: how many tests have been found to have a limit of their own. `long_wait`: what the
    server asked for, if the pause is shorter than that.
    """

    in_flight: int
    concurrency: float
    throttles: int
    epochs: int
    paused_until: float | None
    apart: int = 0
    long_wait: LongWait | None = None


class Controller(Protocol):
    """Decides when requests of one kind leave. Not to be shared between threads."""

    def ask(self, now: float, test_id: str) -> Decision:
        """Whether a request for `test_id` may leave. A `Send` counts as in flight at once."""

    def confirm(self, now: float, ticket: int) -> Decision:
        """Whether an earlier `Send` still holds; after any other decision it must be withdrawn."""

    def sent(self, now: float, ticket: int) -> None:
        """The request leaves."""

    def answered(self, now: float, ticket: int, observation: Observation) -> None:
        """The request has ended."""

    def withdrawn(self, now: float, ticket: int) -> None:
        """The request will not be sent."""

    def view(self, now: float) -> PaceView:
        """A snapshot for progress lines."""
