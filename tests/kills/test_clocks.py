"""The machine's clock is set, and the machine sleeps, while real processes are at work."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import trio

from tests.kills.clocks import Clocks
from tests.kills.life import Life
from tests.processes import SHIFTED

LATE_S = 60.0  # a busy machine may take so long for a moment's work
TELL_TIME = """
import pathlib, sitecustomize, sys, time, trio
sitecustomize.shift_by(pathlib.Path(sys.argv[1]))
async def tell():
    for _ in sys.stdin:
        print(time.time(), trio.current_time(), time.monotonic(), flush=True)
trio.run(tell)
"""

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="cannot stop a process here")


@pytest.mark.processes
def test_the_clocks_of_a_running_process_shift(tmp_path: Path) -> None:
    clocks = Clocks(tmp_path / "clocks")
    process = subprocess.Popen(
        [sys.executable, "-c", TELL_TIME, str(clocks.path)],
        env={**os.environ, "PYTHONPATH": str(SHIFTED)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    asks, answers = process.stdin, process.stdout
    assert asks is not None
    assert answers is not None

    def now_by_all_clocks() -> tuple[float, ...]:
        print(file=asks, flush=True)
        return tuple(map(float, answers.readline().split()))

    def moved(before: tuple[float, ...]) -> list[float]:
        return [now - then for now, then in zip(now_by_all_clocks(), before, strict=True)]

    before = now_by_all_clocks()
    assert before[0] == pytest.approx(time.time(), abs=LATE_S)
    clocks.set_by(-86_400)
    assert moved(before) == pytest.approx([-86_400, 0, 0], abs=LATE_S)
    clocks.set_by(86_400)
    clocks.pass_by(3_600)
    assert moved(before) == pytest.approx([3_600, 3_600, 3_600], abs=LATE_S)
    clocks.wake(slept_s=7_200, stopped_s=1_000)
    assert moved(before) == pytest.approx([9_800, 2_600, 2_600], abs=LATE_S)
    process.communicate()


@pytest.mark.sockets
async def test_the_clock_is_set_and_the_machine_sleeps_as_answers_are_lost(tmp_path: Path) -> None:
    lives = []
    async with trio.open_nursery() as nursery:
        for seed, mishap in enumerate(("sleep", "set the clock")):
            folder = tmp_path / str(seed)
            folder.mkdir()
            lives.append(Life(seed, folder, range(2, 3), {mishap: 1}, short_waits=True))
            lives[-1].spec = (
                "token-bucket 20/s burst 5; latency 20ms; "
                f"fault reset-before 5%; fault 504-queued 5%; seed {seed}"
            )
            nursery.start_soon(lives[-1].live)
    for life in lives:
        assert life.broken == []
        assert life.happened["sleep"] + life.happened["set the clock"] >= 1
