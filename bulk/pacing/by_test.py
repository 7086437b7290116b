"""Tells a limit by test from one for the API, by whom it refuses.

A limit for the API refuses whatever comes next, and as tests take turns, a test's share of the
refusals is its share of the requests. A limit by test refuses some tests more often than that. So
for each test that is refused, two accounts of its r among R refusals are compared: that its share
is that of its requests, s, and that it may be any other. The likelihood of the second over the
first is

    B(r + 1, R - r + 1) / (s^r (1 - s)^(R - r))

and by Ville's inequality it exceeds 1 / p at any time with a chance of p at most, however often one
looks, where the first is true. Each test gets the part s of that chance.

Where all tests are at their limits together, as they are where they take turns and have limits of
the same kind, none stands out, and one rate for all of them says the same.
"""

from __future__ import annotations

import math
from collections import Counter

CHANCE_MAX = 0.05  # that any test of an API without such limits is singled out; if one is, all that
# it costs is that it is paced by itself
REFUSALS_MIN = 3  # of a test: two may have one cause


class Suspects:
    """How often each test was refused, of how many requests; without those singled out."""

    def __init__(self) -> None:
        self._requests: Counter[str] = Counter()
        self._refusals: Counter[str] = Counter()
        self._requests_in_all = 0
        self._refusals_in_all = 0

    @property
    def explained(self) -> bool:
        """Whether all refusals were of tests that were singled out."""
        return self._refusals_in_all == 0

    def passed(self, test_id: str) -> None:
        """A request for that test was not refused."""
        self._requests[test_id] += 1
        self._requests_in_all += 1

    def refused(self, test_id: str) -> bool:
        """A request for that test was refused; whether that singles it out."""
        self.passed(test_id)
        self._refusals[test_id] += 1
        self._refusals_in_all += 1
        if self._refusals[test_id] < REFUSALS_MIN or self._doubt(test_id) > math.log(CHANCE_MAX):
            return False
        self._requests_in_all -= self._requests.pop(test_id)
        self._refusals_in_all -= self._refusals.pop(test_id)
        return True

    def _doubt(self, test_id: str) -> float:
        """The logarithm of the chance of this, at most, where it does not matter who asks."""
        share = self._requests[test_id] / self._requests_in_all
        if share == 1:
            return 0.0  # there is no other
        its, others = self._refusals[test_id], self._refusals_in_all - self._refusals[test_id]
        any_share = math.lgamma(its + 1) + math.lgamma(others + 1) - math.lgamma(its + others + 2)
        this_share = its * math.log(share) + others * math.log1p(-share)
        return this_share - any_share - math.log(share)
