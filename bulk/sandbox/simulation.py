"""The model: what the server does with each request, and when. It has no socket and no clock.

A transport (real sockets, or in memory) calls `send` when a request leaves the client, waits until
the exchange's arrival, calls `advance`, and delivers the response at `received_at_s`. Requests take
effect in order of arrival, also if the client gave up or was cancelled in the meantime.
"""

from __future__ import annotations

import heapq
import json
import math
import random
import uuid
from itertools import islice

from bulk.sandbox.config import SandboxConfig
from bulk.sandbox.faults import CONNECT_FAULTS, Fault, FaultPicker
from bulk.sandbox.gate import Admission, Gate
from bulk.sandbox.openapi import document_bytes
from bulk.sandbox.responses import Responses
from bulk.sandbox.routes import (
    INTROSPECTION,
    ListQuery,
    Route,
    check_key,
    check_no_query,
    check_subject,
    cursor_of,
    find_route,
    is_introspection,
    parse_runs_query,
    parse_tests_query,
    wants_summary,
)
from bulk.sandbox.runs import PROJECT_ID, Run, Runs
from bulk.sandbox.trigger_body import ApiError, TriggerBody, parse_body
from bulk.sandbox.truth import Accepted, Throttle, Truth
from bulk.sandbox.wire import Delivery, Exchange, Request, Response

# 2026-01-01T00:00:00Z. It is midnight, so windows that start at multiples in Unix time start with
# the simulation, and tests can name exact instants.
START_UNIX_S = 1_767_225_600.0


class Sandbox:
    """A local TesterArmy API and its truth.

    `started_at_s` is the caller's monotonic clock at the start, `start_unix_s` the Unix time then.
    The same config, requests and instants give the same responses, to the byte.
    """

    def __init__(
        self,
        config: SandboxConfig,
        *,
        started_at_s: float = 0.0,
        start_unix_s: float = START_UNIX_S,
    ) -> None:
        self.config = config
        self.truth = Truth()
        self._started_at_s = started_at_s
        self._start_unix_s = start_unix_s
        self._gate = Gate(config.limits, start_unix_s)
        self._responses = Responses(config)
        self._runs = Runs(config.runs)
        # Each use has its own random stream: adding a fault changes neither ids nor latencies.
        self._rng_ids = random.Random(f"{config.seed}:ids")
        self._rng_latency = random.Random(f"{config.seed}:latency")
        rng_faults = random.Random(f"{config.seed}:faults")
        rng_connect = random.Random(f"{config.seed}:connect")
        connect = tuple(fault for fault in config.faults if fault.name in CONNECT_FAULTS)
        others = tuple(fault for fault in config.faults if fault.name not in CONNECT_FAULTS)
        self._faults = FaultPicker(others, rng_faults)
        self._connect_faults = FaultPicker(connect, rng_connect)
        self._arriving: list[tuple[float, int, Exchange]] = []
        self._sent = 0
        self._last_run_id: str | None = None

    @property
    def cancelled_run_ids(self) -> frozenset[str]:
        """The runs that were cancelled so far."""
        runs = self._runs.newest_first(math.inf)
        return frozenset(run.run_id for run in runs if run.cancelled_at_s is not None)

    def send(self, now_s: float, request: Request) -> Exchange:
        """Accept a request that leaves the client now. It takes effect when it arrives."""
        if is_introspection(request):
            exchange = Exchange(request, now_s, 0.0, 0.0)
        else:
            trip = self.config.latency.draw(self._rng_latency)
            exchange = Exchange(request, now_s + trip.out_s, trip.service_s, trip.back_s)
            if request.method == "POST" and request.path.endswith("/runs"):
                fault = self._connect_faults.pick()
                if fault is not None:
                    exchange.connect = (
                        Delivery.CONNECT_REFUSED
                        if fault.name == "connect-refused"
                        else Delivery.CONNECT_HANG
                    )
                    self.truth.faulted += 1
                    return exchange
        self._sent += 1
        heapq.heappush(self._arriving, (exchange.arrives_at_s, self._sent, exchange))
        return exchange

    def advance(self, now_s: float) -> None:
        """Let the requests that have arrived by now take effect, in order of arrival."""
        while self._arriving and self._arriving[0][0] <= now_s:
            _, _, exchange = heapq.heappop(self._arriving)
            self._arrive(exchange)

    def settle(self) -> None:
        """Let every request in flight arrive, as it would although the client is gone."""
        self.advance(math.inf)

    def let_client_sleep(self, for_s: float) -> None:
        """Advance the server's time alone: the client's machine sleeps, its monotonic clock stops.

        A request that has not arrived by now arrives after the sleep.
        """
        self._started_at_s -= for_s

    def _arrive(self, exchange: Exchange) -> None:
        now_s = exchange.arrives_at_s - self._started_at_s
        leaves_s = now_s
        request = exchange.request
        self.truth.requests += not is_introspection(request)
        try:
            route = find_route(request, self.config)
            if route.action in INTROSPECTION:
                exchange.response = self._introspect(route, request, now_s)
            else:
                exchange.response, leaves_s = self._serve(route, exchange, now_s)
        except ApiError as error:
            self.truth.invalid += 1
            exchange.response = self._responses.error(error, self._unix_s(now_s))
        exchange.received_at_s = self._started_at_s + leaves_s + exchange.back_s

    def _serve(self, route: Route, exchange: Exchange, now_s: float) -> tuple[Response, float]:
        """Return the response and when it leaves. Invalid requests are rejected before limits."""
        request = exchange.request
        check_key(request.authorization, self.config)
        check_subject(route)
        if request.too_large:
            raise ApiError(413, "payload_too_large", "The body is too large.")
        if route.action not in ("list-runs", "list-tests"):
            check_no_query(request.query)
        if route.action == "trigger":
            body = parse_body(request.body, request.content_type)
            self._check_test(route.subject)
            return self._trigger(route.subject, body, exchange.service_s, now_s)
        admission = Admission(self._unix_s(now_s))
        if self.config.scope == "all":
            admission = self._gate.ask(now_s, route.subject, exchange.service_s)
            if admission.throttled_by is not None:
                return self._throttle(admission, route.subject, now_s), now_s
        leaves_s = now_s + admission.delay_s + exchange.service_s
        unix_s = self._unix_s(now_s + admission.delay_s)
        body_text = self._read_or_cancel(route, request, unix_s)
        return self._responses.success(body_text, admission, self._unix_s(leaves_s)), leaves_s

    def _trigger(
        self, test_id: str, body: TriggerBody, service_s: float, now_s: float
    ) -> tuple[Response, float]:
        admission = self._gate.ask(now_s, test_id, service_s)
        if admission.throttled_by is not None:
            return self._throttle(admission, test_id, now_s), now_s
        fault = self._faults.pick()
        self.truth.faulted += fault is not None
        begins_s = now_s + admission.delay_s
        leaves_s = begins_s + service_s
        self.truth.note_in_service(now_s, leaves_s)
        unix_s = self._unix_s(leaves_s)
        if fault is not None and not fault.takes_effect:
            if fault.status == 429:
                self.truth.note_throttle(Throttle(unix_s, test_id, "fault"))
            return self._responses.fault(fault, admission, test_id, "", None, unix_s), leaves_s
        run_id = self._queue(test_id, body, fault, self._unix_s(begins_s))
        previous, self._last_run_id = self._last_run_id, run_id
        if fault is None:
            return self._responses.queued(admission, test_id, run_id, unix_s), leaves_s
        response = self._responses.fault(fault, admission, test_id, run_id, previous, unix_s)
        return response, leaves_s

    def _queue(self, test_id: str, body: TriggerBody, fault: Fault | None, unix_s: float) -> str:
        run_id = str(uuid.UUID(int=self._rng_ids.getrandbits(128), version=4))
        self._runs.add(Run(len(self.truth.accepted), run_id, test_id, body, unix_s))
        self.truth.note_accepted(
            Accepted(
                run_id,
                test_id,
                body.mode,
                body.platform,
                body.device_model,
                body.app_id,
                body.environment_id,
                unix_s,
                fault.name if fault is not None else None,
            )
        )
        return run_id

    def _throttle(self, admission: Admission, test_id: str, now_s: float) -> Response:
        unix_s = self._unix_s(now_s)
        reason = admission.throttled_by or ""
        self.truth.note_throttle(Throttle(unix_s, test_id, reason))
        return self._responses.throttled(admission, unix_s)

    def _read_or_cancel(self, route: Route, request: Request, unix_s: float) -> str:
        """Serve any route but the trigger; return the response's body."""
        if route.action == "list-runs":
            return self._list_runs(parse_runs_query(request.query), unix_s)
        if route.action == "list-tests":
            return self._list_tests(parse_tests_query(request.query))
        run = self._runs.find(route.subject, unix_s)
        if run is None:
            raise ApiError(404, "not_found", "There is no such run.")
        if route.action == "get-run":
            return self._runs.to_json(run, unix_s)
        if self._runs.is_over(run, unix_s):
            raise ApiError(409, "conflict", "The run is over already.")
        run.cancelled_at_s = unix_s
        return json.dumps({"id": run.run_id, "status": "cancelled"})

    def _list_runs(self, query: ListQuery, unix_s: float) -> str:
        if query.project_id not in (None, PROJECT_ID):
            return _runs_page([], None)
        listed_s = unix_s - self.config.runs.listed_s
        runs = self._runs.newest_first(listed_s, test_id=query.test_id, before=query.before)
        wanted = (run for run in runs if query.status in (None, self._runs.status(run, unix_s)))
        found = list(islice(wanted, query.limit + 1))
        shown = found[: query.limit]
        cursor = cursor_of(shown[-1].number) if len(found) > query.limit else None
        return _runs_page([self._runs.to_json(run, unix_s) for run in shown], cursor)

    def _list_tests(self, query: ListQuery) -> str:
        if query.project_id != PROJECT_ID:
            raise ApiError(404, "not_found", "There is no such project.")
        ids = list(self.config.tests) or self._runs.test_ids
        start = 0 if query.before is None else query.before + 1
        shown = ids[start : start + query.limit]
        tests = [
            {"id": test_id, "title": f"Test {test_id}", "platform": "web", "enabled": True}
            for test_id in shown
        ]
        end = start + len(shown)
        page = {
            "projectUrl": "https://sandbox.invalid/",
            "projectName": "Sandbox",
            "tests": tests,
            "nextCursor": cursor_of(end - 1) if shown and end < len(ids) else None,
        }
        return json.dumps(page)

    def _introspect(self, route: Route, request: Request, now_s: float) -> Response:
        unix_s = self._unix_s(now_s)
        if route.action == "openapi":
            return self._responses.introspection(document_bytes(self.config), unix_s)
        truth = self.truth.to_json(summary=wants_summary(request.query))
        return self._responses.introspection(truth, unix_s)

    def _check_test(self, test_id: str) -> None:
        tests = self.config.tests
        if (tests and test_id not in tests) or test_id in self.config.unknown_tests:
            raise ApiError(404, "not_found", "There is no such test.")

    def _unix_s(self, now_s: float) -> float:
        return self._start_unix_s + now_s


def _runs_page(runs: list[str], cursor: str | None) -> str:
    return f'{{"runs": [{", ".join(runs)}], "nextCursor": {json.dumps(cursor)}}}'
