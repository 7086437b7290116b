"""A batch's attempts as the arrays that the models are held against.

When a request reached the limiter lies between its sending and its answer. The models carry that
interval and count nothing against a limiter that the interval leaves open. They take the middle
half of a round trip for it: neither way of the network takes less than a quarter of both.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bulk.model import AttemptRecord

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

REFUSED = 429


@dataclass(frozen=True, slots=True)
class AttemptLog:
    """Decided attempts, in the order of their sending; all arrays have the length n.

    `sent` and `received` are seconds since the epoch; between `earliest` and `latest` it arrived.
    `accepted` is True for what was queued and False for a 429. `in_flight` counts requests under
    way at the send, this one included. `records` are the attempts themselves. `undecided` counts
    attempts that tell nothing of the limit: no answer, an error, a rejection.
    """

    sent: Floats
    received: Floats
    earliest: Floats
    latest: Floats
    accepted: Flags
    in_flight: Floats
    records: tuple[AttemptRecord, ...]
    undecided: int

    @classmethod
    def of(cls, attempts: Iterable[AttemptRecord]) -> AttemptLog:
        """The log of a batch's attempts, in any order."""
        everything = list(attempts)
        decided = [attempt for attempt in everything if _is_decided(attempt)]
        decided.sort(key=lambda attempt: attempt.sent_at)
        sent = np.array([a.sent_at for a in decided], dtype=np.float64)
        received = np.array([_received(a) for a in decided], dtype=np.float64)
        accepted = np.array([a.end == "queued" for a in decided], dtype=np.bool_)
        # An accepted request is served after it was let in; a refusal's latency is the network's.
        trips = received - sent
        network = trips if accepted.all() else trips[~accepted]
        trip = np.minimum(trips, np.median(network) if len(network) else 0.0)
        return cls(
            sent=sent,
            received=received,
            earliest=np.maximum.accumulate(sent + trip / 4),
            latest=sent + 3 * trip / 4,
            accepted=accepted,
            in_flight=np.array([a.in_flight for a in decided], dtype=np.float64),
            records=tuple(decided),
            undecided=len(everything) - len(decided),
        )

    @property
    def span_s(self) -> float:
        """From the first send to the last answer."""
        return float(self.received.max() - self.sent[0]) if len(self.sent) else 0.0


def _is_decided(attempt: AttemptRecord) -> bool:
    answered = attempt.end == "queued" or attempt.http_status == REFUSED
    return answered and attempt.received_at is not None


def _received(attempt: AttemptRecord) -> float:
    # The span is measured on a clock that cannot be stepped; the stamp of the wall's clock can.
    if attempt.latency_ms is not None:
        return attempt.sent_at + attempt.latency_ms / 1000
    assert attempt.received_at is not None
    return max(attempt.sent_at, attempt.received_at)
