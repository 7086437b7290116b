"""A batch from its journal to its reports: sets dispatch up, keeps the session, writes files."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from random import Random

import trio

from bulk.batch.batch_runner import BatchRunner
from bulk.batch.folder import BatchFolder, write_files
from bulk.dispatch import DispatchEnd, Dispatcher, DispatchSettings, LeaveNow, ProgressLine
from bulk.dispatch.cancelling import CancelEnd, Cancelling
from bulk.errors import StorageError
from bulk.exits import Exit, most_urgent
from bulk.http.api_key import ApiKey
from bulk.http.client import POOL_CONNECTIONS, Client, Timeouts
from bulk.http.preflight import settle_base_url
from bulk.journal import (
    GroupCommit,
    Journal,
    Runner,
    in_thread,
)
from bulk.journal.tally import Tally
from bulk.model import BatchFacts, OnInterrupt, OnUnknown, StopCode
from bulk.pacing.adaptive import AdaptiveController
from bulk.reconcile.claims import Claims
from bulk.reconcile.reconciler import Reconciler
from bulk.reconcile.run_lister import RunLister
from bulk.report import Summary, render_all

LISTINGS_AT_ONCE_MAX = 4  # requests; lists are large answers, and few


@dataclass(frozen=True, slots=True)
class BatchSettings:
    """How to send. Spans are seconds; `deadline_s` counts from the start of this process's work.

    `rate_per_s` and `burst`: the API's limit, where the user knows it. `failed_again`: what was
    rejected or throttled is sent as well.
    """

    rate_per_s: float | None = None
    burst: int = 1
    concurrency_max: int = 32
    retries_max: int = 20
    deadline_s: float | None = None
    connect_timeout_s: float = 10.0
    answer_timeout_s: float = 60.0
    drain_timeout_s: float = 5.0
    fail_fast: bool = False
    on_unknown: OnUnknown = "reconcile"
    on_interrupt: OnInterrupt = "detach"
    reconcile_only: bool = False
    failed_again: bool = False

    def describe(self) -> tuple[tuple[str, str], ...]:
        """The options that stand for these settings and their values, for the report."""
        deadline = "none" if self.deadline_s is None else f"{self.deadline_s:g} s"
        rate = "not given" if self.rate_per_s is None else f"{self.rate_per_s:g}/s"
        return (
            ("--rate", rate),
            ("--burst", str(self.burst)),
            ("--max-concurrency", str(self.concurrency_max)),
            ("--max-retries", str(self.retries_max)),
            ("--deadline", deadline),
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

    `other_claims` tells what other batches claim of the runs made from a wall time on.
    """

    random: Random
    runner: Runner = in_thread
    wall: Callable[[], float] = time.time
    progress: ProgressLine | None = None
    interrupts: AsyncIterator[StopCode] | None = None
    other_claims: Callable[[float], Claims] = lambda since: Claims()

    def say(self, line: str) -> None:
        """A line for people, where anybody looks."""
        if self.progress is not None:
            self.progress.say(line)


@dataclass(frozen=True, slots=True)
class Reported:
    """What the reports say. `problems` are the files that could not be written."""

    facts: BatchFacts
    summary: Summary
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
    """A client to where the API answers, which its `base_url` tells.

    Raises AuthError or UnreachableError, see `bulk.http.preflight`.
    """
    async with Client(
        base_url,
        key,
        lanes=-(-settings.concurrency_max // POOL_CONNECTIONS),
        timeouts=Timeouts(settings.connect_timeout_s, settings.answer_timeout_s),
    ) as client:
        await settle_base_url(client)
        yield client


async def run_batch(
    journal: Journal, client: Client, settings: BatchSettings, around: RunContext
) -> DispatchEnd:
    """Do what the batch still needs, and close its session.

    Raises StorageError where the journal fails before the first send or while the server is asked
    what became of a trigger, LeaveNow on a second interrupt. Any other failure is in the result.
    """
    began = trio.current_time()
    journal.begin_session(around.wall(), failed_again=settings.failed_again)
    if client.server_time is not None:
        journal.note_server_time(client.server_time)
    deadline = None if settings.deadline_s is None else began + settings.deadline_s
    controller = _controller(
        settings, around.random, settings.concurrency_max, deadline, Tally.of(journal.counts()).left
    )

    commits = GroupCommit(journal, around.runner)

    def dispatch() -> Dispatcher:
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
            tally=Tally.of(journal.counts()),
            first_attempt_id=journal.next_attempt_id(),
            run_ids=journal.run_ids(found=False),
            progress=around.progress,
            wall=around.wall,
        )

    phases = BatchRunner(
        journal=journal,
        dispatch=dispatch,
        rounds=partial(_rounds, journal, client, settings, around),
        cancelling=_beside_the_drain(commits, client, settings, around),
        on_unknown=settings.on_unknown,
        reconcile_only=settings.reconcile_only,
        interrupts=around.interrupts,
        say=around.say,
    )
    try:
        end = await phases.run()
    except LeaveNow as leave:
        journal.end_session(trio.current_time() - began, leave.code, "", asked_s=phases.asked_s)
        raise
    # A full disk has been told of already, by the end's own stop.
    with suppress(StorageError):
        journal.end_session(
            trio.current_time() - began, end.stop, end.stop_detail, asked_s=phases.asked_s
        )
    return end


def _rounds(
    journal: Journal, client: Client, settings: BatchSettings, around: RunContext
) -> Reconciler:
    """One reconciliation, as of now."""
    inquiry = RunLister(
        client,
        _controller(settings, around.random, LISTINGS_AT_ONCE_MAX, None, 0),
        wall=around.wall,
        session=journal.session,
        place=journal.next_attempt_id(),
    )
    return Reconciler(
        journal=journal,
        runner=around.runner,
        inquiry=inquiry,
        wall=around.wall,
        other_claims=around.other_claims,
        say=around.say,
    )


def _beside_the_drain(
    commits: GroupCommit, client: Client, settings: BatchSettings, around: RunContext
) -> Cancelling | None:
    """What cancels a batch's runs on an interrupt, by connections that no trigger holds."""
    if settings.on_interrupt != "cancel":
        return None
    return Cancelling(
        journal=commits,
        client=client,
        controller=_controller(settings, around.random, POOL_CONNECTIONS, None, 0),
        lanes=[client.aside] * min(POOL_CONNECTIONS, settings.concurrency_max),
        drain_timeout_s=settings.drain_timeout_s,
        wall=around.wall,
    )


async def cancel_runs(
    journal: Journal, client: Client, settings: BatchSettings, around: RunContext
) -> CancelEnd:
    """Cancel the runs that the batch queued; sends no trigger, and begins no session.

    Raises LeaveNow on a second interrupt, StorageError where the journal cannot be read.
    """
    began = trio.current_time()
    deadline = None if settings.deadline_s is None else began + settings.deadline_s
    at_once, runs = settings.concurrency_max, len(journal.uncancelled())
    cancelling = Cancelling(
        journal=GroupCommit(journal, around.runner),
        client=client,
        controller=_controller(settings, around.random, at_once, deadline, runs),
        lanes=[number % client.lanes for number in range(at_once)],
        drain_timeout_s=settings.drain_timeout_s,
        wall=around.wall,
        progress=around.progress,
        interrupts=around.interrupts,
    )
    return await cancelling.run()


def _controller(
    settings: BatchSettings,
    random: Random,
    concurrency_max: int,
    deadline: float | None,
    total: int,
) -> AdaptiveController:
    return AdaptiveController(
        concurrency_max=min(concurrency_max, settings.concurrency_max),
        random=random,
        deadline=deadline,
        total=total,
        per_s=settings.rate_per_s,
        burst=settings.burst,
    )


def write_reports(journal: Journal, folder: BatchFolder, now: float) -> Reported:
    """Write all report files of a batch from its journal, and note there that they are written.

    Raises StorageError if the journal is broken.
    """
    facts = replace(journal.facts(), cli_name=folder.cli_name)
    rendered = render_all(facts, journal.results(), journal.attempts(), now=now)
    if journal.displaced:
        there = f"{folder.path}: no reports were written, for another batch lies there now"
        return Reported(facts, rendered.summary, (there,))
    problems = write_files(folder, rendered.files)
    with suppress(StorageError):
        journal.note_reported(now)
    return Reported(facts, rendered.summary, tuple(problems))
