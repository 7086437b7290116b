"""Sends requests that are safe to repeat, each until it has a clear answer, at their own pace.

Such a request is not billed, so one whose answer was lost is simply sent again. The server may
limit these requests separately from triggers, so they have a gate of their own.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import trio

from bulk.dispatch.paced_gate import OneSubject, PacedGate, Permit
from bulk.http.answers import Answer, Failure, Pace, classify
from bulk.http.rate_limit_headers import read_rate_limit_headers
from bulk.model import StopCode
from bulk.pacing import Controller, Observation, Stop

TRIES_MAX = 5  # of one request, while the server is in trouble; a 429 is not a try
FIRST_WAIT_S = 1.0  # before the second try; doubled for each further one
THROTTLES_MAX = 100  # of one request
NOT_OFFERED = (405, 501)  # the server has no such endpoint, however often it is asked


@dataclass(frozen=True, slots=True)
class Reply:
    """The clear answer to one request; else None, and `why` there is none.

    `lost` counts tries that may have taken effect although no answer said so. `stop`: nothing more
    may be sent at all.
    """

    answer: Answer | None
    why: str = ""
    lost: int = 0
    stop: StopCode | None = None


class PacedRequests:
    """One kind of request to one server. `subject` is what the controller knows them all by.

    `wall` returns Unix time in seconds.
    """

    def __init__(self, controller: Controller, subject: str, *, wall: Callable[[], float]) -> None:
        self._gate = PacedGate(controller)
        self._subject = OneSubject(subject)
        self._wall = wall

    def close(self) -> None:
        """Let nothing more leave; requests in flight continue."""
        self._gate.close()

    async def request(self, send: Callable[[], Awaitable[Answer]]) -> Reply:
        """Call `send` until its answer is clear, or until another try is pointless."""
        tries = throttles = lost = 0
        while True:
            permit = await self._gate.next_confirmed(self._subject)
            if isinstance(permit, Stop):
                return Reply(None, permit.detail, lost, permit.code)
            if permit is None:
                return Reply(None, "the batch is stopping", lost)
            answer = await self._send(send, permit)
            if answer.status == 429:
                throttles += 1
            elif _in_trouble(answer):
                tries += 1
                lost += answer.failure is not Failure.CONNECT
            else:
                return Reply(answer, lost=lost)
            if tries >= TRIES_MAX or throttles >= THROTTLES_MAX:
                return Reply(None, answer.failure_text or f"HTTP {answer.status}", lost)
            if answer.status != 429:
                wait_s = FIRST_WAIT_S * 2 ** (tries - 1)
                await self._gate.sleep_until(trio.current_time() + wait_s)

    async def _send(self, send: Callable[[], Awaitable[Answer]], permit: Permit) -> Answer:
        self._gate.sent(permit)
        answer = await send()
        # The caller parses a 200: a list of runs may be large.
        pace = Pace.ACCEPTED if answer.status == 200 else classify(answer).pace
        headers = read_rate_limit_headers(
            answer.headers, self._wall(), throttled=answer.status == 429
        )
        self._gate.answered(permit, Observation(pace, headers))
        return answer


def _in_trouble(answer: Answer) -> bool:
    """Whether the answer, or its absence, says only that the server is in trouble."""
    if answer.failure is not None:
        return True
    status = answer.status or 0
    return status == 408 or (status >= 500 and status not in NOT_OFFERED)
