"""Around dispatch: finds out what became of triggers whose answers were lost, and cancels runs.

phases     dispatch and reconciliation, in turns
rounds     one reconciliation: ask, wait, ask again
inquiry    reads the server's lists of runs
cancelling cancels what was queued
asking     the way of both: what may be sent twice, each at a pace of its own
"""

from bulk.recovery.cancelling import CancelEnd, Cancelling
from bulk.recovery.inquiry import Inquiry
from bulk.recovery.phases import Phases, to_ask
from bulk.recovery.rounds import Rounds

__all__ = [
    "CancelEnd",
    "Cancelling",
    "Inquiry",
    "Phases",
    "Rounds",
    "to_ask",
]
