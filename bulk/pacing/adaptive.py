"""Paces requests against a limit that nobody told: the controller.

Theory of operation
-------------------
Nothing is known at the start but that one refusal wastes what is under way. So requests are let
under way one more for each accepted (`in_flight`), until the first refusal. A refusal begins an
*epoch*: whatever had its leave to go before it became known belongs to it, and never counts again.
Everything pauses, one request probes, and the rest follows only when it was accepted.

    OPENING --refusal--> PAUSED --time--> PROBING --accepted--> limited by what is known by then:
                           ^-------refused-------'                in flight, rate or windows

What the epochs tell is read in two ways:

*   `rate`: between two epochs the API accepted what it sustains. From the second on requests leave
    at the pace this gives, a hair above it where a refusal costs nothing. A refusal then is no
    event: the request waits for a few turns and goes on. Only when that does not help, or the
    server asks for a longer wait, is there a pause.
*   `windows`: if a pause had to be far longer than a request takes, what passed before it is the
    limit of a window. Where few windows are left the plan is to fill each from its start; where
    many are, pacing at the rate the window gives costs less than a window in all.

What is saved up during a pause may leave at once when it is over. A pause that the server asks for
(`Retry-After`) is kept, up to a bound: lies of a day are seen in the wild.

A quota looks like a refusal that does not pass. Where the answer's code says quota, one probe
confirms it; where nothing says so, 15 fruitless probes over at least ten minutes do.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from random import Random

from bulk.answers import Pace
from bulk.pacing import Decision, Observation, PaceView, Send, WaitForEvent, WaitUntil
from bulk.pacing.endings import Endings
from bulk.pacing.in_flight import InFlight
from bulk.pacing.pauses import ASKED_S_MAX, Pauses
from bulk.pacing.plan import Plan
from bulk.pacing.rate import Rate
from bulk.pacing.told import Told

LEAD_S = 0.03  # a turn is given out this long before it: the intent is made durable meanwhile
CONNECT_PAUSE_S = 0.5  # doubles with each failure: half a minute in all
SHORTLY_TRIPS = 3.0  # an allowance that is renewed within so many round trips holds nothing back
ASKED_S_MIN = 2.5  # a shorter `Retry-After` may be a bucket's, rounded up


@dataclass(slots=True)
class _Way:
    """A request from its leave to go to its answer. Instants on the caller's clock."""

    at: float
    epoch: int
    paced: bool
    confirmed: bool = False
    sent_at: float | None = None
    in_flight: int = 0


class AdaptiveController:
    """The controller described above.

    `deadline` is an instant, None for none. `total`: how many triggers the batch has. `per_s` and
    `burst`: a limit that the user knows; it is kept to, and refusals still slow it down.
    """

    def __init__(
        self,
        *,
        concurrency_max: int,
        random: Random,
        deadline: float | None = None,
        total: int = 0,
        per_s: float | None = None,
        burst: int = 1,
    ) -> None:
        if concurrency_max < 1:
            raise ValueError(f"concurrency_max {concurrency_max} is not positive")
        self._left = total
        self._rate = Rate(per_s, burst)
        self._rating = per_s is not None  # whether the rate is known to be a limit
        self._plan = Plan()
        self._told = Told()
        self._pauses = Pauses(random)
        self._in_flight = InFlight(concurrency_max, total)
        self._endings = Endings(deadline)
        self._ways: dict[int, _Way] = {}
        self._next_ticket = 1
        self._first_at: float | None = None
        self._held = False  # whether the next request has been held back for its turn
        self._shortest_s = math.inf
        self._usual_s = 0.0  # smoothed latency and its mean deviation, as in RFC 6298
        self._jitter_s = 0.0
        self._epoch = 0
        self._throttles = 0
        self._epochs = 0

    # --- asking -------------------------------------------------------------------------------

    def ask(self, now: float, test_id: str) -> Decision:
        """See `bulk.pacing.Controller`. This controller treats all tests alike."""
        blocked = self._blocked(now)
        if blocked is not None:
            return blocked
        turn, paced = now, False
        if self._pauses.probing:
            if self._probe_under_way(self._next_ticket):
                return WaitForEvent()
        elif len(self._ways) + 1 > self._in_flight.limit:
            self._held = False
            return WaitForEvent()
        else:
            if not self._rating and not self._plan.known and self._used_up(now):
                if self._ways:
                    return WaitForEvent()
                return self._pause_untold(now)
            turn = self._turn(now)
            if turn > now + LEAD_S:
                self._held = True
                return self._test_window(now, turn) or self._endings.wait(turn - LEAD_S)
            paced, self._held = self._held or turn > now, False
            self._rate.take(turn)
        ticket = self._next_ticket
        self._next_ticket += 1
        self._ways[ticket] = _Way(turn, self._epoch, paced)
        return Send(ticket, turn)

    def _turn(self, now: float) -> float:
        turn = self._rate.turn(now) if self._rating else now
        return max(turn, self._plan.next_at(now, len(self._ways) - self._under_way()))

    def _pause_untold(self, now: float) -> Decision:
        """Nothing was refused, but nothing is left: as good as a refusal, and free."""
        edge_at = math.nextafter(self._plan.history.sends[-1], math.inf)
        self._epoch += 1
        self._plan.noted(edge_at)
        self._mark(now, edge_at)
        self._pauses.begin(edge_at, self._shortest_s, None)
        self._pauses.keep(now, now + self._shortest_s, None)
        return self._endings.wait(self._pauses.until or now)

    def _used_up(self, now: float) -> bool:
        """Whether the server has told that nothing more would pass, as long as that is news."""
        left, since = self._told.left, self._told.since
        if left is None or self._told.refills:
            return False
        if self._told.ends_at - now < SHORTLY_TRIPS * self._shortest_s:
            return False  # renewed before an answer could tell
        sends = self._plan.history.sends
        later = len(sends) - bisect_right(sends, since)
        return left <= later + sum(way.sent_at in (None, since) for way in self._ways.values())

    def _probe_under_way(self, ticket: int) -> bool:
        """Whether an older request probes; one from before the cut does not, it may hang."""
        return any(other < ticket and way.epoch == self._epoch for other, way in self._ways.items())

    def _test_window(self, now: float, turn: float) -> Decision | None:
        """Before a full window's end: the test, where one is due, whether it ends earlier."""
        early = None if self._ways else self._plan.test_at(now, turn, self._shortest_s)
        if early is None:
            return None
        self._epoch += 1
        self._pauses.begin(now, 2 * self._shortest_s, None)
        self._pauses.keep(now, early, None)
        return self._endings.wait(early)

    def confirm(self, now: float, ticket: int) -> Decision:
        """See `bulk.pacing.Controller`."""
        blocked = self._blocked(now)
        if blocked is not None:
            return blocked
        if self._pauses.probing and self._probe_under_way(ticket):
            return WaitForEvent()  # the pause ended while the intent was written; one probe leads
        way = self._ways[ticket]
        if way.epoch != self._epoch and not self._pauses.probing:
            turn = self._turn(now)  # turns have moved since
            if turn > now + LEAD_S:
                return WaitUntil(turn)
            way.at = max(way.at, turn)
            self._rate.take(turn)
        way.epoch, way.confirmed = self._epoch, True
        return Send(ticket, max(now, way.at))

    def sent(self, now: float, ticket: int) -> None:
        """See `bulk.pacing.Controller`."""
        way = self._ways[ticket]
        way.sent_at = now
        way.in_flight = self._under_way()
        if self._first_at is None:
            self._first_at = now
        self._plan.sent(now, probe=self._pauses.probing)

    def withdrawn(self, now: float, ticket: int) -> None:
        """See `bulk.pacing.Controller`."""
        del self._ways[ticket]

    def view(self, now: float) -> PaceView:
        """See `bulk.pacing.Controller`."""
        paused = self._pauses.until
        return PaceView(
            in_flight=self._under_way(),
            concurrency=self._in_flight.limit,
            throttles=self._throttles,
            epochs=self._epochs,
            paused_until=paused if paused is not None and paused > now else None,
        )

    def _under_way(self) -> int:
        return sum(way.sent_at is not None for way in self._ways.values())

    def _blocked(self, now: float) -> Decision | None:
        stop = self._endings.due(now, self._pauses.until)
        if stop is not None:
            return stop
        if not self._pauses.over(now):
            assert self._pauses.until is not None
            return WaitUntil(self._pauses.until)
        return None

    # --- answers ------------------------------------------------------------------------------

    def answered(self, now: float, ticket: int, observation: Observation) -> None:
        """See `bulk.pacing.Controller`."""
        way = self._ways.pop(ticket)
        assert way.sent_at is not None, "answered before sent"
        fresh = way.epoch == self._epoch
        asked_s = observation.signals.retry_after_s
        if asked_s is not None:
            asked_s = min(asked_s, ASKED_S_MAX)
        if observation.pace is Pace.UNREACHABLE:
            self._plan.history.uncounted(way.sent_at)
            if fresh:
                self._unreachable(now)
            return
        self._endings.reached()
        self._shortest_s = min(self._shortest_s, now - way.sent_at)
        self._told.note(observation.signals, way.sent_at, now)
        if not self._rating and not self._plan.known:
            self._told.compare(self._plan.history.sends, len(self._ways))
        match observation.pace:
            case Pace.ACCEPTED | Pace.NEUTRAL:
                self._left -= 1
                self._accepted(now, way, way.sent_at, fresh=fresh)
            case Pace.THROTTLED | Pace.QUOTA:
                self._throttles += 1
                self._plan.history.uncounted(way.sent_at)
                if fresh:
                    self._refused(now, way, way.sent_at, observation, asked_s)
                elif asked_s is not None and self._pauses.probing:  # the same congestion
                    self._pauses.keep(now, now, asked_s)
            case Pace.OVERLOADED:
                self._left -= 1
                self._in_flight.troubled(now, way.sent_at)
                self._rate.accepted(way.sent_at, paced=way.paced)  # it came past the limit
                if fresh and self._pauses.probing:
                    self._recovered(way.sent_at)  # whatever it was, no limit refused it
                if asked_s:
                    self._pauses.keep(now, now, asked_s)

    def _accepted(self, now: float, way: _Way, sent_at: float, *, fresh: bool) -> None:
        self._rate.accepted(sent_at, paced=way.paced)
        self._plan.accepted(sent_at)
        latency_s = now - sent_at
        if not self._usual_s:
            self._usual_s = latency_s
        self._jitter_s += (abs(latency_s - self._usual_s) - self._jitter_s) / 16
        self._usual_s += (latency_s - self._usual_s) / 16
        self._in_flight.accepted(way.in_flight, latency_s, self._shortest_s)
        if fresh and self._pauses.probing:
            self._recovered(sent_at)

    def _recovered(self, sent_at: float) -> None:
        """The probe was accepted: what is known says how to go on."""
        pauses = self._pauses
        pauses.passed()
        self._endings.recovered()
        if not pauses.limited:
            return
        asked_s = pauses.asked_s
        rounded = asked_s is not None and asked_s >= 1 and asked_s == int(asked_s)
        self._rate.recovered(sent_at, sent_at - pauses.edge_at, told=rounded)
        planned = self._plan.known
        ended = self._plan.recovered(
            sent_at,
            pauses.edge_at,
            trip_s=self._shortest_s,
            jitter_s=self._jitter_s,
            per_s=self._rate.estimate,
            telling=asked_s is None or asked_s >= ASKED_S_MIN,
        )
        self._take_over(sent_at)
        if not planned:
            # A rate that is known well is a limit of its own, inside the window.
            self._rating = not ended or (self._rating and self._rate.proven)

    def _take_over(self, at: float) -> None:
        """Where a window turned out to be none, what it told may still be a rate."""
        if not self._plan.known:
            self._rating = True
            if self._plan.average is not None:
                self._rate.forget(at)
                self._rate.suggest(*self._plan.average)
                self._plan.average = None

    def _refused(
        self,
        now: float,
        way: _Way,
        sent_at: float,
        observation: Observation,
        asked_s: float | None,
    ) -> None:
        self._epoch += 1
        if self._pauses.probing:
            self._pauses.refused(asked_s)
            until = self._plan.still_refused(sent_at, now)
            self._pauses.keep(now, self._guess(now) if until is None else until, asked_s)
        else:
            self._epochs += 1
            if self._epochs == 1:
                self._in_flight.refused(way.in_flight)
            until_or_on = self._epoch_begins(now, sent_at, asked_s)
            if until_or_on is None:
                return
            self._pauses.keep(now, until_or_on, asked_s)
        lasting = asked_s is None or asked_s >= ASKED_S_MAX
        said = observation.pace is Pace.QUOTA and lasting
        self._endings.refused(now, self._pauses.fails, said=said)

    def _epoch_begins(self, now: float, sent_at: float, asked_s: float | None) -> float | None:
        """Learn from an epoch's first refusal; until when to pause, None if that is not needed."""
        trip_s = self._shortest_s
        if self._plan.known and not (self._rating and not self._plan.explains(sent_at)):
            until = self._plan.refused(sent_at, now, trip_s)
            if until is not None:
                self._pauses.begin(sent_at, 2 * trip_s, asked_s)
                return until
            self._take_over(sent_at)
        self._plan.noted(sent_at)
        enough = self._mark(now, sent_at)
        pace = self._rate.pace
        if enough and pace is not None and (asked_s is None or asked_s <= 2 / pace):
            return None
        step_s = trip_s if pace is None else max(2 * trip_s, 1.3 / pace)
        self._pauses.begin(sent_at, step_s, asked_s)
        return self._guess(now)

    def _guess(self, now: float) -> float:
        return self._pauses.guess(now, self._plan.begins, self._told.ends_at)

    def _mark(self, now: float, sent_at: float) -> bool:
        assert self._first_at is not None
        sends = self._plan.history.sends
        others = [way.sent_at for way in self._ways.values() if way.sent_at is not None]
        # Of those that left in the same instant some may have come before it.
        before = sum(at < sent_at for at in others) + sum(at == sent_at for at in others) / 2
        leaving = sum(way.confirmed and way.sent_at is None for way in self._ways.values())
        enough = self._rate.refused(
            sent_at,
            now,
            under_way=before,
            left_since=len(sends) - bisect_left(sends, sent_at) + leaving,
            jitter_s=self._jitter_s,
            started_at=self._first_at,
        )
        self._rating = self._rating or self._rate.estimate is not None
        return enough

    def _unreachable(self, now: float) -> None:
        self._epoch += 1
        failures = self._endings.unreachable()
        self._pauses.begin(now, 0.0, None)
        self._pauses.limited = False
        self._pauses.keep(now, now + CONNECT_PAUSE_S * 2 ** (failures - 1), None)
