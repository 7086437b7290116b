"""The line of triggers that wait to be sent, read from the journal as they come up.

Tests take turns: what is read at a time is spread so that each test comes up as evenly as its share
allows, and in the manifest's order otherwise. A limit by test then shows as late as it can, and
none of a manifest's order stands in the way of the rest.
"""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Iterator
from dataclasses import dataclass
from operator import itemgetter

import trio

from bulk.journal import GroupCommit, Pending

ROWS_READ_AHEAD = 5_000  # a whole release, as a rule: all its tests take turns
ROWS_WAITING_MAX = 50_000  # in line; up to it more is read where all tests in line have to wait


@dataclass(slots=True)
class WaitingTrigger:
    """A trigger in line. It is ready from when it was first offered, or came back."""

    pending: Pending
    retries: int = 0
    attempts: int = 0
    ready_at: float | None = None


class TriggerQueue:
    """Whose turn it is, by tests; what comes back is the next of its test.

    A trigger taken is *away* until it is finished or comes back: only when the line is empty and
    nobody is away is all work done.
    """

    def __init__(self, journal: GroupCommit) -> None:
        self._journal = journal
        self._turns: deque[str] = deque()  # tests, as often as triggers of theirs are waiting
        self._waiting: defaultdict[str, deque[WaitingTrigger]] = defaultdict(deque)
        self._read_up_to = 0
        self._all_read = False
        self._away = 0

    @property
    def all_home(self) -> bool:
        """Whether no trigger is away that might come back."""
        return self._away == 0

    @property
    def empty(self) -> bool:
        """Whether nothing is waiting, of what was read so far."""
        return not self._turns

    def firsts(self) -> Iterator[WaitingTrigger]:
        """The first trigger in line of each test, in the order of their turns."""
        seen: set[str] = set()
        for test_id in self._turns:
            if test_id not in seen:
                seen.add(test_id)
                waiting = self._waiting[test_id][0]
                if waiting.ready_at is None:
                    waiting.ready_at = trio.current_time()
                yield waiting

    async def read_on(self) -> bool:
        """Let more come up where none of these can go; False where there is no more."""
        if self._all_read or len(self._turns) > ROWS_WAITING_MAX:
            return False
        rows = await self._journal.pending(self._read_up_to, ROWS_READ_AHEAD)
        self._all_read = len(rows) < ROWS_READ_AHEAD
        if rows:
            self._read_up_to = rows[-1].seq
        self._turns.extend(interleaved([row.trigger.test_id for row in rows]))
        for row in rows:
            self._waiting[row.trigger.test_id].append(WaitingTrigger(row, attempts=row.attempts))
        return bool(rows)

    def take(self, test_id: str) -> WaitingTrigger:
        """Take the first trigger of that test away."""
        self._away += 1
        self._turns.remove(test_id)
        waiting = self._waiting[test_id].popleft()
        if not self._waiting[test_id]:
            del self._waiting[test_id]
        return waiting

    def put_back(self, waiting: WaitingTrigger) -> None:
        """It has to be sent again, when its test's next turn comes."""
        self._away -= 1
        test_id = waiting.pending.trigger.test_id
        self._turns.append(test_id)
        self._waiting[test_id].appendleft(waiting)

    def finish(self) -> None:
        """One that was away has its outcome, or never will."""
        self._away -= 1


def interleaved(tests: list[str]) -> list[str]:
    """The same tests as often, but each spread evenly; they begin in their order."""
    shares = Counter(tests)
    starts = {test_id: place / len(shares) for place, test_id in enumerate(shares)}
    places = [
        ((turn + starts[test_id]) / share, test_id)
        for test_id, share in shares.items()
        for turn in range(share)
    ]
    return [test_id for _, test_id in sorted(places, key=itemgetter(0))]
