"""The batch's memory on disk: what is to be sent, what was about to be, and what came of it."""

from bulk.journal.entries import Ended, Entry, Intent, Pending, Withdrawn
from bulk.journal.group_commit import GroupCommit, Runner, in_thread, inline
from bulk.journal.opening import BatchInUseError, EmptyJournalError
from bulk.journal.store import Journal, NewBatch

__all__ = [
    "BatchInUseError",
    "EmptyJournalError",
    "Ended",
    "Entry",
    "GroupCommit",
    "Intent",
    "Journal",
    "NewBatch",
    "Pending",
    "Runner",
    "Withdrawn",
    "in_thread",
    "inline",
]
