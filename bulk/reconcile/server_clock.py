"""The server's clock seen from ours, and when an attempt's run can have been created by it.

Two things bound the difference of the clocks: an answer's `Date`, which the server wrote, cut to
whole seconds, between our sending and our receiving; and the creation of a run that is known to be
ours. We have two clocks ourselves, and neither is always right: the wall clock can be set, and the
steady one stands still while the machine sleeps, and means nothing to another process. So each
attempt is placed by both, from what was heard in the same process, and all that either says is
taken for possible. Too wide a window leaves a trigger unknown; too narrow a one sends it twice.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass

from bulk.model import AttemptTimes, ClockSample, FailureCode, Instant

# Until the server has what a process sent that died before the answer, and has done it: so long at
# least, and twice the longest time that an answer of this batch took.
DEAD_S, DEAD_TIMES = 20.0, 2.0
NEAR = 16  # answers on each side: a few seconds' worth, and enough to see a clock being set
SLACK_S = 5.0  # gateways write `Date`, databases `createdAt`; their clocks differ by less
DATE_STEP_S = 1.0  # a `Date` is cut to whole seconds
UNTOLD_S = 300.0  # how far clocks lie apart, as a rule, where nothing was heard of the server's
# How long after an attempt's end its run can still come up: a gateway that gave up says nothing of
# the work behind it, a time-out means the server was slow, all else is over when we know of it.
LATE_S: dict[str | None, float] = {
    FailureCode.GATEWAY_TIMEOUT: 120.0,
    FailureCode.READ_TIMEOUT: 60.0,
    FailureCode.INTERRUPTED: 20.0,
}
LATE_OTHERWISE_S = 10.0


Clock = Callable[[Instant], float | None]  # which of our two


@dataclass(frozen=True, slots=True)
class CreationWindow:
    """Instants on the server's clock between which an attempt's run was created, if at all.

    `late`: until then it can have been, where nobody knows how long its process lived: stopped, or
    asleep with its machine, it may have sent the request at any time before the next one began.
    `told`: the server's clock was heard of in the attempt's own process; else this is a guess.
    """

    opens: float
    closes: float
    late: float = -math.inf
    told: bool = True

    def holds(self, created_at: float | None) -> bool:
        """Whether a run created then can be the attempt's; one that tells no time can."""
        return created_at is None or self.opens <= created_at <= self.closes

    def holds_late(self, created_at: float | None) -> bool:
        """Whether it can at the very most."""
        return created_at is not None and self.closes < created_at <= self.late

    @property
    def over_at(self) -> float:
        """From then on no run of the attempt's comes up any more."""
        return max(self.closes, self.late)


class ServerClock:
    """Translates our instants into the server's, by what was heard of it. `stamps` in any order."""

    def __init__(self, stamps: Collection[ClockSample]) -> None:
        by_session: defaultdict[int, list[ClockSample]] = defaultdict(list)
        for stamp in sorted(stamps, key=lambda stamp: stamp.place):
            by_session[stamp.session].append(stamp)
        self._by_session = dict(by_session)
        self._longest_s = max(map(_took_s, stamps), default=0.0)
        self._bounds: dict[tuple[int, int, Clock], tuple[float, float] | None] = {}

    def window(self, attempt: AttemptTimes) -> CreationWindow:
        """When the attempt's run was created.

        An end that does not lie one latency after the start tells of a machine that slept, or of a
        clock that was set meanwhile: both are possible, so both ends count.
        """
        latency_s = attempt.latency_s
        dead_s = max(DEAD_S, DEAD_TIMES * self._longest_s)
        if latency_s is None:
            latency_s = dead_s
        spans: list[tuple[float, float]] = []
        for clock in (wall_of, steady_of):
            sent = clock(attempt.sent)
            if sent is None:
                continue
            received = None if attempt.received is None else clock(attempt.received)
            ends = [sent + latency_s, *([] if received is None else [received])]
            starts = [sent, *([] if received is None else [received - latency_s])]
            bounds = self._near(attempt, clock)
            if bounds is not None:
                spans.append((min(starts) + bounds[0], max(ends) + bounds[1]))
            elif clock is wall_of:
                spans.append((min(starts) - UNTOLD_S, max(ends) + UNTOLD_S))
        late_s = SLACK_S + LATE_S.get(attempt.failure_code, LATE_OTHERWISE_S)
        told = attempt.session in self._by_session
        late = -math.inf
        if attempt.received is None:
            began = self._next_began(attempt.session)
            told = told and began is not None
            late = (began or -math.inf) + dead_s + late_s
        return CreationWindow(
            min(opens for opens, _ in spans) - SLACK_S,
            max(closes for _, closes in spans) + late_s,
            late,
            told,
        )

    def _next_began(self, session: int) -> float | None:
        """When, on the server's clock, a later process had begun; None if none heard of it."""
        later = min((other for other in self._by_session if other > session), default=None)
        return None if later is None else self._by_session[later][0].server + DATE_STEP_S

    def _near(self, attempt: AttemptTimes, clock: Clock) -> tuple[float, float] | None:
        """What stamps around the attempt bound, alike for all attempts between the same few."""
        stamps = self._by_session.get(attempt.session, [])
        block = bisect_left(stamps, attempt.place, key=lambda stamp: stamp.place) // NEAR
        key = (attempt.session, block, clock)
        if key not in self._bounds:
            near = stamps[max(0, block - 1) * NEAR : (block + 2) * NEAR]
            self._bounds[key] = _bounds(near, clock)
        return self._bounds[key]


def _took_s(stamp: ClockSample) -> float:
    """By the steady clock where there is one: it counts neither a step nor a sleep."""
    if stamp.sent.steady is None or stamp.received.steady is None:
        return stamp.received.wall - stamp.sent.wall
    return stamp.received.steady - stamp.sent.steady


def wall_of(instant: Instant) -> float | None:
    """By the wall clock, in Unix seconds."""
    return instant.wall


def steady_of(instant: Instant) -> float | None:
    """By the steady clock, in seconds; None in another process than its own."""
    return instant.steady


def _bounds(stamps: Iterable[ClockSample], clock: Clock) -> tuple[float, float] | None:
    """The server's clock minus that of ours, at least and at most; None where nothing tells.

    What agrees is intersected. Where stamps contradict each other a clock was set, or two servers
    disagree, and it can be all that they say.
    """
    bounds = []
    for stamp in stamps:
        sent, received = clock(stamp.sent), clock(stamp.received)
        if sent is not None and received is not None:
            bounds.append((stamp.server - received, stamp.server + DATE_STEP_S - sent))
    if not bounds:
        return None
    least, most = max(low for low, _ in bounds), min(high for _, high in bounds)
    if least > most:
        return min(low for low, _ in bounds), max(high for _, high in bounds)
    return least, most
