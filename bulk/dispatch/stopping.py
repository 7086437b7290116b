"""Decides when and why a batch stops early; sends nothing itself."""

from __future__ import annotations

import math
from collections.abc import Callable

import trio

from bulk.http.answers import Classification
from bulk.model import INTERRUPTS, Outcome, StopCode

# A wrong body or address rejects all triggers; fewer equal rejections may be deleted tests.
EQUAL_REJECTIONS_MAX = 20


class Stopping:
    """The reason to stop, once there is one, and the drain that follows an interrupt.

    `on_stop` is called for each reason.
    """

    def __init__(
        self, *, drain_timeout_s: float, fail_fast: bool, on_stop: Callable[[], None]
    ) -> None:
        self.code: StopCode | None = None
        self.detail = ""
        self._drain_timeout_s = drain_timeout_s
        self._fail_fast = fail_fast
        self._on_stop = on_stop
        self._drain_until = math.inf
        self._drains: set[trio.CancelScope] = set()
        self._rejection, self._equal_rejections = "", 0

    @property
    def requested(self) -> bool:
        """Whether nothing more may be sent."""
        return self.code is not None

    def stop_for(self, code: StopCode, detail: str) -> None:
        """Send nothing more. The first reason is kept, but an interrupt replaces any other."""
        if self.code is None or (code in INTERRUPTS and self.code not in INTERRUPTS):
            self.code, self.detail = code, detail
        self._on_stop()

    def interrupt(self, code: StopCode) -> bool:
        """Stop and begin to drain. False for a second interrupt: leave at once."""
        if self.code in INTERRUPTS:
            return False
        self.stop_for(code, "")
        self._drain_until = trio.current_time() + self._drain_timeout_s
        for drain in self._drains:
            drain.deadline = self._drain_until
        return True

    def drain(self) -> trio.CancelScope:
        """A scope for one request, which ends it when the time to drain is over."""
        scope = trio.CancelScope(deadline=self._drain_until)
        self._drains.add(scope)
        return scope

    def drained(self, scope: trio.CancelScope) -> None:
        """The request has ended."""
        self._drains.discard(scope)

    def consider(
        self, classification: Classification, outcome: Outcome | None, queued: int
    ) -> None:
        """Stop if this attempt shows that sending more is pointless. `queued` so far, in all."""
        if classification.stop is not None:
            self.stop_for(classification.stop, classification.message or classification.error or "")
        if outcome is None or outcome is Outcome.QUEUED:
            return
        if self._fail_fast:
            self.stop_for(StopCode.FAIL_FAST, "--fail-fast: a trigger was not queued")
        if outcome is Outcome.REJECTED and not queued:
            rejection = f"{classification.failure_code} {classification.error or ''}".strip()
            if rejection != self._rejection:
                self._rejection, self._equal_rejections = rejection, 0
            self._equal_rejections += 1
            if self._equal_rejections >= EQUAL_REJECTIONS_MAX:
                self.stop_for(
                    StopCode.ALL_REJECTED,
                    f"the first {EQUAL_REJECTIONS_MAX} triggers were all rejected: {rejection}",
                )
