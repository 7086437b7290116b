"""Paces the requests that limits apply to together, where nobody told what these are.

Theory of operation
-------------------
Nothing is known at the start but that one refusal wastes what is under way. So requests are let
under way one more for each accepted (`in_flight`), until the first refusal. A refusal begins an
*epoch*: whatever had its leave to go before it became known belongs to it, and never counts again.
Everything pauses, one request probes, and the rest follows only when it was accepted.

    OPENING --refusal--> PAUSED --time--> PROBING --accepted--> limited by what is known by then:
                           ^-------refused-------'                in flight, rate, windows, cap

What the epochs tell is read in several ways (`causes`, `limits`):

*   `rate`: between two epochs the API accepted what it sustains. From the second on requests leave
    at the pace this gives, a hair above it where a refusal costs nothing. A refusal then is no
    event: the request waits for a few turns and goes on. Only when that does not help, or the
    server asks for a longer wait, is there a pause.
*   `windows`: if a pause had to be far longer than a request takes, what passed before it is the
    limit of a window (`plan`), and the plan is to fill each from its start. A window of a second
    or two is paced at its mean rate instead. Headers that came true are followed (`account`).
*   `cap`: if all refusals had one number of requests under way, and what was accepted had fewer,
    so many are kept under way, and neither rate nor window holds back. Where refusals come quickly
    the first one is taken for a cap's, and the pause put off until another says it was not.
*   `shedding`: if refusals come soon at any pace, a test shows whether they come by chance.

What a bucket saves up in a pause is spent after it, at twice the pace. A pause that the server asks
for is kept, up to a bound: lies of a day are seen in the wild. A quota looks like a refusal that
does not pass. Where the answer's code says quota, one probe confirms it; where nothing says so, a
dozen fruitless probes over at least ten minutes do.
"""

from __future__ import annotations

from functools import partial
from random import Random

from bulk.http.answers import Pace
from bulk.pacing import (
    Decision,
    LongWait,
    Observation,
    PaceView,
    Send,
    WaitForEvent,
    WaitUntil,
)
from bulk.pacing.causes import Causes
from bulk.pacing.endings import Endings
from bulk.pacing.in_flight import InFlight
from bulk.pacing.limits import Hold, Limits
from bulk.pacing.pauses import ASKED_S_MAX, Pauses
from bulk.pacing.ways import LEAD_S, Trips, Way, Ways, too_soon


class Scope:
    """All requests to the API, or those of a test that has a limit of its own.

    Its methods are those of `bulk.pacing.Controller`, but asking has two steps, between which
    another scope may object. `deadline` is an instant, None for none; `total`: triggers in all.
    `per_s` and `burst`: a limit that the user knows; it is kept to, and refusals still slow it.
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
        self._causes = Causes(partial(Limits, per_s, burst, self._ways, self._trips))
        self._random = random
        self._pauses = Pauses(random)
        self._in_flight = InFlight(concurrency_max, total)
        self._endings = Endings(deadline)
        self._long_wait: LongWait | None = None
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
        if too_soon(turn, now):
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
        trip_s = self._trips.shortest_s
        self._pauses.hold(now, now + trip_s, edge_at=edge_at, step_s=trip_s)
        return self._endings.wait(self._pauses.until or now)

    def _test_window(self, now: float, turn: float) -> Decision | None:
        """Before a full window's end: the test, where one is due, whether it ends earlier."""
        early = None if len(self._ways) else self._limits.test_at(now, turn)
        if early is None:
            return None
        self._ways.cut()
        self._pauses.hold(now, early, edge_at=now, step_s=2 * self._trips.shortest_s)
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
            if too_soon(turn, now):
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
        self._causes.sent(now, probe=self._pauses.probing)

    def withdrawn(self, ticket: int) -> None:
        """It was never sent."""
        self._ways.end(ticket)

    def excused(self, ticket: int) -> None:
        """It was refused, and not because of the limits here."""
        self._throttles += 1
        self._causes.uncounted(self._ways.end(ticket).left_at, refused=False)

    def start_over(self) -> None:
        """Forget all limits: what they were learned from had nothing to do with them."""
        self._causes.start_over()
        self._ways.cut()
        self._pauses = Pauses(self._random)
        self._long_wait = None
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
            long_wait=self._long_wait,
        )

    @property
    def _at_once(self) -> float:
        return min(self._in_flight.limit, self._causes.cap.level)

    @property
    def _limits(self) -> Limits:
        return self._causes.limits

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
        sent_at, fresh = way.left_at, way.epoch == self._ways.epoch
        asked_s = observation.headers.retry_after_s
        if asked_s is not None and asked_s > ASKED_S_MAX:
            if observation.pace is not Pace.ACCEPTED and self._long_wait is None:
                self._long_wait = LongWait(now, asked_s)
            asked_s = ASKED_S_MAX
        if observation.pace is Pace.UNREACHABLE:
            self._causes.uncounted(sent_at, refused=False)
            if fresh:
                self._ways.cut()
                self._pauses.unreachable(now, self._endings.unreachable())
            return
        self._endings.reached()
        self._trips.shortest_s = min(self._trips.shortest_s, now - sent_at)
        refused = observation.pace in (Pace.THROTTLED, Pace.QUOTA)
        self._limits.note(observation.headers, sent_at, now, refused=refused)
        match observation.pace:
            case Pace.ACCEPTED | Pace.NEUTRAL:
                self._accepted(now, way, fresh=fresh)
            case Pace.THROTTLED | Pace.QUOTA:
                self._throttles += 1
                self._causes.uncounted(sent_at, refused=True)
                if fresh:
                    self._refused(now, way, asked_s, quota=observation.pace is Pace.QUOTA)
                elif asked_s is not None and self._pauses.probing:  # the same congestion
                    self._pauses.keep(now, now, asked_s)
                self._causes.cap.overshot(self._ways.under_way)
            case Pace.OVERLOADED:
                self._in_flight.troubled(now, sent_at)
                self._causes.passed(way)
                if fresh and self._pauses.probing:
                    self._recovered(sent_at)  # whatever it was, no limit refused it
                if asked_s:
                    self._pauses.keep(now, now, asked_s)

    def _accepted(self, now: float, way: Way, *, fresh: bool) -> None:
        latency_s = now - way.left_at
        self._causes.accepted(way, fresh=fresh)
        self._trips.accepted(latency_s)
        if not self._epochs and (left := self._limits.told_left) is not None:
            self._in_flight.told(left, now, way.left_at)
        self._in_flight.accepted(way.in_flight, latency_s, self._trips.shortest_s)
        if fresh and self._pauses.probing:
            self._recovered(way.left_at)

    def _recovered(self, sent_at: float) -> None:
        """The probe was accepted, and the rest may follow."""
        self._pauses.passed()
        self._long_wait = None
        self._endings.recovered()
        if self._causes.shedding.testing:
            if self._causes.tested():
                self._pauses.hold(sent_at, sent_at, edge_at=self._pauses.edge_at, step_s=0.0)
        elif self._pauses.limited:
            self._limits.recovered(sent_at, self._pauses.edge_at, self._pauses.asked_s)

    def _refused(self, now: float, way: Way, asked_s: float | None, *, quota: bool) -> None:
        self._ways.cut()
        said = quota and (asked_s is None or asked_s >= ASKED_S_MAX)
        if self._pauses.probing and not self._causes.shedding.testing:
            self._pauses.refused(asked_s)
            until = self._limits.still_refused(way.left_at, now, asked_s)
        else:
            self._epochs += 1
            hold = self._pause(now, way, asked_s, said=said)
            if hold is None:
                return
            until = hold.until
        if until is None:
            until = self._pauses.guess(now, self._limits.begins, self._limits.renewed_at)
        self._pauses.keep(now, until, asked_s)
        self._endings.refused(now, self._pauses.fails, said=said)

    def _pause(self, now: float, way: Way, asked_s: float | None, *, said: bool) -> Hold | None:
        """An epoch's first refusal: the pause that begins, None if none does."""
        cap, shedding, sent_at = self._causes.cap, self._causes.shedding, way.left_at
        explained = said or asked_s is not None or self._limits.windowed
        if shedding.testing:  # it was none by chance
            shedding.tested(passed=False)
            self._pauses.passed()
            sent_at = self._pauses.edge_at
        elif not explained:
            if self._causes.others(way.in_flight):
                return None
            if shedding.to_test(self._limits.per_s, self._trips.shortest_s):
                self._pauses.hold(now, now, edge_at=sent_at, step_s=0.0)
                return None
        if self._epochs == 1:
            self._in_flight.refused(way.in_flight)
        if cap.unsuppose():
            self._pauses.resume(asked_s)
            return Hold(0.0, self._limits.still_refused(sent_at, now, asked_s))
        hold = self._limits.refused(now, sent_at, asked_s, pause=said)
        if not explained:
            shedding.counted(self._limits.per_s)
        if hold is None:
            return None
        self._pauses.begin(sent_at, hold.step_s, asked_s)
        if self._epochs == 1 and cap.suppose(now - sent_at, self._trips.usual_s):
            self._pauses.passed()  # until a cap is refuted
            return None
        return hold
