"""Waits of the product's rules, shortened where a test waits for them on the real clock.

The tests' servers run on this machine, share our clock and list a run at once, so a second shows
what takes a minute elsewhere. The rules themselves, with their real spans, are tested in virtual
time: by `tests.simulation`, `tests.reconcile` and `tests.dispatch`. `make soak` kills processes
that wait as long as the product does.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable

WAITS: tuple[tuple[str, str, object], ...] = (
    ("bulk.reconcile.reconciler", "SETTLE_S", 0.2),
    # A killed process's request may still be on its way on a busy machine.
    ("bulk.reconcile.server_clock", "DEAD_S", 1.0),
    ("bulk.reconcile.server_clock", "SLACK_S", 0.1),
    ("bulk.reconcile.server_clock", "LATE_S", {}),
    ("bulk.reconcile.server_clock", "LATE_OTHERWISE_S", 0.2),
    ("bulk.dispatch.paced_requests", "FIRST_WAIT_S", 0.05),
    ("bulk.http.preflight", "SECOND_TRY_S", 0.05),
)


def shorten(set_attribute: Callable[[object, str, object], None]) -> None:
    """Shorten all of them, by `setattr` or a patch of pytest's. Raises AttributeError for a wait
    that the product has no more.
    """
    for module, name, value in WAITS:
        home = importlib.import_module(module)
        getattr(home, name)
        set_attribute(home, name, value)
