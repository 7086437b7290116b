"""One small batch, killed at each of its commits in turn: before it is whole, torn, and after."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest

from bulk.batch.running import BatchSettings
from tests.simulation.judge import problems
from tests.simulation.life import Life, live, memory_folder
from tests.simulation.world import Crash, World
from tests.virtual import some_triggers

pytestmark = pytest.mark.long

COMMITS_MIN = 15  # fewer would mean that the world is over before it has begun
WORLD = World(
    seed=0,
    spec="token-bucket 20/s burst 3; latency 40ms jitter 10ms; seed 4"
    "; fault 500-queued every 4th; fault reset-before every 7th",
    triggers=tuple(some_triggers(9, tests=3)),
    settings=BatchSettings(concurrency_max=4),
    crashes=(),
)


def lived(*crashes: Crash) -> Life:
    with tempfile.TemporaryDirectory(dir=memory_folder()) as folder:
        life = live(replace(WORLD, crashes=crashes), Path(folder))
    assert problems(life) == [], crashes
    return life


@pytest.mark.parametrize("torn", [0.0, 0.3, 0.7, 1.0, None])
def test_a_process_that_dies_at_any_commit_loses_nothing(torn: float | None) -> None:
    """`torn`: how much of the commit reached the disk; None: all of it, and a little later."""
    for commit in count(1):
        crash = Crash(commits=commit, during=torn is not None, torn=torn or 0.0, gap_s=5.0)
        if not lived(crash).crashes:
            break
    assert commit > COMMITS_MIN


def test_two_that_die_one_after_the_other_lose_nothing() -> None:
    for commit in range(1, COMMITS_MIN, 5):
        for later in count(1):
            crashes = [Crash(commits=n, during=True, torn=0.5) for n in (commit, later)]
            if lived(*crashes).crashes < len(crashes):
                break
        assert later > 1
