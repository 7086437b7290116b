"""Owns the model: what the server does with each request, and when; has no socket and no clock.

A carrier (sockets or the in-memory transport) calls `send` when a request leaves the client, waits
until the ticket's arrival, calls `advance`, and delivers the ticket's reply at `received_at_s`.
Requests take effect in order of arrival, even those whose carrier was cancelled on the way.
"""

from __future__ import annotations

import heapq
import json
import random
import uuid
from itertools import islice

from bulk.sandbox.answers import Answers
from bulk.sandbox.config import SandboxConfig
from bulk.sandbox.faults import CONNECT_FAULTS, Fault, FaultPicker
from bulk.sandbox.gate import Admission, Gate
from bulk.sandbox.openapi import document_bytes
from bulk.sandbox.routes import (
    OWN_ACTIONS,
    Page,
    Route,
    check_key,
    check_no_query,
    check_subject,
    cursor_of,
    find_route,
    parse_runs_query,
    parse_tests_query,
    wants_summary,
)
from bulk.sandbox.runs import PROJECT_ID, Run, Runs
from bulk.sandbox.trigger_body import ApiError, TriggerBody, parse_body
from bulk.sandbox.truth import Accepted, Refusal, Truth
from bulk.sandbox.wire import Delivery, Reply, Request, Ticket

# 2026-01-01T00:00:00Z. A whole day, so windows that start at multiples on the wall clock start with
# the simulation, and tests can name exact instants.
EPOCH_S = 1_767_225_600.0


class Sandbox:
    """A TesterArmy of its own, with its truth.

    `started_at_s` is the caller's monotonic clock at the start, `epoch_s` the wall clock then.
    The same config, requests and instants give the same answers, to the byte.
    """

    def __init__(
        self, config: SandboxConfig, *, started_at_s: float = 0.0, epoch_s: float = EPOCH_S
    ) -> None:
        self.config = config
        self.truth = Truth()
        self._started_at_s = started_at_s
        self._epoch_s = epoch_s
        self._gate = Gate(config.limits, epoch_s)
        self._answers = Answers(config)
        self._runs = Runs(config.runs)
        # A stream of its own for each use: a fault more or less leaves ids and latencies alone.
        self._rng_ids = random.Random(f"{config.seed}:ids")
        self._rng_latency = random.Random(f"{config.seed}:latency")
        rng_faults = random.Random(f"{config.seed}:faults")
        rng_connect = random.Random(f"{config.seed}:connect")
        connect = tuple(fault for fault in config.faults if fault.name in CONNECT_FAULTS)
        others = tuple(fault for fault in config.faults if fault.name not in CONNECT_FAULTS)
        self._faults = FaultPicker(others, rng_faults)
        self._connect_faults = FaultPicker(connect, rng_connect)
        self._on_the_way: list[tuple[float, int, Ticket]] = []
        self._sent = 0
        self._last_run_id: str | None = None

    def send(self, now_s: float, request: Request) -> Ticket:
        """A request leaves the client. Nothing takes effect before its arrival."""
        if _is_own(request):
            ticket = Ticket(request, now_s, 0.0, 0.0)
        else:
            trip = self.config.latency.draw(self._rng_latency)
            ticket = Ticket(request, now_s + trip.out_s, trip.service_s, trip.back_s)
            if request.method == "POST" and request.path.endswith("/runs"):
                fault = self._connect_faults.pick()
                if fault is not None:
                    refused = fault.name == "connect-refused"
                    ticket.connect = Delivery.CONNECT_REFUSED if refused else Delivery.CONNECT_HANG
                    self.truth.faulted += 1
                    return ticket
        self._sent += 1
        heapq.heappush(self._on_the_way, (ticket.arrives_at_s, self._sent, ticket))
        return ticket

    def advance(self, now_s: float) -> None:
        """Lets all requests that have arrived by now take effect, in order of arrival."""
        while self._on_the_way and self._on_the_way[0][0] <= now_s:
            _, _, ticket = heapq.heappop(self._on_the_way)
            self._arrive(ticket)

    def settle(self) -> None:
        """Lets all that is still on its way arrive, as it will although the client has gone."""
        self.advance(float("inf"))

    def pass_unseen(self, for_s: float) -> None:
        """Time goes on here that the caller's monotonic clock does not count: its machine sleeps.

        What has not arrived by now arrives after that time.
        """
        self._started_at_s -= for_s

    def _arrive(self, ticket: Ticket) -> None:
        now_s = ticket.arrives_at_s - self._started_at_s
        leaves_s = now_s
        request = ticket.request
        self.truth.requests += not _is_own(request)
        try:
            route = find_route(request, self.config)
            if route.action in OWN_ACTIONS:
                ticket.reply = self._own(route, request, now_s)
            else:
                ticket.reply, leaves_s = self._serve(route, ticket, now_s)
        except ApiError as error:
            self.truth.invalid += 1
            ticket.reply = self._answers.error(error, self._wall_s(now_s))
        ticket.received_at_s = self._started_at_s + leaves_s + ticket.back_s

    def _serve(self, route: Route, ticket: Ticket, now_s: float) -> tuple[Reply, float]:
        """The reply, and when it leaves. What is wrong for good is said before any limit counts."""
        request = ticket.request
        check_key(request.authorization, self.config)
        check_subject(route)
        if request.too_large:
            raise ApiError(413, "payload_too_large", "The body is too large.")
        if route.action not in ("list-runs", "list-tests"):
            check_no_query(request.query)
        if route.action == "trigger":
            body = parse_body(request.body, request.content_type)
            self._check_test(route.subject)
            return self._trigger(route.subject, body, ticket.service_s, now_s)
        admission = Admission(self._wall_s(now_s))
        if self.config.scope == "all":
            admission = self._gate.ask(now_s, route.subject, ticket.service_s)
            if admission.refused_by is not None:
                return self._refuse(admission, route.subject, now_s), now_s
        leaves_s = now_s + admission.delay_s + ticket.service_s
        wall_s = self._wall_s(now_s + admission.delay_s)
        page = self._read(route, request, wall_s)
        return self._answers.page(page, admission, self._wall_s(leaves_s)), leaves_s

    def _trigger(
        self, test_id: str, body: TriggerBody, service_s: float, now_s: float
    ) -> tuple[Reply, float]:
        admission = self._gate.ask(now_s, test_id, service_s)
        if admission.refused_by is not None:
            return self._refuse(admission, test_id, now_s), now_s
        fault = self._faults.pick()
        self.truth.faulted += fault is not None
        begins_s = now_s + admission.delay_s
        leaves_s = begins_s + service_s
        self.truth.note_in_service(now_s, leaves_s)
        wall_s = self._wall_s(leaves_s)
        if fault is not None and not fault.takes_effect:
            if fault.status == 429:
                self.truth.note_refusal(Refusal(wall_s, test_id, "fault"))
            return self._answers.fault(fault, admission, test_id, "", None, wall_s), leaves_s
        run_id = self._queue(test_id, body, fault, self._wall_s(begins_s))
        before, self._last_run_id = self._last_run_id, run_id
        if fault is None:
            return self._answers.queued(admission, test_id, run_id, wall_s), leaves_s
        return self._answers.fault(fault, admission, test_id, run_id, before, wall_s), leaves_s

    def _queue(self, test_id: str, body: TriggerBody, fault: Fault | None, wall_s: float) -> str:
        run_id = str(uuid.UUID(int=self._rng_ids.getrandbits(128), version=4))
        self._runs.add(Run(len(self.truth.accepted), run_id, test_id, body, wall_s))
        self.truth.note_accepted(
            Accepted(
                run_id,
                test_id,
                body.mode,
                body.platform,
                body.device_model,
                body.app_id,
                body.environment_id,
                wall_s,
                fault.name if fault is not None else None,
            )
        )
        return run_id

    def _refuse(self, admission: Admission, test_id: str, now_s: float) -> Reply:
        wall_s = self._wall_s(now_s)
        reason = admission.refused_by or ""
        self.truth.note_refusal(Refusal(wall_s, test_id, reason))
        return self._answers.refusal(admission, wall_s)

    def _read(self, route: Route, request: Request, wall_s: float) -> str:
        if route.action == "list-runs":
            return self._list_runs(parse_runs_query(request.query), wall_s)
        if route.action == "list-tests":
            return self._list_tests(parse_tests_query(request.query))
        run = self._runs.find(route.subject, wall_s)
        if run is None:
            raise ApiError(404, "not_found", "There is no such run.")
        if route.action == "get-run":
            return self._runs.page(run, wall_s)
        if self._runs.is_over(run, wall_s):
            raise ApiError(409, "conflict", "The run is over already.")
        run.cancelled_at_s = wall_s
        return json.dumps({"id": run.run_id, "status": "cancelled"})

    def _list_runs(self, page: Page, wall_s: float) -> str:
        if page.project_id not in (None, PROJECT_ID):
            return _runs_page([], None)
        listed_s = wall_s - self.config.runs.listed_s
        runs = self._runs.newest_first(listed_s, test_id=page.test_id, before=page.before)
        wanted = (run for run in runs if page.status in (None, self._runs.status(run, wall_s)))
        found = list(islice(wanted, page.limit + 1))
        shown = found[: page.limit]
        cursor = cursor_of(shown[-1].number) if len(found) > page.limit else None
        return _runs_page([self._runs.page(run, wall_s) for run in shown], cursor)

    def _list_tests(self, page: Page) -> str:
        if page.project_id != PROJECT_ID:
            raise ApiError(404, "not_found", "There is no such project.")
        ids = list(self.config.tests) or self._runs.test_ids
        start = 0 if page.before is None else page.before + 1
        shown = ids[start : start + page.limit]
        tests = [
            {"id": test_id, "title": f"Test {test_id}", "platform": "web", "enabled": True}
            for test_id in shown
        ]
        end = start + len(shown)
        answer = {
            "projectUrl": "https://sandbox.invalid/",
            "projectName": "Sandbox",
            "tests": tests,
            "nextCursor": cursor_of(end - 1) if shown and end < len(ids) else None,
        }
        return json.dumps(answer)

    def _own(self, route: Route, request: Request, now_s: float) -> Reply:
        wall_s = self._wall_s(now_s)
        if route.action == "openapi":
            return self._answers.raw(document_bytes(self.config), wall_s)
        truth = self.truth.to_json(summary=wants_summary(request.query))
        return self._answers.raw(truth, wall_s)

    def _check_test(self, test_id: str) -> None:
        tests = self.config.tests
        if (tests and test_id not in tests) or test_id in self.config.unknown_tests:
            raise ApiError(404, "not_found", "There is no such test.")

    def _wall_s(self, now_s: float) -> float:
        return self._epoch_s + now_s


def _runs_page(runs: list[str], cursor: str | None) -> str:
    return f'{{"runs": [{", ".join(runs)}], "nextCursor": {json.dumps(cursor)}}}'


def _is_own(request: Request) -> bool:
    """Whether the sandbox itself is asked, which costs no time and is not counted."""
    return request.path.endswith(("/openapi.json", "/sandbox/truth"))
