"""Finds surplus runs, which are billed although no trigger owns them: a gateway that repeats
requests creates them.
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
    """The `runs` that one of our cells could have created within `window` and that nobody owns.

    `cells` are by test id. A run without a test or a time is left out, because it can be anybody's.
    `owned` are run ids; `sources` as in `likeness.compare`.
    """
    return [
        run
        for run in {run.run_id: run for run in runs}.values()
        if run.run_id not in owned
        and run.created_at is not None
        and window.contains(run.created_at)
        and any(compatible(cell, run, sources) for cell in cells.get(run.test_id or "", ()))
    ]
