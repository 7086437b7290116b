"""Builds responses: status, headers and body, intact or corrupted by a fault. Decides nothing."""

from __future__ import annotations

import json

from bulk.sandbox.config import SandboxConfig
from bulk.sandbox.faults import Fault
from bulk.sandbox.gate import Admission
from bulk.sandbox.headers import (
    RETRY_STYLES,
    HeaderPairs,
    HeaderStyle,
    http_date,
    limit_headers,
    retry_header,
)
from bulk.sandbox.limit_spec import LimitKind
from bulk.sandbox.trigger_body import ApiError
from bulk.sandbox.wire import Delivery, Response

_JSON = (("Content-Type", "application/json"),)
_HTML = (("Content-Type", "text/html; charset=utf-8"),)
_PLAIN = (("Content-Type", "text/plain; charset=utf-8"),)
_STATUS_TEXTS = {
    429: ("too_many_requests", "The server is busy."),
    500: ("internal_error", "Something went wrong on the server."),
    502: ("bad_gateway", "The gateway got an invalid response from the server."),
    503: ("unavailable", "The server is not available."),
    504: ("gateway_timeout", "The server behind the gateway took too long."),
}
_DELIVERIES = {
    "reset-before": Delivery.RESET,
    "reset-after": Delivery.RESET,
    "hang": Delivery.HANG,
    "hang-queued": Delivery.HANG,
    "truncated": Delivery.TRUNCATED,
    "endless-body": Delivery.ENDLESS,
    "drip": Delivery.DRIP,
    "not-http": Delivery.NOT_HTTP,
}


class Responses:
    """Builds the responses of one sandbox. `unix_s` is when the response leaves the server."""

    def __init__(self, config: SandboxConfig) -> None:
        self._config = config
        retry_styles = [style for style in config.headers if style in RETRY_STYLES]
        self._limit_styles = [style for style in config.headers if style not in RETRY_STYLES]
        self._retry_style = retry_styles[0] if retry_styles else None

    def introspection(self, body: bytes, unix_s: float) -> Response:
        """A 200 with a JSON body and without rate-limit headers."""
        return Response(200, (_date(unix_s), *_JSON), body)

    def success(self, body: str, admission: Admission, unix_s: float) -> Response:
        """A 200 of the API with a JSON body."""
        return Response(200, self._headers(admission, unix_s, _JSON), body.encode())

    def error(self, error: ApiError, unix_s: float) -> Response:
        """A rejection, in the API's error format."""
        headers: HeaderPairs = (_date(unix_s), *_JSON)
        if error.allow:
            headers = (*headers, ("Allow", ", ".join(error.allow)))
        if error.status == 401:
            headers = (*headers, ("WWW-Authenticate", "Bearer"))
        return Response(error.status, headers, _error_body(error.code, error.message))

    def queued(self, admission: Admission, test_id: str, run_id: str, unix_s: float) -> Response:
        """The 202 of a trigger that was queued."""
        headers = self._headers(admission, unix_s, _JSON)
        return Response(202, headers, _queued_body(test_id, run_id))

    def throttled(self, admission: Admission, unix_s: float) -> Response:
        """A 429 with the headers and the kind of body that the config names."""
        if admission.throttled_by == LimitKind.QUOTA:
            code, message = self._config.quota_code, "The account's quota is used up."
        else:
            code, message = self._config.refusal_code, "Too many requests; slow down."
        bodies = {
            "json": (_JSON, _error_body(code, message)),
            "html": (_HTML, b"<html><body><h1>429 Too Many Requests</h1></body></html>"),
            "plain": (_PLAIN, b"Too Many Requests\n"),
            "empty": ((), b""),
        }
        content, body = bodies[self._config.refusal_body]
        return Response(429, self._headers(admission, unix_s, content), body)

    def fault(
        self,
        fault: Fault,
        admission: Admission,
        test_id: str,
        run_id: str,
        previous_run_id: str | None,
        unix_s: float,
    ) -> Response:
        """The response to a trigger that meets a fault. `run_id` is empty if no run was queued."""
        if fault.status is not None:
            body = _error_body(*_STATUS_TEXTS[fault.status])
            return Response(fault.status, self._headers(admission, unix_s, _JSON), body)
        intact = _queued_body(test_id, run_id)
        bodies = {
            "not-json": b"<html><body>Accepted",
            "no-run-id": json.dumps({"status": "queued", "testId": test_id}).encode(),
            "bad-run-id": _queued_body(test_id, "run-1"),
            "duplicate-run-id": _queued_body(test_id, previous_run_id or run_id),
        }
        body = bodies.get(fault.name, intact)
        delivery = _DELIVERIES.get(fault.name, Delivery.WHOLE)
        return Response(202, self._headers(admission, unix_s, _JSON), body, delivery)

    def _headers(self, admission: Admission, unix_s: float, content: HeaderPairs) -> HeaderPairs:
        """Date, content and limits. The limits are those at the moment of the decision."""
        headers = [_date(unix_s), *content]
        for style in self._limit_styles:
            headers += limit_headers(style, admission.states, admission.unix_s)
        throttled = admission.throttled_by is not None
        if throttled or self._config.retry_after_always:
            if self._config.retry_after_s is not None:
                headers.append(("Retry-After", str(self._config.retry_after_s)))
            elif self._retry_style is not None or self._config.retry_after_always:
                style = self._retry_style or HeaderStyle.RETRY_AFTER
                headers += retry_header(style, admission.retry_s, admission.unix_s)
        return tuple(headers)


def _date(unix_s: float) -> tuple[str, str]:
    return "Date", http_date(int(unix_s))


def _queued_body(test_id: str, run_id: str) -> bytes:
    return json.dumps({"status": "queued", "runId": run_id, "testId": test_id}).encode()


def _error_body(code: str, message: str) -> bytes:
    return json.dumps({"error": code, "message": message}).encode()
