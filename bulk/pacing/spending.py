"""Whether refused requests use up turns of a rate, as accepted ones do: some servers count them.

Then what was accepted between two refusals is not all that came up, and the estimate is too low by
the share of what was refused. So both is learned (`sustained`): with the refused ones, and without.
An empty limit has a turn for the next request after the time of one turn. Where one was refused
later than that, and none had been accepted meanwhile, those before it had used up turns. Where one
was accepted sooner than they would have let it, they had not. Without such a sign they are taken
to use up none: where few are refused it makes little difference.

A limit that counts them refuses all that are under way in a row, where another one refuses one.
"""

from __future__ import annotations

import math
from bisect import insort
from collections.abc import Sequence

from bulk.pacing.bursts import Span
from bulk.pacing.sustained import Sustained

SIGN, JITTERS = 0.5, 1.0  # turns, and mean deviations of latencies: a sign that is no clearer may
# be the network's, or an error of the estimate
EARLY = 1.0  # turns more: what came up just before the limit was empty


class Spending:
    """What a rate accepted and refused, read both ways. Instants are seconds on the caller's clock.

    `counting`: whether refused requests use up turns.
    """

    def __init__(self, guess: float | None, saves: float) -> None:
        self._without, self._with = Sustained(guess, saves), Sustained(guess, saves)
        self.counting = False
        self._left_since = 0  # requests that had left by the time the last mark was known
        self._emptied_at: float | None = None  # the last mark, if nothing else held back since then
        self._answers: list[tuple[float, bool]] = []  # since then: sends, and whether accepted

    @property
    def likely(self) -> Sustained:
        """The reading that is thought to be right."""
        return self._with if self.counting else self._without

    @property
    def in_a_row(self) -> int:
        """How many requests are refused where one is."""
        return 1 + self._left_since if self.counting else 1

    # --- what happens -------------------------------------------------------------------------

    def accepted(self, sent_at: float, *, paced: bool) -> None:
        """A request was accepted; `paced` if it was the pace that held it back."""
        self._without.accepted(sent_at, paced=paced)
        self._with.accepted(sent_at, paced=paced)
        self._note(sent_at, accepted=True)

    def refused(self, sent_at: float) -> None:
        """A request was refused, whatever that is taken for."""
        self._with.accepted(sent_at, paced=False)
        self._note(sent_at, accepted=False)

    def _note(self, sent_at: float, *, accepted: bool) -> None:
        if self._emptied_at is not None and sent_at > self._emptied_at:
            insort(self._answers, (sent_at, accepted))

    def marked(
        self,
        sent_at: float,
        *,
        under_way: Sequence[float],
        left_since: int,
        jitter_s: float,
        started_at: float,
        surprising: int,
        cheap: bool,
        pace: float | None,
    ) -> Span:
        """A mark (`Sustained.refused`). `left_since`: requests that left after it, or will."""
        without, counted = (
            reading.refused(
                sent_at,
                under_way=under_way,
                jitter_s=jitter_s,
                started_at=started_at,
                surprising=surprising,
                cheap=cheap,
                pace=pace,
            )
            for reading in (self._without, self._with)
        )
        passed = counted if self.counting else without
        self._judge(jitter_s)
        self._answers = [answer for answer in self._answers if answer[0] > sent_at]
        self._emptied_at, self._left_since = sent_at, left_since
        return passed

    def recovered(self, pause_s: float, *, told: bool, most_per_s: float = math.inf) -> None:
        """A pause is over, so long after the refusal left. See `Guess.recovered`."""
        self._without.recovered(pause_s, told=told, most_per_s=most_per_s)
        self._with.recovered(pause_s, told=told, most_per_s=most_per_s)

    def undoubted(self, sent_at: float) -> None:
        """So much has passed without a refusal that the higher reading must be the right one."""
        for reading in (self._without, self._with):
            if reading.doubt is not None:
                reading.undoubted(sent_at)
        self._emptied_at = None

    def forget(self, at: float) -> None:
        """What was accepted until now tells nothing of the rate."""
        self._without.forget(at)
        self._with.forget(at)

    def rested(self, at: float) -> None:
        """Another limit held all back until now; what passes next began with all saved up."""
        self._without.rested(at)
        self._with.rested(at)
        self._emptied_at = None

    def suggest(self, count: int, in_s: float, *, at_once: bool) -> None:
        """So many were accepted in such a time, by another account; `at_once`: in one go."""
        self._without.suggest(count, in_s, at_once=at_once)
        self._with.suggest(count, in_s, at_once=at_once)

    # --- what it tells ------------------------------------------------------------------------

    def _judge(self, jitter_s: float) -> None:
        """What was answered since the last mark tells, by the rates as they are known now."""
        without, counted = self._without.estimate, self._with.estimate
        if self._emptied_at is None or without is None or counted is None:
            return
        sign = SIGN + JITTERS * jitter_s * counted
        if self._late(self._emptied_at, without) > sign:
            self.counting = True
        elif self._early(self._emptied_at, counted) > EARLY + sign:
            self.counting = False

    def _late(self, emptied_at: float, per_s: float) -> float:
        """How many turns too late one was refused, if none that was refused used up any."""
        last = emptied_at
        for sent_at, accepted in self._answers:
            if accepted:
                break
            last = sent_at
        return per_s * (last - emptied_at) - 1

    def _early(self, emptied_at: float, per_s: float) -> float:
        """How many turns too early one was accepted, if all that were refused used up turns."""
        saves = max(self._with.saves, self._without.saves)
        left, since, early = 0.0, emptied_at, 0.0
        for sent_at, accepted in self._answers:
            left = min(saves, left + per_s * (sent_at - since))
            since = sent_at
            if accepted:
                early = max(early, 1 - left)
            left = max(-saves, left - 1)  # no debt is larger than what can be saved up
        return early
