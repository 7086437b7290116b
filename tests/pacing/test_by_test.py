"""Whether refusals single out a test."""

from __future__ import annotations

from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from bulk.pacing.by_test import REFUSALS_MIN, Suspects
from tests.properties import examples


def test_a_test_that_alone_is_refused_is_singled_out_at_the_third_refusal() -> None:
    suspects = Suspects()
    found = []
    for _ in range(5):
        for number in range(20):
            suspects.passed(f"other {number}")
        found.append(suspects.refused("stubborn"))
    assert found.index(True) == REFUSALS_MIN - 1 == 2


def test_what_was_refused_of_it_alone_is_explained_and_what_of_others_is_not() -> None:
    suspects = Suspects()
    assert suspects.explained
    for number in range(60):
        suspects.passed(f"other {number}")
    while not suspects.refused("stubborn"):
        assert not suspects.explained
    assert suspects.explained
    suspects.refused("other 1")
    assert not suspects.explained


def test_refusals_of_the_only_test_tell_nothing() -> None:
    suspects = Suspects()
    assert not any(suspects.refused("only") for _ in range(1_000))


def test_a_test_with_half_of_the_requests_needs_more_refusals_to_stand_out() -> None:
    suspects = Suspects()
    for number in range(50):
        suspects.passed("large")
        suspects.passed(f"small {number}")
    refusals = 1
    while not suspects.refused("large"):
        refusals += 1
    assert 8 <= refusals <= 16


@settings(max_examples=examples(30), deadline=None)
@given(st.integers(0, 2**32), st.integers(2, 40), st.floats(0.005, 0.7))
def test_where_whom_it_refuses_is_chance_nobody_is_singled_out(
    seed: int, tests: int, share: float
) -> None:
    random, suspects = Random(seed), Suspects()
    found = 0
    for _ in range(100):
        for number in range(tests):
            if random.random() < share:
                found += suspects.refused(f"test {number}")
            else:
                suspects.passed(f"test {number}")
    assert found <= 1, "a chance of a hundredth that it is one, each time"
