"""Owns what really happened, as the sandbox counts it; a client's report is judged by it."""

from __future__ import annotations

import heapq
import json
from collections.abc import Sequence
from dataclasses import dataclass, field

# A client gone wild may be refused without end; the count goes on, the list stops here.
REFUSALS_LISTED_MAX = 1_000_000


@dataclass(frozen=True, slots=True)
class Accepted:
    """A trigger that took effect: its run exists. `at_s` is on the sandbox's wall clock.

    `fault`: the fault by which its answer was lost or spoilt; None where the answer was sent whole.
    """

    run_id: str
    test_id: str
    mode: str | None
    platform: str | None
    device_model: str | None
    app_id: str | None
    environment_id: str | None
    at_s: float
    fault: str | None


@dataclass(frozen=True, slots=True)
class Refusal:
    """A 429. `reason` is the limiter that refused, by its name in the spec language."""

    at_s: float
    test_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class TruthCounts:
    """The truth in numbers. `faulted` triggers met a fault, whether or not they took effect."""

    accepted: int
    accepted_unanswered: int
    refused: int
    invalid: int
    faulted: int
    requests: int
    in_flight_peak: int


@dataclass(slots=True)
class Truth:
    """All accepted triggers and refusals in order, and the counts.

    `requests`: all requests seen but those for the truth and the OpenAPI document. `invalid`:
    those refused for good (4xx but 429). `in_flight_peak`: most triggers in service at once.
    """

    accepted: list[Accepted] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)
    refused: int = 0
    invalid: int = 0
    faulted: int = 0
    requests: int = 0
    in_flight_peak: int = 0
    _unanswered: int = 0
    _ends_at_s: list[float] = field(default_factory=list)

    def note_accepted(self, accepted: Accepted) -> None:
        self.accepted.append(accepted)
        self._unanswered += accepted.fault is not None

    def note_refusal(self, refusal: Refusal) -> None:
        self.refused += 1
        if len(self.refusals) < REFUSALS_LISTED_MAX:
            self.refusals.append(refusal)

    def note_in_service(self, now_s: float, until_s: float) -> None:
        while self._ends_at_s and self._ends_at_s[0] <= now_s:
            heapq.heappop(self._ends_at_s)
        heapq.heappush(self._ends_at_s, until_s)
        self.in_flight_peak = max(self.in_flight_peak, len(self._ends_at_s))

    @property
    def counts(self) -> TruthCounts:
        """A frozen snapshot of the numbers."""
        return TruthCounts(
            accepted=len(self.accepted),
            accepted_unanswered=self._unanswered,
            refused=self.refused,
            invalid=self.invalid,
            faulted=self.faulted,
            requests=self.requests,
            in_flight_peak=self.in_flight_peak,
        )

    def to_json(self, *, summary: bool = False) -> bytes:
        """The truth as JSON; with `summary` the counts alone, at a cost that does not grow."""
        counts = self.counts
        page: dict[str, object] = {name: getattr(counts, name) for name in counts.__slots__}
        page = {"counts": page}
        if not summary:
            page["accepted"] = _rows(self.accepted)
            page["refusals"] = _rows(self.refusals)
        return json.dumps(page).encode()


def _rows(records: Sequence[Accepted | Refusal]) -> list[dict[str, object]]:
    return [{name: getattr(record, name) for name in record.__slots__} for record in records]
