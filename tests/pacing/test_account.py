"""What is told of a window's rest: followed once it came true, and lost where it did not."""

from __future__ import annotations

import pytest

from bulk.http.rate_limit_headers import Allowance
from bulk.pacing.account import Account

TRIP_S = 0.1
QUOTA = 50


def note(account: Account, left: int, reset_s: float, at: float, *, refused: bool = False) -> None:
    """An answer came at `at`."""
    told = Allowance(left, reset_s, QUOTA)
    account.note(told, at - TRIP_S, at, refused=refused)


def fill(account: Account, began: float, *, until: int = 0, length_s: float = 10.0) -> None:
    """A window's answers, one every 0.1 s, until so many are left."""
    for index in range(QUOTA - until):
        at = began + TRIP_S * (index + 1)
        note(account, QUOTA - 1 - index, length_s - TRIP_S * index, at)


def true_account(windows: int = 2, **last: int) -> Account:
    """Of a window of 10 s: so many ended as told, and one more is under way."""
    account = Account()
    for index in range(windows):
        fill(account, 10.0 * index)
    fill(account, 10.0 * windows, **last)
    return account


def held_until(account: Account, now: float, under_way: int, edges: list[float]) -> float:
    """When one more fits, of an account that is followed."""
    free_at = account.free_at(now, under_way, edges)
    assert free_at is not None
    return free_at


def test_an_account_that_came_true_twice_holds_back_until_the_end_it_tells() -> None:
    assert true_account(1).free_at(15.5, 0, []) is None, "it may be a bucket's"
    account = true_account()
    assert account.followed
    assert account.free_at(25.5, 0, []) == pytest.approx(30.0, abs=2 * TRIP_S)
    assert account.free_at(30.2, 5, []) == 30.2, "as much as at first"
    held = held_until(account, 30.2, QUOTA, [])
    assert held > 31.0, "and no more until an answer tells"


def test_those_under_way_may_not_have_been_counted() -> None:
    account = true_account(until=6)
    assert account.free_at(25.0, 5, []) == 25.0
    held = held_until(account, 25.0, 6, [])
    assert held > 29.0


def test_an_answer_that_comes_late_does_not_raise_what_is_left() -> None:
    account = true_account(until=3)
    told = Allowance(20, 7.1, QUOTA)
    account.note(told, 22.9, 24.8, refused=False)
    held = held_until(account, 25.0, 3, [])
    assert account.followed
    assert held > 29.0


def test_the_edge_of_a_known_window_is_finer_than_whole_seconds() -> None:
    account = Account()
    for began in (0.0, 10.0, 20.0):  # told by a stamp in whole seconds, up to a second late
        fill(account, began, length_s=10.7)
    assert account.free_at(25.5, 0, [20.0, 30.0]) == 30.0
    assert account.free_at(30.1, 0, [30.0, 40.0]) == 30.1
    assert account.free_at(25.5, 0, [20.0, 28.0]) == pytest.approx(30.8)


@pytest.mark.parametrize(
    ("left", "reset_s", "at", "refused"),
    [
        (10, 5.0, 25.2, True),  # refused though there was room
        (12, 5.0, 25.2, False),  # more is left before its time
        (10, 60.0, 25.2, False),  # the end moves
        (0, 10.0, 30.4, True),  # refused though it had ended
    ],
)
def test_it_is_lost_at_once_where_it_is_false(
    left: int, reset_s: float, at: float, *, refused: bool
) -> None:
    account = true_account(until=11)
    note(account, 10, 5.0, 25.0)
    assert held_until(account, 25.0, 10, []) > 29.0
    note(account, left, reset_s, at, refused=refused)
    assert account.free_at(at, 50, []) is None


def test_a_lower_quota_is_followed_from_its_first_answer_on() -> None:
    account = true_account(4)
    account.note(Allowance(24, 10.0, 25), 50.2, 50.3, refused=False)
    assert account.free_at(50.4, 23, []) == 50.4
    held = held_until(account, 50.4, 24, [])
    assert held > 59.0


def test_what_is_told_to_take_far_longer_than_ever_came_true_is_not_waited_for() -> None:
    account = true_account()
    note(account, 49, 3600.0, 30.4)
    assert account.free_at(31.0, 60, []) is None


def test_a_window_that_lets_few_pass_at_its_end_slides_and_is_not_followed() -> None:
    account = Account()
    for index in range(6):
        fill(account, 10.0 * index)
        note(account, QUOTA // 2, 9.5, 10.0 * index + 10.05)
    assert not account.followed


def test_a_bucket_and_a_window_of_a_few_are_not_followed() -> None:
    bucket, few = Account(), Account()
    left = 10.0
    for index in range(300):
        at = 0.05 * index
        left = min(10.0, left + 0.9) - 1
        note(bucket, int(left), 1.0, at)
        told = Allowance(4 - index % 5, 1.0, 5)
        few.note(told, index // 5 + 0.1, index // 5 + 0.2, refused=False)
        assert not bucket.followed
        assert not few.followed
