"""How many requests may be under way."""

from __future__ import annotations

from bulk.pacing.in_flight import InFlight


def test_it_grows_only_while_it_is_what_holds_requests_back() -> None:
    limit = InFlight(32, 100)
    for _ in range(50):
        limit.accepted(1, 0.1, 0.1)
    assert limit.limit == 4.0
    limit.accepted(4, 0.1, 0.1)
    assert limit.limit == 5.0


def test_beyond_a_share_of_the_batch_it_grows_by_one_in_two_round_trips() -> None:
    limit = InFlight(100, 100)
    while limit.limit < 8:
        limit.accepted(8, 0.1, 0.1)
    before = limit.limit
    for _ in range(int(before)):
        limit.accepted(int(limit.limit), 0.1, 0.1)
    assert before + 0.4 < limit.limit <= before + 0.5


def test_what_the_server_tells_is_left_lets_it_grow_or_shrink() -> None:
    limit = InFlight(32, 100)
    for _ in range(30):
        limit.told(1000, 1.0, 0.9)
        limit.accepted(32, 0.1, 0.1)
    before = limit.limit
    assert before > 12.0, "far from the end it grows without care"
    limit.told(3, 2.0, 1.9)
    assert limit.limit == 0.7 * before
    limit.told(2, 2.05, 1.95)
    assert limit.limit == 0.7 * before, "once a round trip"
    for turn in range(3, 13):
        limit.told(0, turn, turn - 0.1)
    assert limit.limit == 4.0, "a server may tell what it likes: no less than at the start"


def test_before_a_queue_it_does_not_grow_whatever_is_told() -> None:
    limit = InFlight(32, 100)
    for _ in range(20):
        limit.accepted(32, 0.1, 0.1)
    for _ in range(40):
        limit.accepted(1, 1.0, 0.1)
    before = limit.limit
    for _ in range(20):
        limit.told(1000, 1.0, 0.9)
        limit.accepted(32, 1.0, 0.1)
    assert limit.limit == before


def test_the_users_limit_is_never_exceeded() -> None:
    limit = InFlight(3, 10_000)
    for _ in range(1000):
        limit.accepted(3, 0.1, 0.1)
    assert limit.limit == 3.0


def test_trouble_halves_it_once_and_a_working_server_brings_it_back() -> None:
    limit = InFlight(4, 100)
    for _ in range(3):
        limit.troubled(1.0, 0.5)
    assert limit.limit == 2.0
    for _ in range(3):
        limit.troubled(1.1, 0.6)  # they left before the first failures were known
    assert limit.limit == 2.0
    for _ in range(20):
        limit.accepted(2, 0.1, 0.1)
    assert limit.limit == 4.0


def test_latency_that_climbs_without_a_refusal_takes_one_off() -> None:
    limit = InFlight(32, 10_000)
    while limit.limit < 20:
        limit.accepted(32, 0.1, 0.1)
    limit.accepted(20, 6.0, 0.1)
    assert limit.limit == 19.0
