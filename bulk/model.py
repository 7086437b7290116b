"""The records that all parts share, validated when created; knows no file, socket or clock.

Times by the wall clock are Unix time in seconds; spans are in seconds or, with `_ms`, milliseconds.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from hashlib import blake2b
from typing import Literal


class Platform(StrEnum):
    """Where a test runs."""

    WEB = "web"
    IOS = "ios"
    ANDROID = "android"


class Mode(StrEnum):
    """How thoroughly a test runs."""

    FAST = "fast"
    DEEP = "deep"


class DeviceModel(StrEnum):
    """The device of an ios run; without one the server takes a phone."""

    IPHONE = "iphone"
    IPAD = "ipad"


DEVICES_BY_PLATFORM: dict[Platform, frozenset[DeviceModel]] = {
    Platform.WEB: frozenset(),
    Platform.IOS: frozenset(DeviceModel),
    Platform.ANDROID: frozenset(),
}


class Outcome(StrEnum):
    """How a trigger ended. `queued` says the run exists; it does not say the test passed."""

    QUEUED = "queued"
    REJECTED = "rejected"
    THROTTLED = "throttled"
    UNKNOWN = "unknown"
    UNSENT = "unsent"


class Origin(StrEnum):
    """Where a run id comes from. `by_count`: it is this trigger's or that of an equal one."""

    ANSWER = "answer"
    ADOPTED = "adopted"
    BY_COUNT = "by_count"


class Cancelled(StrEnum):
    """The result of a request to cancel a queued trigger's run.

    `unclear`: the server gave no clear answer, so the run may continue.
    """

    YES = "yes"
    HAD_ENDED = "had ended"
    NOT_FOUND = "not found"
    REFUSED = "refused"
    UNCLEAR = "unclear"


# With these there is nothing left to cancel; the next `cancel` tries all others again.
CANCEL_SETTLED = frozenset({Cancelled.YES, Cancelled.HAD_ENDED})


class FailureCode(StrEnum):
    """Why a trigger was not queued, finer than its outcome; other 4xx are `http_<status>`."""

    AUTH = "auth"
    RATE_LIMITED = "rate_limited"
    QUOTA_EXHAUSTED = "quota_exhausted"
    SERVER_ERROR = "server_error"
    GATEWAY_TIMEOUT = "gateway_timeout"
    REQUEST_TIMEOUT = "request_timeout"
    READ_TIMEOUT = "read_timeout"
    CONNECTION_LOST = "connection_lost"
    CONNECT_FAILED = "connect_failed"
    BLOCKED = "blocked"
    BAD_RESPONSE = "bad_response"
    INTERRUPTED = "interrupted"
    DEADLINE = "deadline"
    ABORTED = "aborted"
    STORAGE = "storage"


class StopCode(StrEnum):
    """Why a batch stopped before all of its triggers had been sent."""

    INTERRUPTED = "interrupted"
    TERMINATED = "terminated"
    HANGUP = "hangup"
    QUIT = "quit"
    AUTH = "auth"
    STORAGE = "storage"
    UNREACHABLE = "unreachable"
    BLOCKED = "blocked"
    QUOTA_EXHAUSTED = "quota_exhausted"
    RATE_LIMITED = "rate_limited"
    DEADLINE = "deadline"
    ALL_REJECTED = "all_rejected"
    FAIL_FAST = "fail_fast"


# These stops are signals to the process: someone wants it to end now.
INTERRUPTS = frozenset({StopCode.INTERRUPTED, StopCode.TERMINATED, StopCode.HANGUP, StopCode.QUIT})

# The most that settings of these names take.
BURST_MAX, CONCURRENCY_MAX, RETRIES_MAX = 1_000_000, 512, 10_000

# What to do about triggers whose answers were lost, and about queued runs on an interrupt.
OnUnknown = Literal["reconcile", "report", "resend"]
OnInterrupt = Literal["detach", "cancel"]

# The failure code of a trigger that was never sent, by why its batch stopped.
UNSENT_BECAUSE: dict[StopCode, FailureCode] = {
    **dict.fromkeys(INTERRUPTS, FailureCode.INTERRUPTED),
    StopCode.AUTH: FailureCode.AUTH,
    StopCode.STORAGE: FailureCode.STORAGE,
    StopCode.UNREACHABLE: FailureCode.CONNECT_FAILED,
    StopCode.BLOCKED: FailureCode.BLOCKED,
    StopCode.QUOTA_EXHAUSTED: FailureCode.QUOTA_EXHAUSTED,
    StopCode.RATE_LIMITED: FailureCode.RATE_LIMITED,
    StopCode.DEADLINE: FailureCode.DEADLINE,
    StopCode.ALL_REJECTED: FailureCode.ABORTED,
    StopCode.FAIL_FAST: FailureCode.ABORTED,
}

UUID_PATTERN = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
# The ids in our sample manifests. They exist only in the sandbox, so they are never sent to a
# server that is not on loopback.
SAMPLE_ID_PREFIX = "5a3b1e00-"


@dataclass(frozen=True, slots=True)
class Trigger:
    """One cell of a manifest: what to send, and where in the manifest it came from.

    `line` is the manifest's line, from 1. `own` are the manifest's further columns, name and value.
    Raises ValueError if a field cannot be sent.
    """

    test_id: str
    platform: Platform | None = None
    mode: Mode | None = None
    device_model: DeviceModel | None = None
    app_id: str | None = None
    environment_id: str | None = None
    repetition: int = 1
    name: str = ""
    tags: tuple[str, ...] = ()
    line: int = 0
    own: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        for field in ("test_id", "app_id", "environment_id"):
            value = getattr(self, field)
            if value is not None and not UUID_PATTERN.fullmatch(value):
                raise ValueError(f"{field} {value!r} is not a lower-case UUID")
        if self.repetition < 1:
            raise ValueError(f"repetition {self.repetition} is not positive")
        if self.device_model is not None and (
            self.platform is None or self.device_model not in DEVICES_BY_PLATFORM[self.platform]
        ):
            raise ValueError(f"device_model {self.device_model} is not one of {self.platform}'s")

    @property
    def key(self) -> str:
        """Identifies the cell: two cells with the same key are the same. 20 characters.

        A hash of everything that is sent and of the repetition, not of the line, name, tags or own
        columns. It begins with a letter, so that no spreadsheet reads `1234e5` as a number.
        """
        parts = (
            self.test_id,
            self.platform or "",
            self.mode or "",
            self.device_model or "",
            self.app_id or "",
            self.environment_id or "",
            str(self.repetition),
        )
        return "k" + blake2b("\0".join(parts).encode(), digest_size=10).hexdigest()[:19]

    @property
    def case(self) -> str:
        """What releases are compared by: test, platform, mode and device.

        Several cells of a batch can have the same; `bulk.report.case_names` tells them apart.
        """
        cell = (self.platform, self.mode, self.device_model)
        return " · ".join([self.name or self.test_id, *(part for part in cell if part)])


@dataclass(frozen=True, slots=True)
class TriggerResult:
    """A trigger and how it ended; a row of `report.csv`.

    `wait_ms`: ready but held back by pacing, summed over attempts. `latency_ms`: the last attempt,
    first byte out to last byte in. `total_ms`: the waits and latencies of all attempts, without the
    time in which no process ran. They are None if there was no attempt. `origin` says where the run
    id comes from; `candidates` are run ids of which one may be an unknown trigger's. `cancelled` is
    None if no one tried to cancel the run.
    """

    trigger: Trigger
    outcome: Outcome
    failure_code: str | None = None
    run_id: str | None = None
    http_status: int | None = None
    error: str | None = None
    message: str | None = None
    origin: Origin | None = None
    candidates: tuple[str, ...] = ()
    cancelled: Cancelled | None = None
    attempts: int = 0
    throttles: int = 0
    wait_ms: float | None = None
    latency_ms: float | None = None
    total_ms: float | None = None
    first_sent_at: float | None = None
    finished_at: float | None = None

    def __post_init__(self) -> None:
        if (self.outcome is Outcome.QUEUED) != (self.failure_code is None):
            raise ValueError(f"{self.outcome} with failure code {self.failure_code}")
        if self.outcome is Outcome.QUEUED and self.run_id is None:
            raise ValueError("queued without a run id")
        if self.cancelled is not None and self.run_id is None:
            raise ValueError("cancelled without a run id")


AttemptEnd = Literal["queued", "rejected", "throttled", "unknown", "unsent", "open", "absent"]


@dataclass(frozen=True, slots=True)
class AttemptRecord:
    """One HTTP request for a trigger; a row of `data/attempts.csv`.

    `end` is the attempt's own outcome, after which `throttled` and `unsent` triggers may have been
    sent again; `open`: an intent without an outcome; `absent`: the server's list has no run of it.
    `in_flight` counts the requests in flight when this one left, itself included. `headers` are the
    answer's `Date` and rate-limit headers, unchanged.
    """

    key: str
    test_id: str
    number: int
    end: AttemptEnd
    sent_at: float
    received_at: float | None = None
    wait_ms: float = 0.0
    latency_ms: float | None = None
    in_flight: int = 1
    http_status: int | None = None
    failure_code: str | None = None
    run_id: str | None = None
    error: str | None = None
    message: str | None = None
    headers: tuple[tuple[str, str], ...] = ()


# --- clocks -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Instant:
    """A moment by our two clocks: Unix time (`wall`), and seconds on the process's steady clock.

    `steady` is None if it was not recorded.
    """

    wall: float
    steady: float | None = None


@dataclass(frozen=True, slots=True)
class ServerTime:
    """A reading of the server's clock: its Unix time `server`, between two instants of ours."""

    sent: Instant
    received: Instant
    server: float


@dataclass(frozen=True, slots=True)
class ClockSample(ServerTime):
    """A reading of the server's clock by the process `session`.

    `attempt_id` is that of the attempt whose answer it comes from. A reading from another answer
    has the next attempt's, so that readings and attempts of a session can be ordered.
    """

    attempt_id: int
    session: int


@dataclass(frozen=True, slots=True)
class AttemptTimes:
    """When an attempt of the process `session` was in flight.

    `received` and `latency_s` are None if the process died before an answer.
    """

    attempt_id: int
    session: int
    sent: Instant
    received: Instant | None = None
    latency_s: float | None = None
    failure_code: str | None = None


# --- what reconciliation says about a trigger whose answer was lost ---------------------------


@dataclass(frozen=True, slots=True)
class Found:
    """The trigger was executed, and this is its run.

    With `by_count` the run is this trigger's or that of another trigger like it.
    """

    seq: int
    run_id: str
    by_count: bool


@dataclass(frozen=True, slots=True)
class Missing:
    """The server lists no run of the trigger."""

    seq: int


@dataclass(frozen=True, slots=True)
class Undecided:
    """The trigger stays unknown; `why` for people. `candidates` are run ids that may be its."""

    seq: int
    candidates: tuple[str, ...]
    why: str


Resolution = Found | Missing | Undecided


@dataclass(frozen=True, slots=True)
class BatchFacts:
    """What a report says about a batch, besides its triggers.

    `elapsed_s` sums the time of all its processes; for `reconcile_s` of it they reconciled triggers
    whose answers were lost. `settings` are the options it ran under, name and value, never the API
    key. `own_columns` are the manifest's further columns, in its order. `surplus` are run ids of
    the batch's tests and time that no trigger owns. `cli_name` is what commands call the batch.
    """

    name: str
    manifest: str
    base_url: str
    created_at: float
    elapsed_s: float
    version: str
    reconcile_s: float = 0.0
    stop: StopCode | None = None
    stop_detail: str = ""
    sandbox: bool = False
    simulated: bool = False
    settings: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()
    own_columns: tuple[str, ...] = ()
    surplus: tuple[str, ...] = ()
    cli_name: str = "BATCH"
