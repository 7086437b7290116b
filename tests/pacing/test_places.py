"""The places of a window alone: whether refused requests take up some, and what that means."""

from __future__ import annotations

import pytest

from bulk.pacing.history import History
from bulk.pacing.lengths import Length
from bulk.pacing.margins import Margin
from bulk.pacing.places import Places

LIMIT, MARGIN_S = 5, 0.015


class Server:
    """A window of ten seconds that opened at 10, with two that were refused just before.

    Four of the five it lets pass have left since; the fifth fits if refused ones do not count.
    """

    def __init__(self) -> None:
        self.history, self.length = History(), Length(9.9, 10.02)
        self.places = Places(self.history, self.length, Margin(0.0, 10.0))
        for number in range(LIMIT):
            self.history.sent(number / 10)
        for refused_at in (2.0, 5.0):
            self.history.sent(refused_at)
            self.history.uncounted(refused_at, refused=True)
        for number in range(LIMIT - 1):
            self.history.sent(11 + number / 10)

    def free_at(self, *, alone: bool = True) -> float:
        return self.places.free_at(11.5, 11.0, LIMIT, 0, alone=alone)

    def send(self, at: float) -> None:
        self.history.sent(at)
        self.places.sent(at, LIMIT)


def test_refused_requests_are_taken_to_count_while_others_are_under_way() -> None:
    assert Server().free_at(alone=False) == pytest.approx(15.0 + MARGIN_S)


def test_one_that_fits_only_if_they_do_not_count_leaves_alone_and_no_other_with_it() -> None:
    server = Server()
    assert server.free_at() == 11.5
    server.send(11.5)
    assert server.places.in_doubt
    assert server.free_at() > 12


@pytest.mark.parametrize("accepted", [True, False])
def test_its_answer_tells_whether_they_count(accepted: bool) -> None:
    server = Server()
    server.send(11.5)
    assert server.places.answered(11.5, accepted=accepted)
    assert server.places.counting is not accepted


def test_what_it_tells_holds_for_that_length_alone() -> None:
    server = Server()
    server.send(11.5)
    server.places.answered(11.5, accepted=True)
    server.length.refused(10.5)
    assert server.places.counting is None


def test_one_that_fits_in_any_case_or_in_none_is_no_doubt() -> None:
    server = Server()
    server.send(15.1)
    assert not server.places.in_doubt
    server.send(15.2)
    assert not server.places.in_doubt


def test_where_other_limits_refuse_too_nothing_refused_counts() -> None:
    server = Server()
    server.places.shared = True
    assert server.free_at(alone=False) < 11.5
    assert server.places.used(11.0, 11.5) == LIMIT - 1


def test_a_refusal_tells_only_that_the_place_that_had_to_be_free_was_not() -> None:
    server = Server()
    assert server.places.span_s(0.0, 9.0, 5) == pytest.approx(9.0 - 0.2)
    server.places.shared = True
    assert server.places.span_s(0.0, 9.0, 5) == 9.0
