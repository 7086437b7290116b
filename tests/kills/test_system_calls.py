"""Processes killed, or out of disk, as they make a system call.

`make soak` goes through all calls of a batch.
"""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from tests.cli.terminal import sandbox
from tests.kills.system_calls import DIES, FULL, SPEC, Place, build, soak

MOMENTS = 6  # from the making of the journal to the writing of the reports


@pytest.mark.sockets
def test_killed_or_out_of_disk_as_a_system_call_is_made(tmp_path: Path) -> None:
    mortal = build(tmp_path)
    if mortal is None:
        pytest.skip("no C compiler, or no LD_PRELOAD")
    with sandbox(SPEC) as base_url:
        place = Place(tmp_path, base_url, mortal)
        calls = place.count_calls()
        each = calls // MOMENTS
        firsts = [(fate, nth) for fate in (DIES, FULL) for nth in range(each, calls - each, each)]
        happened, broken = soak(place, firsts, Random("test"), calls)
    assert broken == {}
    assert happened[DIES] >= happened[FULL] == len(firsts) // 2
