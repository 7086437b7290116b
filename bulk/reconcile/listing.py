"""One listing of the server's runs, page by page, and whether it proves that a run is absent.

A listing is *complete* if it goes back, without a gap, to before everything that is looked for. It
is *evidence* if it also shows the runs of ours that must be in it: a listing that lags, or is
another project's, does not show them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from urllib.parse import urlencode

from bulk.reconcile.run_page import ListedRun, RunPage
from bulk.reconcile.server_clock import CreationWindow

ROWS_A_PAGE = 100  # the most the API gives
PAGES_MAX = 300  # 30,000 runs: more than any release; a list may have no end
ORDER_SLACK_S = 5.0  # rows created together may stand in any order


@dataclass(frozen=True, slots=True)
class KnownRun:
    """A run that a 202 named as ours, and when it was created by the server's clock."""

    run_id: str
    test_id: str
    window: CreationWindow


@dataclass(slots=True)
class Listing:
    """The list of a test's runs, or of all runs if `test_id` is None, back to `since`.

    `since` is Unix time by the server's clock; `reaches` is how far back the listing went in the
    end. `why_not` says why the listing is not evidence; it is empty if nothing is wrong so far.
    """

    test_id: str | None
    since: float
    began_at: float = 0.0  # when its first page was requested, by the caller's steady clock
    server_at: float | None = None  # the same by the server's clock, from the first page's `Date`
    runs: list[ListedRun] = field(default_factory=list)
    complete: bool = False
    reaches: float = math.inf
    why_not: str = ""
    _cursors: set[str] = field(default_factory=set)
    _rows_a_page: int = ROWS_A_PAGE

    def query(self, cursor: str | None) -> str:
        """Path and query of the page at `cursor`, or of the first page."""
        fields = {"limit": str(self._rows_a_page), "testId": self.test_id, "cursor": cursor}
        return "/v1/runs?" + urlencode({name: value for name, value in fields.items() if value})

    def smaller(self) -> bool:
        """Request smaller pages from now on; False if they cannot be smaller."""
        self._rows_a_page //= 4
        return self._rows_a_page > 0

    def add(self, page: RunPage) -> str | None:
        """Add a page; the cursor of the next one, or None if the listing is done."""
        oldest = self._oldest()
        self.runs.extend(page.runs)
        created = [run.created_at for run in page.runs if run.created_at is not None]
        if not page.whole:
            self.why_not = "the list has rows that cannot be read"
        elif oldest is not None and any(at > oldest + ORDER_SLACK_S for at in created):
            self.why_not = "the list is not in order of creation"
        elif page.next_cursor is None:
            self.complete, self.reaches = True, -math.inf
        elif created and min(created) < self.since - ORDER_SLACK_S:
            self.complete, self.reaches = True, self.since
        elif page.next_cursor in self._cursors or not page.runs:
            self.why_not = "the list repeats a page"
        elif len(self._cursors) >= PAGES_MAX:
            self.why_not = f"the list is longer than {PAGES_MAX} pages"
        else:
            self._cursors.add(page.next_cursor)
            return page.next_cursor
        return None

    def _oldest(self) -> float | None:
        return min(
            (run.created_at for run in self.runs if run.created_at is not None), default=None
        )

    def lacks(self, known: Iterable[KnownRun]) -> str:
        """What a complete listing lacks to be evidence, for people; empty if it is evidence.

        `known` are the runs of ours; those that the listing covers must be in it.
        """
        shown = {run.run_id for run in self.runs}
        due = [run for run in known if self.covers(run)]
        missing = sum(run.run_id not in shown for run in due)
        if missing or not due:
            return (
                f"the server's list shows {len(due) - missing} of {len(due)} runs known to be ours"
            )
        return ""

    def covers(self, run: KnownRun) -> bool:
        """Whether that run must be in a complete listing."""
        return self.test_id in (None, run.test_id) and run.window.opens >= self.since
