"""Pauses: until when nothing leaves, and the probe that ends them."""

from __future__ import annotations

import math
from random import Random

from bulk.pacing.windows import WindowPlan

ASKED_S_MAX = 900.0  # a longer wait that the server asks for is cut short by a probe after this
PAUSE_S_MAX = 120.0  # between probes where nothing is said and no window fits
PAUSE_GROWTH = 1.5
LIE_GROWTH = 2.0  # where the wait that was asked for did not help: 15 probes span ten minutes
GUESS_S_MIN = 0.4  # from here on a pause aims at the end of a usual window
JITTER_S = 0.02  # added to a pause: several machines on one key shall not wake as one


class Pauses:
    """The pause under way and its probe. Instants are seconds on the caller's clock.

    `probing`: a pause is on, or over but for its probe. `edge_at`: when the refusal left that it is
    for. `asked_s`: the wait that the server asked for, None where it did not. `fails`: probes that
    were refused.
    """

    def __init__(self, random: Random, plan: WindowPlan) -> None:
        self._random = random
        self._plan = plan
        self.until: float | None = None
        self.probing = False
        self.edge_at = -math.inf
        self.asked_s: float | None = None
        self.fails = 0
        self._step_s = 0.0

    def over(self, now: float) -> bool:
        """Whether requests, or a probe at least, may leave."""
        if self.until is not None and now >= self.until:
            self.until = None
        return self.until is None

    def begin(self, now: float, edge_at: float, pause_s: float, asked_s: float | None) -> None:
        """An epoch asks for a pause: of `pause_s`, unless the server or a window says more."""
        self.edge_at, self.asked_s = edge_at, asked_s
        self.probing, self.fails = True, 0
        self.lengthen(now, pause_s, asked_s)

    def test(self, now: float, until: float, trip_s: float) -> None:
        """Nothing was refused, and one request at `until` shall show whether it would be."""
        self.edge_at, self.asked_s = now, None
        self.probing, self.fails = True, 0
        self._step_s, self.until = 2 * trip_s, until

    def refused(self, now: float, asked_s: float | None) -> None:
        """The probe was refused: a longer pause, and another one."""
        self.fails += 1
        growth = PAUSE_GROWTH if asked_s is None else LIE_GROWTH
        self.lengthen(now, min(PAUSE_S_MAX, self._step_s * growth), asked_s)

    def accepted(self) -> None:
        """The probe was accepted."""
        self.probing, self.fails = False, 0

    def lengthen(self, now: float, pause_s: float, asked_s: float | None) -> None:
        """Pause from `now` on for that long, or for what the server asked."""
        self._step_s = pause_s
        if asked_s is not None:
            # A constant wait can be a lie: what probing has learned outweighs it.
            pause_s = max(asked_s, pause_s if self.fails > 1 else 0.0)
        else:
            planned = self._plan.limit is not None
            end = self._plan.end_after(now + (0.0 if planned else pause_s / 2))
            if end is not None and (planned or pause_s > GUESS_S_MIN):
                pause_s = max(0.01, end - now)
                if not planned:
                    pause_s = min(pause_s, PAUSE_S_MAX)
        self.keep(now, pause_s)

    def keep(self, now: float, pause_s: float) -> None:
        """Nothing leaves for that long at least."""
        until = now + pause_s + self._random.random() * JITTER_S
        self.until = max(self.until or until, until)
