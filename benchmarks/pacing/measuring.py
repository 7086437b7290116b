"""Runs one client in one case in virtual time and returns its figures; one job per process.

A crash of a client is a figure too: the table reports it and the run continues.
"""

from __future__ import annotations

import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from random import Random
from types import FrameType

import trio
from trio.testing import MockClock

from benchmarks.pacing.adaptive_mode import adaptive_mode
from benchmarks.pacing.backoff import backoff
from benchmarks.pacing.cases import Case
from benchmarks.pacing.clients import Api, Rival, Workload
from benchmarks.pacing.least import least_s
from benchmarks.pacing.oracle import oracle
from bulk.batch.running import BatchSettings, run_batch
from bulk.batch.virtual import BASE_URL, run_virtually
from bulk.journal import Journal, NewBatch
from bulk.model import Mode, Platform, Trigger
from bulk.sandbox import Sandbox, SandboxTransport
from bulk.sandbox.limit_spec import LimitKind

PRODUCT = "bulk-trigger"
RIVALS: dict[str, Rival] = {"backoff": backoff, "adaptive mode": adaptive_mode, "oracle": oracle}
# None of the rivals stops at a quota. An hour is enough to show what they do.
RIVAL_QUOTA_S = 3_600.0
RIVAL_TIMES_LEAST_MAX, RIVAL_MORE_S = 30.0, 600.0
# Real time: several times what the slowest case takes. A case that takes longer hangs.
REAL_S_MAX, REAL_S_EACH = 120, 0.02
MEMORY_FOLDER = Path("/dev/shm")  # so that the journal's fsyncs are not measured


@dataclass(frozen=True, slots=True)
class Figures:
    """The figures of one client in one case. Times are virtual seconds.

    `done`: triggers that got past the limit. `idle_s`: the longest time in which nothing was
    accepted. `throttles`: 429s, as the server counts them. `throttles_later`: 429s (of the quota,
    if there is one) to requests sent after the first 429 had arrived; the last of them came
    `throttles_span_s` after the first. `stop`: why the product stopped early. `crashed`: the error,
    or empty; after a crash the other figures mean nothing.
    """

    case: Case
    client: str
    least_s: float | None = None
    took_s: float = 0.0
    accepted: int = 0
    done: int = 0
    throttles: int = 0
    throttles_later: int = 0
    throttles_span_s: float = 0.0
    idle_s: float = 0.0
    time_outs: int = 0
    stop: str = ""
    crashed: str = ""

    @property
    def times_least(self) -> float | None:
        """Time divided by the least time; None without a least time or if not all got through."""
        if self.crashed or self.least_s is None or not self.complete:
            return None
        return self.took_s / self.least_s

    @property
    def waste(self) -> float:
        """429s per accepted trigger."""
        return self.throttles / max(1, self.accepted)

    @property
    def complete(self) -> bool:
        """Whether each trigger got past the limit."""
        return self.done == self.case.count


@dataclass(frozen=True, slots=True)
class Job:
    """One client, one case."""

    case: Case
    client: str

    @property
    def cost(self) -> float:
        """Roughly how long it takes, for starting the longest jobs first."""
        return self.case.count * (3.0 if self.client == PRODUCT else 1.0)


def work(job: Job) -> Figures:
    """Run a job; an error is reported in the figures."""
    case = job.case
    try:
        sandbox = Sandbox(case.config, start_unix_s=case.start_unix_s)
        least = least_s(case.config, case.test_ids, case.start_unix_s)
        run = _product if job.client == PRODUCT else _rival
        with _at_most(REAL_S_MAX + int(case.count * REAL_S_EACH)):
            figures = run(job, sandbox, Figures(case, job.client, least))
    except Exception as error:  # any error belongs in the table
        while isinstance(error, ExceptionGroup):
            error = error.exceptions[0]
        text = f"{type(error).__name__}: {error}"
        return Figures(case, job.client, crashed=" ".join(text.split())[:200])
    return _with_truth(figures, sandbox)


def _product(job: Job, sandbox: Sandbox, blank: Figures) -> Figures:
    case = job.case
    triggers = [
        Trigger(test_id, Platform.WEB, Mode.FAST, repetition=number + 1)
        for number, test_id in enumerate(case.test_ids)
    ]
    batch = NewBatch("batch", "release.csv", BASE_URL, case.start_unix_s, "0", "f")
    memory = MEMORY_FOLDER if MEMORY_FOLDER.is_dir() else None
    with (
        tempfile.TemporaryDirectory(dir=memory) as folder,
        Journal.create(Path(folder) / "journal.db", batch, triggers) as journal,
    ):
        ended = run_virtually(
            run_batch,
            journal,
            sandbox,
            BatchSettings(),
            t0_unix_s=case.start_unix_s,
            seed=case.seed,
        )
        time_outs = sum(a.failure_code == "read_timeout" for a in journal.attempts())
    tally, stop = ended.end.tally, ended.end.stop
    done = tally.queued + tally.unknown
    return replace(
        blank, took_s=ended.clock_s, done=done, time_outs=time_outs, stop=str(stop or "")
    )


def _rival(job: Job, sandbox: Sandbox, blank: Figures) -> Figures:
    case = job.case
    least = blank.least_s
    longest_s = RIVAL_QUOTA_S if least is None else RIVAL_TIMES_LEAST_MAX * least + RIVAL_MORE_S

    async def go() -> Figures:
        api = Api(BASE_URL, SandboxTransport(sandbox))
        workload = Workload(
            api.post, case.test_ids, Random(case.seed), case.config, case.start_unix_s
        )
        with trio.move_on_after(longest_s) as scope:
            await RIVALS[job.client](workload)
        took_s = trio.current_time()
        await api.aclose()
        stop = "" if scope.cancelled_caught else "itself"
        return replace(blank, took_s=took_s, done=api.passed, time_outs=api.time_outs, stop=stop)

    return trio.run(go, clock=MockClock(autojump_threshold=0))


def _with_truth(figures: Figures, sandbox: Sandbox) -> Figures:
    """The figures with the server's own counts."""
    case, truth = figures.case, sandbox.truth
    sandbox.settle()
    instants = [case.start_unix_s, *(accepted.at_s for accepted in truth.accepted)]
    # Before a quota is used up, another limit may throttle too; those 429s are not the quota's.
    quota = any(refusal.reason == LimitKind.QUOTA for refusal in truth.throttles)
    throttled_at = [r.at_s for r in truth.throttles if not quota or r.reason == LimitKind.QUOTA]
    trip_s = case.config.latency.base_s + case.config.latency.spread
    # Sent after the first 429 had arrived, so at the server at least a round trip's travel later.
    later = [at_s for at_s in throttled_at if at_s > throttled_at[0] + trip_s / 2]
    span_s = later[-1] - throttled_at[0] if later else 0.0
    return replace(
        figures,
        accepted=len(truth.accepted),
        throttles=truth.throttled,
        throttles_later=len(later),
        throttles_span_s=span_s,
        idle_s=max((after - before for before, after in pairwise(instants)), default=0.0),
    )


@contextmanager
def _at_most(seconds: int) -> Iterator[None]:
    """Stop a client that hangs in real time, if the system has alarms."""

    def expire(_: int, __: FrameType | None) -> None:
        raise TimeoutError(f"hangs: not over after {seconds} s of real time")

    if not hasattr(signal, "SIGALRM"):
        yield
        return
    before = signal.signal(signal.SIGALRM, expire)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
