"""Ends sending where a single wait would be longer than the user allows; see `--max-wait`."""

from __future__ import annotations

import math

from bulk.durations import describe_duration
from bulk.model import StopCode
from bulk.pacing import (
    AnotherTest,
    Controller,
    Decision,
    Observation,
    PaceView,
    Stop,
    WaitUntil,
)


class MaxWait:
    """A controller that never waits for longer than `wait_max_s`. See `bulk.pacing.Controller`.

    What the server asks for counts as well where the controller would ask it again earlier.
    """

    def __init__(self, controller: Controller, wait_max_s: float) -> None:
        self._controller = controller
        self._wait_max_s = wait_max_s
        self._stop: Stop | None = None

    def ask(self, now: float, test_id: str) -> Decision:
        """See `bulk.pacing.Controller`."""
        if self._stop is not None:
            return self._stop
        decision = self._controller.ask(now, test_id)
        at = decision.at if isinstance(decision, WaitUntil | AnotherTest) else now
        long_wait = self._controller.view(now).long_wait
        asked_s = 0.0 if long_wait is None else long_wait.since + long_wait.asked_s - now
        if not math.isfinite(at) or max(at - now, asked_s) <= self._wait_max_s:
            return decision
        limit = f"--max-wait is {describe_duration(self._wait_max_s)}"
        why = f"the API has to be left alone for {describe_duration(at - now)}, and {limit}"
        if long_wait is not None and asked_s > at - now:
            why = f"the API asked to wait for {describe_duration(long_wait.asked_s)}, and {limit}"
        stop = Stop(StopCode.RATE_LIMITED, why)
        if isinstance(decision, AnotherTest):
            return AnotherTest(decision.at, decision.otherwise or stop)
        if isinstance(decision, WaitUntil):
            self._stop = stop
            return stop
        return decision

    def confirm(self, now: float, ticket: int) -> Decision:
        """See `bulk.pacing.Controller`."""
        return self._controller.confirm(now, ticket)

    def sent(self, now: float, ticket: int) -> None:
        """See `bulk.pacing.Controller`."""
        self._controller.sent(now, ticket)

    def answered(self, now: float, ticket: int, observation: Observation) -> None:
        """See `bulk.pacing.Controller`."""
        self._controller.answered(now, ticket, observation)

    def withdrawn(self, now: float, ticket: int) -> None:
        """See `bulk.pacing.Controller`."""
        self._controller.withdrawn(now, ticket)

    def view(self, now: float) -> PaceView:
        """See `bulk.pacing.Controller`."""
        return self._controller.view(now)
