"""A batch on disk: what is to be sent, what was about to be sent, and how each attempt ended.

begin_lock      lets one process at a time begin a batch in a folder
closed_batch    reads the runs of another batch that no process has open
connection      opens and locks the journal's file, migrates it, maps SQLite's errors to ours
create          creates the journal's file, whole or not at all
damaged         reads what SQLite still can of a damaged journal
entries         the records that other parts write and read
entry_writer    writes an entry into the tables
group_commit    makes many entries durable in one commit
integrity       checks that a journal is sound before it is opened
journal_reader  reads what the journal holds
network_fs      detects network file systems, where locks cannot be trusted
peeking         reads what never changes, past another process's lock
records         turns rows into records and back
runs_file       the list of queued runs beside the journal, data/runs.txt
store           the open journal
tables          the tables and every statement on them
tally           counts by outcome
unlocked        connections that read past SQLite's lock
wal             the write-ahead log, and how its loss is noticed
"""

from bulk.journal.closed_batch import ClosedBatch, read_closed_batch
from bulk.journal.connection import BatchInUseError
from bulk.journal.damaged import DamagedBatch, DamagedTrigger, read_damaged
from bulk.journal.entries import (
    Answered,
    AttemptEnded,
    BatchHistory,
    CancelAsked,
    Entry,
    Intent,
    LostTrigger,
    NewBatch,
    Pending,
    QueuedRun,
    Reconciled,
    SentAgain,
    Surplus,
    Withdrawn,
)
from bulk.journal.group_commit import GroupCommit, Runner, in_thread, inline
from bulk.journal.peeking import peek_batch, peek_keys, peek_tests
from bulk.journal.runs_file import ListedRuns, RunLine, lost_journal, read_runs, runs_path
from bulk.journal.store import Journal

__all__ = [
    "Answered",
    "AttemptEnded",
    "BatchHistory",
    "BatchInUseError",
    "CancelAsked",
    "ClosedBatch",
    "DamagedBatch",
    "DamagedTrigger",
    "Entry",
    "GroupCommit",
    "Intent",
    "Journal",
    "ListedRuns",
    "LostTrigger",
    "NewBatch",
    "Pending",
    "QueuedRun",
    "Reconciled",
    "RunLine",
    "Runner",
    "SentAgain",
    "Surplus",
    "Withdrawn",
    "in_thread",
    "inline",
    "lost_journal",
    "peek_batch",
    "peek_keys",
    "peek_tests",
    "read_closed_batch",
    "read_damaged",
    "read_runs",
    "runs_path",
]
