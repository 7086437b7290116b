"""The records that other parts write into the journal and read from it; knows no SQL."""

from __future__ import annotations

from dataclasses import dataclass

from bulk.http.rate_limit_headers import Headers
from bulk.model import AttemptTimes, Cancelled, ClockSample, Outcome, Resolution, Trigger


@dataclass(frozen=True, slots=True)
class NewBatch:
    """What a batch is created with, and never changes. `sandbox` is the embedded sandbox's spec.

    `simulated`: in virtual time, against a model of that sandbox; such a batch is never continued.
    `fingerprint` identifies the set of its cells; `settings` never hold the API key. `number` is
    higher than that of all batches begun before it in the same folder, whatever the clock said; 0
    where an earlier version created the batch. `created_at` is Unix time in seconds.
    """

    name: str
    manifest: str
    base_url: str
    created_at: float
    version: str
    fingerprint: str
    sandbox: str | None = None
    simulated: bool = False
    settings: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()
    own_columns: tuple[str, ...] = ()
    number: int = 0


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
    at: float  # Unix time, seconds
    steady_at: float | None = None  # the same instant on the process's steady clock


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """The attempt never left: its intent is undone."""

    attempt_id: int


@dataclass(frozen=True, slots=True)
class AttemptEnded:
    """How an attempt ended. `outcome` is the trigger's; None: the trigger is to be sent again."""

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
    """What the server's list of runs, read at Unix time `at`, says of an unknown trigger."""

    judged: Resolution
    at: float


@dataclass(frozen=True, slots=True)
class SentAgain:
    """An unknown trigger is to be sent once more, because a named option says so."""

    seq: int


@dataclass(frozen=True, slots=True)
class Surplus:
    """A run of the batch's tests and time that no trigger owns, created at the server's time."""

    run_id: str
    test_id: str
    created_at: float | None


@dataclass(frozen=True, slots=True)
class CancelAsked:
    """What the server answered when asked to cancel a trigger's run."""

    seq: int
    run_id: str
    cancelled: Cancelled


Entry = Intent | Withdrawn | AttemptEnded | Reconciled | SentAgain | Surplus | CancelAsked


@dataclass(frozen=True, slots=True)
class QueuedRun:
    """A run that a trigger owns and that may still be in progress."""

    seq: int
    run_id: str


@dataclass(frozen=True, slots=True)
class LostTrigger:
    """A trigger that may have been executed, and the attempts that may have executed it."""

    seq: int
    trigger: Trigger
    attempts: tuple[AttemptTimes, ...]


@dataclass(frozen=True, slots=True)
class Answered:
    """A run id that the answer to `attempt` gave to a trigger, of which `cell` is what was sent."""

    run_id: str
    cell: Trigger
    attempt: AttemptTimes


@dataclass(frozen=True, slots=True)
class BatchHistory:
    """What reconciliation needs to know of a batch besides its lost triggers.

    `cells` are all that it triggers, each once; `first` and `last` are its first and last attempt.
    `resent` are triggers that were sent again while unresolved, and are resolved now.
    """

    answered: tuple[Answered, ...] = ()
    clock_samples: tuple[ClockSample, ...] = ()
    resent: tuple[LostTrigger, ...] = ()
    cells: tuple[Trigger, ...] = ()
    first: AttemptTimes | None = None
    last: AttemptTimes | None = None
