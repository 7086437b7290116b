"""When may the next request leave? The question, the possible answers, and what is learned from.

A controller is pure: each call brings `now` (seconds on any clock that never goes back), none reads
a clock, sleeps or sends. Dispatch is its only caller and goes through these steps for each attempt:

    ask        may a request for this test leave?  -> Send, WaitUntil, WaitForEvent or Stop
    confirm    its intent is durable now (which took a while): does the Send still stand?
    sent       it leaves
    answered   what came of it
    withdrawn  instead of `sent`: it was not sent after all

`WaitForEvent` ends when any of the last three is called for any ticket; `WaitUntil` ends then too,
for an answer may have changed the plan.
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
    """The request may leave at instant `at` (not earlier). `ticket` names it from here on."""

    ticket: int
    at: float


@dataclass(frozen=True, slots=True)
class WaitUntil:
    """Nothing may leave before `at`; ask again then."""

    at: float


@dataclass(frozen=True, slots=True)
class WaitForEvent:
    """Nothing may leave until a request under way has ended; ask again then."""

    at: float = math.inf


@dataclass(frozen=True, slots=True)
class Stop:
    """Nothing may leave any more. `detail` says why in one sentence, for people."""

    code: StopCode
    detail: str


@dataclass(frozen=True, slots=True)
class AnotherTest:
    """Nothing for this test may leave before `at`; one for another test may.

    `at` is infinite where a request under way has to end first. `otherwise`: what to do where no
    other test is left and nothing is under way.
    """

    at: float
    otherwise: Stop | None = None


Decision = Send | WaitUntil | WaitForEvent | AnotherTest | Stop


@dataclass(frozen=True, slots=True)
class Observation:
    """What came of one request, as far as the pace is concerned."""

    pace: Pace
    headers: RateLimitHeaders


@dataclass(frozen=True, slots=True)
class PaceView:
    """A snapshot for progress lines. `paused_until` is an instant, or None while not paused.

    `apart`: how many tests were found to have a limit of their own.
    """

    in_flight: int
    concurrency: float
    throttles: int
    epochs: int
    paused_until: float | None
    apart: int = 0


class Controller(Protocol):
    """Decides when requests leave. One per batch; not shared between threads."""

    def ask(self, now: float, test_id: str) -> Decision:
        """Whether a request for `test_id` may leave. A `Send` counts as under way at once."""

    def confirm(self, now: float, ticket: int) -> Decision:
        """Whether an earlier `Send` still stands; any other decision means: withdraw it."""

    def sent(self, now: float, ticket: int) -> None:
        """The request leaves."""

    def answered(self, now: float, ticket: int, observation: Observation) -> None:
        """The request has ended."""

    def withdrawn(self, now: float, ticket: int) -> None:
        """The request was never sent."""

    def view(self, now: float) -> PaceView:
        """How things stand."""
