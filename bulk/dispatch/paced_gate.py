"""Lets requests leave one at a time, as soon as the controller allows; does not know what they do.

Each request passes the gate in these steps, which are the controller's (see `bulk.pacing`):

    next_permit -> confirm -> sent -> answered
                          \\-> withdraw

Only one task at a time asks the controller and waits for what it allows. All others queue behind
it, so no event wakes a herd of tasks.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import trio

from bulk.pacing import AnotherTest, Controller, Decision, Observation, Send, Stop

WAKES_LATE_S = 5.0  # the machine slept or the process was stopped: the decision is out of date


@dataclass(frozen=True, slots=True)
class Permit:
    """The controller's consent to a request for `subject`: it may leave at instant `at`.

    It counts as in flight until it is withdrawn or answered.
    """

    subject: str
    ticket: int
    at: float


class Waiting(Protocol):
    """What waits at a gate, by what the controller tells apart (its `test_id`)."""

    def subjects(self) -> Iterator[str]:
        """Each subject that waits, once, in the order to ask for them."""

    async def read_more(self) -> bool:
        """Let more subjects wait; False if there are no more."""

    @property
    def outstanding(self) -> int:
        """How many were permitted and may still come back to wait again."""


@dataclass(frozen=True, slots=True)
class OneSubject:
    """Requests that are all alike to the controller; there are always more of them."""

    subject: str

    def subjects(self) -> Iterator[str]:
        """The only one."""
        yield self.subject

    async def read_more(self) -> bool:
        """There is no other subject."""
        return False

    @property
    def outstanding(self) -> int:
        """None comes back."""
        return 0


class PacedGate:
    """One controller's gate. All requests that the controller paces pass through it."""

    def __init__(self, controller: Controller) -> None:
        self._controller = controller
        self._lock = trio.Lock()
        self._changed = trio.Event()
        self._closing = trio.Event()

    @property
    def closed(self) -> bool:
        """Whether nothing more may leave."""
        return self._closing.is_set()

    def close(self) -> None:
        """Let nothing more leave, and end all waits. Requests in flight continue."""
        self._closing.set()
        self.ask_again()

    def ask_again(self) -> None:
        """Have the controller asked again now, because what waits at the gate has changed."""
        self._changed.set()
        self._changed = trio.Event()

    async def sleep_until(self, at: float) -> None:
        """Sleep until instant `at`, or until the gate is closed."""
        with trio.move_on_at(at):
            await self._closing.wait()

    async def next_permit(self, waiting: Waiting) -> Permit | Stop | None:
        """The permit for the next request; None if the gate is closed or nothing waits any more.

        The caller prepares the request, then confirms the permit. It must withdraw the permit
        unless it sends the request.
        """
        async with self._lock:
            return await self._ask(waiting)

    async def next_confirmed(self, waiting: Waiting) -> Permit | Stop | None:
        """The same for a request that needs no preparation: it must be sent now."""
        async with self._lock:
            while True:
                permit = await self._ask(waiting)
                if not isinstance(permit, Permit):
                    return permit
                await self.sleep_until(permit.at)
                if await self.confirm(permit):
                    return permit
                self.withdraw(permit)

    async def confirm(self, permit: Permit) -> bool:
        """Wait for the permit's instant; whether the request must be sent now."""
        decision = self._controller.confirm(trio.current_time(), permit.ticket)
        if not isinstance(decision, Send):
            return False
        await self.sleep_until(decision.at)
        return not self.closed and trio.current_time() <= decision.at + WAKES_LATE_S

    def withdraw(self, permit: Permit) -> None:
        """The request will not be sent."""
        self._controller.withdrawn(trio.current_time(), permit.ticket)
        self.ask_again()

    def sent(self, permit: Permit) -> None:
        """The request leaves now."""
        self._controller.sent(trio.current_time(), permit.ticket)

    def answered(self, permit: Permit, observation: Observation) -> None:
        """The request has ended."""
        self._controller.answered(trio.current_time(), permit.ticket, observation)
        self.ask_again()

    async def _ask(self, waiting: Waiting) -> Permit | Stop | None:
        while not self.closed:
            changed = self._changed
            decision = self._decide(waiting)
            if isinstance(decision, AnotherTest):
                if await waiting.read_more():
                    continue
                if not waiting.outstanding:
                    if next(waiting.subjects(), None) is None:
                        return None
                    decision = decision.otherwise or decision
            if isinstance(decision, Permit | Stop):
                return decision
            with trio.move_on_at(decision.at):
                await changed.wait()
        return None

    def _decide(self, waiting: Waiting) -> Permit | Decision:
        """The first permit for any subject; otherwise what all of them have to wait for."""
        held: list[AnotherTest] = []
        for subject in waiting.subjects():
            decision = self._controller.ask(trio.current_time(), subject)
            if isinstance(decision, Send):
                return Permit(subject, decision.ticket, decision.at)
            if not isinstance(decision, AnotherTest):
                return decision
            held.append(decision)
        stop = held[0].otherwise if held and all(one.otherwise for one in held) else None
        return AnotherTest(min((one.at for one in held), default=math.inf), stop)
