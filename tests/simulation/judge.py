"""Compares what a life reports with what its server counted: the guarantees, as assertions."""

from __future__ import annotations

from collections import Counter

from bulk.model import Cancelled, Origin, Outcome, Trigger, TriggerResult
from tests.simulation.life import Life

Cell = tuple[str | None, ...]


def cell_of(trigger: Trigger) -> Cell:
    """What is sent for a trigger, as the server counts it."""
    return (
        *(trigger.test_id, trigger.mode, trigger.platform),
        *(trigger.device_model, trigger.app_id, trigger.environment_id),
    )


def _alike(by_id: dict[str, Cell], result: TriggerResult) -> bool:
    """Whether the run is one that the server's list cannot tell from the trigger's own.

    It says `web` if no platform was requested, and no mode if none was.
    """
    run = by_id.get(result.run_id or "")
    wanted = cell_of(result.trigger)
    return run is not None and all(
        one == other or None in (one, other) for one, other in zip(run, wanted, strict=True)
    )


def problems(life: Life) -> list[str]:
    """Each broken promise, in words; empty where all were kept."""
    found = []
    world, accepted = life.world, life.sandbox.truth.accepted
    wanted = Counter(cell_of(trigger) for batch in life.batches for trigger in batch.triggers)
    executed: Counter[Cell] = Counter(
        (run.test_id, run.mode, run.platform, run.device_model, run.app_id, run.environment_id)
        for run in accepted
    )
    by_id: dict[str, Cell] = {
        run.run_id: (
            *(run.test_id, run.mode, run.platform),
            *(run.device_model, run.app_id, run.environment_id),
        )
        for run in accepted
    }
    twice = {cell: count for cell, count in executed.items() if count > wanted[cell]}
    resent = "resend" in world.commands  # as the user wanted it
    if twice and not resent:
        found.append(f"accepted twice: {twice}")
    for batch in life.batches:
        keys = Counter(result.trigger.key for result in batch.results)
        if keys != Counter(trigger.key for trigger in batch.triggers):
            found.append("a trigger is not in the report exactly once")
    owned = [result for result in life.results if result.outcome is Outcome.QUEUED]
    ids = Counter(result.run_id for result in owned)
    if ids and max(ids.values()) > 1:
        found.append("a run has two owners")
    wrong = [
        result.run_id
        for result in owned
        if by_id.get(result.run_id or "") != cell_of(result.trigger)
        and not (result.origin is Origin.BY_COUNT and _alike(by_id, result))
    ]
    if wrong:
        found.append(f"a run id is another cell's, or nobody's: {wrong}")
    unowned = Counter(cell for run_id, cell in by_id.items() if run_id not in ids)
    unknown = Counter(
        cell_of(result.trigger) for result in life.results if result.outcome is Outcome.UNKNOWN
    )
    lost = unowned - unknown
    if lost and not resent:
        found.append(f"runs that nobody owns or suspects: {lost}")
    if life.sent_after_stop:
        found.append(f"{life.sent_after_stop} requests were sent after the stop")
    if life.sent_late:
        found.append(f"{life.sent_late} requests were sent after the deadline")
    if life.sent_too_fast:
        found.append(f"{life.sent_too_fast} requests were sent faster than by --rate")
    strange = life.cancelled - set(ids)
    if strange:
        found.append(f"runs that nobody owns were cancelled: {strange}")
    said = {result.run_id for result in owned if result.cancelled is Cancelled.YES}
    if said - life.cancelled:
        found.append(f"said to be cancelled, and were not: {said - life.cancelled}")
    tried = Counter(attempt.key for attempt in life.attempts)
    # A dispatch counts anew, and a process may have several: each loses less than the one before.
    budget = (world.settings.retries_max + 1) * life.processes * 4
    if tried and max(tried.values()) > budget:
        found.append(f"a trigger was sent {max(tried.values())} times")
    return found
