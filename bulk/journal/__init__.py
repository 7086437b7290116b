"""The batch's memory on disk: what is to be sent, what was about to be, and what came of it."""

from bulk.journal.checking import born_of, keys_of
from bulk.journal.connection import BatchInUseError
from bulk.journal.entries import (
    Answered,
    AttemptEnded,
    CancelAsked,
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
from bulk.journal.reading import NewBatch
from bulk.journal.remains import Remains, Remnant, remains_of
from bulk.journal.store import Journal

__all__ = [
    "Answered",
    "AttemptEnded",
    "BatchInUseError",
    "CancelAsked",
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
    "in_thread",
    "inline",
    "keys_of",
    "remains_of",
]
