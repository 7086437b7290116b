"""Reconciles a batch's unknown triggers: reads the server's lists of runs, waits, reads them again.

A run that is found is adopted at once. A trigger is absent only if two complete listings, at least
a settle time apart, lack its run: the first is read as soon as possible, the last after, by the
server's own clock, the run cannot be created any more. That time differs from test to test; tests
that can be settled at about the same time share a round of listings.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from functools import partial

import trio

from bulk.journal import (
    BatchHistory,
    Entry,
    Journal,
    LostTrigger,
    Reconciled,
    Runner,
    Surplus,
)
from bulk.model import (
    ClockSample,
    Found,
    Missing,
    Resolution,
    Trigger,
    Undecided,
)
from bulk.reconcile.claims import Claims
from bulk.reconcile.likeness import compatible
from bulk.reconcile.listing import ROWS_A_PAGE, KnownRun, Listing
from bulk.reconcile.rules import UnresolvedTrigger, resolve
from bulk.reconcile.run_lister import RunLister
from bulk.reconcile.run_page import ListedRun
from bulk.reconcile.server_clock import CreationWindow, ServerClock
from bulk.reconcile.surplus import surplus

SETTLE_S = 10.0  # between two listings that both count: a replica usually lags by less
TOGETHER_S = 5.0  # tests that can be settled within this share a round
PROOFS_MAX = 4  # listings that are not evidence, before a test is left as it is
QUIET_S = 900.0  # a batch not written to since then, and not readable, created none of our runs
WAIT_S_MAX = 300.0  # longer than common upstream time-outs; anything later is left for a `resume`


@dataclass(slots=True)
class ReconcileCounts:
    """How many unknown triggers were found, are absent and stay unknown, and how many surplus runs
    there are.
    """

    found: int = 0
    absent: int = 0
    unknown: int = 0
    surplus: int = 0

    def describe(self) -> str:
        """`31 found, 29 never executed, 2 still unknown`."""
        parts = [f"{self.found:,} found", f"{self.absent:,} never executed"]
        if self.unknown:
            parts.append(f"{self.unknown:,} still unknown")
        if self.surplus:
            parts.append("1 surplus run" if self.surplus == 1 else f"{self.surplus:,} surplus runs")
        return ", ".join(parts)


@dataclass(slots=True)
class UnknownOfTest:
    """One test's unknown triggers by `seq`, and how far the evidence on them has come.

    `settled` triggers are not waited for any more, but remain in `unknown`: a run that is listed
    later may be theirs, and then it is no other trigger's.
    """

    unknown: dict[int, LostTrigger] = field(default_factory=dict)
    settled: dict[int, Undecided] = field(default_factory=dict)
    due_at: float = -math.inf  # when to list again
    proved_at: float | None = None  # when the first listing that is evidence began
    unproved: int = 0  # listings that were not evidence

    @property
    def waiting(self) -> list[int]:
        """The triggers that a further listing may resolve."""
        return [seq for seq in self.unknown if seq not in self.settled]


class Reconciler:
    """One reconciliation. Build it, then call `run` once; nothing may be in flight meanwhile.

    `wall` returns Unix time in seconds. `other_claims` returns what other batches claim of the runs
    created from a Unix time on. `say` prints a line for people.
    """

    def __init__(
        self,
        *,
        journal: Journal,
        runner: Runner,
        lister: RunLister,
        wall: Callable[[], float],
        other_claims: Callable[[float], Claims],
        say: Callable[[str], None],
    ) -> None:
        self._journal = journal
        self._runner = runner
        self._lister = lister
        self._wall = wall
        self._other_claims = other_claims
        self._say = say
        self._claims = Claims()
        self._past = BatchHistory()
        self._owned: set[str] = set()
        self._tests: dict[str, UnknownOfTest] = {}
        self._test_of: dict[int, str] = {}
        self._since = math.inf
        self._seen: dict[str, ListedRun] = {}
        self._candidates: set[str] = set()  # of triggers that are undecided
        self._counts = ReconcileCounts()

    async def run(self, *, patient: bool = True) -> ReconcileCounts:
        """List until nothing more can be resolved or, if not `patient`, once.

        Raises StorageError if the journal fails.
        """
        self._past = await self._runner(self._journal.history)
        all_lost = await self._runner(self._journal.lost)
        self._test_of = {lost.seq: lost.trigger.test_id for lost in all_lost}
        for lost in all_lost:
            test = self._tests.setdefault(lost.trigger.test_id, UnknownOfTest())
            test.unknown[lost.seq] = lost
        self._since = min(
            (attempt.sent.wall for lost in all_lost for attempt in lost.attempts), default=math.inf
        )
        self._owned = await self._runner(self._journal.run_ids)
        while waiting := {key: test for key, test in self._tests.items() if test.waiting}:
            soon = min(test.due_at for test in waiting.values()) + TOGETHER_S
            due = {key: test for key, test in waiting.items() if test.due_at <= soon}
            await self._wait(due.values())
            await self._round(list(due))
            if not patient:
                break
        self._counts.unknown = sum(len(test.unknown) for test in self._tests.values())
        await self._record_surplus()
        return self._counts

    async def _wait(self, due: Collection[UnknownOfTest]) -> None:
        """Sleep until all of them are due."""
        due_at = max(test.due_at for test in due)
        wait_s = math.ceil(due_at - trio.current_time()) if due_at > trio.current_time() else 0
        if wait_s:
            count = sum(len(test.waiting) for test in due)
            self._say(f"{count:,} not in the server's list; checking again in {wait_s} s")
        await trio.sleep_until(due_at)

    # --- one round ------------------------------------------------------------------------------

    async def _round(self, due: Sequence[str]) -> None:
        listings = self._plan(due)
        await self._lister.read(listings)
        # Only now: a batch that created a listed run has its journal open by this time, or owns it.
        self._claims = await self._runner(partial(self._other_claims, self._since - QUIET_S))
        self._owned |= self._claims.run_ids
        clock = self._clock()
        by_test = {listing.test_id: listing for listing in listings}
        listed = list(self._tests) if None in by_test else due
        runs = [run for listing in listings for run in listing.runs]
        self._seen |= {run.run_id: run for run in runs}
        sources = self._sources()
        resolutions = resolve(
            [one for test_id in listed for one in self._unresolved(test_id, clock)],
            runs,
            owned=self._owned,
            misnamed=self._misnamed(),
            resent=[_unresolved(lost, clock) for lost in self._past.resent],
            sources=sources,
            claimed_by_others=self._claims.may_own,
        )
        entries = [resolution for resolution in resolutions if self._accept(resolution)]
        known = self._known(clock)
        for test_id in due:
            if self._tests[test_id].waiting:
                listing = by_test.get(test_id) or by_test[None]
                entries += self._settle(test_id, listing, known, clock)
        await self._write([Reconciled(one, self._wall()) for one in entries])

    def _accept(self, resolution: Resolution) -> bool:
        """Take the resolution into account; whether it is new and has to be written."""
        test = self._tests[self._test_of[resolution.seq]]
        if isinstance(resolution, Missing):  # proves nothing yet: the listing must be evidence
            settled = test.settled.get(resolution.seq)
            if settled is not None and settled.candidates:  # found to be another trigger's since
                del test.settled[resolution.seq]
            return False
        if isinstance(resolution, Found):
            del test.unknown[resolution.seq]
            test.settled.pop(resolution.seq, None)
            self._owned.add(resolution.run_id)
            self._counts.found += 1
            return True
        before = test.settled.get(resolution.seq)
        test.settled[resolution.seq] = resolution
        self._candidates.update(resolution.candidates)
        return before != resolution

    def _settle(
        self, test_id: str, listing: Listing, known: Sequence[KnownRun], clock: ServerClock
    ) -> list[Resolution]:
        """Resolve a test's triggers whose runs are not listed, or set when to list them again."""
        test = self._tests[test_id]
        if not listing.complete:
            return self._give_up(test, listing.why_not)
        waiting = test.waiting
        windows = [
            window
            for one in self._unresolved(test_id, clock)
            if one.seq in waiting
            for window in one.windows
        ]
        if listing.server_at is None or not all(window.clock_known for window in windows):
            return self._give_up(test, "the server's clock was not known when it was sent")
        left_s = max(window.over_at for window in windows) - listing.server_at
        lacks = listing.lacks(known)
        if min(window.opens for window in windows) < listing.reaches:  # its own samples show that
            lacks = "the server's list was not read back far enough"
        if lacks:
            test.unproved += 1
            if test.unproved >= PROOFS_MAX or not any(map(listing.covers, known)):
                return self._give_up(test, lacks)
        elif test.proved_at is None:
            test.proved_at = listing.began_at
        elif listing.began_at >= test.proved_at + SETTLE_S and left_s <= 0:
            for seq in waiting:
                del test.unknown[seq]
            self._counts.absent += len(waiting)
            return [Missing(seq) for seq in waiting]
        if left_s > WAIT_S_MAX:
            minutes = math.ceil(left_s / 60)
            return self._give_up(test, f"its run may still be created for {minutes} minutes")
        test.due_at = listing.began_at + max(SETTLE_S, left_s + 1.0)
        return []

    def _give_up(self, test: UnknownOfTest, why: str) -> list[Resolution]:
        given_up = {seq: Undecided(seq, (), f"not resolved: {why}") for seq in test.waiting}
        test.settled |= given_up
        return list(given_up.values())

    def _plan(self, due: Sequence[str]) -> list[Listing]:
        """The lists to read: one per test, or one of all runs if that is less, or proves more.

        A test's own list proves something only if a run of ours must be in it.
        """
        clock = self._clock()
        known = self._known(clock)
        opened: dict[str, float] = {}
        for test_id in due:
            unresolved = self._unresolved(test_id, clock)
            opened[test_id] = min(window.opens for one in unresolved for window in one.windows)
        last_known: dict[str, float] = {}
        for run in known:
            latest = last_known.get(run.test_id, -math.inf)
            last_known[run.test_id] = max(latest, run.window.opens)
        since = min(opened.values())
        pages = 1 + sum(run.window.opens >= since for run in known) // ROWS_A_PAGE
        if pages < len(due) or any(test_id not in last_known for test_id in due):
            latest = max(last_known.values(), default=since)
            return [Listing(None, min(since, latest))]
        return [Listing(test_id, min(opened[test_id], last_known[test_id])) for test_id in due]

    # --- what is known --------------------------------------------------------------------------

    def _clock(self) -> ServerClock:
        """By the samples of all answers, and the creation of listed runs known to be ours."""
        created = [
            ClockSample(times.sent, times.received, run.created_at, times.attempt_id, times.session)
            for one in self._past.answered
            if (run := self._seen.get(one.run_id)) is not None
            and run.created_at is not None
            and (times := one.attempt).received is not None
        ]
        return ServerClock([*self._past.clock_samples, *self._lister.samples, *created])

    def _unresolved(self, test_id: str, clock: ServerClock) -> list[UnresolvedTrigger]:
        return [_unresolved(lost, clock) for lost in self._tests[test_id].unknown.values()]

    def _known(self, clock: ServerClock) -> list[KnownRun]:
        return [
            KnownRun(one.run_id, one.cell.test_id, clock.window(one.attempt))
            for one in self._past.answered
        ]

    def _sources(self) -> set[str]:
        """The sources of runs known to be ours."""
        ours = (self._seen.get(one.run_id) for one in self._past.answered)
        return {run.source for run in ours if run is not None and run.source is not None}

    def _misnamed(self) -> set[str]:
        """Runs that an answer gave to a trigger although their fields differ from it."""
        return {
            one.run_id
            for one in self._past.answered
            if one.run_id in self._seen and not compatible(one.cell, self._seen[one.run_id])
        }

    # --- what is written ------------------------------------------------------------------------

    async def _write(self, entries: Sequence[Entry]) -> None:
        if entries:
            await self._runner(partial(self._journal.write, entries))

    async def _record_surplus(self) -> None:
        if self._past.first is None or self._past.last is None:
            return
        clock = self._clock()
        window = CreationWindow(
            clock.window(self._past.first).opens,
            clock.window(self._past.last).closes,
        )
        cells: defaultdict[str, list[Trigger]] = defaultdict(list)
        for cell in self._past.cells:
            cells[cell.test_id].append(cell)
        found = surplus(
            [
                run
                for run in self._seen.values()
                if not self._claims.may_own(run, run.test_id or "")
            ],
            cells,
            window,
            owned=self._owned | self._candidates,
            sources=self._sources(),
        )
        self._counts.surplus = len(found)
        await self._write([Surplus(run.run_id, run.test_id or "", run.created_at) for run in found])


def _unresolved(lost: LostTrigger, clock: ServerClock) -> UnresolvedTrigger:
    windows = tuple(clock.window(attempt) for attempt in lost.attempts)
    return UnresolvedTrigger(lost.seq, lost.trigger, windows)
