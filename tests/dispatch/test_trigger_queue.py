"""The order of the trigger queue."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from bulk.dispatch.trigger_queue import interleaved


def test_a_manifest_sorted_by_test_is_sent_one_of_each_at_a_time() -> None:
    assert interleaved(["a"] * 3 + ["b"] * 3 + ["c"] * 3) == list("abcabcabc")


def test_tests_with_a_row_each_keep_the_manifests_order() -> None:
    assert interleaved(list("caxbe")) == list("caxbe")


def test_a_test_with_many_rows_is_spread_over_all() -> None:
    order = interleaved(["many"] * 10 + [f"one {number}" for number in range(40)])
    positions = [at for at, test_id in enumerate(order) if test_id == "many"]
    assert {later - sooner for sooner, later in pairwise(positions)} <= {4, 5, 6}
    assert [test_id for test_id in order if test_id != "many"] == [f"one {n}" for n in range(40)]


@given(st.lists(st.sampled_from("abcdefg")))
def test_nothing_is_lost_or_added(tests: list[str]) -> None:
    assert Counter(interleaved(tests)) == Counter(tests)
