"""A bug planted in each guarantee is caught by the simulation.

How many worlds each takes is counted by `python -m tests.simulation.planted`.
"""

from __future__ import annotations

import pytest

from tests.simulation.planted import BUGS, catch

# Most show themselves in the first few worlds. These take hundreds, so begin shortly before.
FIRST = {
    "overlook_other_batches": 115,
    "trust_the_wall_clock": 445,
    "trust_the_steady_clock": 200,
}


@pytest.mark.parametrize("name", BUGS)
def test_a_planted_bug_is_caught(name: str) -> None:
    _, worlds, _ = catch(name, FIRST.get(name, 0))
    assert worlds, "no world showed it"
