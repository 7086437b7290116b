"""Adapts concurrency to 429s: additive increase, multiplicative decrease (AIMD).

Theory of operation
-------------------
`concurrency` is how many requests may be under way. It starts small and grows by one for each
accepted request until the first refusal (slow start), and by one for each *round* of accepted
requests after that (additive increase), but only while it is what holds requests back.

A refusal begins an *epoch*: concurrency is halved and everything pauses, for what `Retry-After`
asks or, without it, for a time that grows with each fruitless probe. All other refusals of requests
that had left before the cut belong to the same epoch and never cut again. When the pause is over
one request probes; the rest follow only when it was accepted, so nothing wakes up in a herd.

    FLOWING --refusal--> PAUSED --time--> PROBING --accepted--> FLOWING
                            ^--------refusal--------'

A quota looks like a refusal that does not pass. Where the answer's code says quota, one probe
confirms it; where nothing says so, 15 fruitless probes over at least ten minutes do.
Trouble at the server (5xx, time-outs) halves concurrency once per epoch, without a pause.

The scheme is Chiu and Jain's (1989), in the form TCP made common.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from random import Random

from bulk.answers import Pace
from bulk.model import StopCode
from bulk.pacing import Decision, Observation, PaceView, Send, Stop, WaitForEvent, WaitUntil

CONCURRENCY_START = 4.0  # a browser opens six connections to a host; below that nobody is surprised
CONCURRENCY_CUT = 0.5  # TCP's; smaller cuts leave a second epoch right after the first
PAUSE_S_MIN = 0.25  # several round trips to a usual API: long enough for a bucket to gain tokens
PAUSE_GROWTH = 1.75  # 0.25 s to PAUSE_S_MAX in 12 probes, so that 15 probes span ten minutes
PAUSE_S_MAX = (
    120.0  # without a hint; windows of a minute are common, longer ones announce themselves
)
HINT_S_MAX = 900.0  # a longer Retry-After is probed after this: lies of a day are seen in the wild
JITTER_SHARE = 0.05  # of a pause, added: several machines on one key shall not wake as one
JITTER_S_MIN = 0.02  # servers round down to the very instant they refill
CONNECT_PAUSE_S = 0.5  # doubles with each failure: 0.5 to 16 s, half a minute in all
CONNECT_FAILURES_MAX = 6
QUOTA_PROBES = 15
QUOTA_SPAN_S = 600.0  # shorter than this a long window is more likely than a quota


@dataclass(slots=True)
class _UnderWay:
    sent_at: float | None = None


class AimdController:
    """The controller described above. `deadline` is an instant; None means no deadline."""

    def __init__(
        self, *, concurrency_max: int, random: Random, deadline: float | None = None
    ) -> None:
        if concurrency_max < 1:
            raise ValueError(f"concurrency_max {concurrency_max} is not positive")
        self._concurrency_max = concurrency_max
        self._random = random
        self._deadline = deadline
        self._concurrency = min(CONCURRENCY_START, float(concurrency_max))
        self._slow_start = True
        self._under_way: dict[int, _UnderWay] = {}
        self._next_ticket = 1
        self._cut_at = -math.inf  # what left before this is of an epoch counted already
        self._full_at = -math.inf  # when concurrency last held a request back
        self._paused_until: float | None = None
        self._probing = False
        self._failed_probes = 0
        self._failing_since: float | None = None
        self._quota_said = False
        self._connect_failures = 0
        self._throttles = 0
        self._epochs = 0
        self._stop: Stop | None = None

    def ask(self, now: float, test_id: str) -> Decision:
        """See `bulk.pacing.Controller`. This controller treats all tests alike."""
        blocked = self._blocked(now)
        if blocked is not None:
            return blocked
        if self._probing:
            full = self._probe_under_way(self._next_ticket)
        else:
            full = len(self._under_way) + 1 > self._concurrency
            if full:
                self._full_at = now
        if full:
            return WaitForEvent()
        ticket = self._next_ticket
        self._next_ticket += 1
        self._under_way[ticket] = _UnderWay()
        return Send(ticket, now)

    def confirm(self, now: float, ticket: int) -> Decision:
        """See `bulk.pacing.Controller`."""
        blocked = self._blocked(now)
        if blocked is not None:
            return blocked
        if self._probing and self._probe_under_way(ticket):
            return WaitForEvent()  # the pause ended while the intent was written; one probe leads
        return Send(ticket, now)

    def sent(self, now: float, ticket: int) -> None:
        """See `bulk.pacing.Controller`."""
        self._under_way[ticket].sent_at = now

    def withdrawn(self, now: float, ticket: int) -> None:
        """See `bulk.pacing.Controller`."""
        del self._under_way[ticket]

    def answered(self, now: float, ticket: int, observation: Observation) -> None:
        """See `bulk.pacing.Controller`."""
        sent_at = self._under_way.pop(ticket).sent_at
        assert sent_at is not None, "answered before sent"
        after_cut = sent_at > self._cut_at
        match observation.pace:
            case Pace.ACCEPTED | Pace.NEUTRAL:
                if after_cut:
                    self._recovered()
                    if self._full_at >= sent_at and observation.pace is Pace.ACCEPTED:
                        self._grow()
            case Pace.THROTTLED | Pace.QUOTA:
                self._throttles += 1
                self._throttled(now, after_cut, observation)
            case Pace.OVERLOADED:
                self._recovered_connection()
                hint_s = observation.signals.retry_after_s
                if after_cut:
                    self._cut(now)
                    self._probing = False
                if hint_s:
                    self._pause(now, min(hint_s, HINT_S_MAX))
            case Pace.UNREACHABLE:
                self._unreachable(now, after_cut)

    def view(self, now: float) -> PaceView:
        """See `bulk.pacing.Controller`."""
        paused = self._paused_until
        return PaceView(
            in_flight=sum(under_way.sent_at is not None for under_way in self._under_way.values()),
            concurrency=self._concurrency,
            throttles=self._throttles,
            epochs=self._epochs,
            paused_until=paused if paused is not None and paused > now else None,
        )

    def _blocked(self, now: float) -> Decision | None:
        if self._stop is None and self._deadline is not None:
            if now >= self._deadline:
                self._stop = Stop(StopCode.DEADLINE, "the deadline has passed")
            elif self._paused_until is not None and self._paused_until >= self._deadline:
                pause_s, left_s = self._paused_until - now, self._deadline - now
                self._stop = Stop(
                    StopCode.DEADLINE,
                    f"the API has to be left alone for another {pause_s:.0f} s, "
                    f"and the deadline is in {left_s:.0f} s",
                )
        if self._stop is not None:
            return self._stop
        if self._paused_until is not None:
            if now < self._paused_until:
                return WaitUntil(self._paused_until)
            self._paused_until = None
        return None

    def _probe_under_way(self, ticket: int) -> bool:
        """Whether a request older than `ticket` probes; one from before the cut is no probe."""
        return any(
            other < ticket and (way.sent_at is None or way.sent_at > self._cut_at)
            for other, way in self._under_way.items()
        )

    def _grow(self) -> None:
        step = 1.0 if self._slow_start else 1.0 / self._concurrency
        self._concurrency = min(self._concurrency + step, float(self._concurrency_max))

    def _cut(self, now: float) -> None:
        self._cut_at = now
        self._slow_start = False
        self._concurrency = max(1.0, self._concurrency * CONCURRENCY_CUT)

    def _recovered(self) -> None:
        self._probing = False
        self._failed_probes = 0
        self._failing_since = None
        self._quota_said = False
        self._recovered_connection()

    def _recovered_connection(self) -> None:
        self._connect_failures = 0

    def _throttled(self, now: float, after_cut: bool, observation: Observation) -> None:
        self._recovered_connection()
        hint_s = observation.signals.retry_after_s
        if not after_cut:  # the same congestion, told once more
            if hint_s is not None and self._paused_until is not None:
                self._pause(now, min(hint_s, HINT_S_MAX))
            return
        self._epochs += 1
        if self._probing:
            self._failed_probes += 1
        if self._failing_since is None:
            self._failing_since = now
        self._cut(now)
        self._stop_on_quota(now, observation, hint_s)
        pause_s = min(PAUSE_S_MAX, PAUSE_S_MIN * PAUSE_GROWTH**self._failed_probes)
        if hint_s is not None:
            # A constant hint can be a lie: what probing has learned outweighs it.
            pause_s = max(min(hint_s, HINT_S_MAX), pause_s if self._failed_probes > 1 else 0.0)
        self._pause(now, pause_s)
        self._probing = True

    def _stop_on_quota(self, now: float, observation: Observation, hint_s: float | None) -> None:
        assert self._failing_since is not None
        if observation.pace is Pace.QUOTA and (hint_s is None or hint_s > HINT_S_MAX):
            if self._quota_said:
                self._stop = Stop(
                    StopCode.QUOTA_EXHAUSTED, "the API says that the account's quota is used up"
                )
            self._quota_said = True
        elif self._failed_probes >= QUOTA_PROBES and now - self._failing_since >= QUOTA_SPAN_S:
            minutes = (now - self._failing_since) / 60
            self._stop = Stop(
                StopCode.QUOTA_EXHAUSTED,
                f"suspected quota: nothing was accepted for {minutes:.0f} minutes "
                f"and {self._failed_probes} probes",
            )

    def _unreachable(self, now: float, after_cut: bool) -> None:
        if not after_cut:
            return
        self._connect_failures += 1
        self._cut(now)
        if self._connect_failures >= CONNECT_FAILURES_MAX:
            self._stop = Stop(
                StopCode.UNREACHABLE,
                f"{self._connect_failures} attempts to connect failed one after the other",
            )
        self._pause(now, CONNECT_PAUSE_S * 2 ** (self._connect_failures - 1))
        self._probing = True

    def _pause(self, now: float, pause_s: float) -> None:
        jitter_s = self._random.random() * (JITTER_SHARE * pause_s + JITTER_S_MIN)
        until = now + pause_s + jitter_s
        self._paused_until = max(self._paused_until or until, until)
