"""Whose turn it is by a rate: the pace, and what may leave at once; knows no pause or header.

The pace is what the API sustains (`sustained`), a little more or less, by what a refusal costs:

*   Nothing (the refused request waits for `LIFT` turns, which stay in the bucket): the pace is so
    much above the estimate that these turns last for `CHEAP` requests; then comes a refusal, and
    with it a better estimate.
*   More than the limit saves up, because the server wants to be left alone: the pace starts as far
    below the estimate as that may be wrong, and creeps up, the more slowly the more is known.

What goes on without a refusal for far longer than foreseen is no longer the same limit: the lead
multiplies, the faster the surer the limit was, which is how a raised limit is found. A refusal far
sooner than foreseen backs off until the estimate has caught up, which is how a lowered one is
survived.

Where refusals come by chance the pace itself is what is learned (`chance`).

Turns are kept as a token bucket of our own, refilled at the pace. What the limit is thought to have
saved up in a pause is spent after it, at twice the pace: where it is less, not all of it is wasted.
Where refusals are dear only a part of what is surely saved up is spent so, and in doubt nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from bulk.pacing.bursts import READ_ERROR
from bulk.pacing.chance import Chance
from bulk.pacing.spending import Spending
from bulk.pacing.sustained import Sustained

LIFT = 3.0  # turns a refused request waits, of which the jitter of the network takes one or two
LIFT_MAX = 6.0  # turns; a refusal that this many do not mend is none of a rate
CHEAP = 400  # requests from one refusal to the next, for each in a row: 0.25 % of refusals
TRIM_FROM, TRIM_STEP, TRIM_MAX = 500, 0.001, 0.02  # once so many are known, the pace is trimmed by
# such steps, up to so much, until refusals are no more frequent than that
PATIENCE_MIN, PATIENCE_TIMES = 30.0, 6.0  # requests, and times those behind the estimate: less
# without a refusal are no reason to doubt it
TWICE, RAISE_MAX = 100, 0.5  # requests beyond all patience until the pace is twice the estimate,
# from a first raise of so much of it at most: the surer it was, the faster the lead grows
TWICE_TIMES_MAX, LEAD_MAX = 10.0, 1000.0  # far before either what is under way is the bound
SURPRISING = 60  # requests beyond all patience: the estimate was wrong
SOON, BACKOFF = 12, 0.75  # a refusal after fewer accepted requests lowers the pace by this factor
SOON_MAX = 20  # times in a row: to a three hundredth, and beyond that it is not a rate
DEAR_CREEP, DEAR_CREEP_TIMES = 60, 2.0  # requests, and times those known, in which a careful pace
# goes from below the estimate to above it, at least: the next refusal is to tell more than the last
DEAR_EARLY = 0.25  # of that: a refusal so early tells little, but that the estimate was too high
DEAR_SHARE = 0.5  # of what is surely saved up is spent after a pause: the rest is for errors
DEAR_MARGIN, DEAR_BELOW_MAX = 0.002, 4  # below it at least; and doublings of how far below it
# starts, after refusals that came too soon
DEAR_PATIENCE = 100  # times the price of a refusal: one in so many requests costs a hundredth
SPACING = 2.0  # a limit that saves up fewer requests is a spacing
CHANCE_MIN, CHANCE_CUT = 4, 0.93  # early refusals, more than others, make them chance: from there
DOUBT_TIMES = 3.0  # times what the lower reading would have saved up: then it is wrong
SAVED_SHARE = 0.9  # of what the limit saves up: as much is spent at once after a pause
TURN_S_MAX = 300.0  # between turns: what is slower than that is not a rate, and asking tells more
DUST = 1e-9  # of a turn: sums of floats


class Rate:
    """A rate's turns. Instants are seconds on the caller's clock.

    `known_per_s` and `burst`: what the user knows of the limit; the pace starts there and never
    exceeds it. `spending`: what it is learned from.
    """

    def __init__(self, known_per_s: float | None = None, burst: int = 1) -> None:
        self._ceiling = known_per_s or math.inf
        self.spending = Spending(known_per_s, 0.0 if known_per_s is None else float(burst))
        self._chance: Chance | None = None
        self._by_spacing = True  # whether it is a spacing that makes refusals chance
        self._early = 0  # refusals earlier than foreseen, more than others
        self._since = 0  # accepted since the last refusal, where the pace held them back
        self._soon = 0  # refusals in a row that came far too soon
        self._below = 0  # dear refusals in a row that came too soon to tell much
        self._trim = self._price = 0.0  # the price: requests lost by a refusal
        self._level = self._sustained.saves  # what may leave at once, at `_at`
        self._at = -math.inf
        self._reserve = 0.0  # saved up in a pause: spent at the pace, beside what the pace gives

    @property
    def _sustained(self) -> Sustained:
        return self.spending.likely

    def follow(self, other: Rate) -> None:
        """Go on from where `other` stands, as to what the user set; it was learned for nothing."""
        if math.isfinite(self._ceiling):
            self._level, self._at, self._reserve = other._level, other._at, 0.0

    @property
    def estimate(self) -> float | None:
        """The sustained rate in requests a second; None until two refusals are known."""
        return self._sustained.estimate

    @property
    def proven(self) -> bool:
        """Whether the estimate rests on more than a few requests."""
        return self._sustained.proven

    @property
    def pace(self) -> float | None:
        """Requests a second at present; None until a first guess is possible."""
        known = self._sustained
        estimate, backoff = known.estimate, BACKOFF**self._soon
        if estimate is None:
            pace = known.guess.per_s
        elif self._chance is not None:
            pace = self._chance.pace
        elif known.doubt is not None:
            pace = math.sqrt(estimate * known.doubt.per_s)
        else:
            pace = estimate * (1 + self._lead()) * backoff
        return None if pace is None else min(self._ceiling, max(pace, 1 / TURN_S_MAX))

    def _lead(self) -> float:
        """How far above the estimate the pace is, as a share of it."""
        error, known = self._sustained.error, self._sustained.known
        above = LIFT / (CHEAP * self.spending.in_a_row)
        if self._price < 1:
            lead = above + self._trim + error * min(2.0, self._since / max(1.0, known))
        else:
            error += DEAR_MARGIN
            lead = error * (2 * self._since / self._creep() - 2 ** min(self._below, DEAR_BELOW_MAX))
        over = min((self._since - self._patience()) / TWICE, TWICE_TIMES_MAX)
        if over > 0:
            raised = min(RAISE_MAX, max(error, above))
            lead += raised * (raised**-over - 1)
        return max(-0.5, min(lead, LEAD_MAX))

    def _creep(self) -> float:
        """The requests in which a careful pace goes from below the estimate to above it.

        What n requests tell is off by READ_ERROR / n. To be so far below costs READ_ERROR * k / n
        in k requests, and another refusal costs its price. So k is where the two are equal.
        """
        times = max(DEAR_CREEP_TIMES, self._price / READ_ERROR)
        return max(DEAR_CREEP, times * self._sustained.known)

    def _patience(self) -> float:
        """The requests without a refusal that are no reason to doubt the estimate."""
        if self._price < 1:
            most = CHEAP * self.spending.in_a_row
            return min(most, max(PATIENCE_MIN, PATIENCE_TIMES * self._sustained.known))
        return CHEAP + DEAR_PATIENCE * self._price

    # --- turns --------------------------------------------------------------------------------

    def turn(self, now: float) -> float:
        """The instant of the next turn, now or later."""
        pace = self.pace
        if pace is None:
            return now
        self._fill(now, pace)
        if self._level >= 1 - DUST:
            return now
        # The level may be that of an instant ahead, from which a turn was given out already.
        return max(now, self._at) + min(TURN_S_MAX, (1 - self._level) / pace)

    def take(self, now: float) -> None:
        """The next turn is given away."""
        pace = self.pace
        if pace is not None:
            self._fill(now, pace)
            self._level -= 1

    def _fill(self, now: float, pace: float) -> None:
        if now > self._at:
            gained = pace * (now - self._at) if math.isfinite(self._at) else 0.0
            spent = min(self._reserve, gained)
            self._reserve -= spent
            self._level = min(self._at_once(), self._level + gained + spent)
            self._at = now

    def _at_once(self) -> float:
        known = self._sustained
        sure = self._price < 1 and known.doubt is None
        saved = known.saves if sure else DEAR_SHARE * known.surely_saves
        return max(1.0, SAVED_SHARE * saved - 1)

    # --- what happens -------------------------------------------------------------------------

    def accepted(self, sent_at: float, *, paced: bool) -> None:
        """A request was accepted; `paced` if it was the pace that held it back."""
        known = self._sustained
        self.spending.accepted(sent_at, paced=paced)
        if not paced:
            return
        self._since += 1
        if self._since >= SOON:
            self._soon = 0
        if known.doubt is not None and self._since > DOUBT_TIMES * known.saves + SOON:
            self.spending.undoubted(sent_at)
            self._since = 0
        if self._chance is not None:
            self._chance.accepted(self._since)

    def refused(
        self,
        sent_at: float,
        now: float,
        *,
        under_way: Sequence[float],
        left_since: int,
        jitter_s: float,
        started_at: float,
    ) -> bool:
        """That the request that left at `sent_at` was refused became known.

        Returns whether to wait for a few turns is thought to be enough. `under_way`: sends of
        requests that left before it and are unanswered. `left_since`: requests that left after it,
        or will. `jitter_s`: the mean deviation of latencies. `started_at`: when the first one left.
        """
        since, before, expected = self._since, self.pace, self.estimate
        surprised = expected is not None and since > self._patience() + SURPRISING
        passed = self.spending.marked(
            sent_at,
            under_way=under_way,
            left_since=left_since,
            jitter_s=jitter_s,
            started_at=started_at,
            surprising=SURPRISING if surprised else 0,
            cheap=self._price < 1,
            pace=None if before is None else before * (1 + (self._reserve > 0)),
        )
        known = self._sustained
        if known.known > TRIM_FROM and self._price < 1:
            off = max(-1.0, min(0.5, since / (CHEAP * self.spending.in_a_row) - 1))
            self._trim = max(-TRIM_MAX, min(0.0, self._trim + TRIM_STEP * off))
        self._since = 0
        estimate = known.estimate
        if estimate is None:
            return False
        if self._price < 1:
            self._judge_chance(before or estimate, estimate, since)
        else:
            self._chance = None  # what refusals cost is too much to learn by chance
        slow = passed.per_s < BACKOFF * (expected or estimate)
        below = self._price >= 1 and since < DEAR_EARLY * self._creep()
        self._below = self._below + 1 if below else 0
        enough = 1.0 if self._price >= 1 else SOON if slow else SOON / 2
        if passed.accepted < enough:  # where refusals are dear, more tell what they are worth
            self._soon = min(SOON_MAX, self._soon + 1)
        pace = self.pace
        assert pace is not None
        lift = 1.0 if self._chance else min(LIFT + known.blur, max(1.0, known.saves / 2))
        lift *= 2**self._soon
        self._at = now
        self._level = 1 - lift - self.spending.counting - left_since + pace * (now - sent_at)
        self._reserve = 0.0
        return bool(lift <= LIFT_MAX)

    def _judge_chance(self, before: float, estimate: float, since: int) -> None:
        known = self._sustained
        early = since < min(CHEAP / 2, known.known / 4)
        self._early = max(0, self._early + (1 if early else -1))
        if self._chance is not None:
            if known.saves >= SPACING and self._by_spacing:
                self._chance = None
            else:
                self._chance.refused(since)
        elif known.saves < SPACING or self._early >= CHANCE_MIN:
            self._by_spacing = known.saves < SPACING
            pace = estimate if self._by_spacing else CHANCE_CUT * min(before, estimate)
            self._chance = Chance(pace, known.known)

    def recovered(
        self, sent_at: float, pause_s: float, *, told: bool, most_per_s: float = math.inf
    ) -> None:
        """A pause of `pause_s` is over: the request that left at `sent_at` was accepted.

        `told`: the server asked for the pause, to the second. See `Guess.recovered`.
        """
        known = self._sustained
        self.spending.recovered(pause_s, told=told, most_per_s=most_per_s)
        self._at = sent_at
        if known.estimate is None:
            self._level = 0.0
            return
        gained = known.estimate * pause_s
        if told:
            self._price = max(0.0, gained - known.saves)
        left = gained - (known.passed - 1)  # some may have passed before the pause, and the probe
        saved = max(0.0, min(self._at_once(), SAVED_SHARE * left)) - 1
        self._level = min(saved, 1.0)
        self._reserve = 0.0 if known.doubt is not None else saved - self._level

    def rested(self, at: float) -> None:
        """Another limit held all back until now."""
        self.spending.rested(at)
        self._since = 0

    def forget(self, at: float) -> None:
        """What was accepted until now tells nothing of the rate."""
        self.spending.forget(at)

    def suggest(self, count: int, in_s: float, *, at_once: bool) -> None:
        """So many were accepted in such a time, by another account; `at_once`: in one go."""
        self.spending.suggest(count, in_s, at_once=at_once)
        self._level, self._since, self._soon, self._chance = 0.0, 0, 0, None
