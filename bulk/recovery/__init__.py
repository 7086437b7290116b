"""Around dispatch: finds out what became of triggers whose answers were lost, and goes on.

phases     dispatch and reconciliation, in turns
rounds     one reconciliation: ask, wait, ask again
inquiry    reads the server's lists of runs, at a pace of its own
"""

from bulk.recovery.inquiry import Inquiry
from bulk.recovery.phases import ON_UNKNOWN, OnUnknown, Phases
from bulk.recovery.rounds import Rounds

__all__ = ["ON_UNKNOWN", "Inquiry", "OnUnknown", "Phases", "Rounds"]
