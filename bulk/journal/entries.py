"""What dispatch writes into the journal and reads from it; knows no SQL."""

from __future__ import annotations

from dataclasses import dataclass

from bulk.model import Outcome, Trigger
from bulk.signals import Headers


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


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """The attempt never left: its intent is undone."""

    attempt_id: int


@dataclass(frozen=True, slots=True)
class Ended:
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


Entry = Intent | Withdrawn | Ended
