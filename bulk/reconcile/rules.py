"""Decides what became of triggers whose answers were lost, from what the server lists.

Triggers that ask for the same (repetitions of one cell) cannot be told apart, and need not be: of k
in doubt and m runs that nobody owns, m ≤ k are theirs, in any order. More runs than triggers means
that somebody else's are among them, and nobody can say which. Where a run could be that of two
different cells, because the server does not say what tells them apart, it is known what became of
them only if there are as many runs as triggers: then all of them were executed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass

from bulk.model import Found, Missing, Resolution, Trigger, Undecided
from bulk.reconcile.likeness import compatible
from bulk.reconcile.run_page import ListedRun
from bulk.reconcile.server_clock import CreationWindow

CANDIDATES_KEPT_MAX = 20  # who looks them up needs no more
TOO_LATE = "a run was made later, while its process may have been stopped or asleep"


@dataclass(frozen=True, slots=True)
class UnresolvedTrigger:
    """A trigger that may have been executed, and when each of its lost attempts can have been."""

    seq: int
    trigger: Trigger
    windows: tuple[CreationWindow, ...]

    def holds(self, run: ListedRun) -> bool:
        """Whether the run was created when one of the attempts was under way."""
        return any(window.holds(run.created_at) for window in self.windows)

    def holds_late(self, run: ListedRun) -> bool:
        """Whether it was when one of them was, if its process slept or was stopped before it."""
        return any(window.holds_late(run.created_at) for window in self.windows)

    def may_have(self, run: ListedRun, sources: Collection[str] = ()) -> bool:
        """Whether the run can be its at the very most. `sources` as in `likeness.compare`."""
        in_time = self.holds(run) or self.holds_late(run)
        return in_time and compatible(self.trigger, run, sources)


Cell = tuple[str | None, ...]  # all that is sent for a trigger


def judge(
    doubts: Sequence[UnresolvedTrigger],
    runs: Iterable[ListedRun],
    *,
    owned: Collection[str],
    sources: Collection[str],
    misnamed: Set[str] = frozenset(),
    resent: Sequence[UnresolvedTrigger] = (),
    theirs: Callable[[ListedRun, str], bool] = lambda run, test_id: False,
) -> list[Resolution]:
    """What became of each of `doubts`, by the `runs` listed of their tests, or of all.

    All doubts about an equal cell have to be among them. `owned` are run ids that have an owner, in
    any batch. `sources` as in `likeness.compare`. `misnamed` are owned runs that do not fit their
    owner: a server that mixes up ids. `resent` are triggers that were sent again while they were in
    doubt, and are not any more: a run of theirs may be nobody's. `theirs` says whether a run, of
    that test if of any of ours, may be another batch's.
    """
    free: defaultdict[str | None, dict[str, ListedRun]] = defaultdict(dict)
    for run in runs:
        if run.run_id not in owned or run.run_id in misnamed:
            free[run.test_id][run.run_id] = run
    cells: defaultdict[Cell, list[UnresolvedTrigger]] = defaultdict(list)
    for doubt in doubts:
        cells[cell_of(doubt.trigger)].append(doubt)
    like, candidates = dict[Cell, list[ListedRun]](), dict[Cell, list[ListedRun]]()
    for cell, alike in cells.items():
        trigger = alike[0].trigger
        of_test = (free[trigger.test_id] | free[None]).values()
        like[cell] = [run for run in of_test if compatible(trigger, run, sources)]
        candidates[cell] = [run for run in like[cell] if any(one.holds(run) for one in alike)]
    judged: list[Resolution] = []
    for group in _tied(candidates):
        alike = [doubt for cell in group for doubt in cells[cell]]
        fits = {
            doubt.seq: [run for run in candidates[cell] if doubt.holds(run)]
            for cell in group
            for doubt in cells[cell]
        }
        found = {run.run_id: run for cell in group for run in candidates[cell]}
        why = ""
        test_id = alike[0].trigger.test_id
        if any(theirs(run, test_id) for run in found.values()):
            why = "another batch triggers the same test, and a run could be its"
        elif misnamed & found.keys():
            why = "the server gave the id of a run like this one to another trigger"
        elif any(one.may_have(run, sources) for one in resent for run in found.values()):
            why = "a run could be of a trigger that was sent again"
        by_seq = {doubt.seq: doubt for doubt in alike}
        for one in _judge_tied(alike, list(found.values()), fits, len(group), why):
            if isinstance(one, Missing):
                doubt = by_seq[one.seq]
                others = [run for run in like[cell_of(doubt.trigger)] if run.run_id not in found]
                judged.append(_unless_late(doubt, others))
            else:
                judged.append(one)
    return judged


def _unless_late(doubt: UnresolvedTrigger, others: Iterable[ListedRun]) -> Missing | Undecided:
    """Missing, unless one of the `others`, which are like its run, came too late for most."""
    late = [run for run in others if doubt.holds_late(run)]
    return _undecided(doubt, late, TOO_LATE) if late else Missing(doubt.seq)


def cell_of(trigger: Trigger) -> Cell:
    """All that is sent for a trigger: what equal cells have in common."""
    return (
        *(trigger.test_id, trigger.platform, trigger.mode, trigger.device_model),
        *(trigger.app_id, trigger.environment_id),
    )


def _judge_tied(
    alike: Sequence[UnresolvedTrigger],
    found: Sequence[ListedRun],
    fits: Mapping[int, Sequence[ListedRun]],
    cells: int,
    why: str,
) -> list[Resolution]:
    """Of triggers whose runs cannot be told apart. `why` says what speaks against any of them."""
    if len(found) > len(alike):
        runs = "1 run" if len(found) == 1 else f"{len(found)} runs"
        why = why or f"{runs} could be of {len(alike)} triggers like this one"
    elif cells > 1 and len(found) < len(alike):
        why = why or "a run could be this cell's or another's of the same test"
    pairs = {} if why else _pair(alike, found, fits)
    if len(pairs) < len(found):
        why = why or "the runs' times fit no assignment to the triggers"
        return [_undecided(doubt, fits[doubt.seq], why) for doubt in alike]
    return [
        Found(doubt.seq, pairs[doubt.seq], by_count=len(alike) > 1)
        if doubt.seq in pairs
        else Missing(doubt.seq)
        for doubt in alike
    ]


def _tied(candidates: Mapping[Cell, Sequence[ListedRun]]) -> list[list[Cell]]:
    """The cells, those together that a run ties: it could be the one's or the other's."""
    group_of: dict[Cell, list[Cell]] = {cell: [cell] for cell in candidates}
    first: dict[str, Cell] = {}
    for cell, found in candidates.items():
        for run in found:
            one, other = group_of[first.setdefault(run.run_id, cell)], group_of[cell]
            if one is not other:
                one += other
                group_of.update(dict.fromkeys(other, one))
    return list({id(group): group for group in group_of.values()}.values())


def _undecided(doubt: UnresolvedTrigger, fits: Sequence[ListedRun], why: str) -> Undecided:
    ids = tuple(run.run_id for run in fits)[:CANDIDATES_KEPT_MAX]
    return Undecided(doubt.seq, ids, why)


def _pair(
    alike: Sequence[UnresolvedTrigger],
    found: Sequence[ListedRun],
    fits: Mapping[int, Sequence[ListedRun]],
) -> dict[int, str]:
    """A run for as many doubts as can have one; `fits` are those that each of them can have.

    Each run in order of time goes to the doubt that has the fewest other runs to choose from and,
    of equals, to the one whose time is over first. Of equal cells with single windows no other way
    gives more of them a run; else one may come short, and then all stay undecided.
    """
    waiting = sorted(
        alike,
        key=lambda doubt: (len(fits[doubt.seq]), max(w.closes for w in doubt.windows)),
    )
    can_have = {seq: {run.run_id for run in runs} for seq, runs in fits.items()}
    pairs: dict[int, str] = {}
    for run in sorted(found, key=lambda run: (run.created_at is None, run.created_at or 0.0)):
        taker = next((doubt for doubt in waiting if run.run_id in can_have[doubt.seq]), None)
        if taker is not None:
            waiting.remove(taker)
            pairs[taker.seq] = run.run_id
    return pairs
