"""Finds runs that nobody asked for: an upstream that repeats requests makes them, and they are
billed.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from bulk.model import Trigger
from bulk.reconcile.likeness import compatible
from bulk.reconcile.run_page import ListedRun
from bulk.reconcile.server_clock import CreationWindow


def surplus(
    runs: Iterable[ListedRun],
    cells: Mapping[str, Sequence[Trigger]],
    window: CreationWindow,
    *,
    owned: Collection[str],
    sources: Collection[str],
) -> list[ListedRun]:
    """Those of `runs` that one of our cells could have made within `window`, and nobody owns.

    `cells` by test id. A run that does not tell its test or its time is none: it can be anybody's.
    `sources` as in `likeness.compare`.
    """
    return [
        run
        for run in {run.run_id: run for run in runs}.values()
        if run.run_id not in owned
        and run.created_at is not None
        and window.holds(run.created_at)
        and any(compatible(cell, run, sources) for cell in cells.get(run.test_id or "", ()))
    ]
