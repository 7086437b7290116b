"""Decides whether a case met its row's goal, and by how much it missed; runs and prints nothing."""

from __future__ import annotations

import math
from dataclasses import dataclass

from benchmarks.pacing.cases import Goal
from benchmarks.pacing.measuring import Figures


@dataclass(frozen=True, slots=True)
class Miss:
    """A figure beyond the goal's bound; `by` is the figure divided by the bound, so above 1."""

    text: str
    by: float


def misses(figures: Figures, goal: Goal) -> list[Miss]:
    """Every bound that a case misses; empty if it meets its goal or has none."""
    if figures.crashed:
        return [Miss(f"crashed: {figures.crashed}", math.inf)]
    if goal == Goal():
        return []
    if goal.stop_throttles is not None:
        return _misses_at_quota(figures, goal, goal.stop_throttles)
    found = []
    if not figures.complete:
        stop = f", stopped: {figures.stop}" if figures.stop else ""
        text = f"only {figures.done} of {figures.case.count} got through{stop}"
        found.append(Miss(text, math.inf))
    elif goal.times_least is not None and figures.least_s is not None:
        slack_s = figures.case.slack_s if goal.slack else 0.0
        bound_s = figures.least_s * goal.times_least + slack_s
        if figures.took_s > bound_s:
            text = f"took {figures.took_s:.1f} s, allowed {bound_s:.1f} s"
            found.append(Miss(text, figures.took_s / bound_s))
    if goal.waste is not None and figures.waste > goal.waste:
        by = figures.waste / goal.waste if goal.waste else 1.0 + figures.throttles
        found.append(Miss(f"429s per accepted {figures.waste:.2%}, allowed {goal.waste:.2%}", by))
    if goal.throttles is not None and figures.throttles > goal.throttles:
        text = f"{figures.throttles} 429s, allowed {goal.throttles}"
        found.append(Miss(text, figures.throttles / goal.throttles))
    if figures.time_outs:
        found.append(Miss(f"{figures.time_outs} time-outs", 1.0 + figures.time_outs))
    return found


def _misses_at_quota(figures: Figures, goal: Goal, allowed: int) -> list[Miss]:
    found = []
    if figures.stop != "quota_exhausted":
        found.append(Miss(f"stopped with {figures.stop or 'nothing'}", math.inf))
    if figures.throttles_later > allowed:
        text = f"{figures.throttles_later} 429s after the first answer, allowed {allowed}"
        found.append(Miss(text, figures.throttles_later / allowed))
    if figures.throttles_span_s < goal.stop_span_s:
        text = (
            f"gave up after {figures.throttles_span_s:.0f} s, not before {goal.stop_span_s:.0f} s"
        )
        found.append(Miss(text, goal.stop_span_s / max(1.0, figures.throttles_span_s)))
    return found
