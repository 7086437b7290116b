"""How far a reconciliation has come: with one test's triggers, and in all."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from bulk.journal import Lost
from bulk.model import Undecided


@dataclass(slots=True)
class Resolved:
    """How many unknown triggers were found, are absent, and stay unknown; and runs too many."""

    found: int = 0
    absent: int = 0
    unknown: int = 0
    surplus: int = 0

    def describe(self) -> str:
        """`31 found, 29 never executed, 2 still unknown`."""
        parts = [f"{self.found:,} found", f"{self.absent:,} never executed"]
        if self.unknown:
            parts.append(f"{self.unknown:,} still unknown")
        if self.surplus:
            parts.append(f"{self.surplus:,} surplus runs")
        return ", ".join(parts)


@dataclass(slots=True)
class LostOfTest:
    """One test's unknown triggers, and how far the evidence on them has come.

    Those of `lost` that are `settled` are not waited for any more. They stay in sight all the same:
    a run that comes up later may be theirs, and then is no other's.
    """

    lost: dict[int, Lost] = field(default_factory=dict)
    settled: dict[int, Undecided] = field(default_factory=dict)
    due_at: float = -math.inf
    proved_at: float | None = None  # when the first listing that counts began
    unproved: int = 0

    @property
    def waiting(self) -> list[int]:
        """The triggers that a further listing may still tell of."""
        return [seq for seq in self.lost if seq not in self.settled]
