"""When sending has to end before all is sent: deadline, used-up quota, unreachable server."""

from __future__ import annotations

from bulk.model import StopCode
from bulk.pacing import Stop, WaitUntil

CONNECT_FAILURES_MAX = 6  # in a row, with pauses of half a minute in all
QUOTA_PROBES = 12  # with the refusals that came before the pause, 15 at most
QUOTA_SPAN_S = 600.0  # shorter than this a long window is more likely than a quota


class Endings:
    """Keeps the counts that end a batch. `deadline` is an instant; None means no deadline."""

    def __init__(self, deadline: float | None) -> None:
        self._deadline = deadline
        self._stop: Stop | None = None
        self._failing_since: float | None = None
        self._quota_said = False
        self._connect_failures = 0

    def due(self, now: float, paused_until: float | None) -> Stop | None:
        """The stop, once there is a reason for one; it is final."""
        if self._stop is None and self._deadline is not None:
            if now >= self._deadline:
                self._stop = Stop(StopCode.DEADLINE, "the deadline has passed")
            elif paused_until is not None and paused_until >= self._deadline:
                self._stop = Stop(
                    StopCode.DEADLINE,
                    f"the API has to be left alone for another {paused_until - now:.0f} s, "
                    f"and the deadline is in {self._deadline - now:.0f} s",
                )
        return self._stop

    def wait(self, until: float) -> WaitUntil:
        """To wait until then, but for no longer than until the deadline."""
        return WaitUntil(until if self._deadline is None else min(until, self._deadline))

    def recovered(self) -> None:
        """Requests pass again."""
        self._failing_since, self._quota_said = None, False

    def reached(self) -> None:
        """The server answered, whatever it said."""
        self._connect_failures = 0

    def unreachable(self) -> int:
        """No connection could be made; how many in a row that were."""
        self._connect_failures += 1
        if self._connect_failures >= CONNECT_FAILURES_MAX:
            self._stop = Stop(
                StopCode.UNREACHABLE,
                f"{self._connect_failures} attempts to connect failed one after the other",
            )
        return self._connect_failures

    def refused(self, now: float, probes: int, *, said: bool) -> None:
        """A refusal; after `probes` refused ones. `said`: its code names a quota, for good."""
        if self._failing_since is None:
            self._failing_since = now
        if said:
            if self._quota_said:
                self._stop = Stop(
                    StopCode.QUOTA_EXHAUSTED, "the API says that the account's quota is used up"
                )
            self._quota_said = True
        elif probes >= QUOTA_PROBES and now - self._failing_since >= QUOTA_SPAN_S:
            minutes = (now - self._failing_since) / 60
            self._stop = Stop(
                StopCode.QUOTA_EXHAUSTED,
                f"suspected quota: nothing was accepted for {minutes:.0f} minutes "
                f"and {probes} probes",
            )
