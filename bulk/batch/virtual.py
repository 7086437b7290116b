"""Runs a batch in virtual time: the real client and journal against the sandbox's model.

`--simulate`, the scenario tests and the benchmarks all use it. It owns only the clock: hours of
waiting take no time, and the same seeds give the same instants.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Generic, TypeVar

import trio
from trio.testing import MockClock

from bulk.batch.running import BatchSettings, RunContext
from bulk.dispatch import ProgressLine
from bulk.http.api_key import ApiKey
from bulk.http.client import Client, Timeouts
from bulk.http.preflight import settle_base_url
from bulk.journal import Journal, inline
from bulk.model import StopCode
from bulk.reconcile.claims import Claims
from bulk.sandbox import Sandbox, SandboxTransport

if TYPE_CHECKING:
    import httpx

BASE_URL = "http://sandbox.test"
KEY = ApiKey("sk_simulated", "the simulation's key")

End = TypeVar("End")
Work = Callable[[Journal, Client, BatchSettings, RunContext], Awaitable[End]]


@dataclass(frozen=True, slots=True)
class VirtualEnd(Generic[End]):
    """How the work ended, and the virtual clock at that time, in seconds."""

    end: End
    clock_s: float


def run_virtually(
    work: Work[End],
    journal: Journal,
    sandbox: Sandbox,
    settings: BatchSettings,
    *,
    t0_unix_s: float,
    clock_s: float = 0.0,
    seed: int = 0,
    key: ApiKey = KEY,
    interrupts: Callable[[], AsyncIterator[StopCode]] | None = None,
    progress: ProgressLine | None = None,
    wall: Callable[[float], float] | None = None,
    transport: Callable[[], httpx.AsyncBaseTransport] | None = None,
    preflight: bool = False,
    other_claims: Callable[[float], Claims] = lambda since: Claims(),
) -> VirtualEnd[End]:
    """Run `work` (`bulk.batch.running.run_batch` or `cancel_runs`) on the batch.

    `t0_unix_s`: the Unix time at virtual time 0. `clock_s`: the virtual time at the start, in
    seconds. `seed`: of the controller's jitter. `wall`: maps virtual time to Unix time if that is
    not simply `t0_unix_s` later. `transport`: replaces the one that passes requests to the sandbox
    unchanged. `preflight`: begin with one, as real runs do. `other_claims` as in `RunContext`.
    Raises what `work` raises.
    """
    clock = MockClock(autojump_threshold=0)
    clock.jump(clock_s)

    async def live() -> VirtualEnd[End]:
        context = RunContext(
            random=Random(seed),
            runner=inline,
            wall=lambda: (
                t0_unix_s + trio.current_time() if wall is None else wall(trio.current_time())
            ),
            progress=progress,
            interrupts=None if interrupts is None else interrupts(),
            other_claims=other_claims,
        )
        client = Client(
            BASE_URL,
            key,
            timeouts=Timeouts(settings.connect_timeout_s, settings.answer_timeout_s),
            transport=transport or (lambda: SandboxTransport(sandbox)),
        )
        async with client:
            if preflight:
                await settle_base_url(client, context.wall)
            end = await work(journal, client, settings, context)
            return VirtualEnd(end, trio.current_time())

    # A Ctrl-C is raised only where a task waits: elsewhere it would break trio or a request.
    return trio.run(live, clock=clock, restrict_keyboard_interrupt_to_checkpoints=True)
