"""The tries alone: how often a request more than the limit is tried, and how many."""

from __future__ import annotations

from bulk.pacing.tries import Tries


def windows_until_a_try(tries: Tries, limit: int) -> int:
    for number in range(1, 1000):
        tries.filled(limit, full=True)
        if tries.extra:
            return number
    raise AssertionError("never")


def test_tries_that_never_succeed_refuse_a_small_share() -> None:
    tries, sent = Tries(), 0
    for _ in range(20):
        sent += 50 * windows_until_a_try(tries, 50)
        tries.refused(tried=True)
    assert 20 / sent < 0.003


def test_a_try_that_succeeds_is_followed_by_twice_as_many_up_to_a_share_of_the_limit() -> None:
    tries = Tries()
    windows_until_a_try(tries, 100)
    extra = []
    for limit in (101, 103, 107, 115, 126):
        tries.passed(limit)
        extra.append(tries.extra)
    assert extra == [2, 4, 8, 11, 12]


def test_windows_that_were_not_full_tell_nothing() -> None:
    tries = Tries()
    for _ in range(1000):
        tries.filled(100, full=False)
    assert not tries.extra
