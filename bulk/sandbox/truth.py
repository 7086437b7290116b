"""What really happened, as the sandbox counts it. A client's report is checked against it."""

from __future__ import annotations

import heapq
import json
from collections.abc import Sequence
from dataclasses import dataclass, field

# A client out of control may be throttled without end: counting continues, the list stops here.
THROTTLES_LISTED_MAX = 1_000_000


@dataclass(frozen=True, slots=True)
class Accepted:
    """A trigger that took effect: its run exists since the Unix time `at_s`.

    `fault`: the fault that lost or corrupted the response; None if it was delivered intact.
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
class Throttle:
    """A 429 sent at the Unix time `at_s`.

    `reason`: the limiter that throttled the request, by its name in a spec, or "fault".
    """

    at_s: float
    test_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class TruthCounts:
    """The truth in numbers; see Truth. `accepted_unanswered`: accepted triggers with a fault."""

    accepted: int
    accepted_unanswered: int
    throttled: int
    invalid: int
    faulted: int
    requests: int
    in_flight_peak: int


@dataclass(slots=True)
class Truth:
    """All accepted triggers and all throttled requests in order, and the counts.

    | count | what it counts |
    |---|---|
    | `throttled` | throttled requests (429) |
    | `invalid` | rejected requests (any other 4xx) |
    | `faulted` | triggers that met a fault, whether or not they took effect |
    | `requests` | all requests but those for the truth and for the OpenAPI document |
    | `in_flight_peak` | most triggers in service at once |

    `throttles` lists the throttled requests, up to THROTTLES_LISTED_MAX of them.
    """

    accepted: list[Accepted] = field(default_factory=list)
    throttles: list[Throttle] = field(default_factory=list)
    throttled: int = 0
    invalid: int = 0
    faulted: int = 0
    requests: int = 0
    in_flight_peak: int = 0
    _unanswered: int = 0
    _ends_at_s: list[float] = field(default_factory=list)

    def note_accepted(self, accepted: Accepted) -> None:
        """Record a trigger that took effect."""
        self.accepted.append(accepted)
        self._unanswered += accepted.fault is not None

    def note_throttle(self, throttle: Throttle) -> None:
        """Record a 429."""
        self.throttled += 1
        if len(self.throttles) < THROTTLES_LISTED_MAX:
            self.throttles.append(throttle)

    def note_in_service(self, now_s: float, until_s: float) -> None:
        """Record that a trigger is in service from `now_s` to `until_s`."""
        while self._ends_at_s and self._ends_at_s[0] <= now_s:
            heapq.heappop(self._ends_at_s)
        heapq.heappush(self._ends_at_s, until_s)
        self.in_flight_peak = max(self.in_flight_peak, len(self._ends_at_s))

    @property
    def counts(self) -> TruthCounts:
        """A frozen snapshot of the counts."""
        return TruthCounts(
            accepted=len(self.accepted),
            accepted_unanswered=self._unanswered,
            throttled=self.throttled,
            invalid=self.invalid,
            faulted=self.faulted,
            requests=self.requests,
            in_flight_peak=self.in_flight_peak,
        )

    def to_json(self, *, summary: bool = False) -> bytes:
        """Return the truth as JSON; with `summary` only the counts, at a constant cost."""
        counts = self.counts
        page: dict[str, object] = {name: getattr(counts, name) for name in counts.__slots__}
        page = {"counts": page}
        if not summary:
            page["accepted"] = _rows(self.accepted)
            page["throttles"] = _rows(self.throttles)
        return json.dumps(page).encode()


def _rows(records: Sequence[Accepted | Throttle]) -> list[dict[str, object]]:
    return [{name: getattr(record, name) for name in record.__slots__} for record in records]
