"""Reads lists of runs from the server, all their pages, at a pace of its own.

Asking changes nothing at the server and is not billed, so a lost answer is simply asked for again;
but a listing counts for its limits, and those need not be the trigger's: it has its own controller.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import trio

from bulk.answers import Answer, Pace, judge
from bulk.client import Client
from bulk.pacing import Controller, Observation, Send, Stop
from bulk.reconcile import Instant, Listing, Stamp, read_page
from bulk.signals import http_date, read_signals

AT_ONCE_MAX = 4  # listings read side by side; the pages of one follow each other
TRIES_MAX = 5  # of one page, where the server is in trouble; refusals as too fast do not count
FIRST_WAIT_S = 1.0  # before the second try; doubled for each further one
REFUSALS_MAX = 100  # of one page
LIST_BYTES_MAX = 8_388_608  # 100 runs with all that they found; larger pages are asked in parts
SUBJECT = "runs"  # what the controller takes all listings for
NO_SUCH_LIST = (404, 405, 410, 501)


class Inquiry:
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
        self._controller = controller
        self._wall = wall
        self._session = session
        self._place = place
        self._gate = trio.Lock()
        self._changed = trio.Event()
        self.stamps: list[Stamp] = []

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
                listing.server_at = _date(answer)
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
        """The page, asked for until it comes; None where it does not, as the listing then says."""
        tries = refusals = 0
        while True:
            answer, stop = await self._get(listing.query(cursor))
            if answer is None:
                listing.why_not = f"the server did not list its runs: {stop}"
                return None
            if answer.status == 200:
                return answer
            if answer.status in NO_SUCH_LIST:
                listing.gone = True
                listing.why_not = f"the server has no list of runs (HTTP {answer.status})"
                return None
            if answer.status == 429:
                refusals += 1
            elif answer.failure is not None or (answer.status or 0) >= 500:
                tries += 1
            else:
                listing.why_not = f"the server refused to list its runs (HTTP {answer.status})"
                return None
            if tries >= TRIES_MAX or refusals >= REFUSALS_MAX:
                said = answer.failure_text or f"HTTP {answer.status}"
                listing.why_not = f"the server did not list its runs: {said}"
                return None
            if answer.status != 429:
                await trio.sleep(FIRST_WAIT_S * 2 ** (tries - 1))

    async def _get(self, path: str) -> tuple[Answer | None, str]:
        """One answer; None, and why, where pacing says that going on is pointless."""
        leave = await self._pass_gate()
        if isinstance(leave, str):
            return None, leave
        self._controller.sent(trio.current_time(), leave)
        sent = self._now()
        answer = await self._client.get(self._client.base_url + path, body_bytes_max=LIST_BYTES_MAX)
        received = self._now()
        pace = Pace.ACCEPTED if answer.status == 200 else judge(answer).pace
        observation = Observation(pace, read_signals(answer.headers, received.wall))
        self._controller.answered(trio.current_time(), leave, observation)
        self._changed.set()
        self._changed = trio.Event()
        date = _date(answer)
        if date is not None:
            self.stamps.append(Stamp(sent, received, date, self._place, self._session))
        return answer, ""

    def _now(self) -> Instant:
        return Instant(self._wall(), trio.current_time())

    async def _pass_gate(self) -> int | str:
        """The ticket of the next request, or why none may leave any more."""
        async with self._gate:
            while True:
                changed = self._changed
                decision = self._controller.ask(trio.current_time(), SUBJECT)
                if isinstance(decision, Send):
                    await trio.sleep_until(decision.at)
                    confirmed = self._controller.confirm(trio.current_time(), decision.ticket)
                    if isinstance(confirmed, Send):
                        await trio.sleep_until(confirmed.at)
                        return confirmed.ticket
                    self._controller.withdrawn(trio.current_time(), decision.ticket)
                    continue
                if isinstance(decision, Stop):
                    return decision.detail
                with trio.move_on_at(decision.at):
                    await changed.wait()


def _date(answer: Answer) -> float | None:
    return http_date(dict(answer.headers).get("date", ""))
