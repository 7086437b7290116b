"""The records all parts speak in, validated when made; knows no file, socket or clock.

Times on the wall are seconds since the epoch (UTC); spans are milliseconds where the name says so.
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
    """The device of an ios run; left out, the server takes a phone."""

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
    """Where a run id comes from. `by_count`: it is this trigger's or an equal one's."""

    ANSWER = "answer"
    ADOPTED = "adopted"
    BY_COUNT = "by_count"


class Cancelled(StrEnum):
    """What came of asking the server to cancel a queued trigger's run.

    `unclear`: it was asked and did not clearly answer, so the run may go on.
    """

    YES = "yes"
    HAD_ENDED = "had ended"
    NOT_FOUND = "not found"
    REFUSED = "refused"
    UNCLEAR = "unclear"


# With these there is nothing left to cancel; all else is asked again.
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
    BAD_RESPONSE = "bad_response"
    INTERRUPTED = "interrupted"
    DEADLINE = "deadline"
    ABORTED = "aborted"
    STORAGE = "storage"


class StopCode(StrEnum):
    """Why a batch stopped before all of its triggers had been sent."""

    INTERRUPTED = "interrupted"
    TERMINATED = "terminated"
    AUTH = "auth"
    STORAGE = "storage"
    UNREACHABLE = "unreachable"
    QUOTA_EXHAUSTED = "quota_exhausted"
    RATE_LIMITED = "rate_limited"
    DEADLINE = "deadline"
    ALL_REJECTED = "all_rejected"
    FAIL_FAST = "fail_fast"


# What the user wants done about triggers whose answers were lost, and about runs on an interrupt.
OnUnknown = Literal["reconcile", "report", "resend"]
OnInterrupt = Literal["detach", "cancel"]

# What a trigger that was never sent is reported with, by why its batch stopped.
UNSENT_BECAUSE: dict[StopCode, FailureCode] = {
    StopCode.INTERRUPTED: FailureCode.INTERRUPTED,
    StopCode.TERMINATED: FailureCode.INTERRUPTED,
    StopCode.AUTH: FailureCode.AUTH,
    StopCode.STORAGE: FailureCode.STORAGE,
    StopCode.UNREACHABLE: FailureCode.CONNECT_FAILED,
    StopCode.QUOTA_EXHAUSTED: FailureCode.QUOTA_EXHAUSTED,
    StopCode.RATE_LIMITED: FailureCode.RATE_LIMITED,
    StopCode.DEADLINE: FailureCode.DEADLINE,
    StopCode.ALL_REJECTED: FailureCode.ABORTED,
    StopCode.FAIL_FAST: FailureCode.ABORTED,
}

UUID_PATTERN = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
# The ids in our sample manifests. They exist nowhere but in the sandbox, so a server that is not on
# loopback is never sent one.
SAMPLE_ID_PREFIX = "5a3b1e00-"


@dataclass(frozen=True, slots=True)
class Trigger:
    """One cell of a manifest: what to send, and where in the manifest it came from.

    `line` is the manifest's line, from 1. `own` are the manifest's further columns, name and value.
    Raises ValueError where a field could not be sent as it is.
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
                raise ValueError(f"{field} {value!r} is no lower-case UUID")
        if self.repetition < 1:
            raise ValueError(f"repetition {self.repetition} is not positive")
        if self.device_model is not None and (
            self.platform is None or self.device_model not in DEVICES_BY_PLATFORM[self.platform]
        ):
            raise ValueError(f"device_model {self.device_model} is none of {self.platform}'s")

    @property
    def key(self) -> str:
        """What says that two cells are the same: 20 characters, a letter first.

        A hash of all that is sent and of the repetition, not of the line, name, tags or own
        columns. The letter keeps spreadsheets from reading `1234e5` as a number.
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
        """What two releases compare by: test, platform, mode and device, as a person reads it."""
        cell = (self.platform, self.mode, self.device_model)
        return " · ".join([self.name or self.test_id, *(part for part in cell if part)])


@dataclass(frozen=True, slots=True)
class TriggerResult:
    """A trigger and how it ended; a row of `report.csv`.

    `wait_ms`: ready but held back by pacing, summed over attempts. `latency_ms`: the last attempt,
    first byte out to last byte in. `total_ms`: the waits and latencies of all attempts; time in
    which no process ran is not counted. None where there was no attempt. `origin` says who named
    the run; `candidates` are run ids of which one may be an unknown trigger's. `cancelled` is None
    where nobody asked for it.
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

    `end` is what became of the attempt: an outcome's name, where `throttled` and `unsent` may have
    been sent again later; `open` has an intent and no outcome, and of an `absent` one the server
    was found to have no run. `in_flight` counts the requests
    under way when this one left, itself included. `headers` are the answer's `Date` and rate-limit
    headers, as they came.
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

    `steady` is None where it was not recorded.
    """

    wall: float
    steady: float | None = None


@dataclass(frozen=True, slots=True)
class ServerTime:
    """A reading of the server's clock: its Unix time `server` lies between two instants of ours."""

    sent: Instant
    received: Instant
    server: float


@dataclass(frozen=True, slots=True)
class ClockSample(ServerTime):
    """A reading of the server's clock by one process, the `session`.

    `place` orders it among the attempts: it is the id of the attempt, or of the next one.
    """

    place: int
    session: int


@dataclass(frozen=True, slots=True)
class AttemptTimes:
    """When an attempt was in flight. `place` and `session` are as in `ClockSample`.

    `received` and `latency_s` are None where the process died before an answer.
    """

    place: int
    session: int
    sent: Instant
    received: Instant | None = None
    latency_s: float | None = None
    failure_code: str | None = None


# --- what reconciliation finds out about a trigger whose answer was lost ----------------------


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
    """The trigger stays unknown. `candidates` are run ids that may be its own; `why` for people."""

    seq: int
    candidates: tuple[str, ...]
    why: str


Resolution = Found | Missing | Undecided


@dataclass(frozen=True, slots=True)
class BatchFacts:
    """What a report says of a batch beside its triggers.

    `elapsed_s` sums the time of all its processes; for `asked_s` of it they asked the server what
    had become of lost answers. `settings` are the options it ran under, name
    and value, never the API key. `own_columns` are the manifest's further columns, in its order.
    `surplus` are run ids of the batch's tests and time that no trigger owns. `called` is what
    commands call the batch.
    """

    name: str
    manifest: str
    base_url: str
    created_at: float
    elapsed_s: float
    version: str
    asked_s: float = 0.0
    stop: StopCode | None = None
    stop_detail: str = ""
    sandbox: bool = False
    simulated: bool = False
    settings: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()
    own_columns: tuple[str, ...] = ()
    surplus: tuple[str, ...] = ()
    cli_name: str = "BATCH"
