"""The batch's memory on disk: what is to be sent, what was about to be, and what came of it."""

from bulk.journal.checking import born_of, keys_of
from bulk.journal.claims import Claims, claims_of
from bulk.journal.entries import (
    Answered,
    CancelAsked,
    Ended,
    Entry,
    Intent,
    Lost,
    Past,
    Pending,
    QueuedRun,
    Reconciled,
    SentAgain,
    Surplus,
    Withdrawn,
)
from bulk.journal.group_commit import GroupCommit, Runner, in_thread, inline
from bulk.journal.opening import BatchInUseError
from bulk.journal.reading import NewBatch
from bulk.journal.remains import Remains, Remnant, remains_of
from bulk.journal.store import Journal
from bulk.journal.turns import in_turn

__all__ = [
    "Answered",
    "BatchInUseError",
    "CancelAsked",
    "Claims",
    "Ended",
    "Entry",
    "GroupCommit",
    "Intent",
    "Journal",
    "Lost",
    "NewBatch",
    "Past",
    "Pending",
    "QueuedRun",
    "Reconciled",
    "Remains",
    "Remnant",
    "Runner",
    "SentAgain",
    "Surplus",
    "Withdrawn",
    "born_of",
    "claims_of",
    "in_thread",
    "in_turn",
    "inline",
    "keys_of",
    "remains_of",
]
