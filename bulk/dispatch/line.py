"""The line of triggers that wait to be sent, read from the journal as they come up."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import trio

from bulk.journal import GroupCommit, Pending

ROWS_READ_AHEAD = 500  # large enough that reading costs nothing, small enough to hold in memory


@dataclass(slots=True)
class Waiting:
    """A trigger in line. It is ready from when it first heads the line, or came back to it."""

    pending: Pending
    retries: int = 0
    attempts: int = 0
    ready_at: float | None = None


class Line:
    """First come, first served; what comes back goes to the front.

    A trigger taken is *away* until it is finished or comes back: only when the line is empty and
    nobody is away is all work done.
    """

    def __init__(self, journal: GroupCommit) -> None:
        self._journal = journal
        self._waiting: deque[Waiting] = deque()
        self._read_up_to = 0
        self._all_read = False
        self._away = 0

    @property
    def all_home(self) -> bool:
        """Whether no trigger is away that might come back."""
        return self._away == 0

    async def head(self) -> Waiting | None:
        """The trigger whose turn it is; None when there is none at present."""
        if not self._waiting and not self._all_read:
            rows = await self._journal.pending(self._read_up_to, ROWS_READ_AHEAD)
            self._all_read = len(rows) < ROWS_READ_AHEAD
            if rows:
                self._read_up_to = rows[-1].seq
            self._waiting.extend(Waiting(row, attempts=row.attempts) for row in rows)
        if not self._waiting:
            return None
        head = self._waiting[0]
        if head.ready_at is None:
            head.ready_at = trio.current_time()
        return head

    def take(self) -> Waiting:
        """Take the head away."""
        self._away += 1
        return self._waiting.popleft()

    def put_back(self, waiting: Waiting) -> None:
        """It has to be sent again: it is next."""
        self._away -= 1
        self._waiting.appendleft(waiting)

    def finish(self) -> None:
        """One that was away has its outcome, or never will."""
        self._away -= 1
