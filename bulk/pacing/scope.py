"""Paces the requests that limits apply to together, where nobody told what these are.

Theory of operation
-------------------
Nothing is known at the start but that one refusal wastes what is under way. So requests are let
under way one more for each accepted (`in_flight`), until the first refusal. A refusal begins an
*epoch*: whatever had its leave to go before it became known belongs to it, and never counts again.
Everything pauses, one request probes, and the rest follows only when it was accepted.

    OPENING --refusal--> PAUSED --time--> PROBING --accepted--> limited by what is known by then:
                           ^-------refused-------'                in flight, rate, windows, cap

What the epochs tell is read in three ways (`limits`, `cap`):

*   `rate`: between two epochs the API accepted what it sustains. From the second on requests leave
    at the pace this gives, a hair above it where a refusal costs nothing. A refusal then is no
    event: the request waits for a few turns and goes on. Only when that does not help, or the
    server asks for a longer wait, is there a pause.
*   `windows`: if a pause had to be far longer than a request takes, what passed before it is the
    limit of a window (`plan`), and the plan is to fill each from its start. A window of a second
    or two is paced at its mean rate instead, which costs one such window in all.
*   `cap`: if all refusals had one number of requests under way, and what was accepted had fewer,
    so many are kept under way, and neither rate nor window holds back. Where refusals come quickly
    the first one is taken for a cap's, and the pause put off until another says it was not.

What a bucket saves up during a pause is spent after it, at twice the pace. A pause that the server
asks for (`Retry-After`) is kept, up to a bound: lies of a day are seen in the wild.

A quota looks like a refusal that does not pass. Where the answer's code says quota, one probe
confirms it; where nothing says so, a dozen fruitless probes over at least ten minutes do.
"""

from __future__ import annotations

from functools import partial
from random import Random

from bulk.answers import Pace
from bulk.pacing import Decision, Observation, PaceView, Send, WaitForEvent, WaitUntil
from bulk.pacing.cap import Cap
from bulk.pacing.endings import Endings
from bulk.pacing.in_flight import InFlight
from bulk.pacing.limits import Limits
from bulk.pacing.pauses import ASKED_S_MAX, Pauses
from bulk.pacing.shedding import Shedding
from bulk.pacing.ways import Trips, Way, Ways

LEAD_S = 0.03  # a turn is given out this long before it: the intent is made durable meanwhile


class Scope:
    """All requests to the API, or those of a test that has a limit of its own.

    Its methods are those of `bulk.pacing.Controller`, but that asking has two steps, between which
    another scope may object. `deadline` is an instant, None for none. `total`: how many triggers
    the batch has. `per_s` and `burst`: a limit that the user knows; it is kept to, and refusals
    still slow it down.
    """

    def __init__(
        self,
        *,
        concurrency_max: int,
        random: Random,
        deadline: float | None,
        total: int,
        per_s: float | None = None,
        burst: int = 1,
    ) -> None:
        self._ways = Ways()
        self._trips = Trips()
        self._new_limits = partial(Limits, per_s, burst, self._ways, self._trips)
        self._limits = self._new_limits()
        self._aside = self._new_limits()  # where a cap explains what the limits were learned from
        self._random = random
        self._pauses = Pauses(random)
        self._in_flight = InFlight(concurrency_max, total)
        self._cap = Cap()
        self._shedding = Shedding()
        self._endings = Endings(deadline)
        self._held = False  # whether the next request has been held back for its turn
        self._throttles = 0
        self._epochs = 0

    # --- asking -------------------------------------------------------------------------------

    def look(self, now: float) -> float | Decision:
        """The turn of the next request, if it may leave very soon; else what to wait for."""
        blocked = self._blocked(now)
        if blocked is not None:
            return blocked
        if self._pauses.probing:
            fresh = self._ways.any_fresh_before(self._ways.next_ticket)
            return WaitForEvent() if fresh else now
        if len(self._ways) + 1 > self._at_once:
            self._held = False
            return WaitForEvent()
        if self._limits.used_up(now):
            return WaitForEvent() if len(self._ways) else self._pause_untold(now)
        turn = self._limits.turn(now)
        if turn > now + LEAD_S:
            self._held = True
            return self._test_window(now, turn) or self._endings.wait(turn - LEAD_S)
        return turn

    def give(self, now: float, turn: float) -> int:
        """The next request may leave at that turn, which `look` allowed; its ticket."""
        paced = False
        if not self._pauses.probing:
            paced, self._held = self._held or turn > now, False
            self._limits.take(turn)
        return self._ways.give(turn, paced=paced)

    def _pause_untold(self, now: float) -> Decision:
        """The server has told that nothing is left, before a refusal says so."""
        edge_at = self._limits.emptied(now)
        self._ways.cut()
        self._pauses.begin(edge_at, self._trips.shortest_s, None)
        self._pauses.keep(now, now + self._trips.shortest_s, None)
        return self._endings.wait(self._pauses.until or now)

    def _test_window(self, now: float, turn: float) -> Decision | None:
        """Before a full window's end: the test, where one is due, whether it ends earlier."""
        early = None if len(self._ways) else self._limits.test_at(now, turn)
        if early is None:
            return None
        self._ways.cut()
        self._pauses.begin(now, 2 * self._trips.shortest_s, None)
        self._pauses.keep(now, early, None)
        return self._endings.wait(early)

    def confirm(self, now: float, ticket: int) -> Decision:
        """Whether its leave still stands."""
        blocked = self._blocked(now)
        if blocked is not None:
            return blocked
        if self._pauses.probing and self._ways.any_fresh_before(ticket):
            return WaitForEvent()  # the pause ended while the intent was written; one probe leads
        way = self._ways[ticket]
        if way.epoch != self._ways.epoch and not self._pauses.probing:
            turn = self._limits.turn(now)  # turns have moved since
            if turn > now + LEAD_S:
                return WaitUntil(turn)
            way.at = max(way.at, turn)
            self._limits.take(turn)
        way.epoch, way.confirmed = self._ways.epoch, True
        return Send(ticket, max(now, way.at))

    def sent(self, now: float, ticket: int) -> None:
        """It leaves."""
        way = self._ways[ticket]
        way.sent_at = now
        way.in_flight = self._ways.under_way
        self._limits.sent(now, probe=self._pauses.probing)

    def withdrawn(self, ticket: int) -> None:
        """It was never sent."""
        self._ways.end(ticket)

    def excused(self, ticket: int) -> None:
        """It was refused, and not because of the limits here."""
        sent_at = self._ways.end(ticket).sent_at
        assert sent_at is not None, "answered before sent"
        self._throttles += 1
        self._limits.uncounted(sent_at, refused=False)

    def start_over(self) -> None:
        """Forget all limits: what they were learned from had nothing to do with them."""
        self._shedding = Shedding()
        self._reopen()

    def _reopen(self) -> None:
        self._ways.cut()
        self._limits = self._new_limits().follow(self._limits)
        self._pauses = Pauses(self._random)
        self._cap.refuted()  # there is no pause to go back to
        self._endings.recovered()

    def is_fresh(self, ticket: int) -> bool:
        """Whether nothing was refused here since that request had its leave to go."""
        return self._ways[ticket].epoch == self._ways.epoch

    def view(self, now: float) -> PaceView:
        """How things stand."""
        paused = self._pauses.until
        return PaceView(
            in_flight=self._ways.under_way,
            concurrency=self._at_once,
            throttles=self._throttles,
            epochs=self._epochs,
            paused_until=paused if paused is not None and paused > now else None,
        )

    @property
    def _at_once(self) -> float:
        return min(self._in_flight.limit, self._cap.level)

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
        """It has ended."""
        way = self._ways.end(ticket)
        assert way.sent_at is not None, "answered before sent"
        fresh = way.epoch == self._ways.epoch
        asked_s = observation.signals.retry_after_s
        if asked_s is not None:
            asked_s = min(asked_s, ASKED_S_MAX)
        if observation.pace is Pace.UNREACHABLE:
            self._limits.uncounted(way.sent_at, refused=False)
            if fresh:
                self._ways.cut()
                self._pauses.unreachable(now, self._endings.unreachable())
            return
        self._endings.reached()
        self._trips.shortest_s = min(self._trips.shortest_s, now - way.sent_at)
        self._limits.note(observation.signals, way.sent_at, now)
        match observation.pace:
            case Pace.ACCEPTED | Pace.NEUTRAL:
                self._accepted(now, way, way.sent_at, fresh=fresh)
            case Pace.THROTTLED | Pace.QUOTA:
                self._throttles += 1
                self._limits.uncounted(way.sent_at, refused=True)
                if fresh:
                    self._refused(now, way, way.sent_at, observation, asked_s)
                elif asked_s is not None and self._pauses.probing:  # the same congestion
                    self._pauses.keep(now, now, asked_s)
            case Pace.OVERLOADED:
                self._in_flight.troubled(now, way.sent_at)
                self._limits.passed(way.sent_at, paced=way.paced)
                if fresh and self._pauses.probing:
                    self._recovered(way.sent_at)  # whatever it was, no limit refused it
                if asked_s:
                    self._pauses.keep(now, now, asked_s)

    def _accepted(self, now: float, way: Way, sent_at: float, *, fresh: bool) -> None:
        self._shedding.accepted()
        self._limits.passed(sent_at, paced=way.paced)
        self._trips.accepted(now - sent_at)
        self._cap.accepted(way.in_flight)
        if not self._epochs and (left := self._limits.told_left) is not None:
            self._in_flight.told(left, now, sent_at)
        self._in_flight.accepted(way.in_flight, now - sent_at, self._trips.shortest_s)
        if fresh and self._pauses.probing:
            self._recovered(sent_at)

    def _recovered(self, sent_at: float) -> None:
        """The probe was accepted, and the rest may follow."""
        self._pauses.passed()
        self._endings.recovered()
        if self._shedding.testing:
            if self._shedding.tested(passed=True):
                self._reopen()
            return
        if self._pauses.limited:
            self._limits.recovered(sent_at, self._pauses.edge_at, self._pauses.asked_s)

    def _refused(
        self,
        now: float,
        way: Way,
        sent_at: float,
        observation: Observation,
        asked_s: float | None,
    ) -> None:
        self._ways.cut()
        lasting = asked_s is None or asked_s >= ASKED_S_MAX
        said = observation.pace is Pace.QUOTA and lasting
        if self._pauses.probing and not self._shedding.testing:
            self._pauses.refused(asked_s)
            until = self._limits.still_refused(sent_at, now, asked_s)
        else:
            self._epochs += 1
            explained = said or asked_s is not None or self._limits.windowed
            if self._shedding.testing:  # it was none by chance
                self._shedding.tested(passed=False)
                self._pauses.passed()
                sent_at = self._pauses.edge_at
            elif not explained and (self._capped(way.in_flight) or self._shed(now, sent_at)):
                return
            if self._epochs == 1:
                self._in_flight.refused(way.in_flight)
            if self._cap.refuted():
                self._pauses.resume(asked_s)
                until = self._limits.still_refused(sent_at, now, asked_s)
            else:
                hold = self._limits.refused(now, sent_at, asked_s, pause=said)
                if not explained:
                    self._shedding.counted(self._limits.per_s)
                if hold is None:
                    return
                self._pauses.begin(sent_at, hold.step_s, asked_s)
                if self._epochs == 1 and self._cap.suppose(now - sent_at, self._trips.usual_s):
                    self._pauses.passed()  # until a cap is refuted
                    return
                until = hold.until
        if until is None:
            until = self._pauses.guess(now, self._limits.begins, self._limits.renewed_at)
        self._pauses.keep(now, until, asked_s)
        self._endings.refused(now, self._pauses.fails, said=said)

    def _shed(self, now: float, sent_at: float) -> bool:
        """Whether a refusal came by chance, or is put to the test for that."""
        if self._shedding.by_chance():
            return True
        if self._shedding.to_test(self._limits.per_s, self._trips.shortest_s):
            self._pauses.begin(sent_at, 0.0, None)
            self._pauses.keep(now, now, None)
        return self._shedding.testing

    def _capped(self, under_way: int) -> bool:
        """Whether a cap refused it; what the limits say then is put aside, or taken up again."""
        known = self._cap.known
        capped = self._cap.refused(under_way)
        if self._cap.known is not known:
            self._limits, self._aside = self._aside.follow(self._limits), self._limits
        return capped
