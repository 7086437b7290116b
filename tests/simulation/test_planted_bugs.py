"""A bug planted in each guarantee is caught by the simulation.

How many worlds each takes is counted by `python -m tests.simulation.planted`.
"""

from __future__ import annotations

import pytest

from tests.simulation.planted import BUGS, catch

# A world that shows it, and takes least. From there on others are tried, should the product have
# changed so that this one shows it no more. `make soak` searches from the first world on.
FIRST = {
    "skip_the_intent": 6,
    "resend_on_time_out": 5,
    "drop_an_outcome": 3,
    "forget_an_owner": 9,
    "overlook_other_batches": 122,
    "adopt_a_siblings_run": 93,
    "believe_one_look": 3,
    "trust_the_wall_clock": 453,
    "trust_the_steady_clock": 206,
    "send_after_the_stop": 43,
}


@pytest.mark.parametrize("name", BUGS)
def test_a_planted_bug_is_caught(name: str) -> None:
    _, worlds, _ = catch(name, FIRST[name])
    assert worlds, "no world showed it"
