"""Pauses: until when nothing leaves, and the probe that ends them."""

from __future__ import annotations

import math
from collections.abc import Collection
from random import Random

from bulk.pacing.lengths import LATE, USUAL_S

ASKED_S_MAX = 900.0  # a longer wait that the server asks for is cut short by a probe after this
PAUSE_S_MAX = 300.0  # between probes where nothing is said and no window fits
STEP_S_MIN = 0.005  # a round trip may take no time that could be measured
PAUSE_GROWTH = 3.0  # few probes: they are paid for by the smallest batch too, of 15 refusals in all
LIE_GROWTH, LIE_S_MAX = 1.6, 120.0  # where the wait that was asked for did not help: a dozen
# probes span some ten minutes then, and not an hour
GUESS_S_MIN = 0.3  # from here on a pause aims at the end of a usual window
GUESSED_S = tuple(s for s in USUAL_S if s != 15.0)  # that is the one that is seen least
GUESS_MARGIN_S = 0.015  # behind an end, for the network's jitter
SOONEST = 0.3  # of the time since it began: probes are not to come closer than this
JITTER_S = 0.02  # added to a pause: several machines on one key shall not wake as one
CONNECT_PAUSE_S = 0.5  # doubles with each failure: half a minute in all


class Pauses:
    """The pause under way and its probe. Instants are seconds on the caller's clock.

    `probing`: a pause is on, or over but for its probe. `edge_at`: when the refusal left that it is
    for. `asked_s`: the wait that the server asked for, None where it did not. `fails`: probes that
    were refused. `limited`: whether a limit is the cause, and not the network.
    """

    def __init__(self, random: Random) -> None:
        self._random = random
        self.until: float | None = None
        self.probing = False
        self.edge_at = -math.inf
        self.asked_s: float | None = None
        self.fails = 0
        self.limited = True
        self._step_s = 0.0
        self._told_tried = False

    def over(self, now: float) -> bool:
        """Whether requests, or a probe at least, may leave."""
        if self.until is not None and now >= self.until:
            self.until = None
        return self.until is None

    def begin(self, edge_at: float, step_s: float, asked_s: float | None) -> None:
        """An epoch asks for a pause, which `keep` then sets the end of."""
        self.edge_at, self.asked_s, self.limited = edge_at, asked_s, True
        self.probing, self.fails, self._told_tried = True, 0, False
        self._step_s = max(STEP_S_MIN, step_s)

    def hold(self, now: float, until: float, *, edge_at: float, step_s: float) -> None:
        """One that no answer asked for, until then."""
        self.begin(edge_at, step_s, None)
        self.keep(now, until, None)

    def refused(self, asked_s: float | None) -> None:
        """The probe was refused: a longer pause, and another one."""
        self.fails += 1
        self.asked_s = asked_s if self.asked_s is None else max(self.asked_s, asked_s or 0.0)
        if asked_s is None:
            self._step_s = min(PAUSE_S_MAX, self._step_s * PAUSE_GROWTH)
        else:
            self._step_s = min(LIE_S_MAX, max(self._step_s, asked_s) * LIE_GROWTH)

    def resume(self, asked_s: float | None) -> None:
        """The pause that began last is needed after all."""
        self.asked_s, self.limited, self.probing = asked_s, True, True

    def unreachable(self, now: float, failures: int) -> None:
        """No connection, so many times in a row."""
        self.hold(now, now + CONNECT_PAUSE_S * 2 ** (failures - 1), edge_at=now, step_s=0.0)
        self.limited = False

    def passed(self) -> None:
        """The probe was accepted."""
        self.probing, self.fails = False, 0

    def guess(self, now: float, begins: Collection[float], told_at: float) -> float:
        """When to probe where the server does not ask for a time: ever later, at an end if near.

        `begins`: when a window may have begun; `told_at`: when the server renews its allowance.
        """
        if self.fails == 0 or self._step_s <= GUESS_S_MIN:
            return now + self._step_s
        if now < told_at < math.inf:
            self._told_tried = not self._told_tried
            late = now + (LATE - 1) * (now - min(begins))
            return min(told_at, now + ASKED_S_MAX) if self._told_tried else min(told_at, late)
        soonest = now + min(self._step_s / 2, SOONEST * (now - min(begins)))
        ends = (began + length_s + GUESS_MARGIN_S for began in begins for length_s in GUESSED_S)
        end = min((end for end in ends if end >= soonest), default=math.inf)
        # An end far beyond the next step is that of no window that would have been met before.
        return min(end, now + min(PAUSE_S_MAX, PAUSE_GROWTH * self._step_s))

    def keep(self, now: float, until: float, asked_s: float | None) -> None:
        """Nothing leaves until then, nor for as long as the server asked."""
        if asked_s is not None:
            # A constant wait can be a lie: what probing has learned outweighs it.
            least_s = asked_s if self.fails <= 1 else max(asked_s, self._step_s)
            until = now + least_s
        until += self._random.random() * JITTER_S
        self.until = max(self.until or until, until)
