"""The limiters, to the exact instant: tables first, then properties against plain references."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk.sandbox.gate import Gate
from bulk.sandbox.limit_spec import parse_limits
from bulk.sandbox.limiters import policy_of

TEST = "a-test"

# Each row: what it shows, the limit, and (instant, passes?, retry in seconds, left) of requests.
TABLE: list[tuple[str, str, list[tuple[float, bool, float, int]]]] = [
    (
        "a token bucket lets its burst pass, then one a token",
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
        "a token bucket that counts refusals goes into debt, at most one bucket deep",
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
        "strict spacing knows no burst, however long nothing came",
        "strict-spacing 10/s",
        [(5.0, True, 0.1, 0), (5.0, False, 0.1, 0), (5.1, True, 0.1, 0), (5.15, False, 0.05, 0)],
    ),
    (
        "strict spacing that counts refusals starts its gap anew at each",
        "strict-spacing 10/s counting-refusals",
        [(0.0, True, 0.1, 0), (0.06, False, 0.1, 0), (0.12, False, 0.1, 0), (0.22, True, 0.1, 0)],
    ),
    (
        "a fixed window forgets all at its boundary, so twice the limit passes around it",
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
        "a sliding window frees a place exactly one window after it was taken",
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
        "a sliding window that counts refusals shuts out who keeps knocking",
        "sliding-window 1/10s counting-refusals",
        [
            (0.0, True, 10.0, 0),
            (6.0, False, 10.0, 0),
            (12.0, False, 10.0, 0),
            (22.0, True, 10.0, 0),
        ],
    ),
    (
        "a sliding counter weighs the window before by what is left of it",
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
        "of two limits both must let it pass, and a refusal by one costs the other nothing",
        "token-bucket 1/s burst 1 + quota 2",
        [(0.0, True, 1.0, 0), (0.5, False, 0.5, 0), (1.0, True, math.inf, 0)],
    ),
    (
        "a refusal by one costs the other where that counts refusals",
        "token-bucket 1/s burst 1 + quota 2 counting-refusals",
        [(0.0, True, 1.0, 0), (0.5, False, math.inf, 0), (9.0, False, math.inf, 0)],
    ),
    (
        "a change in time starts fresh, and the retry says so",
        "quota 1 until 30s then strict-spacing 1/s",
        [(0.0, True, 30.0, 0), (10.0, False, 20.0, 0), (30.0, True, 1.0, 0)],
    ),
]


def gate(text: str) -> Gate:
    return Gate(parse_limits(text), epoch_s=0.0)


@pytest.mark.parametrize(("limit", "steps"), [row[1:] for row in TABLE], ids=[r[0] for r in TABLE])
def test_decisions_at_exact_instants(
    limit: str, steps: list[tuple[float, bool, float, int]]
) -> None:
    asked = gate(limit)
    for now_s, passes, retry_s, remaining in steps:
        found = asked.ask(now_s, TEST, 0.0)
        assert (found.refused_by is None) == passes, now_s
        assert found.retry_s == pytest.approx(retry_s), now_s
        assert min(standing.remaining for standing in found.standings) == remaining, now_s


def test_a_queue_never_refuses_but_lets_one_out_at_a_time() -> None:
    asked = gate("queue 10/s")
    found = [asked.ask(now_s, TEST, 0.0) for now_s in (0.0, 0.0, 0.05, 9.0)]
    assert [admission.refused_by for admission in found] == [None] * 4
    assert [admission.delay_s for admission in found] == pytest.approx([0.0, 0.1, 0.15, 0.0])


def test_a_concurrency_cap_frees_its_slots_when_service_ends() -> None:
    asked = gate("concurrency 2")
    steps = [(0.0, 1.0), (0.5, 2.0), (0.75, 1.0), (1.0, 1.0), (1.5, 1.0)]
    found = [asked.ask(now_s, TEST, held_s) for now_s, held_s in steps]
    assert [admission.refused_by is None for admission in found] == [True, True, False, True, False]
    assert [admission.retry_s for admission in found] == pytest.approx([0, 0.5, 0.25, 1.0, 0.5])


def test_a_limit_per_test_keeps_each_test_apart() -> None:
    asked = gate("quota 1 per-test")
    found = [asked.ask(0.0, test, 0.0).refused_by for test in ("a", "b", "a", "b")]
    assert found == [None, None, "quota", "quota"]


def test_the_limiter_that_takes_longest_is_the_one_that_refused() -> None:
    asked = gate("strict-spacing 1/s + quota 1")
    asked.ask(0.0, TEST, 0.0)
    assert asked.ask(0.5, TEST, 0.0).refused_by == "quota"


def test_windows_start_at_multiples_on_the_wall_clock() -> None:
    asked = Gate(parse_limits("fixed-window 1/10s"), epoch_s=1_000_003.0)
    assert asked.ask(0.0, TEST, 0.0).retry_s == pytest.approx(7.0)


@pytest.mark.parametrize(
    ("rate_per_s", "policy"),
    [(10.0, (10, 1.0)), (0.5, (1, 2.0)), (2.5, (5, 2.0)), (1 / 7, (1, 7.0)), (0.001, (1, 1000.0))],
)
def test_a_rate_is_told_in_whole_numbers_where_it_can(
    rate_per_s: float, policy: tuple[int, float]
) -> None:
    assert policy_of(rate_per_s) == pytest.approx(policy)


gaps = st.lists(st.floats(0.0, 3.0), min_size=1, max_size=120)
counts = st.integers(1, 8)


def arrivals(gaps_s: list[float]) -> list[float]:
    now_s, found = 0.0, []
    for gap_s in gaps_s:
        now_s += gap_s
        found.append(now_s)
    return found


def accepted(limit: str, gaps_s: list[float]) -> list[float]:
    asked = gate(limit)
    return [now for now in arrivals(gaps_s) if asked.ask(now, TEST, 0.5).refused_by is None]


@given(gaps, counts)
def test_a_sliding_window_never_holds_more_and_never_refuses_without_need(
    gaps_s: list[float], count: int
) -> None:
    reference: list[float] = []
    for now_s in arrivals(gaps_s):
        inside = [at_s for at_s in reference if at_s + 10.0 > now_s + 1e-9]
        if len(inside) < count:
            reference.append(now_s)
    assert accepted(f"sliding-window {count}/10s", gaps_s) == reference


@given(gaps, counts, st.sampled_from([0.5, 1.0, 3.0]))
def test_a_token_bucket_never_lets_more_than_burst_and_rate_pass(
    gaps_s: list[float], burst: int, rate_per_s: float
) -> None:
    found = accepted(f"token-bucket {rate_per_s}/s burst {burst}", gaps_s)
    for first, start_s in enumerate(found):
        for last in range(first, len(found)):
            most = burst + rate_per_s * (found[last] - start_s)
            assert last - first + 1 <= most + 1e-6


@given(gaps, counts)
def test_a_token_bucket_is_the_one_with_a_counter_of_tokens(
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
def test_a_fixed_window_holds_at_most_its_count(gaps_s: list[float], count: int) -> None:
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
def test_whoever_waits_as_told_passes_and_whoever_comes_earlier_does_not(
    gaps_s: list[float], limit: str
) -> None:
    def knocked() -> tuple[Gate, float, float]:
        asked = gate(limit)
        found = [asked.ask(now_s, TEST, 0.5) for now_s in arrivals(gaps_s)]
        return asked, arrivals(gaps_s)[-1], found[-1].retry_s

    patient, last_s, retry_s = knocked()
    assert patient.ask(last_s + retry_s, TEST, 0.5).refused_by is None
    if retry_s > 1e-3:
        hasty, last_s, retry_s = knocked()
        assert hasty.ask(last_s + retry_s * 0.99, TEST, 0.5).refused_by is not None


@given(gaps, st.sampled_from(LIMITS))
def test_who_always_waits_as_told_is_never_refused(gaps_s: list[float], limit: str) -> None:
    asked, now_s = gate(limit), 0.0
    for gap_s in gaps_s:
        found = asked.ask(now_s, TEST, 0.5)
        assert found.refused_by is None
        now_s += max(gap_s, found.retry_s)
