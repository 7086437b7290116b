"""What became of triggers whose answers were lost, told from the server's list of runs. Pure.

runs       a page of `GET /v1/runs`, as hostile as it may be
listing    all pages of one reading, and what they prove
likeness   can this run be the one that trigger asked for?
clocks     when can an attempt's run have been created, by the server's clock?
judgement  found, missing or undecided
surplus    runs that nobody asked for
"""

from bulk.reconcile.clocks import AttemptTimes, Heard, Instant, ServerClock, Stamp, Window
from bulk.reconcile.judgement import Doubt, Found, Judged, Missing, Undecided, cell_of, judge
from bulk.reconcile.listing import KnownRun, Listing
from bulk.reconcile.runs import ListedRun, RunPage, read_page

__all__ = [
    "AttemptTimes",
    "Doubt",
    "Found",
    "Heard",
    "Instant",
    "Judged",
    "KnownRun",
    "ListedRun",
    "Listing",
    "Missing",
    "RunPage",
    "ServerClock",
    "Stamp",
    "Undecided",
    "Window",
    "cell_of",
    "judge",
    "read_page",
]
