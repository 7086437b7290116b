"""Estimates the server's clock, and when an attempt's run can have been created by that clock.

Two kinds of samples bound the difference between the server's clock and ours: the `Date` of an
answer, which the server wrote, in whole seconds, between our sending and our receiving; and the
creation time of a run that is known to be ours. We have two clocks, and neither is always right:
the wall clock can be set, and the steady clock stops while the machine sleeps and means nothing to
another process. So the window of an attempt is computed by both clocks, from samples of the same
process, and covers both results. A window too wide leaves a trigger unknown; one too narrow lets
it be sent twice.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass

from bulk.model import AttemptTimes, ClockSample, FailureCode, Instant

# How long the server may take to receive and execute the request of a process that died before the
# answer: at least so long, and twice the longest time that an answer of this batch took.
DEAD_S, DEAD_TIMES = 20.0, 2.0
NEAR = 16  # samples on each side: a few seconds' worth, and enough to see that a clock was set
SLACK_S = 5.0  # gateways write `Date`, databases `createdAt`; their clocks differ by less
DATE_STEP_S = 1.0  # a `Date` is cut to whole seconds
UNKNOWN_SKEW_S = 300.0  # between our clock and the server's without a sample; usually less
# How long after an attempt's end its run can still be created: a gateway that gave up does not stop
# the work behind it, a time-out means that the server was slow, anything else is over by its end.
LATE_S: dict[str | None, float] = {
    FailureCode.GATEWAY_TIMEOUT: 120.0,
    FailureCode.READ_TIMEOUT: 60.0,
    FailureCode.INTERRUPTED: 20.0,
}
LATE_OTHERWISE_S = 10.0


Clock = Callable[[Instant], float | None]  # reads one of our two clocks


@dataclass(frozen=True, slots=True)
class CreationWindow:
    """When an attempt's run was created, if it was, as Unix time by the server's clock.

    `latest` is later than `closes` if the attempt's process died without recording an end: stopped,
    or asleep with its machine, it may have sent the request at any time before the next process
    began. `clock_known`: there is a sample of the server's clock from the attempt's own process;
    without one the window is a guess.
    """

    opens: float
    closes: float
    latest: float = -math.inf
    clock_known: bool = True

    def contains(self, created_at: float | None) -> bool:
        """Whether a run created then can be the attempt's; one without a time can be, too."""
        return created_at is None or self.opens <= created_at <= self.closes

    def contains_late(self, created_at: float | None) -> bool:
        """Whether a run created then can be the attempt's only if its process was stopped."""
        return created_at is not None and self.closes < created_at <= self.latest

    @property
    def over_at(self) -> float:
        """After this no run of the attempt can be created any more."""
        return max(self.closes, self.latest)


class ServerClock:
    """Translates our instants into the server's, by `samples` of its clock, in any order."""

    def __init__(self, samples: Collection[ClockSample]) -> None:
        by_session: defaultdict[int, list[ClockSample]] = defaultdict(list)
        for sample in sorted(samples, key=lambda sample: sample.attempt_id):
            by_session[sample.session].append(sample)
        self._by_session = dict(by_session)
        self._longest_s = max(map(_took_s, samples), default=0.0)
        self._bounds: dict[tuple[int, int, Clock], tuple[float, float] | None] = {}

    def window(self, attempt: AttemptTimes) -> CreationWindow:
        """When the attempt's run was created.

        If the end is not one latency after the start, the machine slept or a clock was set
        meanwhile. Either is possible, so the window covers both.
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
                spans.append((min(starts) - UNKNOWN_SKEW_S, max(ends) + UNKNOWN_SKEW_S))
        late_s = SLACK_S + LATE_S.get(attempt.failure_code, LATE_OTHERWISE_S)
        clock_known = attempt.session in self._by_session
        latest = -math.inf
        if attempt.received is None:
            began = self._next_began(attempt.session)
            clock_known = clock_known and began is not None
            latest = (began or -math.inf) + dead_s + late_s
        return CreationWindow(
            min(opens for opens, _ in spans) - SLACK_S,
            max(closes for _, closes in spans) + late_s,
            latest,
            clock_known,
        )

    def _next_began(self, session: int) -> float | None:
        """When the next process had begun, by the server's clock; None if none has a sample."""
        later = min((other for other in self._by_session if other > session), default=None)
        return None if later is None else self._by_session[later][0].server + DATE_STEP_S

    def _near(self, attempt: AttemptTimes, clock: Clock) -> tuple[float, float] | None:
        """`_bounds` by the samples near the attempt; attempts close together share the result."""
        samples = self._by_session.get(attempt.session, [])
        index = bisect_left(samples, attempt.attempt_id, key=lambda sample: sample.attempt_id)
        block = index // NEAR
        key = (attempt.session, block, clock)
        if key not in self._bounds:
            near = samples[max(0, block - 1) * NEAR : (block + 2) * NEAR]
            self._bounds[key] = _bounds(near, clock)
        return self._bounds[key]


def _took_s(sample: ClockSample) -> float:
    """By the steady clock if there is one: it counts neither a step nor a sleep."""
    if sample.sent.steady is None or sample.received.steady is None:
        return sample.received.wall - sample.sent.wall
    return sample.received.steady - sample.sent.steady


def wall_of(instant: Instant) -> float | None:
    """By the wall clock, in Unix seconds."""
    return instant.wall


def steady_of(instant: Instant) -> float | None:
    """By the steady clock, in seconds; None in another process than its own."""
    return instant.steady


def _bounds(samples: Iterable[ClockSample], clock: Clock) -> tuple[float, float] | None:
    """The server's clock minus ours, at least and at most; None if no sample has our clock.

    The bounds of samples that agree are intersected. If samples contradict each other, a clock was
    set or two servers disagree, and the bounds cover all of them.
    """
    bounds = []
    for sample in samples:
        sent, received = clock(sample.sent), clock(sample.received)
        if sent is not None and received is not None:
            bounds.append((sample.server - received, sample.server + DATE_STEP_S - sent))
    if not bounds:
        return None
    least, most = max(low for low, _ in bounds), min(high for _, high in bounds)
    if least > most:
        return min(low for low, _ in bounds), max(high for _, high in bounds)
    return least, most
