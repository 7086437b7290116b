"""Worlds by the hundred: whatever befalls a batch, nothing is sent twice and nothing is lost.

A world that fails is played back by its number:

    python -m tests.simulation.soak --from 234 --worlds 1
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from tests.simulation.judge import problems
from tests.simulation.life import live, memory_folder
from tests.simulation.world import make_world

WORLDS = 500  # `make soak` lives through twenty times as many
WORLDS_FAST = 50  # in `make test-fast`
GROUP = 25
# Worlds that once failed, and what they showed.
REGRESSIONS = {
    234: "the wall clock was set in a process that never saw the server's date",
    895: "the same, and then set back",
    1102: "a run came up after its trigger had been left undecided, and went to another one",
    1782: "a process slept between intent and request for eight hours, woke, sent it and died",
    2955: "the user had a trigger sent again, and its first run went to another one",
    21_338: "our clock was set back by an hour between two batches of the same tests",
    35_610: "a machine woke up after the deadline with a request that had its leave to go",
}


def live_through(seed: int) -> None:
    """Raises AssertionError, naming the world, where a promise was broken."""
    with tempfile.TemporaryDirectory(dir=memory_folder()) as folder:
        found = problems(live(make_world(seed), Path(folder)))
    assert not found, f"world {seed}: {found}"


@pytest.mark.parametrize(
    "first",
    [
        pytest.param(first, marks=[pytest.mark.long] if first >= WORLDS_FAST else [])
        for first in range(0, WORLDS, GROUP)
    ],
)
def test_no_world_breaks_a_promise(first: int) -> None:
    for seed in range(first, first + GROUP):
        live_through(seed)


@pytest.mark.parametrize("seed", REGRESSIONS)
def test_a_world_that_once_failed_is_lived_through(seed: int) -> None:
    live_through(seed)


def test_a_world_is_the_same_each_time(tmp_path: Path) -> None:
    lives = []
    for turn in ("one", "two"):
        place = tmp_path / turn
        place.mkdir()
        lives.append(live(make_world(17), place))
    assert lives[0].sends == lives[1].sends
    assert lives[0].sandbox.truth.to_json() == lives[1].sandbox.truth.to_json()
