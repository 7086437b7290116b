"""Reads lists of runs from the server, page by page, at their own pace.

Listing changes nothing at the server, so `PacedRequests` may repeat it. The answers are also
samples of the server's clock.
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

CONCURRENCY_MAX = 4  # listings; the pages of one are read in turn, each by the last one's cursor
LIST_BYTES_MAX = 8_388_608  # 100 runs with all their findings; larger pages are read in parts
SUBJECT = "runs"  # what the controller knows all listings by
NOT_OFFERED = (404, 405, 410, 501)


class RunLister:
    """Reads listings, and keeps in `samples` what their answers say about the server's clock.

    `wall` returns Unix time in seconds. `session` is the process's; `attempt_id` is the next
    attempt's, so that the samples come after all attempts so far.
    """

    def __init__(
        self,
        client: Client,
        controller: Controller,
        *,
        wall: Callable[[], float],
        session: int,
        attempt_id: int,
    ) -> None:
        self._client = client
        self._requests = PacedRequests(controller, SUBJECT, wall=wall)
        self._wall = wall
        self._session = session
        self._attempt_id = attempt_id
        self.samples: list[ClockSample] = []

    async def read(self, listings: Sequence[Listing]) -> None:
        """Fill each listing until it is done. Its `why_not` says what went wrong with it."""
        waiting = list(reversed(listings))

        async def work() -> None:
            while waiting:
                await self._read(waiting.pop())

        async with trio.open_nursery() as nursery:
            for _ in range(min(CONCURRENCY_MAX, len(listings))):
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
                listing.why_not = "the server's answer is not a list of runs"
                return
            cursor = listing.add(page)
            if cursor is None:
                return

    async def _page(self, listing: Listing, cursor: str | None) -> Answer | None:
        """The answer with the page; None if there is none, with the reason in the listing."""
        reply = await self._requests.request(lambda: self._get(listing.query(cursor)))
        answer = reply.answer
        if answer is None:
            listing.why_not = f"the server did not list its runs: {reply.why}"
            return None
        if answer.status in NOT_OFFERED:
            listing.why_not = f"the server has no list of runs (HTTP {answer.status})"
            return None
        if answer.status != 200:
            listing.why_not = f"the server declined to list its runs (HTTP {answer.status})"
            return None
        return answer

    async def _get(self, path: str) -> Answer:
        sent = self._now()
        answer = await self._client.get(self._client.base_url + path, body_bytes_max=LIST_BYTES_MAX)
        date = server_date(answer.headers)
        if date is not None:
            sample = ClockSample(sent, self._now(), date, self._attempt_id, self._session)
            self.samples.append(sample)
        return answer

    def _now(self) -> Instant:
        return Instant(self._wall(), trio.current_time())
