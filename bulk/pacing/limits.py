"""What is known of the API's limits, in concert: a rate, windows, and what its headers tell.

Each refusal is evidence for one of them. A window that is full explains it; else it is the rate's;
and a pause that was far too long for a rate shows a window that was not known. A rate that is known
well is kept to inside a window, and every window inside a longer one.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from dataclasses import dataclass

from bulk.http.rate_limit_headers import RateLimitHeaders
from bulk.pacing.account import ROUNDED_S, Account
from bulk.pacing.pauses import ASKED_S_MAX
from bulk.pacing.plan import Plan
from bulk.pacing.rate import Rate
from bulk.pacing.told import TheEnd, Told, tightest
from bulk.pacing.ways import Trips, Ways

ASKED_S_MIN = 2.5  # a shorter `Retry-After` may be a bucket's, rounded up
SHORTLY_TRIPS = 3.0  # an allowance that is renewed within so many round trips holds nothing back
ASKED_TURNS_MAX = 2.0  # a wait for no more than so many turns is no pause
REFILLED_S = 0.35  # to the first probe where a window seems to be full, which are not that short
STEP_TRIPS, STEP_TURNS = 2.0, 1.3  # from a refusal to the first probe, where a rate is known


@dataclass(frozen=True, slots=True)
class Hold:
    """A refusal needs a pause: until then if that is known, else with steps of that size."""

    step_s: float
    until: float | None = None


class Limits:
    """The limits as far as known. Instants are seconds on the caller's clock.

    `per_s` and `burst`: a limit that the user knows.
    """

    def __init__(self, per_s: float | None, burst: int, ways: Ways, trips: Trips) -> None:
        self._ways = ways
        self._trips = trips
        self._rate = Rate(per_s, burst)
        self._plan = Plan()
        self._told = Told()
        self._account = Account()
        self._misled = False  # whether one was refused that the account had let go
        self._ruled = per_s is not None  # whether the user set the rate
        self._rating = self._ruled  # whether the rate is known to be a limit
        self._first_at: float | None = None
        self._refused_again_at = -math.inf  # when the last probe left that was refused

    def follow(self, others: Limits) -> Limits:
        """These, to go on from where others stand, as to what the user set."""
        self._rate.follow(others._rate)
        return self

    @property
    def unknown(self) -> bool:
        """Whether there is nothing to go by yet."""
        return not self._rating and not self._plan.known

    @property
    def windowed(self) -> bool:
        """Whether a window is known."""
        return self._plan.known

    @property
    def per_s(self) -> float | None:
        """The rate that is thought to be the limit, a second."""
        return self._rate.estimate

    @property
    def begins(self) -> set[float]:
        """When a window that is not known yet may have begun."""
        return self._plan.begins

    @property
    def renewed_at(self) -> float:
        """When the server renews its allowance; infinite where it does not say."""
        return self._told.ends_at

    # --- turns --------------------------------------------------------------------------------

    def turn(self, now: float) -> float:
        """The instant from which one more fits all limits, now or later."""
        turn = self._account.free_at(now, len(self._ways), self._plan.edges)
        if turn is None or self._ruled:
            turn = max(turn or now, self._rate.turn(now) if self._rating else now)
        pending = len(self._ways) - self._ways.under_way
        turn = max(turn, self._plan.next_at(now, pending, alone=not len(self._ways)))
        return max(turn, self._plan.filled_by(now, pending, self._trips.shortest_s))

    def take(self, turn: float) -> None:
        """That turn is given away."""
        if self._ruled or not self._account.followed:
            self._rate.take(turn)

    def test_at(self, now: float, turn: float) -> float | None:
        """When a single request has to show whether a window has ended; None if none has to."""
        return self._plan.test_at(now, turn, self._trips.shortest_s)

    def used_up(self, now: float) -> bool:
        """Whether the server has told that nothing more would pass, as long as that is news."""
        left = self.told_left
        if left is None or self._told.refills:
            return False
        if self._told.ends_at - now < SHORTLY_TRIPS * self._trips.shortest_s:
            return False  # renewed before an answer could tell
        if not self._plan.history.sends:
            return False  # nothing has passed yet that could have used it up
        return left <= self._ways.unsettled_at(self._told.since)

    @property
    def told_left(self) -> int | None:
        """How many more than are under way would pass, the server tells, as long as it is news."""
        left = self._told.left
        if left is None or not self.unknown:
            return None
        sends = self._plan.history.sends
        return left - (len(sends) - bisect_right(sends, self._told.since))

    # --- what happens -------------------------------------------------------------------------

    def sent(self, at: float, *, probe: bool) -> None:
        """A request left; it counts until it is refused."""
        if self._first_at is None:
            self._first_at = at
        self._plan.sent(at, probe=probe)

    def uncounted(self, sent_at: float, *, refused: bool) -> None:
        """It was refused, or never arrived."""
        self._plan.history.uncounted(sent_at, refused=refused)
        if refused:
            self._rate.spending.refused(sent_at)

    def passed(self, sent_at: float, *, paced: bool) -> None:
        """No limit refused it, whatever else became of it."""
        self._rate.accepted(sent_at, paced=paced)
        self._plan.accepted(sent_at)

    def note(self, signals: RateLimitHeaders, sent_at: float, now: float, *, refused: bool) -> None:
        """An answer's headers."""
        self._told.note(signals, sent_at, now)
        told = tightest(signals)
        if told is not None:
            self._misled = self._misled or (refused and self._account.followed)
            self._account.note(told, sent_at, now, refused=refused)
        if self.unknown:
            self._told.compare(self._plan.history.sends, len(self._ways))

    def emptied(self, now: float) -> float:
        """Nothing was refused, but nothing is left: as good as a refusal, and free. Its instant."""
        edge_at = math.nextafter(self._plan.history.sends[-1], math.inf)
        self._plan.noted(edge_at, self._told_end(now, None))
        self._mark(now, edge_at)
        return edge_at

    def refused(
        self, now: float, sent_at: float, asked_s: float | None, *, pause: bool
    ) -> Hold | None:
        """An epoch's first refusal; None where a few turns are enough, and not if `pause`."""
        trip_s, told = self._trips.shortest_s, self._told_end(now, asked_s)
        windowed = self._plan.explains(sent_at, alone=not self._rate.proven)
        if windowed or (self._plan.known and not self._rating):
            until = self._plan.refused(sent_at, now, trip_s, told)
            if until is not None:
                return Hold(STEP_TRIPS * trip_s, until)
            self._take_over(sent_at)
        self._plan.noted(sent_at, told)
        if self._misled:  # that tells nothing of a rate
            return Hold(STEP_TRIPS * trip_s, self._account.free_at(now, 0, self._plan.edges))
        enough = self._mark(now, sent_at)
        pace = self._rate.pace
        if pace is None:
            return Hold(trip_s)
        if self._plan.refilled:
            return Hold(REFILLED_S)
        if enough and not pause and (asked_s is None or asked_s <= ASKED_TURNS_MAX / pace):
            return None
        return Hold(max(STEP_TRIPS * trip_s, STEP_TURNS / pace))

    def still_refused(self, sent_at: float, now: float, asked_s: float | None) -> float | None:
        """The probe was refused as well: when to probe again, if a window tells."""
        self._refused_again_at = sent_at
        return self._plan.still_refused(sent_at, now, self._told_end(now, asked_s))

    def _told_end(self, now: float, asked_s: float | None) -> TheEnd | None:
        """When requests pass again, as the answer that came now says it; None if it does not."""
        if asked_s is not None and asked_s >= ASKED_S_MAX:
            return None
        if asked_s is not None:
            # Whole seconds may be the span of two dates, each of them rounded.
            rounded_s = 2 * ROUNDED_S if asked_s == int(asked_s) else 0.0
            latest = now + asked_s
        elif self._told.left == 0 and math.isfinite(self._told.ends_at):
            rounded_s, latest = ROUNDED_S, self._told.ends_at
        else:
            return None
        return TheEnd(latest - self._trips.shortest_s - rounded_s, latest)

    def recovered(self, sent_at: float, refused_at: float, asked_s: float | None) -> None:
        """The probe was accepted: what is known says how to go on."""
        rounded = asked_s is not None and asked_s >= 1 and asked_s == int(asked_s)
        most_per_s = self._most_per_s(refused_at)
        self._rate.recovered(sent_at, sent_at - refused_at, told=rounded, most_per_s=most_per_s)
        planned = self._plan.known
        ended = self._plan.recovered(
            sent_at,
            refused_at,
            trip_s=self._trips.shortest_s,
            jitter_s=self._trips.jitter_s,
            per_s=self._rate.estimate,
            telling=asked_s is None or (asked_s >= ASKED_S_MIN and not self._plan.lied_to),
            policy=self._told.policy,
        )
        if ended or self._misled:
            self._misled = False
            self._rate.rested(sent_at)
        self._take_over(sent_at)
        if not planned:
            self._rating = not ended or self._ruled or (self._rating and self._rate.proven)
            if self._rating:
                self._plan.shared()

    def _most_per_s(self, refused_at: float) -> float:
        """No rate is higher, or the last probe would have passed, so long after that refusal."""
        again_s = self._refused_again_at - refused_at
        passed = self._plan.history.count(refused_at, self._refused_again_at)
        return (passed + 1) / again_s if again_s > 0 else math.inf

    def _take_over(self, at: float) -> None:
        """Where a window turned out to be none, what it told may still be a rate."""
        if self._plan.known:
            return
        self._rating = True
        if self._plan.average is not None:
            self._rate.forget(at)
            self._rate.suggest(*self._plan.average, at_once=not self._plan.dropped)
            self._plan.average = None

    def _mark(self, now: float, sent_at: float) -> bool:
        assert self._first_at is not None
        sends = self._plan.history.sends
        enough = self._rate.refused(
            sent_at,
            now,
            under_way=self._ways.sent_before(sent_at),
            left_since=len(sends) - bisect_left(sends, sent_at) + self._ways.leaving,
            jitter_s=self._trips.jitter_s,
            started_at=self._first_at,
        )
        self._rating = self._rating or self._rate.estimate is not None
        return enough
