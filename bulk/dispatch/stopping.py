"""Why and how a batch stops before its end; sends nothing itself."""

from __future__ import annotations

import math
from collections.abc import Callable

import trio

from bulk.http.answers import Verdict
from bulk.model import Outcome, StopCode

EQUAL_REJECTIONS_MAX = 20  # a wrong body or address shows itself sooner; single tests may be gone
INTERRUPTS = frozenset({StopCode.INTERRUPTED, StopCode.TERMINATED})


class Stopping:
    """The reason to stop, once there is one, and the drain that follows an interrupt.

    `on_stop` is called whenever a reason arises.
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
    def asked(self) -> bool:
        """Whether nothing more may be sent."""
        return self.code is not None

    def stop_for(self, code: StopCode, detail: str) -> None:
        """Send nothing more. The first reason stays, but an interrupt is what the user asked."""
        if self.code is None or (code in INTERRUPTS and self.code not in INTERRUPTS):
            self.code, self.detail = code, detail
        self._on_stop()

    def interrupt(self, code: StopCode) -> bool:
        """A signal came. False for the second one, on which to leave at once."""
        if self.code in INTERRUPTS:
            return False
        self.stop_for(code, "")
        self._drain_until = trio.current_time() + self._drain_timeout_s
        for drain in self._drains:
            drain.deadline = self._drain_until
        return True

    def drain(self) -> trio.CancelScope:
        """A scope for a request that is cut off when an interrupt's drain time is over."""
        scope = trio.CancelScope(deadline=self._drain_until)
        self._drains.add(scope)
        return scope

    def drained(self, scope: trio.CancelScope) -> None:
        """The request has ended."""
        self._drains.discard(scope)

    def weigh(self, verdict: Verdict, outcome: Outcome | None, queued: int) -> None:
        """Stop if this attempt's end says that going on is pointless. `queued` so far, in all."""
        if verdict.stop is not None:
            self.stop_for(verdict.stop, verdict.message or verdict.error or "")
        if outcome is None or outcome is Outcome.QUEUED:
            return
        if self._fail_fast:
            self.stop_for(StopCode.FAIL_FAST, "--fail-fast: a trigger was not queued")
        if outcome is Outcome.REJECTED and not queued:
            said = f"{verdict.failure_code} {verdict.error or ''}".strip()
            self._equal_rejections = self._equal_rejections + 1 if said == self._rejection else 1
            self._rejection = said
            if self._equal_rejections >= EQUAL_REJECTIONS_MAX:
                self.stop_for(
                    StopCode.ALL_REJECTED,
                    f"the first {EQUAL_REJECTIONS_MAX} triggers were all rejected: {said}",
                )
