"""The controller alone: what it decides, at which instant, after which answers."""

from __future__ import annotations

from itertools import pairwise
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bulk.http.answers import Pace
from bulk.http.rate_limit_headers import Allowance, RateLimitHeaders
from bulk.model import StopCode
from bulk.pacing import AnotherTest, Decision, Observation, Send, Stop, WaitForEvent, WaitUntil
from bulk.pacing.adaptive import AdaptiveController
from tests.properties import examples


class NoJitter(Random):
    def random(self) -> float:
        return 0.0


def controller(concurrency_max: int = 100, deadline: float | None = None) -> AdaptiveController:
    return AdaptiveController(concurrency_max=concurrency_max, random=NoJitter(), deadline=deadline)


def observed(pace: Pace, retry_after_s: float | None = None) -> Observation:
    return Observation(pace, RateLimitHeaders(retry_after_s))


def fill(pacing: AdaptiveController, now: float) -> list[int]:
    """Send all that may be sent at `now`; the tickets."""
    tickets = []
    while isinstance(decision := pacing.ask(now, "t"), Send):
        assert decision.at == now
        pacing.sent(now, decision.ticket)
        tickets.append(decision.ticket)
    return tickets


def refuse_all(pacing: AdaptiveController, now: float, retry_after_s: float | None = None) -> None:
    for ticket in fill(pacing, now):
        pacing.answered(now + 0.1, ticket, observed(Pace.THROTTLED, retry_after_s))


def test_at_the_start_what_one_refusal_can_waste_stays_small() -> None:
    pacing = controller()
    sizes = []
    for turn in range(4):
        tickets = fill(pacing, float(turn))
        sizes.append(len(tickets))
        for ticket in tickets:
            pacing.answered(turn + 0.5, ticket, observed(Pace.ACCEPTED))
    assert sizes == [4, 6, 6, 6]


def test_a_large_batch_comes_to_full_speed_by_a_quarter_each_round() -> None:
    pacing = AdaptiveController(concurrency_max=32, random=NoJitter(), total=10_000)
    sizes = []
    for turn in range(11):
        tickets = fill(pacing, float(turn))
        sizes.append(len(tickets))
        for ticket in tickets:
            pacing.answered(turn + 0.5, ticket, observed(Pace.ACCEPTED))
    assert sizes == [4, 6, 6, 7, 8, 9, 10, 12, 13, 15, 17]


def test_an_advertised_cap_in_flight_is_kept_from_its_first_answer_on() -> None:
    pacing = controller()
    headers = RateLimitHeaders(in_flight_max=2)
    in_flight = fill(pacing, 0.0)
    most = []
    for number in range(20):
        now = 1.0 + number
        pacing.answered(now, in_flight.pop(0), Observation(Pace.ACCEPTED, headers))
        in_flight += fill(pacing, now)
        most.append(pacing.view(now).in_flight)
    assert most == [3, 2] + 18 * [2]


def test_it_never_goes_beyond_the_users_limit() -> None:
    pacing = controller(concurrency_max=5)
    for turn in range(5):
        for ticket in fill(pacing, float(turn)):
            pacing.answered(turn + 0.5, ticket, observed(Pace.ACCEPTED))
    assert len(fill(pacing, 9.0)) == 5


@pytest.mark.parametrize("start", [0.0, 0.1, 0.3, 10.0, 1e6])
@pytest.mark.parametrize(("per_s", "burst"), [(0.5, 1), (2.0, 3), (8.0, 3), (30.0, 10)])
def test_waiting_gets_on_where_the_clock_moves_only_while_one_waits(
    start: float, per_s: float, burst: int
) -> None:
    for step in range(100):
        pacing = AdaptiveController(
            concurrency_max=32, random=NoJitter(), total=50, per_s=per_s, burst=burst
        )
        now, sent, asked = start + step * 1e-4, 0, 0
        while sent < burst + 5:
            asked += 1
            decision = pacing.ask(now, "t")
            if isinstance(decision, WaitUntil):
                now = decision.at
            else:
                assert isinstance(decision, Send)
                now = decision.at
                pacing.sent(now, decision.ticket)
                pacing.answered(now, decision.ticket, observed(Pace.ACCEPTED))
                sent += 1
            assert asked < 10 * (burst + 5)


def test_all_refusals_of_one_congestion_make_one_cut() -> None:
    pacing = controller()
    for ticket in fill(pacing, 0.0):
        pacing.answered(0.1, ticket, observed(Pace.ACCEPTED))
    refuse_all(pacing, 1.0)
    view = pacing.view(1.2)
    assert (view.throttles, view.epochs, view.concurrency) == (6, 1, 4.0)


def test_a_pause_holds_all_back_then_one_probes_and_then_the_rest_follows() -> None:
    pacing = controller()
    refuse_all(pacing, 1.0, retry_after_s=2.0)
    assert pacing.ask(1.2, "t") == WaitUntil(3.1)
    assert pacing.view(1.2).paused_until == 3.1
    probe = pacing.ask(3.1, "t")
    assert isinstance(probe, Send)
    pacing.sent(3.1, probe.ticket)
    assert pacing.ask(3.1, "t") == WaitForEvent()
    pacing.answered(3.2, probe.ticket, observed(Pace.ACCEPTED))
    assert fill(pacing, 3.2) == []  # at least one in a pause's time is known to pass
    assert len(fill(pacing, 5.3)) == 1


def test_a_reply_to_a_request_sent_before_the_cut_neither_cuts_again_nor_ends_the_probing() -> None:
    pacing = controller()
    first, second, third, _ = fill(pacing, 0.0)
    pacing.answered(0.1, first, observed(Pace.THROTTLED))
    pacing.answered(0.2, second, observed(Pace.ACCEPTED))
    pacing.answered(0.3, third, observed(Pace.THROTTLED))
    assert pacing.view(0.3).epochs == 1
    probe = pacing.ask(0.4, "t")
    assert isinstance(probe, Send), "a request from before the cut does not stand for the probe"
    assert pacing.ask(0.4, "t") == WaitForEvent()


def test_without_a_hint_probes_come_ever_later_and_then_at_the_ends_of_usual_windows() -> None:
    pacing = controller()
    now, probes = 0.0, []
    for _ in range(10):
        refuse_all(pacing, now)
        decision = pacing.ask(now + 0.1, "t")
        assert isinstance(decision, WaitUntil)
        now = decision.at
        probes.append(round(now, 3))
    assert probes == [0.2, 1.015, 2.015, 5.015, 10.015, 20.015, 30.015, 60.015, 120.015, 300.015]


def test_an_intent_made_durable_during_a_pause_is_withdrawn() -> None:
    pacing = controller()
    sent, waiting = pacing.ask(0.0, "t"), pacing.ask(0.0, "t")
    assert isinstance(sent, Send)
    assert isinstance(waiting, Send)
    pacing.sent(0.0, sent.ticket)
    pacing.answered(0.1, sent.ticket, observed(Pace.THROTTLED, 5.0))
    assert pacing.confirm(0.1, waiting.ticket) == WaitUntil(5.1)
    pacing.withdrawn(0.1, waiting.ticket)
    assert isinstance(pacing.ask(5.1, "t"), Send)


@pytest.mark.parametrize(
    ("hint_s", "deadline", "decision"),
    [
        (20.0, 10.0, "the API has to be left alone for another 20 s, and the deadline is in 10 s"),
        (5.0, 10.0, None),
    ],
)
def test_a_pause_beyond_the_deadline_stops_at_once(
    hint_s: float, deadline: float, decision: str | None
) -> None:
    pacing = controller(deadline=deadline)
    refuse_all(pacing, 0.0, retry_after_s=hint_s)
    said = pacing.ask(0.1, "t")
    if decision is None:
        assert said == WaitUntil(5.1)
        assert pacing.ask(10.0, "t") == Stop(StopCode.DEADLINE, "the deadline has passed")
    else:
        assert said == Stop(StopCode.DEADLINE, decision)


def test_a_quota_that_says_so_is_probed_once_and_stops() -> None:
    pacing = controller()
    for ticket in fill(pacing, 0.0):
        pacing.answered(0.1, ticket, observed(Pace.QUOTA))
    wait = pacing.ask(0.1, "t")
    assert isinstance(wait, WaitUntil)
    (probe,) = fill(pacing, wait.at)
    pacing.answered(wait.at + 0.1, probe, observed(Pace.QUOTA))
    stop = pacing.ask(wait.at + 0.1, "t")
    assert isinstance(stop, Stop)
    assert stop.code is StopCode.QUOTA_EXHAUSTED
    assert pacing.view(1.0).throttles == 5


def test_a_quota_that_says_nothing_is_suspected_after_15_probes_over_ten_minutes() -> None:
    pacing = controller()
    refuse_all(pacing, 0.0, retry_after_s=1.0)  # a constant hint that has nothing to do with it
    now, probes = 0.1, 0
    decision: Decision = pacing.ask(now, "t")
    while isinstance(decision, WaitUntil):
        now = decision.at
        (probe,) = fill(pacing, now)
        probes += 1
        pacing.answered(now, probe, observed(Pace.THROTTLED, 1.0))
        decision = pacing.ask(now, "t")
    assert isinstance(decision, Stop)
    assert decision.code is StopCode.QUOTA_EXHAUSTED
    assert decision.detail.startswith("suspected quota: nothing was accepted for 1")
    assert probes <= 16
    assert now >= 600


def test_failures_to_connect_pause_for_longer_and_longer_and_stop_after_six() -> None:
    pacing = controller()
    now, waits = 0.0, []
    for _ in range(6):
        decision = pacing.ask(now, "t")
        assert isinstance(decision, Send)
        pacing.sent(now, decision.ticket)
        pacing.answered(now, decision.ticket, observed(Pace.UNREACHABLE))
        after = pacing.ask(now, "t")
        if isinstance(after, WaitUntil):
            waits.append(after.at - now)
            now = after.at
    assert waits == [0.5, 1.0, 2.0, 4.0, 8.0]
    assert isinstance(after, Stop)
    assert after.code is StopCode.UNREACHABLE


def test_trouble_at_the_server_halves_what_may_be_under_way_without_a_pause() -> None:
    pacing = controller(concurrency_max=6)
    for ticket in fill(pacing, 0.0):
        pacing.answered(0.1, ticket, observed(Pace.OVERLOADED))
    assert pacing.view(0.1).concurrency == 3.0
    assert isinstance(pacing.ask(0.1, "t"), Send)


def test_a_single_failure_is_the_weather() -> None:
    pacing = controller(concurrency_max=6)
    first, *others = fill(pacing, 0.0)
    pacing.answered(0.1, first, observed(Pace.OVERLOADED))
    for ticket in others:
        pacing.answered(0.1, ticket, observed(Pace.ACCEPTED))
    assert pacing.view(0.1).concurrency >= 4.0


def test_a_used_up_allowance_is_tested_by_one_request_and_then_kept() -> None:
    pacing = controller()
    for ticket in fill(pacing, 0.0):
        observation = Observation(Pace.ACCEPTED, RateLimitHeaders(None, (Allowance(0, 7.0, 4),)))
        pacing.answered(0.1, ticket, observation)
    wait = pacing.ask(0.1, "t")
    assert wait == WaitUntil(0.2)  # a round trip
    (probe,) = fill(pacing, wait.at)
    pacing.answered(0.3, probe, Observation(Pace.THROTTLED, RateLimitHeaders()))
    again = pacing.ask(0.3, "t")
    assert isinstance(again, WaitUntil)
    assert again.at == pytest.approx(7.1)


def test_a_known_rate_is_kept_from_the_start() -> None:
    pacing = AdaptiveController(concurrency_max=32, random=NoJitter(), per_s=10.0, burst=3)
    now = 0.0
    sent: list[float] = []
    while len(sent) < 12:
        decision = pacing.ask(now, "t")
        if isinstance(decision, WaitUntil):
            now = decision.at
            continue
        assert isinstance(decision, Send)
        now = max(now, decision.at)
        pacing.sent(now, decision.ticket)
        pacing.answered(now, decision.ticket, observed(Pace.ACCEPTED))
        sent.append(round(now, 6))
    gaps = [round(later - sooner, 6) for sooner, later in pairwise(sent[3:])]
    assert set(gaps) == {0.1}
    assert sent[0] == 0.0
    assert len([at for at in sent if at < 1.0]) <= 10 + 3


def answers(
    hint_s_max: float, passes_s_max: float
) -> st.SearchStrategy[list[tuple[Pace, float | None, float]]]:
    """What a server answers, how long it asks to wait, and the time until then."""
    hint_s = st.one_of(st.none(), st.floats(0, hint_s_max))
    answer = st.tuples(st.sampled_from(list(Pace)), hint_s, st.floats(0, passes_s_max))
    return st.lists(answer, max_size=60)


@given(
    seed=st.integers(0, 2**32),
    per_s=st.sampled_from([0.5, 3.0, 10.0, 80.0]),
    burst=st.integers(1, 8),
    answers=answers(hint_s_max=5.0, passes_s_max=2.0),
)
def test_whatever_comes_the_users_limit_is_not_exceeded(
    seed: int, per_s: float, burst: int, answers: list[tuple[Pace, float | None, float]]
) -> None:
    pacing = AdaptiveController(
        concurrency_max=8, random=Random(seed), total=500, per_s=per_s, burst=burst
    )
    rng, now, under_way, sends = Random(seed), 0.0, list[int](), list[float]()
    for pace, hint_s, passes_s in answers:
        for _ in range(3 * burst):
            decision = pacing.ask(now, rng.choice("ab"))
            if not isinstance(decision, Send):
                break
            now = max(now, decision.at) + rng.choice((0.0, 0.0, 0.1))  # a slow disk
            decision = pacing.confirm(now, ticket := decision.ticket)
            if not isinstance(decision, Send):
                pacing.withdrawn(now, ticket)
                continue
            now = decision.at
            pacing.sent(now, ticket)
            under_way.append(ticket)
            sends.append(now)
        now = max(now, decision.at) if isinstance(decision, WaitUntil) else now + passes_s
        if under_way:
            pacing.answered(now, under_way.pop(0), observed(pace, hint_s))
    for first, at in enumerate(sends):
        for more, later in enumerate(sends[first:]):
            assert more + 1 <= burst + per_s * (later - at) + 0.01


@given(
    seed=st.integers(0, 2**32),
    concurrency_max=st.integers(1, 20),
    answers=answers(hint_s_max=1e7, passes_s_max=3.0),
)
def test_whatever_comes_it_neither_bursts_nor_hangs(
    seed: int, concurrency_max: int, answers: list[tuple[Pace, float | None, float]]
) -> None:
    pacing = AdaptiveController(concurrency_max=concurrency_max, random=Random(seed))
    now, under_way = 0.0, []
    for pace, hint_s, passes_s in answers:
        decision = pacing.ask(now, "t")
        while isinstance(decision, Send):
            pacing.sent(now, decision.ticket)
            under_way.append(decision.ticket)
            decision = pacing.ask(now, "t")
        assert len(under_way) <= concurrency_max
        if isinstance(decision, Stop):
            return
        if isinstance(decision, WaitUntil):
            assert now < decision.at <= now + 4200  # the longest window there is a plan for
        if under_way:
            now += passes_s
            pacing.answered(now, under_way.pop(0), observed(pace, hint_s))
        else:
            assert isinstance(decision, WaitUntil), "it waits for an event that cannot come"
            now = decision.at


def test_a_test_that_is_refused_for_good_ends_the_batch_once_all_others_are_through() -> None:
    pacing = controller()
    turns = [f"other {number}" if number % 20 else "stuck" for number in range(2_000)]
    turns += ["stuck"] * 30
    now = 0.0
    refused_at: list[float] = []
    for test_id in turns:
        decision = pacing.ask(now, test_id)
        while isinstance(decision, WaitUntil) or (
            isinstance(decision, AnotherTest) and not decision.otherwise and len(refused_at) > 3
        ):
            now = decision.at
            decision = pacing.ask(now, test_id)
        if isinstance(decision, Send):
            now = max(now, decision.at)
            pacing.sent(now, decision.ticket)
            now += 0.05
            stuck = test_id == "stuck"
            refused_at += [now] * stuck
            pace = Pace.THROTTLED if stuck else Pace.ACCEPTED
            pacing.answered(now, decision.ticket, observed(pace))
        elif isinstance(decision, AnotherTest) and decision.otherwise:
            break
    assert isinstance(decision, AnotherTest)
    assert decision.otherwise is not None
    assert decision.otherwise.code is StopCode.QUOTA_EXHAUSTED
    assert decision.otherwise.detail.startswith("of test stuck, suspected quota: nothing was")
    assert len(refused_at) <= 18
    assert refused_at[-1] - refused_at[0] >= 600
    assert pacing.view(now).apart == 1
    assert isinstance(pacing.ask(now, "one more"), Send), "and the others may go on"


@pytest.mark.long
@settings(max_examples=examples(60), deadline=None)
@given(st.integers(0, 2**32))
def test_whatever_a_server_answers_it_is_survived(seed: int) -> None:
    """Answers by chance, of every kind, with headers by chance: no order of them may be fatal.

    Some refuse what a cap would, some a test for good: limits are then learned anew.
    """
    random = Random(seed)
    pacing = AdaptiveController(concurrency_max=6, random=random, total=500)
    now, under_way = 0.0, []
    kinds = random.choices(list(Pace), k=3)
    chance, cap, stuck = random.choice([0.0, 0.02, 0.5]), random.choice([3, 99]), random.random()
    refused: dict[int, bool] = {}
    for _ in range(1_500):
        test_id = f"test {random.randint(0, 9)}"
        decision = pacing.ask(now, test_id)
        if isinstance(decision, Stop):
            break
        if isinstance(decision, Send):
            confirmed = pacing.confirm(now, decision.ticket)
            if not isinstance(confirmed, Send):
                pacing.withdrawn(now, decision.ticket)
                continue
            now = max(now, confirmed.at)
            pacing.sent(now, decision.ticket)
            under_way.append(decision.ticket)
            over = len(under_way) > cap or (test_id == "test 0" and stuck < 0.5)
            refused[decision.ticket] = over
        if under_way and (not isinstance(decision, Send) or random.random() < 0.4):
            now += random.random() * 0.2
            asked_s = random.choice([None, None, 0.0, 0.3, 1.0, 7.0, 90_000.0])
            told = Allowance(random.randint(0, 3), random.choice([0.0, 0.5, 3.0, 60.0]), 5, 1.0)
            signals = RateLimitHeaders(asked_s, random.choice([(), (told,)]))
            ticket = under_way.pop(random.randrange(len(under_way)))
            pace = random.choice(kinds) if random.random() < chance else Pace.ACCEPTED
            pace = Pace.THROTTLED if refused.pop(ticket) else pace
            pacing.answered(now, ticket, Observation(pace, signals))
        elif isinstance(decision, WaitUntil | AnotherTest):
            now = max(now, decision.at) if decision.at < float("inf") else now + 1.0
