"""The limiters, to the exact instant: tables, then properties against simple references."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk.sandbox.gate import Gate
from bulk.sandbox.limit_spec import parse_limits
from bulk.sandbox.limiters import advertised_policy

TEST = "a-test"

# Each row: what it shows, the limit, and (instant, passes, retry_s, remaining) of each request.
TABLE: list[tuple[str, str, list[tuple[float, bool, float, int]]]] = [
    (
        "a token bucket lets its burst pass, then one request per token",
        "token-bucket 10/s burst 2",
        [
            (0.0, True, 0.0, 1),
            (0.0, True, 0.1, 0),
            (0.0, False, 0.1, 0),
            (0.05, False, 0.05, 0),
            (0.1, True, 0.1, 0),
            (9.0, True, 0.0, 1),
        ],
    ),
    (
        "a token bucket that counts throttled requests goes into debt, by at most one bucket",
        "token-bucket 1/s burst 2 counting-refusals",
        [
            (0.0, True, 0.0, 1),
            (0.0, True, 1.0, 0),
            (0.0, False, 2.0, 0),
            (0.0, False, 3.0, 0),
            (0.0, False, 3.0, 0),
            (3.0, True, 1.0, 0),
        ],
    ),
    (
        "strict spacing allows no burst, however long the pause before",
        "strict-spacing 10/s",
        [(5.0, True, 0.1, 0), (5.0, False, 0.1, 0), (5.1, True, 0.1, 0), (5.15, False, 0.05, 0)],
    ),
    (
        "strict spacing that counts throttled requests restarts its gap at each",
        "strict-spacing 10/s counting-refusals",
        [(0.0, True, 0.1, 0), (0.06, False, 0.1, 0), (0.12, False, 0.1, 0), (0.22, True, 0.1, 0)],
    ),
    (
        "a fixed window resets at its boundary, so twice the limit passes around it",
        "fixed-window 2/10s",
        [
            (9.0, True, 0.0, 1),
            (9.5, True, 0.5, 0),
            (9.75, False, 0.25, 0),
            (10.0, True, 0.0, 1),
            (10.0, True, 10.0, 0),
        ],
    ),
    (
        "a fixed window with a phase starts there",
        "fixed-window 1/10s phase 3s",
        [(2.0, True, 1.0, 0), (2.5, False, 0.5, 0), (3.0, True, 10.0, 0)],
    ),
    (
        "a request leaves a sliding window exactly one window later",
        "sliding-window 2/10s",
        [
            (0.0, True, 0.0, 1),
            (4.0, True, 6.0, 0),
            (9.0, False, 1.0, 0),
            (10.0, True, 4.0, 0),
            (14.0, True, 6.0, 0),
        ],
    ),
    (
        "a sliding window that counts throttled requests locks out a client that keeps trying",
        "sliding-window 1/10s counting-refusals",
        [
            (0.0, True, 10.0, 0),
            (6.0, False, 10.0, 0),
            (12.0, False, 10.0, 0),
            (22.0, True, 10.0, 0),
        ],
    ),
    (
        "a sliding counter weights the previous window by how much of it still overlaps",
        "sliding-counter 4/10s",
        [
            (0.0, True, 0.0, 3),
            (0.0, True, 0.0, 2),
            (0.0, True, 0.0, 1),
            (0.0, True, 12.5, 0),
            (12.0, False, 0.5, 0),
            (12.5, True, 2.5, 0),
            (15.0, True, 2.5, 0),
        ],
    ),
    (
        "a quota ends for good",
        "quota 1",
        [(0.0, True, math.inf, 0), (1e6, False, math.inf, 0)],
    ),
    (
        "two limits must both pass, and a request throttled by one consumes nothing of the other",
        "token-bucket 1/s burst 1 + quota 2",
        [(0.0, True, 1.0, 0), (0.5, False, 0.5, 0), (1.0, True, math.inf, 0)],
    ),
    (
        "a request throttled by one limit consumes of another that counts throttled requests",
        "token-bucket 1/s burst 1 + quota 2 counting-refusals",
        [(0.0, True, 1.0, 0), (0.5, False, math.inf, 0), (9.0, False, math.inf, 0)],
    ),
    (
        "a new phase starts fresh, and the retry time takes it into account",
        "quota 1 until 30s then strict-spacing 1/s",
        [(0.0, True, 30.0, 0), (10.0, False, 20.0, 0), (30.0, True, 1.0, 0)],
    ),
]


def gate_of(text: str) -> Gate:
    return Gate(parse_limits(text), start_unix_s=0.0)


@pytest.mark.parametrize(("limit", "steps"), [row[1:] for row in TABLE], ids=[r[0] for r in TABLE])
def test_decisions_at_exact_instants(
    limit: str, steps: list[tuple[float, bool, float, int]]
) -> None:
    gate = gate_of(limit)
    for now_s, passes, retry_s, remaining in steps:
        found = gate.ask(now_s, TEST, 0.0)
        assert (found.throttled_by is None) == passes, now_s
        assert found.retry_s == pytest.approx(retry_s), now_s
        assert min(state.remaining for state in found.states) == remaining, now_s


def test_a_queue_throttles_nothing_and_releases_requests_at_its_rate() -> None:
    gate = gate_of("queue 10/s")
    found = [gate.ask(now_s, TEST, 0.0) for now_s in (0.0, 0.0, 0.05, 9.0)]
    assert [admission.throttled_by for admission in found] == [None] * 4
    assert [admission.delay_s for admission in found] == pytest.approx([0.0, 0.1, 0.15, 0.0])


def test_a_concurrency_cap_frees_its_slots_when_service_ends() -> None:
    gate = gate_of("concurrency 2")
    steps = [(0.0, 1.0), (0.5, 2.0), (0.75, 1.0), (1.0, 1.0), (1.5, 1.0)]
    found = [gate.ask(now_s, TEST, service_s) for now_s, service_s in steps]
    passed = [admission.throttled_by is None for admission in found]
    assert passed == [True, True, False, True, False]
    assert [admission.retry_s for admission in found] == pytest.approx([0, 0.5, 0.25, 1.0, 0.5])


def test_a_limit_per_test_counts_each_test_separately() -> None:
    gate = gate_of("quota 1 per-test")
    found = [gate.ask(0.0, test, 0.0).throttled_by for test in ("a", "b", "a", "b")]
    assert found == [None, None, "quota", "quota"]


def test_of_two_throttling_limiters_the_one_with_the_longest_wait_is_named() -> None:
    gate = gate_of("strict-spacing 1/s + quota 1")
    gate.ask(0.0, TEST, 0.0)
    assert gate.ask(0.5, TEST, 0.0).throttled_by == "quota"


def test_windows_start_at_multiples_of_their_length_in_unix_time() -> None:
    gate = Gate(parse_limits("fixed-window 1/10s"), start_unix_s=1_000_003.0)
    assert gate.ask(0.0, TEST, 0.0).retry_s == pytest.approx(7.0)


@pytest.mark.parametrize(
    ("rate_per_s", "policy"),
    [(10.0, (10, 1.0)), (0.5, (1, 2.0)), (2.5, (5, 2.0)), (1 / 7, (1, 7.0)), (0.001, (1, 1000.0))],
)
def test_a_rate_is_advertised_in_whole_numbers_if_possible(
    rate_per_s: float, policy: tuple[int, float]
) -> None:
    assert advertised_policy(rate_per_s) == pytest.approx(policy)


gaps = st.lists(st.floats(0.0, 3.0), min_size=1, max_size=120)
counts = st.integers(1, 8)


def arrivals(gaps_s: list[float]) -> list[float]:
    now_s, found = 0.0, []
    for gap_s in gaps_s:
        now_s += gap_s
        found.append(now_s)
    return found


def accepted(limit: str, gaps_s: list[float]) -> list[float]:
    gate = gate_of(limit)
    return [now for now in arrivals(gaps_s) if gate.ask(now, TEST, 0.5).throttled_by is None]


@given(gaps, counts)
def test_a_sliding_window_accepts_exactly_what_a_plain_log_accepts(
    gaps_s: list[float], count: int
) -> None:
    reference: list[float] = []
    for now_s in arrivals(gaps_s):
        inside = [at_s for at_s in reference if at_s + 10.0 > now_s + 1e-9]
        if len(inside) < count:
            reference.append(now_s)
    assert accepted(f"sliding-window {count}/10s", gaps_s) == reference


@given(gaps, counts, st.sampled_from([0.5, 1.0, 3.0]))
def test_a_token_bucket_never_accepts_more_than_burst_plus_rate(
    gaps_s: list[float], burst: int, rate_per_s: float
) -> None:
    found = accepted(f"token-bucket {rate_per_s}/s burst {burst}", gaps_s)
    for first, start_s in enumerate(found):
        for last in range(first, len(found)):
            most = burst + rate_per_s * (found[last] - start_s)
            assert last - first + 1 <= most + 1e-6


@given(gaps, counts)
def test_a_token_bucket_accepts_exactly_what_a_counter_of_tokens_accepts(
    gaps_s: list[float], burst: int
) -> None:
    tokens, before_s, reference = float(burst), 0.0, []
    for now_s in arrivals(gaps_s):
        tokens = min(burst, tokens + (now_s - before_s))
        before_s = now_s
        if tokens >= 1 - 1e-9:
            tokens -= 1
            reference.append(now_s)
    assert accepted(f"token-bucket 1/s burst {burst}", gaps_s) == reference


@given(gaps, counts)
def test_a_fixed_window_accepts_at_most_its_count(gaps_s: list[float], count: int) -> None:
    found = accepted(f"fixed-window {count}/10s", gaps_s)
    by_window = [math.floor((at_s + 1e-9) / 10) for at_s in found]
    assert all(by_window.count(window) <= count for window in by_window)


@given(gaps, counts)
def test_a_concurrency_cap_never_has_more_in_service(gaps_s: list[float], count: int) -> None:
    found = accepted(f"concurrency {count}", gaps_s)
    for at_s in found:
        assert sum(at_s - 0.5 + 1e-9 < other_s <= at_s for other_s in found) <= count


LIMITS = [
    "token-bucket 3/s burst 4",
    "token-bucket 3/s burst 4 counting-refusals",
    "strict-spacing 3/s counting-refusals",
    "fixed-window 3/2s phase 700ms",
    "sliding-window 3/2s counting-refusals",
    "sliding-counter 3/2s",
    "sliding-counter 5/2s counting-refusals",
    "concurrency 2",
    "sliding-window 5/7s + token-bucket 2/s burst 2 + concurrency 3",
    "fixed-window 2/3s until 20s then sliding-counter 2/3s per-test",
]


@given(gaps, st.sampled_from(LIMITS))
def test_the_retry_time_is_the_earliest_at_which_the_next_request_passes(
    gaps_s: list[float], limit: str
) -> None:
    def after_arrivals() -> tuple[Gate, float, float]:
        gate = gate_of(limit)
        found = [gate.ask(now_s, TEST, 0.5) for now_s in arrivals(gaps_s)]
        return gate, arrivals(gaps_s)[-1], found[-1].retry_s

    patient, last_s, retry_s = after_arrivals()
    assert patient.ask(last_s + retry_s, TEST, 0.5).throttled_by is None
    if retry_s > 1e-3:
        hasty, last_s, retry_s = after_arrivals()
        assert hasty.ask(last_s + retry_s * 0.99, TEST, 0.5).throttled_by is not None


@given(gaps, st.sampled_from(LIMITS))
def test_a_client_that_waits_for_the_retry_time_is_never_throttled(
    gaps_s: list[float], limit: str
) -> None:
    gate, now_s = gate_of(limit), 0.0
    for gap_s in gaps_s:
        found = gate.ask(now_s, TEST, 0.5)
        assert found.throttled_by is None
        now_s += max(gap_s, found.retry_s)
