"""What dispatch writes into the journal and reads from it; knows no SQL."""

from __future__ import annotations

from dataclasses import dataclass

from bulk.http.rate_limit_headers import Headers
from bulk.model import AttemptTimes, Cancelled, ClockSample, Outcome, Resolution, Trigger


@dataclass(frozen=True, slots=True)
class Pending:
    """A trigger that still has to be sent. `seq` is its place in the batch, from 1."""

    seq: int
    trigger: Trigger
    attempts: int = 0


@dataclass(frozen=True, slots=True)
class Intent:
    """An attempt is about to leave. Durable before it does."""

    attempt_id: int
    seq: int
    number: int
    at: float  # wall clock, seconds since the epoch
    steady_at: float | None = None  # the same instant on the process's steady clock


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """The attempt never left: its intent is undone."""

    attempt_id: int


@dataclass(frozen=True, slots=True)
class AttemptEnded:
    """What came of an attempt. `outcome` is the trigger's; None means it is to be sent again."""

    attempt_id: int
    seq: int
    end: Outcome
    outcome: Outcome | None
    sent_at: float
    received_at: float
    wait_ms: float
    latency_ms: float
    in_flight: int
    http_status: int | None = None
    failure_code: str | None = None
    run_id: str | None = None
    error: str | None = None
    message: str | None = None
    headers: Headers = ()
    steady_at: float | None = None  # when it was sent, on the process's steady clock


@dataclass(frozen=True, slots=True)
class Reconciled:
    """What the server's list of runs, seen at wall time `at`, says of an unknown trigger."""

    judged: Resolution
    at: float


@dataclass(frozen=True, slots=True)
class SentAgain:
    """An unknown trigger is to be sent once more, because the user said so by a named option."""

    seq: int


@dataclass(frozen=True, slots=True)
class Surplus:
    """A run in the batch's time that no trigger owns. `created_at` is the server's instant."""

    run_id: str
    test_id: str
    created_at: float | None


@dataclass(frozen=True, slots=True)
class CancelAsked:
    """What came of asking the server to cancel a trigger's run."""

    seq: int
    run_id: str
    cancelled: Cancelled


Entry = Intent | Withdrawn | AttemptEnded | Reconciled | SentAgain | Surplus | CancelAsked


@dataclass(frozen=True, slots=True)
class QueuedRun:
    """A run that a trigger owns and that may still go on."""

    seq: int
    run_id: str


@dataclass(frozen=True, slots=True)
class Lost:
    """A trigger that may have been executed, and its attempts that may have done so."""

    seq: int
    trigger: Trigger
    attempts: tuple[AttemptTimes, ...]


@dataclass(frozen=True, slots=True)
class Answered:
    """A run id that an answer gave to a trigger, which is shown as its cell, in that attempt."""

    run_id: str
    cell: Trigger
    attempt: AttemptTimes


@dataclass(frozen=True, slots=True)
class Past:
    """What reconciliation has to know of a batch beside its lost triggers.

    `cells` are all that it triggers, each once; `first` and `last` its outermost attempts. `resent`
    are triggers that were sent again while they were in doubt, and are not any more.
    """

    answered: tuple[Answered, ...] = ()
    stamps: tuple[ClockSample, ...] = ()
    resent: tuple[Lost, ...] = ()
    cells: tuple[Trigger, ...] = ()
    first: AttemptTimes | None = None
    last: AttemptTimes | None = None
