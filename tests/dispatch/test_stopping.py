"""When a batch stops, and for which of several reasons."""

from __future__ import annotations

import pytest

from bulk.dispatch.stopping import Stopping
from bulk.model import StopCode

FAILED, OTHER, CTRL_C, TERM, HANGUP, QUIT = (
    StopCode.ALL_REJECTED,
    StopCode.AUTH,
    StopCode.INTERRUPTED,
    StopCode.TERMINATED,
    StopCode.HANGUP,
    StopCode.QUIT,
)


@pytest.mark.parametrize(
    ("reasons", "kept"),
    [
        ([FAILED], FAILED),
        ([FAILED, OTHER], FAILED),
        ([FAILED, CTRL_C], CTRL_C),
        ([CTRL_C, FAILED], CTRL_C),
        ([CTRL_C, TERM], CTRL_C),
        ([FAILED, HANGUP, TERM], HANGUP),
        ([FAILED, QUIT], QUIT),
    ],
)
def test_the_first_reason_is_kept_but_an_interrupt_replaces_any_other(
    reasons: list[StopCode], kept: StopCode
) -> None:
    stops = []
    stopping = Stopping(
        drain_timeout_s=5.0, fail_fast=False, on_stop=lambda: stops.append(stopping.code)
    )
    for reason in reasons:
        stopping.stop_for(reason, f"because of {reason}")
    assert (stopping.code, stopping.detail) == (kept, f"because of {kept}")
    assert len(stops) == len(reasons)
