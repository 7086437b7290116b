"""How far requests keep away from a window's end, for the network moves it."""

from __future__ import annotations

MARGIN_S, JITTERS = 0.015, 2.0  # at first: so much, and so much of the jitter
MOST_SHARE, MOST_S = 0.02, 0.03  # of the window's length, and beside it: more is no jitter


class Margin:
    """`s`: the margin in seconds."""

    def __init__(self, jitter_s: float, length_s: float) -> None:
        self.s = min(max(MARGIN_S, JITTERS * jitter_s), _most_s(length_s))

    def widen(self, length_s: float) -> bool:
        """Keep away by more, where a request came too early; whether that was possible."""
        if self.s >= _most_s(length_s):
            return False
        self.s = min(2 * self.s, _most_s(length_s))
        return True


def _most_s(length_s: float) -> float:
    return MOST_S + MOST_SHARE * length_s
