"""Whether a cap on requests at once is the cause of refusals, and how it is kept to."""

from __future__ import annotations

import math
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from bulk.pacing.cap import PATIENCE, QUICK, STRIKES_MAX, TRIES_MIN, Cap


def of(level: int) -> Cap:
    """A cap that was found."""
    cap = Cap()
    for _ in range(3):
        for _ in range(20):
            cap.accepted(level, fresh=True)
        cap.refused(level + 1)
    return cap


def test_refusals_of_one_number_under_way_that_nothing_else_had_are_a_caps() -> None:
    cap = Cap()
    found = []
    for _ in range(3):
        for under_way in (1, 2, 3, 4, 5, 6) * 5:
            cap.accepted(under_way, fresh=True)
        assert cap.level == math.inf
        found.append(cap.refused(7))
    assert found == [False, False, True]
    assert cap.level == 6


@given(st.integers(0, 2**32), st.integers(2, 20))
def test_where_it_does_not_matter_how_many_are_under_way_there_is_no_cap(
    seed: int, most: int
) -> None:
    random, cap = Random(seed), Cap()
    for _ in range(12):
        for _ in range(40):
            cap.accepted(random.randint(1, most), fresh=True)
        cap.refused(random.randint(1, most))
    # One number of ten that is rare by chance, three times in a row, is what it may fall for.
    assert not cap.known or most > 10


def test_refusals_with_as_many_under_way_as_usual_are_none_of_a_cap() -> None:
    cap = Cap()
    for _ in range(20):
        for _ in range(30):
            cap.accepted(3, fresh=True)
        assert not cap.refused(3)


def supposed(level: int) -> Cap:
    """A cap that one quick refusal suggests."""
    cap = Cap()
    for under_way in range(1, level + 1):
        cap.accepted(under_way, fresh=True)
    assert not cap.refused(level + 1)
    assert cap.suppose(0.9 * QUICK, 1.0)
    assert cap.level == level
    return cap


def a_round(cap: Cap) -> None:
    for _ in range(int(cap.level)):
        cap.accepted(int(cap.level), fresh=True)


def test_one_quick_refusal_suggests_a_cap_and_two_tries_that_are_refused_prove_it() -> None:
    cap = supposed(6)
    for _ in range(TRIES_MIN):
        a_round(cap)
        assert (cap.known, cap.level) == (False, 7), "one more is tried"
        assert cap.refused(7)
        assert cap.level == 6
    assert cap.known
    assert not cap.unsuppose()


def test_no_more_are_supposed_than_are_under_way_when_all_others_were_refused() -> None:
    cap = supposed(8)
    for others in (8, 7, 6):
        cap.overshot(others)
    assert cap.level == 6
    a_round(cap)
    a_round(cap)
    assert cap.level == 8, "what passes raises it again"


def test_what_left_before_the_refusal_is_no_part_of_a_round() -> None:
    cap = supposed(6)
    for _ in range(6):
        cap.accepted(6, fresh=False)
    assert cap.level == 6


def test_a_refusal_with_fewer_under_way_refutes_what_was_only_supposed() -> None:
    cap = supposed(6)
    assert not cap.refused(6)
    assert cap.unsuppose()
    assert cap.level == math.inf
    assert not cap.suppose(0.0, 1.0), "once is enough"


def test_a_high_supposed_level_may_be_one_too_high() -> None:
    cap = supposed(10)
    assert cap.refused(10)
    assert cap.level == 9
    assert not cap.refused(9)
    assert cap.unsuppose()


def test_a_round_that_passes_with_as_many_as_the_refused_had_refutes_it_as_well() -> None:
    cap = supposed(6)
    a_round(cap)
    a_round(cap)
    assert cap.level == math.inf
    assert not cap.unsuppose()


def test_the_first_refusal_may_have_had_more_under_way_than_a_cap_lets_pass() -> None:
    cap = Cap()
    for under_way in (9, 7, 7):
        for _ in range(20):
            cap.accepted(5, fresh=True)
        cap.refused(under_way)
    assert cap.level == 6


def test_no_cap_refuses_a_request_that_is_alone() -> None:
    cap = of(1)
    assert not cap.refused(1)
    assert not cap.known


def test_a_refusal_that_takes_as_long_as_the_accepted_suggests_no_cap() -> None:
    cap = Cap()
    assert not cap.refused(7)
    assert not cap.suppose(QUICK, 1.0)
    assert cap.level == math.inf


def test_one_more_is_tried_now_and_then_and_ever_more_rarely() -> None:
    cap, tries = of(4), []
    for number in range(10 * PATIENCE):
        if cap.level == 5:
            tries.append(number)
            assert cap.refused(5)
        cap.accepted(4, fresh=True)
    assert tries == [150, 450, 1050]
    assert cap.level == 4


def test_a_raised_cap_is_found() -> None:
    cap = of(4)
    for _ in range(4 * PATIENCE):
        cap.accepted(int(cap.level), fresh=True)
    assert cap.level == 8


def test_refusals_below_its_level_show_that_it_was_none() -> None:
    cap = of(10)
    for below in range(1, STRIKES_MAX):
        assert cap.refused(int(cap.level))
        assert cap.level == 10 - below
    assert not cap.refused(int(cap.level))
    assert not cap.known
