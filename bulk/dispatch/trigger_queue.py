"""The triggers that wait to be sent, in order, read from the journal as needed.

Triggers of different tests are interleaved: of those read at a time, each test's are spread evenly
over the queue. Otherwise they keep the manifest's order. A rate limit per test is then reached as
late as possible, whatever order the manifest has.
"""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Iterator
from dataclasses import dataclass
from operator import itemgetter

import trio

from bulk.journal import GroupCommit, Pending

ROWS_READ_AHEAD = 5_000  # usually a whole release, so that all its tests are interleaved
ROWS_WAITING_MAX = 50_000  # up to which more is read while all waiting tests are held back


@dataclass(slots=True)
class WaitingTrigger:
    """A trigger in the queue. `ready_at` is when the gate first considered it, or it came back."""

    pending: Pending
    retries: int = 0
    attempts: int = 0
    ready_at: float | None = None


class TriggerQueue:
    """A queue of triggers by test, for a `PacedGate`.

    A trigger that was taken is outstanding until it is finished or put back. All is done when the
    queue is empty and no trigger is outstanding.
    """

    def __init__(self, journal: GroupCommit) -> None:
        self._journal = journal
        self._order: deque[str] = deque()  # test ids, each once for each of its waiting triggers
        self._waiting: defaultdict[str, deque[WaitingTrigger]] = defaultdict(deque)
        self._read_up_to = 0
        self._all_read = False
        self._outstanding = 0

    @property
    def outstanding(self) -> int:
        """How many triggers were taken and may be put back."""
        return self._outstanding

    def subjects(self) -> Iterator[str]:
        """Each test that waits, once, in the order of the queue."""
        seen: set[str] = set()
        for test_id in self._order:
            if test_id not in seen:
                seen.add(test_id)
                first = self._waiting[test_id][0]
                if first.ready_at is None:
                    first.ready_at = trio.current_time()
                yield test_id

    async def read_more(self) -> bool:
        """Read more triggers from the journal; False if there are no more, or too many wait."""
        if self._all_read or len(self._order) > ROWS_WAITING_MAX:
            return False
        rows = await self._journal.pending(self._read_up_to, ROWS_READ_AHEAD)
        self._all_read = len(rows) < ROWS_READ_AHEAD
        if rows:
            self._read_up_to = rows[-1].seq
        self._order.extend(interleaved([row.trigger.test_id for row in rows]))
        for row in rows:
            self._waiting[row.trigger.test_id].append(WaitingTrigger(row, attempts=row.attempts))
        return bool(rows)

    def take(self, test_id: str) -> WaitingTrigger:
        """Take the first trigger of that test."""
        self._outstanding += 1
        self._order.remove(test_id)
        waiting = self._waiting[test_id].popleft()
        if not self._waiting[test_id]:
            del self._waiting[test_id]
        return waiting

    def put_back(self, waiting: WaitingTrigger) -> None:
        """It has to be sent again: first of its test, at the end of the queue."""
        self._outstanding -= 1
        test_id = waiting.pending.trigger.test_id
        self._order.append(test_id)
        self._waiting[test_id].appendleft(waiting)

    def finish(self) -> None:
        """One that was taken has its outcome, or will have none in this process."""
        self._outstanding -= 1


def interleaved(tests: list[str]) -> list[str]:
    """The same test ids as often, each spread evenly; their first ones keep their order."""
    shares = Counter(tests)
    starts = {test_id: position / len(shares) for position, test_id in enumerate(shares)}
    positions = [
        ((number + starts[test_id]) / share, test_id)
        for test_id, share in shares.items()
        for number in range(share)
    ]
    return [test_id for _, test_id in sorted(positions, key=itemgetter(0))]
