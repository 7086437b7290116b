"""A wait that is longer than allowed ends the batch at once; a shorter one is waited for."""

from __future__ import annotations

from random import Random

import pytest

from bulk.http.answers import Pace
from bulk.http.rate_limit_headers import RateLimitHeaders
from bulk.model import StopCode
from bulk.pacing import AnotherTest, Observation, Send, Stop, WaitUntil
from bulk.pacing.adaptive import AdaptiveController
from bulk.pacing.max_wait import MaxWait


def refused(wait_max_s: float, retry_after_s: float | None) -> MaxWait:
    """A controller whose first request was refused after 0.1 s."""
    pacing = MaxWait(AdaptiveController(concurrency_max=1, random=Random(1)), wait_max_s)
    decision = pacing.ask(0.0, "t")
    assert isinstance(decision, Send)
    assert pacing.confirm(0.0, decision.ticket) == decision
    pacing.sent(0.0, decision.ticket)
    observation = Observation(Pace.THROTTLED, RateLimitHeaders(retry_after_s))
    pacing.answered(0.1, decision.ticket, observation)
    return pacing


@pytest.mark.parametrize(
    ("wait_max_s", "asked_s", "why"),
    [
        (60.0, 61.0, "the API has to be left alone for 61 s, and --max-wait is 60 s"),
        (1_800.0, 86_400.0, "the API asked to wait for 24 h, and --max-wait is 30 min"),
        (60.0, 86_400.0, "the API asked to wait for 24 h, and --max-wait is 60 s"),
    ],
)
def test_a_longer_wait_stops_at_once_and_says_what_was_asked_for(
    wait_max_s: float, asked_s: float, why: str
) -> None:
    pacing = refused(wait_max_s, asked_s)
    stop = Stop(StopCode.RATE_LIMITED, why)
    assert pacing.ask(0.1, "t") == stop
    assert pacing.ask(9e9, "t") == stop


@pytest.mark.parametrize(
    ("wait_max_s", "asked_s"), [(60.0, 59.0), (60.0, None), (90_000.0, 86_400.0)]
)
def test_a_shorter_wait_is_waited_for(wait_max_s: float, asked_s: float | None) -> None:
    pacing = refused(wait_max_s, asked_s)
    decision = pacing.ask(0.1, "t")
    assert isinstance(decision, WaitUntil)
    assert isinstance(pacing.ask(decision.at, "t"), Send)


def test_a_test_that_has_to_wait_too_long_does_not_hold_back_the_others() -> None:
    class OneTest(AdaptiveController):
        def ask(self, now: float, test_id: str) -> AnotherTest | Send:
            return AnotherTest(now + 100.0) if test_id == "slow" else Send(1, now)

    pacing = MaxWait(OneTest(concurrency_max=1, random=Random(1)), 60.0)
    why = "the API has to be left alone for 100 s, and --max-wait is 60 s"
    assert pacing.ask(0.0, "slow") == AnotherTest(100.0, Stop(StopCode.RATE_LIMITED, why))
    assert pacing.ask(0.0, "quick") == Send(1, 0.0)
