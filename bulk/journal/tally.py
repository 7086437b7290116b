"""A batch's triggers counted by outcome; knows nothing of where the counts come from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from bulk.model import Outcome


@dataclass(frozen=True, slots=True)
class Tally:
    """Triggers by outcome, of `total`. `retried` counts answers that led to a resend."""

    total: int
    queued: int = 0
    rejected: int = 0
    throttled: int = 0
    unknown: int = 0
    unsent: int = 0
    retried: int = 0

    @classmethod
    def of(cls, counts: Mapping[Outcome | None, int]) -> Tally:
        """The tally of a journal's counts; None stands for triggers without an outcome."""
        by_name = {outcome.value: count for outcome, count in counts.items() if outcome}
        return cls(total=sum(counts.values()), **by_name)

    @property
    def done(self) -> int:
        """Triggers that have an outcome."""
        return self.queued + self.rejected + self.throttled + self.unknown + self.unsent

    @property
    def left(self) -> int:
        """Triggers that were neither executed nor declined: a resumed batch sends them."""
        return self.total - self.done + self.unsent

    @property
    def declined(self) -> int:
        """Triggers that were rejected or throttled: sent again only where that is asked for."""
        return self.rejected + self.throttled

    def plus(self, outcome: Outcome | None) -> Tally:
        """The tally after one more attempt: a trigger's outcome, or None for a resend."""
        name = "retried" if outcome is None else outcome.value
        return replace(self, **{name: getattr(self, name) + 1})
