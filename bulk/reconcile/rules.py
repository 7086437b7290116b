"""Resolves triggers whose answers were lost, by the runs that the server lists.

Triggers that send the same (repetitions of one cell) cannot be told apart, and need not be: of k
unresolved triggers and m unowned runs, m ≤ k, the runs are theirs in any order. If there are more
runs than triggers, someone else's are among them, and the triggers stay undecided. If a run can
belong to two different cells, because the server does not list what distinguishes them, the
triggers are decided only if there are as many runs as triggers: then all of them were executed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass

from bulk.model import Found, Missing, Resolution, Trigger, Undecided
from bulk.reconcile.likeness import compatible
from bulk.reconcile.run_page import ListedRun
from bulk.reconcile.server_clock import CreationWindow

CANDIDATES_KEPT_MAX = 20  # a person who looks them up needs no more
TOO_LATE = "a run was created later, while its process may have been stopped or asleep"


@dataclass(frozen=True, slots=True)
class UnresolvedTrigger:
    """A trigger that may have been executed, with a window for each of its lost attempts."""

    seq: int
    trigger: Trigger
    windows: tuple[CreationWindow, ...]

    def in_time(self, run: ListedRun) -> bool:
        """Whether the run was created in the window of one of the attempts."""
        return any(window.contains(run.created_at) for window in self.windows)

    def in_time_if_stopped(self, run: ListedRun) -> bool:
        """Whether the run can be an attempt's only if its process was stopped or asleep."""
        return any(window.contains_late(run.created_at) for window in self.windows)

    def may_have(self, run: ListedRun, sources: Collection[str] = ()) -> bool:
        """Whether the run can be this trigger's at all. `sources` as in `likeness.compare`."""
        in_time = self.in_time(run) or self.in_time_if_stopped(run)
        return in_time and compatible(self.trigger, run, sources)


Cell = tuple[str | None, ...]  # all that is sent for a trigger


def resolve(
    unresolved: Sequence[UnresolvedTrigger],
    runs: Iterable[ListedRun],
    *,
    owned: Collection[str],
    sources: Collection[str],
    misnamed: Set[str] = frozenset(),
    resent: Sequence[UnresolvedTrigger] = (),
    claimed_by_others: Callable[[ListedRun, str], bool] = lambda run, test_id: False,
) -> list[Resolution]:
    """The resolution of each unresolved trigger by `runs`, which are those of their tests or all.

    `unresolved` must contain all unresolved triggers of a cell. `owned` are run ids that have an
    owner, in any batch. `sources` as in `likeness.compare`. `misnamed` are owned runs that do not
    match their owner, from a server that mixes up ids. `resent` are triggers that were sent again
    while they were unknown: a run of theirs may have no owner. `claimed_by_others(run, test_id)`:
    whether the run, if it is of that test, may be another batch's.
    """
    free: defaultdict[str | None, dict[str, ListedRun]] = defaultdict(dict)
    for run in runs:
        if run.run_id not in owned or run.run_id in misnamed:
            free[run.test_id][run.run_id] = run
    cells: defaultdict[Cell, list[UnresolvedTrigger]] = defaultdict(list)
    for one in unresolved:
        cells[cell_of(one.trigger)].append(one)
    like, candidates = dict[Cell, list[ListedRun]](), dict[Cell, list[ListedRun]]()
    for cell, alike in cells.items():
        trigger = alike[0].trigger
        of_test = (free[trigger.test_id] | free[None]).values()
        like[cell] = [run for run in of_test if compatible(trigger, run, sources)]
        candidates[cell] = [run for run in like[cell] if any(one.in_time(run) for one in alike)]
    resolutions: list[Resolution] = []
    for group in _tied(candidates):
        alike = [one for cell in group for one in cells[cell]]
        fits = {
            one.seq: [run for run in candidates[cell] if one.in_time(run)]
            for cell in group
            for one in cells[cell]
        }
        found = {run.run_id: run for cell in group for run in candidates[cell]}
        why = ""
        test_id = alike[0].trigger.test_id
        if any(claimed_by_others(run, test_id) for run in found.values()):
            why = "another batch triggers the same test, and a run could belong to it"
        elif misnamed & found.keys():
            why = "the server gave the id of a run like this one to another trigger"
        elif any(one.may_have(run, sources) for one in resent for run in found.values()):
            why = "a run could belong to a trigger that was sent again"
        by_seq = {one.seq: one for one in alike}
        for resolution in _resolve_tied(alike, list(found.values()), fits, len(group), why):
            if isinstance(resolution, Missing):
                one = by_seq[resolution.seq]
                others = [run for run in like[cell_of(one.trigger)] if run.run_id not in found]
                resolutions.append(_missing_unless_late(one, others))
            else:
                resolutions.append(resolution)
    return resolutions


def cell_of(trigger: Trigger) -> Cell:
    """All that is sent for a trigger; triggers of equal cells cannot be told apart."""
    return (
        *(trigger.test_id, trigger.platform, trigger.mode, trigger.device_model),
        *(trigger.app_id, trigger.environment_id),
    )


def _missing_unless_late(
    unresolved: UnresolvedTrigger, others: Iterable[ListedRun]
) -> Missing | Undecided:
    """Missing, unless one of the `others`, which match it, is its own if its process stopped."""
    late = [run for run in others if unresolved.in_time_if_stopped(run)]
    return _undecided(unresolved, late, TOO_LATE) if late else Missing(unresolved.seq)


def _resolve_tied(
    alike: Sequence[UnresolvedTrigger],
    found: Sequence[ListedRun],
    fits: Mapping[int, Sequence[ListedRun]],
    cells: int,
    why: str,
) -> list[Resolution]:
    """Resolve triggers whose runs cannot be told apart. `why`: a reason to adopt none of them."""
    if len(found) > len(alike):
        runs = "1 run" if len(found) == 1 else f"{len(found)} runs"
        triggers = "1 trigger" if len(alike) == 1 else f"{len(alike)} triggers"
        why = why or f"{runs} could belong to {triggers} like this one"
    elif cells > 1 and len(found) < len(alike):
        why = why or "a run could belong to this cell or to another of the same test"
    pairs = {} if why else _pair(alike, found, fits)
    if len(pairs) < len(found):
        why = why or "the runs' times do not match the triggers'"
        return [_undecided(one, fits[one.seq], why) for one in alike]
    return [
        Found(one.seq, pairs[one.seq], by_count=len(alike) > 1)
        if one.seq in pairs
        else Missing(one.seq)
        for one in alike
    ]


def _tied(candidates: Mapping[Cell, Sequence[ListedRun]]) -> list[list[Cell]]:
    """The cells in groups; two cells are in one group if a run could belong to either."""
    group_of: dict[Cell, list[Cell]] = {cell: [cell] for cell in candidates}
    first: dict[str, Cell] = {}
    for cell, found in candidates.items():
        for run in found:
            one, other = group_of[first.setdefault(run.run_id, cell)], group_of[cell]
            if one is not other:
                one += other
                group_of.update(dict.fromkeys(other, one))
    return list({id(group): group for group in group_of.values()}.values())


def _undecided(unresolved: UnresolvedTrigger, fits: Sequence[ListedRun], why: str) -> Undecided:
    ids = tuple(run.run_id for run in fits)[:CANDIDATES_KEPT_MAX]
    return Undecided(unresolved.seq, ids, why)


def _pair(
    alike: Sequence[UnresolvedTrigger],
    found: Sequence[ListedRun],
    fits: Mapping[int, Sequence[ListedRun]],
) -> dict[int, str]:
    """A run for as many triggers as possible; `fits` are the runs that each of them can have.

    Each run, in order of time, goes to the trigger that has the fewest other runs to choose from
    and, of equals, to the one whose window closes first. For equal cells with one window each, no
    other assignment pairs more of them. Otherwise this one may pair fewer, and then all stay
    undecided.
    """
    waiting = sorted(
        alike,
        key=lambda one: (len(fits[one.seq]), max(window.closes for window in one.windows)),
    )
    can_have = {seq: {run.run_id for run in runs} for seq, runs in fits.items()}
    pairs: dict[int, str] = {}
    for run in sorted(found, key=lambda run: (run.created_at is None, run.created_at or 0.0)):
        taker = next((one for one in waiting if run.run_id in can_have[one.seq]), None)
        if taker is not None:
            waiting.remove(taker)
            pairs[taker.seq] = run.run_id
    return pairs
