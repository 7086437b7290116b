"""Pacing in virtual time: whole batches against limits, to the exact instant."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from bulk.batch.running import BatchSettings
from bulk.model import AttemptRecord, Outcome, StopCode, Trigger
from tests.virtual import T0, Outcomes, VirtualRun, some_triggers

pytestmark = pytest.mark.long


def run(tmp_path: Path, spec: str, batch: int | list[Trigger], **settings: object) -> Outcomes:
    """Run a batch, or one of so many triggers, against a sandbox, in virtual time."""
    batch_settings = BatchSettings(**settings)  # type: ignore[arg-type]
    triggers = some_triggers(batch) if isinstance(batch, int) else batch
    return VirtualRun(tmp_path / "journal.sqlite", spec, triggers, batch_settings).go()


def throttled(came: Outcomes) -> list[AttemptRecord]:
    """The attempts that were throttled, in the order in which they were sent."""
    found = [attempt for attempt in came.attempts if attempt.http_status == 429]
    return sorted(found, key=lambda attempt: attempt.sent_at)


def sends_after(came: Outcomes, instant: float) -> list[float]:
    """When the attempts after an instant were sent, in virtual seconds."""
    return sorted(a.sent_at - T0 for a in came.attempts if a.sent_at - T0 > instant)


def known_at(attempt: AttemptRecord) -> float:
    """When its answer arrived, in virtual seconds."""
    assert attempt.received_at is not None
    return attempt.received_at - T0


def queued(came: Outcomes) -> int:
    return sum(result.outcome is Outcome.QUEUED for result in came.results)


def test_after_a_retry_after_one_request_leaves_and_the_rest_only_once_it_was_accepted(
    tmp_path: Path,
) -> None:
    came = run(tmp_path, "fixed-window 10/30s; latency 100ms; headers retry-after", 20)
    first = throttled(came)[0]
    # The window ends at 30.0, and the header rounds the time from the 429 up to whole seconds.
    after = sends_after(came, known_at(first) + 1)
    assert 30.0 <= after[0] <= 31.1
    assert after[1] >= after[0] + 0.1, "the rest waits for the answer, a round trip later"
    assert queued(came) == 20


def test_later_answers_to_requests_of_the_same_congestion_epoch_start_no_new_one(
    tmp_path: Path,
) -> None:
    came = run(tmp_path, "fixed-window 10/5s; latency 100ms jitter 20ms", 20)
    together = throttled(came)
    assert len(together) >= 3, "several were in flight when the first 429 arrived"
    # A second epoch would have restarted the pause, and the first probe would be later.
    first_known = min(known_at(attempt) for attempt in together)
    probe = sends_after(came, first_known + 0.001)[0]
    assert probe - first_known <= 0.12
    assert queued(came) == 20


@pytest.mark.parametrize("lie", [0, 1, 86_400])
def test_a_wrong_retry_after_does_not_stop_a_batch(tmp_path: Path, lie: int) -> None:
    spec = f"token-bucket 5/s burst 5; latency 50ms; headers retry-after={lie}"
    came = run(tmp_path, spec, 30)
    assert queued(came) == 30
    assert len(throttled(came)) <= 15
    assert came.took_s <= (
        60 if lie <= 1 else 3 * 900
    )  # a day is shortened to a quarter of an hour


def test_a_deadline_shorter_than_the_pause_stops_at_once_and_says_so(tmp_path: Path) -> None:
    spec = "fixed-window 10/5m; latency 50ms; headers retry-after"
    came = run(tmp_path, spec, 50, deadline_s=60.0)
    assert came.end.stop is StopCode.DEADLINE
    assert "has to be left alone for another" in came.end.stop_detail
    assert came.took_s < 2.0
    assert queued(came) == 10


def test_a_raised_limit_is_found(tmp_path: Path) -> None:
    spec = "token-bucket 10/s burst 10 until 60s then token-bucket 40/s burst 40; latency 50ms"
    came = run(tmp_path, spec, 2000)
    least_s = 60 + (2000 - 610 - 40) / 40
    assert came.took_s <= 1.35 * least_s
    assert len(throttled(came)) <= 40


def test_a_lowered_limit_is_obeyed(tmp_path: Path) -> None:
    spec = "token-bucket 40/s burst 20 until 30s then token-bucket 10/s burst 10; latency 50ms"
    came = run(tmp_path, spec, 1500)
    least_s = 30 + (1500 - 1220 - 10) / 10
    assert came.took_s <= 1.1 * least_s
    assert len(throttled(came)) <= 40


def test_a_limit_lowered_late_in_a_batch_is_no_window_since_its_start(tmp_path: Path) -> None:
    spec = (
        "token-bucket 16/s burst 38 until 100s then token-bucket 4/s burst 9; "
        "latency 84ms jitter 17ms"
    )
    came = run(tmp_path, spec, 1800)
    least_s = 100 + (1800 - 1638 - 9) / 4
    assert came.took_s <= 1.1 * least_s
    assert len(throttled(came)) <= 30


def test_a_window_that_no_header_advertises_is_filled_from_its_start(tmp_path: Path) -> None:
    came = run(tmp_path, "sliding-window 50/20s; latency 50ms", 250)
    assert came.took_s == pytest.approx(4 * 20.0, abs=1.0)
    assert len(throttled(came)) <= 25


@pytest.mark.parametrize("headers", ["x-ratelimit", "retry-after"])
def test_a_window_that_counts_throttled_requests_is_not_taken_for_a_smaller_one(
    tmp_path: Path, headers: str
) -> None:
    spec = "sliding-window 60/5s counting-refusals; latency 120ms jitter 15ms"
    came = run(tmp_path, f"{spec}; headers {headers}", 1500)
    assert came.took_s <= 1.10 * 24 * 5.0
    assert len(throttled(came)) <= 25


def test_a_rate_that_counts_throttled_requests_is_not_taken_for_a_lower_one(
    tmp_path: Path,
) -> None:
    spec = "token-bucket 40/s burst 40 counting-refusals; latency 40ms jitter 4ms"
    came = run(tmp_path, spec, 2_000)
    assert came.took_s <= 1.03 * (2_000 - 40) / 40
    assert len(throttled(came)) <= 25


@pytest.mark.parametrize(("phase", "seed"), [("200ms", 1), ("300ms", 40)])
def test_a_far_lower_limit_is_believed_only_when_it_is_seen_again(
    tmp_path: Path, phase: str, seed: int
) -> None:
    """A window that ends while it is being filled leaves few for the next, just once."""
    spec = f"fixed-window 120/15s phase {phase}; latency 60ms jitter 12ms; seed 40"
    path = tmp_path / "journal.sqlite"
    came = VirtualRun(path, spec, some_triggers(1_000), BatchSettings(), seed=seed).go()
    assert queued(came) == 1_000
    assert came.took_s <= 150.0, "the last of nine windows begins by 120.3 s"


def test_a_lowered_bucket_is_not_taken_for_chance(tmp_path: Path) -> None:
    spec = "token-bucket 9.35/s burst 8 until 100s then token-bucket 4.67/s burst 4"
    came = run(tmp_path, f"{spec}; latency 31ms jitter 3ms; seed 1005", 1_800)
    assert len(throttled(came)) <= 40


def test_a_window_lowered_to_a_third_is_soon_found(tmp_path: Path) -> None:
    spec = "sliding-window 118/20s until 119s then sliding-window 39/20s"
    came = run(tmp_path, f"{spec}; latency 111ms jitter 6ms; seed 1004", 1_000)
    assert came.took_s <= 119 + 20 * 10
    assert len(throttled(came)) <= 60


@pytest.mark.parametrize("phase", [1, 3])
def test_a_fixed_window_that_was_assumed_too_long_is_corrected(tmp_path: Path, phase: int) -> None:
    spec = f"fixed-window 52/6s phase {phase}s; latency 60ms jitter 12ms; seed 3"
    came = run(tmp_path, spec, 1000)
    windows = 1000 / 52
    assert sends_after(came, 0.0)[-1] < 1.05 * windows * 6.0
    assert len(throttled(came)) < 25


def test_headers_that_advertise_the_remaining_quota_save_throttles(tmp_path: Path) -> None:
    came = run(tmp_path, "fixed-window 50/20s; latency 50ms; headers draft-current", 250)
    assert came.took_s == pytest.approx(4 * 20.0, abs=1.5)
    assert len(throttled(came)) <= 8


@pytest.mark.parametrize("headers", ["draft-6", "draft-current", "x-ratelimit"])
def test_headers_that_proved_right_are_followed_for_a_short_window_paced_at_its_mean(
    tmp_path: Path, headers: str
) -> None:
    came = run(tmp_path, f"fixed-window 300/1s; latency 20ms jitter 3ms; headers {headers}", 3000)
    assert came.took_s <= 1.15 * 9.4
    assert len(throttled(came)) <= 25


def test_headers_that_proved_right_announce_a_smaller_window_before_it_throttles(
    tmp_path: Path,
) -> None:
    spec = "fixed-window 200/10s until 65s then fixed-window 100/10s; latency 120ms jitter 15ms"
    came = run(tmp_path, f"{spec}; headers draft-6", 2000)
    assert came.took_s <= 1.05 * 123
    assert len(throttled(came)) <= 10


def test_a_cap_on_requests_at_once_is_no_reason_to_pause(tmp_path: Path) -> None:
    came = run(tmp_path, "concurrency 4; latency 200ms jitter 20ms", 400)
    assert came.took_s <= 1.05 * 400 * 0.2 / 4
    assert len(throttled(came)) <= 24
    assert max(later - sooner for sooner, later in pairwise(sends_after(came, 0))) <= 1.0


def test_a_cap_is_distinguished_from_a_rate_and_kept_by_requests_in_flight(tmp_path: Path) -> None:
    """Five at once, each served for nearly all of its 100 ms.

    Without jitter several leave at the same instant, and which of them is the sixth is open.
    """
    came = run(tmp_path, "concurrency 5; latency 100ms jitter 10ms split 2/96/2", 3_000)
    assert came.took_s <= 1.05 * 3_000 * 0.1 / 5
    assert len(throttled(came)) <= 12
    late = [attempt for attempt in throttled(came) if attempt.sent_at - T0 > 5.0]
    assert late
    assert all(attempt.in_flight == 6 for attempt in late), "one more was tried, now and then"


def test_a_cap_is_kept_from_its_first_429_on_if_429s_are_quick(
    tmp_path: Path,
) -> None:
    """Each is served for nearly all of its round trip, so one too few in flight costs time."""
    came = run(tmp_path, "concurrency 10; latency 120ms jitter 15ms split 3/94/3", 1_000)
    assert came.took_s <= 1.05 * 1_000 * 0.12 / 10
    assert len(throttled(came)) <= 8
    # Neither the first 429 nor any later one was a reason to stop sending.
    sends = sends_after(came, 0.0)
    assert max(later - sooner for sooner, later in pairwise(sends)) <= 0.12


def test_a_rate_that_was_taken_for_a_cap_is_found_once_the_cap_proves_wrong(
    tmp_path: Path,
) -> None:
    """What passes meanwhile counts, or the rate would seem to be a tenth of what it is."""
    spec = "token-bucket 50.9/s burst 28; latency 19ms jitter 1ms split 10/80/10"
    came = run(tmp_path, spec, 1_000)
    assert came.took_s <= 1.05 * (1_000 - 28) / 50.9
    assert len(throttled(came)) <= 20


def test_a_quick_429_that_is_not_a_caps_costs_one_more_before_the_pause(
    tmp_path: Path,
) -> None:
    came = run(tmp_path, "fixed-window 60/20s; latency 100ms split 3/94/3", 120)
    assert queued(came) == 120
    assert len(throttled(came)) <= 15
    assert came.took_s <= 21.5


def test_random_429s_do_not_end_in_a_spiral(tmp_path: Path) -> None:
    """If they are taken for a rate's, the pace drops to a hundredth of what it could be."""
    came = run(tmp_path, "token-bucket 10/s burst 10; latency 80ms; fault 429 5%; seed 3", 600)
    assert queued(came) == 600
    assert came.took_s <= 4 * 60
    assert len(throttled(came)) <= 130, "a twentieth is random"


def test_a_quota_that_says_so_is_probed_once_and_the_rest_stays_resumable(
    tmp_path: Path,
) -> None:
    came = run(tmp_path, "quota 60; latency 50ms", 100)
    assert came.end.stop is StopCode.QUOTA_EXHAUSTED
    first_known = min(known_at(attempt) for attempt in throttled(came))
    later = [attempt for attempt in throttled(came) if attempt.sent_at - T0 > first_known]
    assert len(later) <= 2
    assert queued(came) == 60
    assert sum(result.outcome is Outcome.UNSENT for result in came.results) == 40


def test_a_quota_that_says_nothing_is_suspected_after_ten_minutes(tmp_path: Path) -> None:
    came = run(tmp_path, "quota 60; latency 50ms; refusal-body html", 100)
    assert came.end.stop is StopCode.QUOTA_EXHAUSTED
    assert came.end.stop_detail.startswith("suspected quota")
    first_known = min(known_at(attempt) for attempt in throttled(came))
    later = [attempt for attempt in throttled(came) if attempt.sent_at - T0 > first_known]
    assert len(later) <= 15
    assert 600 <= came.took_s <= 1800


def test_a_server_that_queues_is_not_flooded(tmp_path: Path) -> None:
    came = run(tmp_path, "queue 2/s; latency 50ms", 100)
    assert came.took_s == pytest.approx(50.0, rel=0.03)
    assert max(attempt.latency_ms or 0 for attempt in came.attempts) < 20_000
    assert queued(came) == 100


def test_a_series_of_429s_never_releases_a_herd(tmp_path: Path) -> None:
    came = run(tmp_path, "token-bucket 1/s burst 3; latency 100ms; headers retry-after", 30)
    gaps = [later - sooner for sooner, later in pairwise(sends_after(came, 0.5))]
    assert sum(gap < 0.01 for gap in gaps) <= 8
    assert queued(came) == 30


def test_with_a_limit_per_test_a_manifest_sorted_by_test_takes_no_longer(
    tmp_path: Path,
) -> None:
    """20 tests of 12 cells, a limit of one a second and three at once for each: 9 s at least."""
    batch = sorted(some_triggers(240, tests=20), key=lambda trigger: trigger.test_id)
    came = run(tmp_path, "token-bucket 1/s burst 3 per-test; latency 80ms jitter 10ms", batch)
    assert came.took_s <= 1.3 * 9.1
    assert queued(came) == 240


def test_a_test_at_its_own_limit_holds_back_no_other(tmp_path: Path) -> None:
    """One test of 40 cells and 400 of one, at five in ten seconds each."""
    large, small = some_triggers(40, tests=1), some_triggers(401)[1:]
    spec = "fixed-window 5/10s per-test; latency 50ms; headers retry-after"
    came = run(tmp_path, spec, large + small)
    own = {attempt.test_id for attempt in throttled(came)}
    assert own == {large[0].test_id}
    ends = [known_at(attempt) for attempt in came.attempts if attempt.test_id not in own]
    assert max(ends) <= 45.0, "the others are done before the large one"
    assert 70.0 <= came.took_s <= 1.25 * 70.0
    assert queued(came) == 440
    # Throttled only at the end of a 10 s window: a probe opens each, and the rest follows.
    assert len(throttled(came)) <= 20


@pytest.mark.parametrize(
    ("spec", "large"),
    [
        ("concurrency 5; latency 150ms split 2/96/2", 1),
        ("token-bucket 1/s burst 3 per-test; latency 60ms", 40),
    ],
)
def test_a_limit_that_the_user_set_holds_while_others_are_learned_again(
    tmp_path: Path, spec: str, large: int
) -> None:
    """A cap and a limit of one test: each discards what was learned before."""
    batch = some_triggers(large, tests=1) + some_triggers(600)[1:]
    came = run(tmp_path, spec, batch, rate_per_s=20.0, burst=40)
    assert queued(came) == len(batch)
    assert throttled(came)
    sends = sends_after(came, -1.0)
    over = [last + 1 - 20.0 * at for last, at in enumerate(sends)]  # beyond the rate, by then
    under = [first - 20.0 * at for first, at in enumerate(sends)]
    for first in range(len(sends)):
        assert max(over[first:]) - under[first] <= 40 + 1
