"""Reconciles a batch's unknown triggers: reads the server's lists, waits, and reads them again.

What is found is adopted at once. What is not found is absent only once two complete listings, a
settle time apart, lack it: the first as soon as possible, the last when, by the server's own clock,
the attempt's run could not come up any more. Each test has its own instant for that, and tests
whose instants lie close together share a round.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import trio

from bulk.journal import Claims, Entry, Journal, Lost, Past, Reconciled, Runner, Surplus
from bulk.model import Trigger
from bulk.reconcile import (
    Doubt,
    Found,
    Judged,
    KnownRun,
    ListedRun,
    Listing,
    Missing,
    ServerClock,
    Stamp,
    Undecided,
    Window,
    judge,
)
from bulk.reconcile.likeness import compatible
from bulk.reconcile.listing import ROWS_A_PAGE
from bulk.reconcile.surplus import surplus
from bulk.recovery.inquiry import Inquiry

SETTLE_S = 10.0  # between two listings that both count: a replica lags by less, as a rule
TOGETHER_S = 5.0  # tests that can be settled within this share a round
PROOFS_MAX = 4  # listings that prove nothing, before a test is left as it is
ALONGSIDE_S = 900.0  # another batch's lost triggers further away than this made no run of ours
WAIT_S_MAX = 300.0  # longer than any time-out upstream; what takes longer is for a later `resume`


@dataclass(slots=True)
class Resolved:
    """How many unknown triggers were found, are absent, and stay unknown; and runs too many."""

    found: int = 0
    absent: int = 0
    unknown: int = 0
    surplus: int = 0

    def in_words(self) -> str:
        """`31 found, 29 never executed, 2 still unknown`."""
        parts = [f"{self.found:,} found", f"{self.absent:,} never executed"]
        if self.unknown:
            parts.append(f"{self.unknown:,} still unknown")
        if self.surplus:
            parts.append(f"{self.surplus:,} surplus runs")
        return ", ".join(parts)


@dataclass(slots=True)
class _Test:
    """One test's unknown triggers, and how far the evidence on them has come."""

    lost: dict[int, Lost]
    due_at: float = -math.inf
    proved_at: float | None = None  # when the first listing that counts began
    unproved: int = 0


class Rounds:
    """One reconciliation. Build it, call `run` once; nothing may be under way meanwhile.

    `answer_s_max`: how long an answer was waited for, seconds. `elsewhere` tells what other batches
    claim of the runs made between two wall times.
    """

    def __init__(
        self,
        *,
        journal: Journal,
        runner: Runner,
        inquiry: Inquiry,
        wall: Callable[[], float],
        answer_s_max: float,
        elsewhere: Callable[[float, float], Claims],
    ) -> None:
        self._journal = journal
        self._runner = runner
        self._inquiry = inquiry
        self._wall = wall
        self._answer_s_max = answer_s_max
        self._elsewhere = elsewhere
        self._claims = Claims()
        self._past = Past()
        self._owned: set[str] = set()
        self._tests: dict[str, _Test] = {}
        self._seen: dict[str, ListedRun] = {}
        self._claimed: set[str] = set()
        self._resolved = Resolved()

    async def run(self) -> Resolved:
        """Ask until nothing more can be told. Raises StorageError."""
        self._past = await self._runner(self._journal.past)
        all_lost = await self._runner(self._journal.lost)
        for lost in all_lost:
            self._tests.setdefault(lost.trigger.test_id, _Test({})).lost[lost.seq] = lost
        sent_at = [attempt.sent.wall for lost in all_lost for attempt in lost.attempts]
        if sent_at:
            since, until = min(sent_at) - ALONGSIDE_S, max(sent_at) + ALONGSIDE_S
            self._claims = await self._runner(partial(self._elsewhere, since, until))
        self._owned = await self._runner(self._journal.run_ids) | self._claims.run_ids
        while self._tests:
            soon = min(test.due_at for test in self._tests.values()) + TOGETHER_S
            due = [test_id for test_id, test in self._tests.items() if test.due_at <= soon]
            await trio.sleep_until(max(self._tests[test_id].due_at for test_id in due))
            await self._round(due)
        await self._note_surplus()
        return self._resolved

    # --- one round ------------------------------------------------------------------------------

    async def _round(self, due: Sequence[str]) -> None:
        listings = self._plan(due)
        await self._inquiry.read(listings)
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
            sources=sources,
            busy=self._claims.may_have_run,
        )
        found = [one for one in judged if isinstance(one, Found)]
        self._owned.update(one.run_id for one in found)
        self._resolved.found += len(found)
        open_ones = [one for one in judged if isinstance(one, Undecided)]
        self._claimed.update(run_id for one in open_ones for run_id in one.candidates)
        self._resolved.unknown += len(open_ones)
        entries: list[Judged] = [*found, *open_ones]
        settled = {one.seq for one in entries}
        known = self._known(clock)
        for test_id in told:
            test = self._tests[test_id]
            test.lost = {seq: lost for seq, lost in test.lost.items() if seq not in settled}
            if test.lost and test_id in due:
                listing = by_test.get(test_id) or by_test[None]
                entries += self._weigh(test_id, listing, known, clock)
            if not test.lost:
                del self._tests[test_id]
        await self._write([Reconciled(judged_one, self._wall()) for judged_one in entries])

    def _weigh(
        self, test_id: str, listing: Listing, known: Sequence[KnownRun], clock: ServerClock
    ) -> list[Judged]:
        """What a test's triggers that were not found are now; its next round, if there is one."""
        test = self._tests[test_id]
        if not listing.complete:
            return self._give_up(test, listing.why_not)
        windows = [w for doubt in self._doubts(test_id, clock) for w in doubt.windows]
        if listing.server_at is None or not all(window.told for window in windows):
            return self._give_up(test, "nobody told the server's clock when it was sent")
        left_s = max(window.closes for window in windows) - listing.server_at
        lacks = listing.lacks(known)
        if lacks:
            test.unproved += 1
            if test.unproved >= PROOFS_MAX or not any(map(listing.covers, known)):
                return self._give_up(test, lacks)
        elif test.proved_at is None:
            test.proved_at = listing.began_at
        elif listing.began_at >= test.proved_at + SETTLE_S and left_s <= 0:
            gone = [Missing(seq) for seq in test.lost]
            test.lost = {}
            self._resolved.absent += len(gone)
            return list(gone)
        if left_s > WAIT_S_MAX:
            minutes = math.ceil(left_s / 60)
            return self._give_up(test, f"its run could still come up for {minutes} minutes")
        test.due_at = listing.began_at + max(SETTLE_S, left_s + 1.0)
        return []

    def _give_up(self, test: _Test, why: str) -> list[Judged]:
        given_up = [Undecided(seq, (), f"not found out: {why}") for seq in test.lost]
        test.lost = {}
        self._resolved.unknown += len(given_up)
        return list(given_up)

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
            Stamp(times.sent, times.received, run.created_at, times.place, times.session)
            for one in self._past.answered
            if (run := self._seen.get(one.run_id)) is not None
            and run.created_at is not None
            and (times := one.attempt).received is not None
        ]
        return ServerClock([*self._past.stamps, *self._inquiry.stamps, *created])

    def _doubts(self, test_id: str, clock: ServerClock) -> list[Doubt]:
        return [
            Doubt(
                lost.seq,
                lost.trigger,
                tuple(clock.window(attempt, self._answer_s_max) for attempt in lost.attempts),
            )
            for lost in self._tests[test_id].lost.values()
        ]

    def _known(self, clock: ServerClock) -> list[KnownRun]:
        return [
            KnownRun(one.run_id, one.cell.test_id, clock.window(one.attempt, self._answer_s_max))
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
        window = Window(
            clock.window(self._past.first, self._answer_s_max).opens,
            clock.window(self._past.last, self._answer_s_max).closes,
        )
        cells: defaultdict[str, list[Trigger]] = defaultdict(list)
        for cell in self._past.cells:
            if not self._claims.may_have_run(cell.test_id):
                cells[cell.test_id].append(cell)
        found = surplus(
            self._seen.values(),
            cells,
            window,
            owned=self._owned | self._claimed,
            sources=self._sources(),
        )
        self._resolved.surplus = len(found)
        await self._write([Surplus(run.run_id, run.test_id or "", run.created_at) for run in found])
