"""Paces requests against a limit that nobody told: the controller.

Theory of operation
-------------------
Nothing is known at the start but that one refusal wastes what is under way. So requests are let
under way one more for each accepted (`in_flight`), until the first refusal. A refusal begins an
*epoch*: whatever left before it became known belongs to it, and never counts again. Everything
pauses, one request probes, and the rest follows only when it was accepted.

    OPENING --refusal--> PAUSED --time--> PROBING --accepted--> limited by what is known by then:
                           ^-------refused-------'                in flight, rate or window

What the epochs tell is read in two ways at once:

*   `rate`: between two epochs the API accepted what it sustains. From the second on requests leave
    at the pace this gives, a hair above it where a refusal costs nothing. A refusal then is no
    event: the request waits for two turns and goes on. Only when that does not help, or the server
    asks for a longer wait, is there a pause.
*   `windows`: if a pause had to be far longer than a request takes, what passed before it is the
    limit of a window, and the plan is to fill each window from its start.

What is saved up during a pause may leave at once when it is over; how much the limit saves is what
it let through at the start beyond its rate. A pause that the server asks for (`Retry-After`, or an
allowance that is used up) is kept, up to a bound: lies of a day are seen in the wild. An allowance
of nothing left is tested once by a request after a moment, for a bucket refills meanwhile, and a
window does not.

A quota looks like a refusal that does not pass. Where the answer's code says quota, one probe
confirms it; where nothing says so, 15 fruitless probes over at least ten minutes do.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from random import Random

from bulk.answers import Pace
from bulk.pacing import Decision, Observation, PaceView, Send, WaitForEvent, WaitUntil
from bulk.pacing.endings import Endings
from bulk.pacing.in_flight import InFlight
from bulk.pacing.pauses import ASKED_S_MAX, Pauses
from bulk.pacing.rate import RateModel
from bulk.pacing.turns import Turns
from bulk.pacing.windows import WindowPlan

LEAD_S = 0.03  # a turn is given out this long before it: the intent is made durable meanwhile
AGAIN = 3  # a refusal before so many accepted requests is the last one's sequel
TESTS_MAX = 3  # of whether an allowance refills by and by
CONNECT_PAUSE_S = 0.5  # doubles with each failure: half a minute in all


@dataclass(slots=True)
class _Way:
    """A request from its leave to go to its answer. Instants on the caller's clock."""

    at: float
    asked_at: float
    paced: bool
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
        self._rate = RateModel(per_s, burst)
        self._plan = WindowPlan()
        self._turns = Turns(self._rate, self._plan)
        self._pauses = Pauses(random, self._plan)
        self._in_flight = InFlight(concurrency_max, total)
        self._endings = Endings(deadline)
        self._ways: dict[int, _Way] = {}
        self._next_ticket = 1
        self._first_at: float | None = None
        self._shortest_s = math.inf
        self._cut_at = -math.inf  # what left before this is of an epoch counted already
        self._since_cut = AGAIN
        self._tests = 0
        self._testing_until: float | None = None
        self._refills: bool | None = None  # whether an allowance of nothing refills by and by
        self._throttles = 0
        self._epochs = 0

    # --- asking -------------------------------------------------------------------------------

    def ask(self, now: float, test_id: str) -> Decision:
        """See `bulk.pacing.Controller`. This controller treats all tests alike."""
        blocked = self._blocked(now)
        if blocked is not None:
            return blocked
        turn = now
        if self._pauses.probing:
            if self._probe_under_way(self._next_ticket):
                return WaitForEvent()
        elif len(self._ways) + 1 > self._most_under_way():
            return WaitForEvent()
        else:
            turn = self._turns.at(now, len(self._ways) - self._under_way())
            if turn > now + LEAD_S:
                return self._test_window(now, turn) or self._endings.wait(turn - LEAD_S)
        paced = not self._pauses.probing and self._turns.take(now)
        ticket = self._next_ticket
        self._next_ticket += 1
        self._ways[ticket] = _Way(turn, now, paced)
        return Send(ticket, turn)

    def _probe_under_way(self, ticket: int) -> bool:
        """Whether an older request probes; one from before the cut does not, it may hang."""
        return any(
            other < ticket and (way.sent_at is None or way.sent_at > self._cut_at)
            for other, way in self._ways.items()
        )

    def _most_under_way(self) -> float:
        known = self._rate.pace is not None or self._plan.limit is not None
        return self._in_flight.ceiling if known else self._in_flight.limit

    def _test_window(self, now: float, turn: float) -> Decision | None:
        """Before a full window's end: the test, where one is due, whether it ends earlier."""
        early = self._plan.earlier()
        if early is None or self._ways or not now + 2 * self._shortest_s < early < turn:
            return None
        self._pauses.test(now, early, self._shortest_s)
        return self._endings.wait(early)

    def confirm(self, now: float, ticket: int) -> Decision:
        """See `bulk.pacing.Controller`."""
        blocked = self._blocked(now)
        if blocked is not None:
            return blocked
        probing = self._pauses.probing
        if probing and self._probe_under_way(ticket):
            return WaitForEvent()  # the pause ended while the intent was written; one probe leads
        way = self._ways[ticket]
        if way.asked_at < self._cut_at and not probing and self._plan.limit is None:
            turn = self._turns.at(now, 0)  # turns have moved since
            if turn > now + LEAD_S:
                return WaitUntil(turn)
            way.at = max(way.at, turn)
            self._turns.take(now)
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
            concurrency=self._most_under_way(),
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
        fresh = way.sent_at > self._cut_at
        asked_s = observation.signals.retry_after_s
        if asked_s is not None:
            asked_s = min(asked_s, ASKED_S_MAX)
        if observation.pace is Pace.UNREACHABLE:
            self._plan.uncounted(way.sent_at)
            if fresh:
                self._unreachable(now)
            return
        self._endings.reached()
        self._shortest_s = min(self._shortest_s, now - way.sent_at)
        match observation.pace:
            case Pace.ACCEPTED | Pace.NEUTRAL:
                self._accepted(now, way, way.sent_at, observation)
            case Pace.THROTTLED | Pace.QUOTA:
                self._throttles += 1
                self._plan.uncounted(way.sent_at)
                if fresh:
                    self._refused(now, way, way.sent_at, observation, asked_s)
                elif asked_s is not None and self._pauses.probing:  # the same congestion
                    self._pauses.keep(now, asked_s)
            case Pace.OVERLOADED:
                self._in_flight.troubled(now, way.sent_at)
                if fresh:
                    self._pauses.accepted()  # whatever it was, no limit refused it
                if asked_s:
                    self._pauses.keep(now, asked_s)

    def _accepted(self, now: float, way: _Way, sent_at: float, observation: Observation) -> None:
        fresh = sent_at > self._cut_at
        self._since_cut += fresh
        self._rate.accepted(sent_at, paced=way.paced)
        self._in_flight.accepted(way.in_flight, now - sent_at, self._shortest_s)
        if fresh and self._pauses.probing:
            self._recovered(sent_at, observation)
        elif fresh and self._rate.pace is None:
            self._in_flight.grow(way.in_flight)
        if not self._pauses.probing:
            self._heed(now, sent_at, observation)

    def _recovered(self, sent_at: float, observation: Observation) -> None:
        """The probe was accepted: what is known says how to go on."""
        edge_at, asked_s = self._pauses.edge_at, self._pauses.asked_s
        self._pauses.accepted()
        self._endings.recovered()
        self._turns.probed(edge_at)
        if self._testing_until is not None:
            self._testing_until = None
            self._tests += 1
            anew = any(
                allowance.quota is not None and allowance.remaining >= allowance.quota / 2
                for allowance in observation.signals.allowances
            )  # as much as this did not come up in a moment: a window happened to end
            if not anew or self._tests >= TESTS_MAX:
                self._refills = True
            return
        self._plan.opened(
            sent_at,
            edge_at,
            trip_s=self._shortest_s,
            asked_s=asked_s,
            known_per_s=self._rate.estimate,
        )
        self._rate.resumed(sent_at, sent_at - edge_at, told=asked_s is not None)

    def _heed(self, now: float, sent_at: float, observation: Observation) -> None:
        """Act on an allowance that is used up, before a refusal says so."""
        told = [allowance for allowance in observation.signals.allowances if allowance.reset_s]
        if not told:
            return
        left = min(allowance.remaining for allowance in told)
        if self._refills is None and left <= self._under_way():
            reset_s = max(allowance.reset_s or 0.0 for allowance in told)
            self._testing_until = now + min(reset_s, ASKED_S_MAX)
            self._cut_at = now
            self._pauses.test(now, now + 2 * self._shortest_s, self._shortest_s)
        elif self._refills and left == 0 and self._plan.limit is None and self._rate.tells:
            self._mark(sent_at)
            self._turns.hold(now)

    def _refused(
        self,
        now: float,
        way: _Way,
        sent_at: float,
        observation: Observation,
        asked_s: float | None,
    ) -> None:
        self._cut_at = now
        if self._pauses.probing:
            if self._testing_until is not None:
                asked_s = max(asked_s or 0.0, self._testing_until - now)
                self._testing_until, self._refills = None, False
            else:
                self._plan.too_early(sent_at)
            self._pauses.refused(now, asked_s)
        else:
            self._epochs += 1
            if self._goes_on(now, way, sent_at, asked_s):
                return
            self._in_flight.refused(way.in_flight)
            pace, trip_s = self._rate.pace, self._shortest_s
            pause_s = trip_s if pace is None else max(2 * trip_s, 1.3 / pace)
            self._pauses.begin(now, sent_at, pause_s, asked_s)
        lasting = asked_s is None or asked_s >= ASKED_S_MAX
        said = observation.pace is Pace.QUOTA and lasting
        self._endings.refused(now, self._pauses.fails, said=said)

    def _goes_on(self, now: float, way: _Way, sent_at: float, asked_s: float | None) -> bool:
        """Learn from an epoch's first refusal; whether no pause is needed."""
        stands = self._plan.refused(sent_at) and asked_s is None
        unknown = asked_s is None and self._rate.pace is None and self._plan.limit is None
        if unknown and self._in_flight.capped(way.in_flight):
            return True
        self._mark(sent_at)
        if stands:
            return True
        again = self._since_cut < AGAIN
        self._since_cut = 0
        left_since = sum((other.sent_at or 0.0) > sent_at for other in self._ways.values())
        enough = self._turns.skip(sent_at, now, self._rate.since_mark + left_since, again=again)
        pace = self._rate.pace
        return enough and pace is not None and (asked_s is None or asked_s <= 2 / pace)

    def _mark(self, sent_at: float) -> None:
        assert self._first_at is not None
        before = sum(
            other.sent_at is not None and other.sent_at < sent_at for other in self._ways.values()
        )
        self._rate.refused(sent_at, before, self._first_at)

    def _unreachable(self, now: float) -> None:
        self._cut_at = now
        failures = self._endings.unreachable()
        self._pauses.begin(now, now, 0.0, CONNECT_PAUSE_S * 2 ** (failures - 1))
        self._pauses.asked_s = None  # it was our own idea
