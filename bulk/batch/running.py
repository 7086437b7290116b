"""Runs a batch from its journal to its reports: connects the parts and keeps the session."""

from __future__ import annotations

import math
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from random import Random
from typing import get_args

import trio

from bulk.batch.batch_runner import BatchRunner
from bulk.batch.folder import BatchFolder, write_files
from bulk.dispatch import DispatchEnd, Dispatcher, DispatchSettings, LeaveNow, ProgressLine
from bulk.dispatch.cancelling import CancelEnd, Canceller
from bulk.errors import OptionError, StorageError
from bulk.exits import Exit, most_urgent
from bulk.http.api_key import ApiKey
from bulk.http.client import POOL_CONNECTIONS, Client, Timeouts
from bulk.http.preflight import settle_base_url
from bulk.journal import GroupCommit, Journal, Runner, in_thread
from bulk.model import (
    BURST_MAX,
    CONCURRENCY_MAX,
    RETRIES_MAX,
    BatchFacts,
    OnInterrupt,
    OnUnknown,
    StopCode,
)
from bulk.pacing import Controller
from bulk.pacing.adaptive import AdaptiveController
from bulk.pacing.max_wait import MaxWait
from bulk.reconcile.claims import Claims
from bulk.reconcile.reconciler import Reconciler
from bulk.reconcile.run_lister import RunLister
from bulk.report import CaseNames, Summary, render_all

DURATION_S_MAX = 366 * 86_400.0
RATE_MIN = 1 / 86_400.0  # one request a day
LISTINGS_CONCURRENCY_MAX = 4  # requests; pages of runs are large and few


@dataclass(frozen=True, slots=True)
class BatchSettings:
    """How to run a batch. `deadline_s` counts from the start of `run_batch` or `cancel_runs`.

    Raises OptionError, by the names of the command's options, if a value is out of range.

    `wait_max_s`: stop if a single wait for the API would be longer. `rate_per_s` and `burst`: the
    API's limit, if the user knows it. `failed_again`: send rejected and throttled triggers again,
    too.
    """

    rate_per_s: float | None = None
    burst: int = 1
    concurrency_max: int = 32
    retries_max: int = 20
    deadline_s: float | None = None
    wait_max_s: float | None = None
    connect_timeout_s: float = 10.0
    answer_timeout_s: float = 60.0
    drain_timeout_s: float = 5.0
    fail_fast: bool = False
    on_unknown: OnUnknown = "reconcile"
    on_interrupt: OnInterrupt = "detach"
    reconcile_only: bool = False
    failed_again: bool = False

    def __post_init__(self) -> None:
        if self.rate_per_s is None and self.burst != 1:
            raise OptionError("--burst: only used with --rate; give both, or neither")
        for option, number, low, high in (
            ("--burst", self.burst, 1, BURST_MAX),
            ("--max-concurrency", self.concurrency_max, 1, CONCURRENCY_MAX),
            ("--max-retries", self.retries_max, 0, RETRIES_MAX),
        ):
            if not low <= number <= high:
                raise OptionError(f"{option}: {number} is not between {low:,} and {high:,}")
        for option, seconds in (
            ("--deadline", self.deadline_s),
            ("--max-wait", self.wait_max_s),
            ("--connect-timeout", self.connect_timeout_s),
            ("--timeout", self.answer_timeout_s),
            ("--drain-timeout", self.drain_timeout_s),
        ):
            if seconds is not None and not 0 < seconds <= DURATION_S_MAX:
                raise OptionError(
                    f"{option}: {seconds:g} s is not above 0 and at most {DURATION_S_MAX:g} s"
                )
        if self.rate_per_s is not None and not RATE_MIN <= self.rate_per_s < math.inf:
            raise OptionError(f"--rate: {self.rate_per_s:g}/s is below one request a day")
        for option, word, words in (
            ("--on-unknown", self.on_unknown, get_args(OnUnknown)),
            ("--on-interrupt", self.on_interrupt, get_args(OnInterrupt)),
        ):
            if word not in words:
                raise OptionError(f"{option}: {word!r} is not one of {', '.join(words)}")

    def describe(self) -> tuple[tuple[str, str], ...]:
        """The options that set these and their values, for the report."""
        deadline = "none" if self.deadline_s is None else f"{self.deadline_s:g} s"
        max_wait = "none" if self.wait_max_s is None else f"{self.wait_max_s:g} s"
        rate = "not given" if self.rate_per_s is None else f"{self.rate_per_s:g}/s"
        return (
            ("--rate", rate),
            ("--burst", str(self.burst)),
            ("--max-concurrency", str(self.concurrency_max)),
            ("--max-retries", str(self.retries_max)),
            ("--deadline", deadline),
            ("--max-wait", max_wait),
            ("--connect-timeout", f"{self.connect_timeout_s:g} s"),
            ("--timeout", f"{self.answer_timeout_s:g} s"),
            ("--drain-timeout", f"{self.drain_timeout_s:g} s"),
            ("--fail-fast", "yes" if self.fail_fast else "no"),
            ("--on-unknown", self.on_unknown),
            ("--on-interrupt", self.on_interrupt),
        )


@dataclass(frozen=True, slots=True)
class RunContext:
    """What differs between a real run and a virtual one.

    `wall` returns Unix time in seconds. `other_claims` returns what other batches claim of the runs
    created from a Unix time on.
    """

    random: Random
    runner: Runner = in_thread
    wall: Callable[[], float] = time.time
    progress: ProgressLine | None = None
    interrupts: AsyncIterator[StopCode] | None = None
    other_claims: Callable[[float], Claims] = lambda since: Claims()

    def say(self, line: str) -> None:
        """Print a line for people, if progress is shown."""
        if self.progress is not None:
            self.progress.say(line)


@dataclass(frozen=True, slots=True)
class WrittenReports:
    """The reports as written. `problems` name the files that could not be."""

    facts: BatchFacts
    summary: Summary
    names: CaseNames
    problems: tuple[str, ...]

    @property
    def exit(self) -> Exit:
        """The process's exit code."""
        codes = [Exit(self.summary.exit_code)]
        if self.problems:
            codes.append(Exit.STORAGE)
        return most_urgent(codes)


@asynccontextmanager
async def live_client(base_url: str, key: ApiKey, settings: BatchSettings) -> AsyncIterator[Client]:
    """A client whose `base_url` is the one under which the API answers.

    Raises AuthError or UnreachableError as `bulk.http.preflight` does.
    """
    async with Client(
        base_url,
        key,
        pools=-(-settings.concurrency_max // POOL_CONNECTIONS),
        timeouts=Timeouts(settings.connect_timeout_s, settings.answer_timeout_s),
    ) as client:
        await settle_base_url(client)
        yield client


async def run_batch(
    journal: Journal, client: Client, settings: BatchSettings, context: RunContext
) -> DispatchEnd:
    """Do what the batch still needs, in a session of its own.

    Raises StorageError if the journal fails before the first send or during reconciliation,
    LeaveNow on a second interrupt. Any other failure is in the result.
    """
    began = trio.current_time()
    journal.begin_session(context.wall(), failed_again=settings.failed_again)
    if client.server_time is not None:
        journal.note_server_time(client.server_time)
    runner = _batch_runner(journal, client, settings, context)
    try:
        end = await runner.run()
    except LeaveNow as leave:
        journal.end_session(
            trio.current_time() - began, leave.code, "", reconcile_s=runner.reconcile_s
        )
        raise
    # If the disk is full, the end's stop says so already.
    with suppress(StorageError):
        journal.end_session(
            trio.current_time() - began, end.stop, end.stop_detail, reconcile_s=runner.reconcile_s
        )
    return end


def _batch_runner(
    journal: Journal, client: Client, settings: BatchSettings, context: RunContext
) -> BatchRunner:
    commits = GroupCommit(journal, context.runner)
    # One controller for all dispatches: what it learned of the server stays true.
    controller = _controller(
        settings,
        context.random,
        settings.concurrency_max,
        deadline=_deadline(settings),
        total=journal.tally().left,
    )

    def new_dispatcher() -> Dispatcher:
        return Dispatcher(
            journal=commits,
            client=client,
            controller=controller,
            settings=DispatchSettings(
                concurrency_max=settings.concurrency_max,
                retries_max=settings.retries_max,
                drain_timeout_s=settings.drain_timeout_s,
                fail_fast=settings.fail_fast,
            ),
            tally=journal.tally(),
            first_attempt_id=journal.next_attempt_id(),
            run_ids=journal.run_ids(found=False),
            progress=context.progress,
            wall=context.wall,
        )

    def new_reconciler() -> Reconciler:
        return Reconciler(
            journal=journal,
            runner=context.runner,
            lister=RunLister(
                client,
                _controller(settings, context.random, LISTINGS_CONCURRENCY_MAX),
                wall=context.wall,
                session=journal.session,
                attempt_id=journal.next_attempt_id(),
            ),
            wall=context.wall,
            other_claims=context.other_claims,
            say=context.say,
        )

    return BatchRunner(
        journal=journal,
        new_dispatcher=new_dispatcher,
        new_reconciler=new_reconciler,
        canceller=(
            _canceller_on_interrupt(commits, client, settings, context)
            if settings.on_interrupt == "cancel"
            else None
        ),
        on_unknown=settings.on_unknown,
        reconcile_only=settings.reconcile_only,
        interrupts=context.interrupts,
        say=context.say,
    )


def _canceller_on_interrupt(
    commits: GroupCommit, client: Client, settings: BatchSettings, context: RunContext
) -> Canceller:
    """Cancels a batch's runs while it drains, over connections that no trigger occupies."""
    return Canceller(
        journal=commits,
        client=client,
        controller=_controller(settings, context.random, POOL_CONNECTIONS),
        pools=[client.spare_pool] * min(POOL_CONNECTIONS, settings.concurrency_max),
        drain_timeout_s=settings.drain_timeout_s,
        wall=context.wall,
    )


async def cancel_runs(
    journal: Journal, client: Client, settings: BatchSettings, context: RunContext
) -> CancelEnd:
    """Cancel the runs that the batch queued. It sends no trigger and begins no session.

    Raises LeaveNow on a second interrupt, StorageError if the journal cannot be read.
    """
    canceller = Canceller(
        journal=GroupCommit(journal, context.runner),
        client=client,
        controller=_controller(
            settings,
            context.random,
            settings.concurrency_max,
            deadline=_deadline(settings),
            total=len(journal.uncancelled()),
        ),
        pools=[number % client.pools for number in range(settings.concurrency_max)],
        drain_timeout_s=settings.drain_timeout_s,
        wall=context.wall,
        progress=context.progress,
        interrupts=context.interrupts,
    )
    return await canceller.run()


def _deadline(settings: BatchSettings) -> float | None:
    """The instant of the deadline, if it is counted from now."""
    return None if settings.deadline_s is None else trio.current_time() + settings.deadline_s


def _controller(
    settings: BatchSettings,
    random: Random,
    concurrency_max: int,
    *,
    deadline: float | None = None,
    total: int = 0,
) -> Controller:
    controller = AdaptiveController(
        concurrency_max=min(concurrency_max, settings.concurrency_max),
        random=random,
        deadline=deadline,
        total=total,
        per_s=settings.rate_per_s,
        burst=settings.burst,
    )
    if settings.wait_max_s is None:
        return controller
    return MaxWait(controller, settings.wait_max_s)


def write_reports(journal: Journal, folder: BatchFolder, now: float) -> WrittenReports:
    """Write all report files of a batch from its journal, and record in it that they are written.

    `now` is Unix time. Raises StorageError if the journal cannot be read.
    """
    facts = replace(journal.facts(), cli_name=folder.cli_name)
    rendered = render_all(facts, journal.results(), journal.attempts(), now=now)
    if journal.displaced:
        problem = f"{folder.path}: no reports were written: the folder holds another batch now"
        return WrittenReports(facts, rendered.summary, rendered.names, (problem,))
    problems = [*write_files(folder, rendered.files), *journal.complete_runs_file()]
    with suppress(StorageError):
        journal.note_reported(now)
    return WrittenReports(facts, rendered.summary, rendered.names, tuple(problems))
