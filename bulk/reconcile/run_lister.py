"""Reads lists of runs from the server, all their pages, at a pace of its own.

Listing changes nothing at the server, so `PacedRequests` may repeat it. The answers also date the
server's clock.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import trio

from bulk.dispatch.paced_requests import PacedRequests
from bulk.http.answers import Answer
from bulk.http.client import Client
from bulk.http.rate_limit_headers import server_date
from bulk.model import ClockSample, Instant
from bulk.pacing import Controller
from bulk.reconcile.listing import Listing
from bulk.reconcile.run_page import read_page

AT_ONCE_MAX = 4  # listings read side by side; the pages of one follow each other
LIST_BYTES_MAX = 8_388_608  # 100 runs with all that they found; larger pages are asked in parts
SUBJECT = "runs"  # what the controller takes all listings for
NO_SUCH_LIST = (404, 405, 410, 501)


class RunLister:
    """One conversation about the server's runs. `wall` gives seconds since the epoch.

    `session` and `place` say where its answers stand among the attempts: behind all of them.
    """

    def __init__(
        self,
        client: Client,
        controller: Controller,
        *,
        wall: Callable[[], float],
        session: int,
        place: int,
    ) -> None:
        self._client = client
        self._asking = PacedRequests(controller, SUBJECT, wall=wall)
        self._wall = wall
        self._session = session
        self._place = place
        self.stamps: list[ClockSample] = []

    async def read(self, listings: Sequence[Listing]) -> None:
        """Fill the listings, each until it is done. What goes wrong is in them."""
        waiting = list(reversed(listings))

        async def work() -> None:
            while waiting:
                await self._read(waiting.pop())

        async with trio.open_nursery() as nursery:
            for _ in range(min(AT_ONCE_MAX, len(listings))):
                nursery.start_soon(work)

    async def _read(self, listing: Listing) -> None:
        listing.began_at = trio.current_time()
        cursor: str | None = None
        while True:
            answer = await self._page(listing, cursor)
            if answer is None:
                return
            if listing.server_at is None:
                listing.server_at = server_date(answer.headers)
            page = read_page(answer.body)
            if page is None and len(answer.body) >= LIST_BYTES_MAX and listing.smaller():
                continue
            if page is None:
                listing.why_not = "the server's answer is no list of runs"
                return
            cursor = listing.take(page)
            if cursor is None:
                return

    async def _page(self, listing: Listing, cursor: str | None) -> Answer | None:
        """The page; None where it does not come, as the listing then says."""
        asked = await self._asking.ask(lambda: self._get(listing.query(cursor)))
        answer = asked.answer
        if answer is None:
            listing.why_not = f"the server did not list its runs: {asked.why}"
            return None
        if answer.status in NO_SUCH_LIST:
            listing.why_not = f"the server has no list of runs (HTTP {answer.status})"
            return None
        if answer.status != 200:
            listing.why_not = f"the server refused to list its runs (HTTP {answer.status})"
            return None
        return answer

    async def _get(self, path: str) -> Answer:
        sent = self._now()
        answer = await self._client.get(self._client.base_url + path, body_bytes_max=LIST_BYTES_MAX)
        date = server_date(answer.headers)
        if date is not None:
            self.stamps.append(ClockSample(sent, self._now(), date, self._place, self._session))
        return answer

    def _now(self) -> Instant:
        return Instant(self._wall(), trio.current_time())
