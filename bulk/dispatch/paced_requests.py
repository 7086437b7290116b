"""Sends what does no harm when it is sent twice, each until it is answered, at a pace of its own.

Such a request is not billed, so a lost answer is simply asked for again; but it counts for its
limits, and those need not be the trigger's.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import trio

from bulk.http.answers import (
    Answer,
    Failure,
    Pace,
    judge,
)
from bulk.http.rate_limit_headers import read_rate_limit_headers
from bulk.model import StopCode
from bulk.pacing import AnotherTest, Controller, Observation, Send, Stop

TRIES_MAX = 5  # of one request, where the server is in trouble; refusals as too fast do not count
FIRST_WAIT_S = 1.0  # before the second try; doubled for each further one
REFUSALS_MAX = 100  # of one request
NOT_OFFERED = (405, 501)  # the server has no such endpoint; asking again would not make it one


@dataclass(frozen=True, slots=True)
class Asked:
    """What came of one request: an answer that says something, else None, and `why` there is none.

    `lost` counts tries that may have had their effect although no answer said so. `stop`: nothing
    more may be sent at all.
    """

    answer: Answer | None
    why: str = ""
    lost: int = 0
    stop: StopCode | None = None


class PacedRequests:
    """One kind of request to one server. `subject` is what the controller takes them all for.

    `wall` gives seconds since the epoch.
    """

    def __init__(self, controller: Controller, subject: str, *, wall: Callable[[], float]) -> None:
        self._controller = controller
        self._subject = subject
        self._wall = wall
        self._gate = trio.Lock()
        self._changed = trio.Event()
        self._closed = False
        self._waits: set[trio.CancelScope] = set()

    def close(self) -> None:
        """Let nothing more leave; what is under way goes on."""
        self._closed = True
        for wait in self._waits:
            wait.cancel()

    async def ask(self, send: Callable[[], Awaitable[Answer]]) -> Asked:
        """Send it until the answer is clear, or asking on is pointless."""
        tries = refusals = lost = 0
        while True:
            leave = await self._leave()
            if isinstance(leave, Stop):
                return Asked(None, leave.detail, lost, leave.code)
            if leave is None:
                return Asked(None, "asking was stopped", lost)
            answer = await self._send(send, leave)
            if answer.status == 429:
                refusals += 1
            elif _in_trouble(answer):
                tries += 1
                lost += answer.failure is not Failure.CONNECT
            else:
                return Asked(answer, lost=lost)
            if tries >= TRIES_MAX or refusals >= REFUSALS_MAX:
                return Asked(None, answer.failure_text or f"HTTP {answer.status}", lost)
            if answer.status != 429:
                with self._wait():
                    await trio.sleep(FIRST_WAIT_S * 2 ** (tries - 1))

    async def _send(self, send: Callable[[], Awaitable[Answer]], ticket: int) -> Answer:
        self._controller.sent(trio.current_time(), ticket)
        answer = await send()
        # What a good answer says is the caller's to read: a list of runs may be large.
        pace = Pace.ACCEPTED if answer.status == 200 else judge(answer).pace
        observation = Observation(pace, read_rate_limit_headers(answer.headers, self._wall()))
        self._controller.answered(trio.current_time(), ticket, observation)
        self._changed.set()
        self._changed = trio.Event()
        return answer

    async def _leave(self) -> int | Stop | None:
        """The ticket of the next request, or why none may leave any more; None once closed."""
        if not self._closed:
            with self._wait():
                async with self._gate:
                    return await self._pass_gate()
        return None

    @contextmanager
    def _wait(self) -> Iterator[None]:
        """A wait that ends when nothing more may leave."""
        with trio.CancelScope() as scope:
            self._waits.add(scope)
            try:
                yield
            finally:
                self._waits.discard(scope)

    async def _pass_gate(self) -> int | Stop:
        while True:
            changed = self._changed
            decision = self._controller.ask(trio.current_time(), self._subject)
            if isinstance(decision, Send):
                await trio.sleep_until(decision.at)
                confirmed = self._controller.confirm(trio.current_time(), decision.ticket)
                if isinstance(confirmed, Send):
                    await trio.sleep_until(confirmed.at)
                    return confirmed.ticket
                self._controller.withdrawn(trio.current_time(), decision.ticket)
                continue
            if isinstance(decision, AnotherTest) and decision.otherwise is not None:
                decision = decision.otherwise  # there is no other subject
            if isinstance(decision, Stop):
                return decision
            with trio.move_on_at(decision.at):
                await changed.wait()


def _in_trouble(answer: Answer) -> bool:
    """Whether the answer, or that there is none, says nothing but that the server has troubles."""
    if answer.failure is not None:
        return True
    status = answer.status or 0
    return status == 408 or (status >= 500 and status not in NOT_OFFERED)
