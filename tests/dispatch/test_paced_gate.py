"""The gate in virtual time, with a controller that decides as scripted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
import trio
from trio.testing import MockClock

from bulk.dispatch.paced_gate import WAKES_LATE_S, OneSubject, PacedGate, Permit
from bulk.http.answers import Pace
from bulk.http.rate_limit_headers import RateLimitHeaders
from bulk.model import StopCode
from bulk.pacing import AnotherTest, Decision, Observation, PaceView, Send, Stop, WaitForEvent

ACCEPTED = Observation(Pace.ACCEPTED, RateLimitHeaders())
QUOTA = Stop(StopCode.QUOTA_EXHAUSTED, "the quota is used up")
ONE = OneSubject("runs")


@dataclass
class Scripted:
    """Answers `ask` and `confirm` by their scripts and remembers all calls, with their instants."""

    asked: list[Decision] = field(default_factory=list)
    confirmed: list[Decision] = field(default_factory=list)
    calls: list[tuple[float, str, object]] = field(default_factory=list)

    def ask(self, now: float, test_id: str) -> Decision:
        self.calls.append((now, "ask", test_id))
        return self.asked.pop(0)

    def confirm(self, now: float, ticket: int) -> Decision:
        self.calls.append((now, "confirm", ticket))
        return self.confirmed.pop(0) if self.confirmed else Send(ticket, now)

    def sent(self, now: float, ticket: int) -> None:
        self.calls.append((now, "sent", ticket))

    def answered(self, now: float, ticket: int, observation: Observation) -> None:
        self.calls.append((now, "answered", ticket))

    def withdrawn(self, now: float, ticket: int) -> None:
        self.calls.append((now, "withdrawn", ticket))

    def view(self, now: float) -> PaceView:
        raise AssertionError("the gate shows nothing")


@dataclass
class WaitingTests:
    """Tests that wait, and more of them that are read when all of those are held back."""

    waiting: list[str]
    more: list[str] = field(default_factory=list)
    outstanding: int = 0

    def subjects(self) -> Iterator[str]:
        yield from self.waiting

    async def read_more(self) -> bool:
        more, self.more = self.more, []
        self.waiting += more
        return bool(more)


async def test_a_request_leaves_at_its_instant(autojump_clock: MockClock) -> None:
    controller = Scripted([Send(7, 2.0)], [Send(7, 2.5)])
    gate = PacedGate(controller)
    permit = await gate.next_confirmed(ONE)
    assert permit == Permit("runs", 7, 2.0)
    gate.sent(permit)
    assert controller.calls == [(0.0, "ask", "runs"), (2.0, "confirm", 7), (2.5, "sent", 7)]


async def test_a_permit_that_no_longer_holds_is_withdrawn_and_another_is_asked_for(
    autojump_clock: MockClock,
) -> None:
    controller = Scripted([Send(1, 1.0), Send(2, 3.0)], [WaitForEvent()])
    permit = await PacedGate(controller).next_confirmed(ONE)
    assert permit == Permit("runs", 2, 3.0)
    assert [call[:2] for call in controller.calls[1:4]] == [
        (1.0, "confirm"),
        (1.0, "withdrawn"),
        (1.0, "ask"),
    ]


@pytest.mark.parametrize(("slept_s", "leaves"), [(WAKES_LATE_S, True), (WAKES_LATE_S + 0.1, False)])
async def test_a_request_does_not_leave_long_after_its_instant(
    autojump_clock: MockClock, slept_s: float, leaves: bool
) -> None:
    gate = PacedGate(Scripted([Send(1, 1.0)], [Send(1, 1.0)]))
    permit = await gate.next_permit(ONE)
    assert isinstance(permit, Permit)
    autojump_clock.jump(1.0 + slept_s)
    assert await gate.confirm(permit) is leaves


async def test_an_answer_ends_the_wait_for_one(autojump_clock: MockClock) -> None:
    gate = PacedGate(Scripted([Send(1, 0.0), WaitForEvent(), Send(2, 4.0)]))
    first = await gate.next_permit(ONE)
    assert isinstance(first, Permit)

    async def answer() -> None:
        await trio.sleep(4.0)
        gate.answered(first, ACCEPTED)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(answer)
        assert await gate.next_permit(ONE) == Permit("runs", 2, 4.0)
    assert trio.current_time() == 4.0


@pytest.mark.parametrize("decision", [WaitForEvent(), Send(1, 100.0)])
async def test_closing_ends_every_wait_at_once(
    autojump_clock: MockClock, decision: Decision
) -> None:
    gate = PacedGate(Scripted([decision]))
    permits: list[Permit | Stop | None] = []

    async def wait() -> None:
        permits.append(await gate.next_confirmed(ONE))

    async with trio.open_nursery() as nursery:
        for _ in range(3):
            nursery.start_soon(wait)
        await trio.sleep(2.0)
        gate.close()
    assert permits == [None] * 3
    assert trio.current_time() == 2.0


async def test_where_one_test_is_held_back_the_next_one_leaves(autojump_clock: MockClock) -> None:
    gate = PacedGate(Scripted([AnotherTest(9.0), Send(1, 0.0)]))
    assert await gate.next_permit(WaitingTests(["a", "b"])) == Permit("b", 1, 0.0)


async def test_where_all_tests_are_held_back_more_are_read(autojump_clock: MockClock) -> None:
    controller = Scripted([AnotherTest(9.0), AnotherTest(9.0), Send(1, 0.0)])
    permit = await PacedGate(controller).next_permit(WaitingTests(["a"], more=["b"]))
    assert permit == Permit("b", 1, 0.0)
    assert [call[2] for call in controller.calls] == ["a", "a", "b"]


@pytest.mark.parametrize(
    ("outstanding", "permit", "at"), [(0, QUOTA, 0.0), (1, Permit("a", 1, 9.0), 9.0)]
)
async def test_a_test_that_stops_the_batch_does_so_only_if_no_other_may_come_back(
    autojump_clock: MockClock, outstanding: int, permit: Permit | Stop, at: float
) -> None:
    gate = PacedGate(Scripted([AnotherTest(9.0, QUOTA), Send(1, 9.0)]))
    assert await gate.next_permit(WaitingTests(["a"], outstanding=outstanding)) == permit
    assert trio.current_time() == at


async def test_nothing_is_left_to_permit_once_nothing_waits_or_is_outstanding() -> None:
    assert await PacedGate(Scripted()).next_permit(WaitingTests([])) is None
