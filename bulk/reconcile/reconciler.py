"""Reconciles a batch's unknown triggers: reads the server's lists, waits, and reads them again.

What is found is adopted at once. What is not found is absent only once two complete listings, a
settle time apart, lack it: the first as soon as possible, the last when, by the server's own clock,
the attempt's run could not come up any more. Each test has its own instant for that, and tests
whose instants lie close together share a round.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from functools import partial

import trio

from bulk.journal import (
    Entry,
    Journal,
    Lost,
    Past,
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
from bulk.reconcile.evidence import LostOfTest, Resolved
from bulk.reconcile.likeness import compatible
from bulk.reconcile.listing import ROWS_A_PAGE, KnownRun, Listing
from bulk.reconcile.rules import UnresolvedTrigger, judge
from bulk.reconcile.run_lister import RunLister
from bulk.reconcile.run_page import ListedRun
from bulk.reconcile.server_clock import CreationWindow, ServerClock
from bulk.reconcile.surplus import surplus

SETTLE_S = 10.0  # between two listings that both count: a replica lags by less, as a rule
TOGETHER_S = 5.0  # tests that can be settled within this share a round
PROOFS_MAX = 4  # listings that prove nothing, before a test is left as it is
QUIET_S = 900.0  # a batch that cannot be read, nor was written to since, made none of our runs
WAIT_S_MAX = 300.0  # longer than any time-out upstream; what takes longer is for a later `resume`


class Reconciler:
    """One reconciliation. Build it, call `run` once; nothing may be under way meanwhile.

    `other_claims` says what other batches claim of the runs made from a Unix time on. `say` takes a
    line for people.
    """

    def __init__(
        self,
        *,
        journal: Journal,
        runner: Runner,
        inquiry: RunLister,
        wall: Callable[[], float],
        other_claims: Callable[[float], Claims],
        say: Callable[[str], None],
    ) -> None:
        self._journal = journal
        self._runner = runner
        self._inquiry = inquiry
        self._wall = wall
        self._other_claims = other_claims
        self._say = say
        self._claims = Claims()
        self._past = Past()
        self._owned: set[str] = set()
        self._tests: dict[str, LostOfTest] = {}
        self._test_of: dict[int, str] = {}
        self._since = math.inf
        self._seen: dict[str, ListedRun] = {}
        self._claimed: set[str] = set()
        self._resolved = Resolved()

    async def run(self, *, patient: bool = True) -> Resolved:
        """Ask until nothing more can be told, or, if not `patient`, once. Raises StorageError."""
        self._past = await self._runner(self._journal.past)
        all_lost = await self._runner(self._journal.lost)
        self._test_of = {lost.seq: lost.trigger.test_id for lost in all_lost}
        for lost in all_lost:
            self._tests.setdefault(lost.trigger.test_id, LostOfTest()).lost[lost.seq] = lost
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
        self._resolved.unknown = sum(len(test.lost) for test in self._tests.values())
        await self._note_surplus()
        return self._resolved

    async def _wait(self, due: Collection[LostOfTest]) -> None:
        """Sleep until all of them are due."""
        due_at = max(test.due_at for test in due)
        wait_s = math.ceil(due_at - trio.current_time()) if due_at > trio.current_time() else 0
        if wait_s:
            count = sum(len(test.waiting) for test in due)
            self._say(f"{count:,} not in the server's list; looking once more in {wait_s} s")
        await trio.sleep_until(due_at)

    # --- one round ------------------------------------------------------------------------------

    async def _round(self, due: Sequence[str]) -> None:
        listings = self._plan(due)
        await self._inquiry.read(listings)
        # Only now: who made a run that is listed holds its batch by this time, or owns it.
        self._claims = await self._runner(partial(self._other_claims, self._since - QUIET_S))
        self._owned |= self._claims.run_ids
        clock = self._clock()
        by_test = {listing.test_id: listing for listing in listings}
        told = list(self._tests) if None in by_test else due
        runs = [run for listing in listings for run in listing.runs]
        self._seen |= {run.run_id: run for run in runs}
        sources = self._sources()
        judged = judge(
            [doubt for test_id in told for doubt in self._doubts(test_id, clock)],
            runs,
            owned=self._owned,
            misnamed=self._misnamed(),
            resent=[self._doubt(lost, clock) for lost in self._past.resent],
            sources=sources,
            theirs=self._claims.may_own,
        )
        entries = [one for one in judged if self._is_new(one)]
        known = self._known(clock)
        for test_id in due:
            if self._tests[test_id].waiting:
                listing = by_test.get(test_id) or by_test[None]
                entries += self._weigh(test_id, listing, known, clock)
        await self._write([Reconciled(one, self._wall()) for one in entries])

    def _is_new(self, judged: Resolution) -> bool:
        """Take in a judgement; whether it says something that is to be written."""
        test = self._tests[self._test_of[judged.seq]]
        if isinstance(judged, Missing):  # that alone says nothing: its listing has to prove it
            settled = test.settled.get(judged.seq)
            if settled is not None and settled.candidates:  # another trigger's, as was found since
                del test.settled[judged.seq]
            return False
        if isinstance(judged, Found):
            del test.lost[judged.seq]
            test.settled.pop(judged.seq, None)
            self._owned.add(judged.run_id)
            self._resolved.found += 1
            return True
        before = test.settled.get(judged.seq)
        test.settled[judged.seq] = judged
        self._claimed.update(judged.candidates)
        return before != judged

    def _weigh(
        self, test_id: str, listing: Listing, known: Sequence[KnownRun], clock: ServerClock
    ) -> list[Resolution]:
        """What a test's triggers that were not found are now; its next round, if there is one."""
        test = self._tests[test_id]
        if not listing.complete:
            return self._give_up(test, listing.why_not)
        waiting = test.waiting
        doubts = [doubt for doubt in self._doubts(test_id, clock) if doubt.seq in waiting]
        windows = [window for doubt in doubts for window in doubt.windows]
        if listing.server_at is None or not all(window.told for window in windows):
            return self._give_up(test, "nobody told the server's clock when it was sent")
        left_s = max(window.over_at for window in windows) - listing.server_at
        lacks = listing.lacks(known)
        if min(window.opens for window in windows) < listing.reaches:  # the list itself told so
            lacks = "the server's list was not read back far enough"
        if lacks:
            test.unproved += 1
            if test.unproved >= PROOFS_MAX or not any(map(listing.covers, known)):
                return self._give_up(test, lacks)
        elif test.proved_at is None:
            test.proved_at = listing.began_at
        elif listing.began_at >= test.proved_at + SETTLE_S and left_s <= 0:
            for seq in waiting:
                del test.lost[seq]
            self._resolved.absent += len(waiting)
            return [Missing(seq) for seq in waiting]
        if left_s > WAIT_S_MAX:
            minutes = math.ceil(left_s / 60)
            return self._give_up(test, f"its run could still come up for {minutes} minutes")
        test.due_at = listing.began_at + max(SETTLE_S, left_s + 1.0)
        return []

    def _give_up(self, test: LostOfTest, why: str) -> list[Resolution]:
        given_up = {seq: Undecided(seq, (), f"not found out: {why}") for seq in test.waiting}
        test.settled |= given_up
        return list(given_up.values())

    def _plan(self, due: Sequence[str]) -> list[Listing]:
        """The lists to read: one a test, or that of all runs where this is less, or proves more.

        A test's own list proves something only where a run of ours must be in it.
        """
        clock = self._clock()
        known = self._known(clock)
        opened: dict[str, float] = {}
        for test_id in due:
            doubts = self._doubts(test_id, clock)
            opened[test_id] = min(w.opens for doubt in doubts for w in doubt.windows)
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
        """By all dates heard, and by the creation of each listed run that is known to be ours."""
        created = [
            ClockSample(times.sent, times.received, run.created_at, times.place, times.session)
            for one in self._past.answered
            if (run := self._seen.get(one.run_id)) is not None
            and run.created_at is not None
            and (times := one.attempt).received is not None
        ]
        return ServerClock([*self._past.stamps, *self._inquiry.stamps, *created])

    def _doubts(self, test_id: str, clock: ServerClock) -> list[UnresolvedTrigger]:
        return [self._doubt(lost, clock) for lost in self._tests[test_id].lost.values()]

    def _doubt(self, lost: Lost, clock: ServerClock) -> UnresolvedTrigger:
        windows = tuple(clock.window(attempt) for attempt in lost.attempts)
        return UnresolvedTrigger(lost.seq, lost.trigger, windows)

    def _known(self, clock: ServerClock) -> list[KnownRun]:
        return [
            KnownRun(one.run_id, one.cell.test_id, clock.window(one.attempt))
            for one in self._past.answered
        ]

    def _sources(self) -> set[str]:
        """The sources that runs known to be ours bear."""
        ours = (self._seen.get(one.run_id) for one in self._past.answered)
        return {run.source for run in ours if run is not None and run.source is not None}

    def _misnamed(self) -> set[str]:
        """Runs that an answer gave to a trigger they cannot be of, as their fields say."""
        return {
            one.run_id
            for one in self._past.answered
            if one.run_id in self._seen and not compatible(one.cell, self._seen[one.run_id])
        }

    # --- what is noted --------------------------------------------------------------------------

    async def _write(self, entries: Sequence[Entry]) -> None:
        if entries:
            await self._runner(partial(self._journal.write, entries))

    async def _note_surplus(self) -> None:
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
            owned=self._owned | self._claimed,
            sources=self._sources(),
        )
        self._resolved.surplus = len(found)
        await self._write([Surplus(run.run_id, run.test_id or "", run.created_at) for run in found])
