"""What runs beside a piece of work, and how it ends."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial

import pytest
import trio
from trio.testing import MockClock

from bulk.dispatch.shell import PROGRESS_S, LeaveNow, Shell
from bulk.errors import StorageError
from bulk.model import StopCode


async def ctrl_c(*instants: float) -> AsyncIterator[StopCode]:
    for instant in instants:
        await trio.sleep_until(instant)
        yield StopCode.INTERRUPTED
    await trio.sleep_forever()


async def test_progress_is_shown_until_the_work_ends_and_once_after_it(
    autojump_clock: MockClock,
) -> None:
    shown: list[float] = []
    shell = Shell(show=lambda: shown.append(trio.current_time()))

    async def work() -> str:
        await trio.sleep(2.5 * PROGRESS_S)
        return "done"

    assert await shell.run(work) == "done"
    assert shown == [0.0, PROGRESS_S, 2 * PROGRESS_S, 2.5 * PROGRESS_S]


async def test_interrupts_are_passed_on_while_the_work_runs(autojump_clock: MockClock) -> None:
    passed_on: list[float] = []
    shell = Shell(
        interrupts=ctrl_c(1.0, 2.0, 9.0),
        on_interrupt=lambda code: passed_on.append(trio.current_time()),
    )
    await shell.run(partial(trio.sleep, 5.0))
    assert passed_on == [1.0, 2.0]
    assert trio.current_time() == 5.0


async def test_leaving_cancels_the_work_and_all_that_runs_beside_it(
    autojump_clock: MockClock,
) -> None:
    shell = Shell(interrupts=ctrl_c(1.0), on_interrupt=lambda code: shell.leave(code))

    async def work() -> None:
        shell.start_soon(trio.sleep_forever)
        await trio.sleep_forever()

    with pytest.raises(LeaveNow) as caught:
        await shell.run(work)
    assert caught.value.code is StopCode.INTERRUPTED
    assert trio.current_time() == 1.0


async def test_an_error_of_the_work_is_raised_as_it_is(autojump_clock: MockClock) -> None:
    shell = Shell(interrupts=ctrl_c())

    async def work() -> None:
        shell.start_soon(trio.sleep_forever)
        raise StorageError("the disk is full")

    with pytest.raises(StorageError, match="the disk is full"):
        await shell.run(work)
