"""The virtual run as a user may treat it."""

from __future__ import annotations

import gc
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from random import Random
from types import FrameType

import pytest

from bulk.batch.running import BatchSettings, run_batch
from bulk.batch.virtual import run_virtually
from bulk.journal import Journal
from bulk.sandbox import Sandbox, parse_spec
from tests.virtual import T0, a_batch, some_triggers

TIMES = 30  # torn tasks complained after one in six, before Ctrl-C waited for a checkpoint


@pytest.fixture
def alarm() -> Iterator[None]:
    """The alarm is a Ctrl-C."""

    def press(number: int, frame: FrameType | None) -> None:
        signal.raise_signal(signal.SIGINT)

    before = signal.signal(signal.SIGALRM, press)
    yield
    signal.setitimer(signal.ITIMER_REAL, 0.0)
    signal.signal(signal.SIGALRM, before)


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no timer of this kind here")
@pytest.mark.usefixtures("alarm")
@pytest.mark.long
def test_a_ctrl_c_at_any_moment_ends_it_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    complaints: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda hook: complaints.append(hook.exc_value))
    rng = Random(1)
    for number in range(TIMES):
        batch, triggers = a_batch(sandbox="none", simulated=True), some_triggers(5_000)
        journal = Journal.create(tmp_path / f"{number}.sqlite", batch, triggers)
        sandbox = Sandbox(parse_spec("none"), start_unix_s=T0)
        signal.setitimer(signal.ITIMER_REAL, rng.uniform(0.05, 0.25))
        with pytest.raises((KeyboardInterrupt, BaseExceptionGroup)):
            run_virtually(run_batch, journal, sandbox, BatchSettings(), t0_unix_s=T0)
        journal.abandon()
        gc.collect()
    assert complaints == []
