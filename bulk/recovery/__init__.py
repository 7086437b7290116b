"""Around dispatch: finds out what became of triggers whose answers were lost, and cancels runs.

phases     dispatch and reconciliation, in turns
rounds     one reconciliation: ask, wait, ask again
inquiry    reads the server's lists of runs
cancelling cancels what was queued
asking     the way of both: what may be sent twice, each at a pace of its own
"""

from bulk.recovery.cancelling import CancelEnd, Cancelling
from bulk.recovery.inquiry import Inquiry
from bulk.recovery.phases import ON_INTERRUPT, ON_UNKNOWN, OnInterrupt, OnUnknown, Phases
from bulk.recovery.rounds import Rounds

__all__ = [
    "ON_INTERRUPT",
    "ON_UNKNOWN",
    "CancelEnd",
    "Cancelling",
    "Inquiry",
    "OnInterrupt",
    "OnUnknown",
    "Phases",
    "Rounds",
]
