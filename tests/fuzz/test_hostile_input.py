"""Hostile manifests, answers and texts by number: refused or borne, never more than that.

`make soak` feeds many times as many. One that fails is played back by its number, as
`tests.fuzz.soak` says, and kept here.
"""

from __future__ import annotations

import pytest
from _pytest.mark import ParameterSet

from tests.fuzz import soak
from tests.fuzz.answers import make_answer
from tests.fuzz.manifests import make_manifest
from tests.fuzz.reports import make_batch

# Where a connection breaks while the request is written, httpcore leaves httpx's stream of it to
# the garbage collector, which trio remarks on.
pytestmark = pytest.mark.filterwarnings("ignore:Async generator 'httpx:ResourceWarning")
# How many, in how many groups. `make soak` feeds 100,000, 20,000 and 2,000.
SHARE = {"manifests": (1_500, 2), "answers": (600, 3), "reports": (60, 2)}
# Numbers that once failed, and what they showed.
REGRESSIONS = {
    ("manifests", 6187): "a key was quoted at full length",
    ("manifests", 21836): "and an anchor",
    ("manifests", 23901): "a key's control characters were shown",
    ("answers", 139): "a redirect to what is no address ended the process",
    ("answers", 3671): "a body was cut in the midst of the key",
}


def marked(what: str, *values: object) -> ParameterSet:
    """Only answers come over sockets."""
    marks = [pytest.mark.sockets] if what == "answers" else [pytest.mark.long]
    return pytest.param(what, *values, marks=marks)


@pytest.mark.parametrize(
    ("what", "group"),
    [marked(what, group) for what, (_, groups) in SHARE.items() for group in range(groups)],
)
def test_hostile_input_does_no_harm(what: str, group: int) -> None:
    count, groups = SHARE[what]
    seeds = range(count)[group::groups]
    ends, found = soak.FEEDS[what][0](seeds)
    assert found == {}
    assert ends.total() >= len(seeds)


@pytest.mark.parametrize(("what", "seed"), [marked(*regression) for regression in REGRESSIONS])
def test_what_once_did_harm_does_none(what: str, seed: int) -> None:
    assert soak.FEEDS[what][0](range(seed, seed + 1))[1] == {}


@pytest.mark.parametrize("make", [make_manifest, make_answer, make_batch])
def test_a_number_makes_the_same_input_each_time(make) -> None:  # type: ignore[no-untyped-def]
    for seed in range(50):
        assert make(seed) == make(seed)


def test_the_inputs_are_neither_all_good_nor_all_bad() -> None:
    ends, _ = soak.FEEDS["manifests"][0](range(300))
    assert min(ends["read"], ends["refused"]) > 30
