"""The pacing benchmark measures right: least times, disjoint sets, an oracle that is one."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest

from benchmarks.pacing.bounds import bound, ended, narrowed, opening, throttled_at
from benchmarks.pacing.cases import Case, Goal, Server, cases_of
from benchmarks.pacing.drawn import drawn_rows
from benchmarks.pacing.grid import ROWS
from benchmarks.pacing.judging import misses
from benchmarks.pacing.least import least_s
from benchmarks.pacing.measuring import PRODUCT, RIVALS, Figures, Job, work
from bulk.sandbox import parse_spec

T0 = 1_790_035_200.0


def least(spec: str, count: int, *, tests: int = 0, start_unix_s: float = T0) -> float | None:
    tests = tests or count
    return least_s(parse_spec(spec), [str(n % tests) for n in range(count)], start_unix_s)


@pytest.mark.parametrize(
    ("spec", "count", "expected"),
    [
        ("token-bucket 10/s burst 20", 20, 0.0),
        ("token-bucket 10/s burst 20", 120, 10.0),
        ("token-bucket 10/s burst 20; latency 80ms", 120, 10.08),
        ("fixed-window 10/10s", 10, 0.0),
        ("fixed-window 10/10s", 35, 30.0),
        ("sliding-window 10/10s; latency 80ms", 35, 30.08),
        ("concurrency 4; latency 80ms", 100, 2.0),
        ("queue 10/s", 101, 10.0),
        ("none; latency 100ms", 3200, 10.0),
        ("strict-spacing 10/s; latency 80ms", 101, 10.08),
        ("token-bucket 10/s burst 10 until 9.95s then token-bucket 5/s burst 5", 210, 29.15),
        ("token-bucket 10/s burst 10 until 10s then none", 10_000, 10.0),
    ],
)
def test_the_least_time_is_the_limits_arithmetic(spec: str, count: int, expected: float) -> None:
    assert least(spec, count) == pytest.approx(expected, abs=1e-3)


def test_the_phase_of_the_windows_is_known() -> None:
    assert least("fixed-window 10/10s", 11, start_unix_s=T0 + 7) == pytest.approx(3.0, abs=1e-3)


def test_a_limit_for_each_test_takes_as_long_as_the_slowest_test() -> None:
    spec = "token-bucket 1/s burst 1 per-test"
    assert least(spec, 23, tests=10) == pytest.approx(2.0, abs=1e-3)


def test_strict_spacing_leaves_room_for_jitter_but_no_more() -> None:
    found = least("strict-spacing 10/s; latency 80ms jitter 10ms", 101)
    assert found is not None
    assert 10.08 < found <= 10.08 + 100 * 0.005 + 1e-9


def test_a_quota_has_no_least_time() -> None:
    assert least("quota 10", 100) is None


def test_the_two_sets_share_neither_server_nor_seed() -> None:
    tune = {case for row in ROWS for case in cases_of(row, "tune")}
    report = {case for row in ROWS for case in cases_of(row, "report")}
    assert not {case.server for case in tune if case.server.limits != "none"} & {
        case.server for case in report
    }
    assert not {case.seed for case in tune} & {case.seed for case in report}


@pytest.mark.long
def test_what_is_drawn_is_the_same_for_a_seed_and_can_be_read() -> None:
    assert drawn_rows(1, each=3) == drawn_rows(1, each=3)
    assert drawn_rows(1, each=3) != drawn_rows(2, each=3)
    for row in drawn_rows(1):
        for case in cases_of(row, "report"):
            assert case.config.limits
            found = least_s(case.config, case.test_ids, case.start_unix_s)
            assert found is not None
            assert found > 0


def test_every_spec_can_be_read_and_every_row_has_a_name_of_its_own() -> None:
    assert len({row.name for row in ROWS}) == len(ROWS)
    for row in ROWS:
        for which in ("tune", "report"):
            cases = cases_of(row, which, seeds=1)
            assert cases
            assert all(case.config.limits for case in cases)


CONSTANT = Case("r", Server("token-bucket 50/s burst 20", "none", "80ms", 300), 1, 300, True)


def test_the_oracle_wastes_nothing_and_takes_the_least_time() -> None:
    figures = work(Job(CONSTANT, "oracle"))
    assert (figures.crashed, figures.throttles, figures.accepted) == ("", 0, 300)
    assert figures.times_least == pytest.approx(1.0, abs=0.001)


@pytest.mark.parametrize("client", [PRODUCT, *RIVALS])
def test_every_client_gets_all_through_once(client: str) -> None:
    figures = work(Job(CONSTANT, client))
    assert (figures.crashed, figures.done, figures.accepted) == ("", 300, 300)
    assert figures.times_least is not None
    assert figures.times_least >= 0.999


def test_a_crash_is_a_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    async def crashes(workload: object) -> None:
        raise ZeroDivisionError("seven")

    monkeypatch.setitem(RIVALS, "backoff", crashes)
    assert work(Job(CONSTANT, "backoff")).crashed == "ZeroDivisionError: seven"


def test_a_goal_is_missed_by_the_figure_that_misses_it() -> None:
    goal = Goal(times_least=1.1, waste=0.01)
    good = Figures(CONSTANT, PRODUCT, 10.0, 10.9, accepted=300, done=300, throttles=3)
    assert not misses(good, goal)
    slow, loud = replace(good, took_s=12.0), replace(good, took_s=12.0, throttles=60)
    early = replace(good, done=200, stop="rate_limited")
    by = [miss.by for figures in (slow, loud, early) for miss in misses(figures, goal)]
    assert by == [pytest.approx(12 / 11), pytest.approx(12 / 11), 20.0, float("inf")]
    assert all(before <= after for before, after in pairwise(by))


def test_a_429_bounds_the_rate_from_both_sides() -> None:
    sends = opening(1_000, 0.08)
    throttled = throttled_at(60.0, 12, sends)
    assert throttled is not None
    low, high = narrowed(0.5, 1_000.0, 12, sends[: throttled + 1])
    assert low < 60.0 < high
    assert high - low < 60.0


def test_if_429s_are_expensive_a_short_batch_cannot_come_near_the_least_time() -> None:
    long, throttles = bound(100.0, 10, 10_000, 0.08)
    assert 1.0 < long < 1.05
    assert throttles >= 1
    short, _ = bound(100.0, 10, 400, 0.08)
    assert short > 1.10 + 6 * 0.08 / 3.9, "beyond the goal of so short a batch"


def test_a_limit_that_ended_costs_the_time_until_the_client_knows_it() -> None:
    assert ended(10.0, 1000, 2000, 0.032, 0) == 1.0
    assert ended(10.0, 1000, 2000, 0.032, 100) == pytest.approx(1.0 + (10 - 0.1) / 101, abs=1e-3)
    assert ended(10.0, 1000, 2000, 0.032, 5000) == pytest.approx(200 / 101, abs=1e-3)
