"""The controller: one scope for the API, and one for each test that has a limit of its own.

Limits are taken to be the API's (`scope`) until refusals single out a test (`by_test`). From then
on that test is in a scope of its own as well: its requests need leave of both, its refusals hold
back nobody else, and where such tests were all that was ever refused, the API is left without a
limit. What the user knows of the API's limit holds above all of them (`ceiling`), and so does a cap
on requests in flight that the server advertises.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, replace
from random import Random

from bulk.http.answers import Pace
from bulk.pacing import (
    AnotherTest,
    Decision,
    Observation,
    PaceView,
    Send,
    Stop,
    WaitForEvent,
    WaitUntil,
)
from bulk.pacing.by_test import Suspects
from bulk.pacing.ceiling import Ceiling
from bulk.pacing.scope import Scope
from bulk.pacing.ways import LEAD_S, too_soon

EVENTS_MAX = 2_000  # kept, of all tests together: minutes at most rates


@dataclass(slots=True)
class _Leave:
    """A request's tickets: the API's, and that of its test's own scope."""

    test_id: str
    shared: int
    own: int | None
    sent_at: float = -math.inf


@dataclass(frozen=True, slots=True)
class _Event:
    """A request's end, for the scope that its test may come to have."""

    test_id: str
    sent_at: float
    known_at: float
    observation: Observation


class AdaptiveController:
    """See `bulk.pacing.Controller`.

    `deadline` is an instant, None for none. `total`: how many triggers the batch has. `per_s` and
    `burst`: a limit that the user knows; it is never exceeded, and refusals still slow it down.
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
        self._concurrency_max = concurrency_max
        self._random = random
        self._deadline = deadline
        self._api = Scope(
            concurrency_max=concurrency_max,
            random=random,
            deadline=deadline,
            total=total,
            per_s=per_s,
            burst=burst,
        )
        self._apart: dict[str, Scope] = {}
        self._ceiling = Ceiling(per_s, burst)
        self._suspects = Suspects()
        self._events: deque[_Event] = deque(maxlen=EVENTS_MAX)
        self._leaves: dict[int, _Leave] = {}
        self._advertised_cap = math.inf
        self._next_ticket = 1

    # --- asking -------------------------------------------------------------------------------

    def ask(self, now: float, test_id: str) -> Decision:
        """See `bulk.pacing.Controller`."""
        if len(self._leaves) >= self._advertised_cap:
            return WaitForEvent()
        turn = self._api.look(now)
        if not isinstance(turn, float):
            return turn
        own = self._apart.get(test_id)
        if own is not None:
            own_turn = own.look(now)
            if not isinstance(own_turn, float):
                return _another(own_turn, test_id)
            turn = max(turn, own_turn)
        turn = max(turn, self._ceiling.turn(now))
        if too_soon(turn, now):
            until = math.inf if self._deadline is None else self._deadline
            return WaitUntil(min(turn - LEAD_S, until))
        ticket = self._next_ticket
        self._next_ticket += 1
        self._ceiling.give(ticket, turn)
        self._leaves[ticket] = _Leave(
            test_id, self._api.give(now, turn), None if own is None else own.give(now, turn)
        )
        return Send(ticket, turn)

    def confirm(self, now: float, ticket: int) -> Decision:
        """See `bulk.pacing.Controller`."""
        leave = self._leaves[ticket]
        decision = self._api.confirm(now, leave.shared)
        if not isinstance(decision, Send):
            return decision
        at = decision.at
        if leave.own is not None:
            decision = self._apart[leave.test_id].confirm(now, leave.own)
            if not isinstance(decision, Send):
                return _another(decision, leave.test_id)
            at = max(at, decision.at)
        at = max(at, self._ceiling.turn(now, ticket))
        if too_soon(at, now):
            return WaitUntil(at)
        self._ceiling.give(ticket, at)
        return Send(ticket, at)

    def sent(self, now: float, ticket: int) -> None:
        """See `bulk.pacing.Controller`."""
        leave = self._leaves[ticket]
        leave.sent_at = now
        self._ceiling.left(ticket, now)
        self._api.sent(now, leave.shared)
        if leave.own is not None:
            self._apart[leave.test_id].sent(now, leave.own)

    def withdrawn(self, now: float, ticket: int) -> None:
        """See `bulk.pacing.Controller`."""
        leave = self._leaves.pop(ticket)
        self._ceiling.withdrawn(ticket)
        self._api.withdrawn(leave.shared)
        if leave.own is not None:
            self._apart[leave.test_id].withdrawn(leave.own)

    def view(self, now: float) -> PaceView:
        """See `bulk.pacing.Controller`."""
        return replace(self._api.view(now), apart=len(self._apart))

    # --- answers ------------------------------------------------------------------------------

    def answered(self, now: float, ticket: int, observation: Observation) -> None:
        """See `bulk.pacing.Controller`."""
        leave = self._leaves.pop(ticket)
        if observation.headers.in_flight_max is not None:
            self._advertised_cap = observation.headers.in_flight_max
        refused = observation.pace is Pace.THROTTLED
        own = self._apart.get(leave.test_id)
        if own is None:
            self._events.append(_Event(leave.test_id, leave.sent_at, now, observation))
            if not refused:
                if observation.pace in (Pace.ACCEPTED, Pace.NEUTRAL, Pace.OVERLOADED):
                    self._suspects.passed(leave.test_id)
            elif self._suspects.refused(leave.test_id):
                self._set_apart(leave.test_id)
                self._api.excused(leave.shared)
                return
            self._api.answered(now, leave.shared, observation)
        elif refused and self._api.is_fresh(leave.shared):
            self._api.excused(leave.shared)
            if leave.own is not None:
                own.answered(now, leave.own, observation)
        else:
            self._api.answered(now, leave.shared, observation)
            if leave.own is not None and refused:  # so were others
                own.excused(leave.own)
            elif leave.own is not None:
                own.answered(now, leave.own, observation)

    def _set_apart(self, test_id: str) -> None:
        """From here on the test has a scope of its own, which learns what is known of it so far."""
        own = self._apart[test_id] = Scope(
            concurrency_max=self._concurrency_max,
            random=self._random,
            deadline=self._deadline,
            total=0,
        )
        if self._suspects.explained:
            self._api.start_over()
        events = [event for event in self._events if event.test_id == test_id]
        # What came before the last refusal but this one was held back by the API's limits.
        refusals = [one.known_at for one in events if one.observation.pace is Pace.THROTTLED]
        since = max((at for at in refusals if at < events[-1].sent_at), default=-math.inf)
        events = [event for event in events if event.sent_at > since]
        steps = [(event.sent_at, place, False) for place, event in enumerate(events)]
        steps += [(event.known_at, place, True) for place, event in enumerate(events)]
        tickets: dict[int, int] = {}
        for at, place, ended in sorted(steps):
            if ended:
                own.answered(at, tickets[place], events[place].observation)
            else:
                tickets[place] = own.give(at, at)
                own.sent(at, tickets[place])


def _another(decision: Decision, test_id: str) -> AnotherTest:
    """What to wait for in that test's own scope, as others see it."""
    if isinstance(decision, WaitUntil):
        return AnotherTest(decision.at)
    if isinstance(decision, Stop):
        return AnotherTest(math.inf, Stop(decision.code, f"of test {test_id}, {decision.detail}"))
    return AnotherTest(math.inf)
