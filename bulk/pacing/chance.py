"""The pace where refusals come by chance: a spacing, a cap, or both under a network's jitter.

Such a limit saves up nothing, so a refusal tells little: jitter alone draws it, and it costs a part
of a turn. What can be learned is the pace itself, by stochastic approximation (Robbins and Monro,
1951): each refusal lowers it by a step, each accepted request raises it by the step's square. It
settles where the share of refusals equals the step.
"""

from __future__ import annotations

STEP, STEP_MIN = 0.2, 0.004  # of the pace; the smallest is the share of refusals in the long run
STEP_FADES = 0.5  # with each refusal
SOON, CUT_GROWS = 25, 1.4  # accepted requests; a refusal that comes sooner makes the next cut
# larger by that factor
PATIENCE, DOUBLING = 400, 40  # accepted requests without a refusal until the raise doubles, and
# doubles again: a raised limit is to be found
RAISE_MAX = 0.001  # of the pace with each accepted request, for that
BACK, BACK_MAX = (
    0.5,
    0.05,
)  # of such a raise is taken back at once where it ends with a refusal, and
# of the pace: the small steps would each cost one more


class Chance:
    """A pace in requests a second. `known`: accepted requests behind the first one."""

    def __init__(self, pace: float, known: float) -> None:
        self.pace = pace
        self._step = min(STEP, max(STEP_MIN, 2 / known))
        self._cut = 1.0
        self._proven = pace  # before it was raised for want of refusals

    def accepted(self, since: int) -> None:
        """A request was accepted, the one of that number since the last refusal."""
        if since <= PATIENCE:
            self._proven = self.pace
        over = max(0.0, (since - PATIENCE) / DOUBLING)
        usual = self._step**2
        self.pace *= 1 + min(max(RAISE_MAX, usual), usual * 2 ** min(over, 30.0))

    def refused(self, since: int) -> None:
        """A request was refused, so many accepted ones after the last."""
        self._cut = self._cut * CUT_GROWS if since < SOON else 1.0
        back = min(BACK_MAX, BACK * max(0.0, 1 - self._proven / self.pace))
        self.pace *= 1 - max(back, min(STEP, self._step * self._cut))
        self._proven = self.pace
        self._step = max(STEP_MIN, STEP_FADES * self._step)
