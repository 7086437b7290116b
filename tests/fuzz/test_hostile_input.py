"""Hostile manifests, answers and texts by number: refused or borne, never more than that.

`make soak` feeds many times as many. One that fails is played back by its number, as
`tests.fuzz.soak` says, and kept here.
"""

from __future__ import annotations

import pytest

from tests.fuzz import soak
from tests.fuzz.answers import make_answer
from tests.fuzz.manifests import make_manifest
from tests.fuzz.reports import make_batch

# Where a connection breaks while the request is written, httpcore leaves httpx's stream of it to
# the garbage collector, which trio remarks on.
pytestmark = pytest.mark.filterwarnings("ignore:Async generator 'httpx:ResourceWarning")
# As many as take about a minute in all.
SHARE = {"manifests": 3_000, "answers": 1_500, "reports": 100}
GROUPS = 3  # of each, so that a failure is told early
# Numbers that once failed, and what they showed.
REGRESSIONS = {
    ("manifests", 6187): "a key was quoted at full length",
    ("manifests", 21836): "and an anchor",
    ("manifests", 23901): "a key's control characters were shown",
    ("answers", 139): "a redirect to what is no address ended the process",
    ("answers", 3671): "a body was cut in the midst of the key",
}


@pytest.mark.sockets
@pytest.mark.parametrize(
    ("what", "group"), [(what, group) for what in SHARE for group in range(GROUPS)]
)
def test_hostile_input_does_no_harm(what: str, group: int) -> None:
    seeds = range(SHARE[what])[group::GROUPS]
    ends, found = soak.FEEDS[what][0](seeds)
    assert found == {}
    assert ends.total() >= len(seeds)


@pytest.mark.sockets
@pytest.mark.parametrize(("what", "seed"), REGRESSIONS)
def test_what_once_did_harm_does_none(what: str, seed: int) -> None:
    assert soak.FEEDS[what][0](range(seed, seed + 1))[1] == {}


@pytest.mark.parametrize("make", [make_manifest, make_answer, make_batch])
def test_a_number_makes_the_same_input_each_time(make) -> None:  # type: ignore[no-untyped-def]
    for seed in range(50):
        assert make(seed) == make(seed)


def test_the_inputs_are_neither_all_good_nor_all_bad() -> None:
    ends, _ = soak.FEEDS["manifests"][0](range(300))
    assert min(ends["read"], ends["refused"]) > 30
