"""Owns how answers look: status, headers and bodies, sound and spoilt; decides nothing."""

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
from bulk.sandbox.wire import Delivery, Reply

_JSON = (("Content-Type", "application/json"),)
_HTML = (("Content-Type", "text/html; charset=utf-8"),)
_PLAIN = (("Content-Type", "text/plain; charset=utf-8"),)
_STATUS_TEXTS = {
    429: ("too_many_requests", "The server is busy."),
    500: ("internal_error", "Something went wrong on the server."),
    502: ("bad_gateway", "The server behind the gateway gave no sound answer."),
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


class Answers:
    """Makes replies. `wall_s` is the wall clock when the answer leaves the server."""

    def __init__(self, config: SandboxConfig) -> None:
        self._config = config
        retry_styles = [style for style in config.headers if style in RETRY_STYLES]
        self._limit_styles = [style for style in config.headers if style not in RETRY_STYLES]
        self._retry_style = retry_styles[0] if retry_styles else None

    def raw(self, body: bytes, wall_s: float) -> Reply:
        """A 200 with JSON that is ready."""
        return Reply(200, (_date(wall_s), *_JSON), body)

    def page(self, page: str, admission: Admission, wall_s: float) -> Reply:
        """A 200 with a page of the API, which is JSON already."""
        return Reply(200, self._headers(admission, wall_s, _JSON), page.encode())

    def error(self, error: ApiError, wall_s: float) -> Reply:
        """A request refused for good, in the API's error shape."""
        headers: HeaderPairs = (_date(wall_s), *_JSON)
        if error.allow:
            headers = (*headers, ("Allow", ", ".join(error.allow)))
        if error.status == 401:
            headers = (*headers, ("WWW-Authenticate", "Bearer"))
        return Reply(error.status, headers, _error_body(error.code, error.message))

    def queued(self, admission: Admission, test_id: str, run_id: str, wall_s: float) -> Reply:
        """The 202 of a trigger that was queued."""
        headers = self._headers(admission, wall_s, _JSON)
        return Reply(202, headers, _queued_body(test_id, run_id))

    def refusal(self, admission: Admission, wall_s: float) -> Reply:
        """A 429 with its headers and the kind of body that was asked for."""
        if admission.refused_by == LimitKind.QUOTA:
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
        return Reply(429, self._headers(admission, wall_s, content), body)

    def fault(
        self,
        fault: Fault,
        admission: Admission,
        test_id: str,
        run_id: str,
        run_id_before: str | None,
        wall_s: float,
    ) -> Reply:
        """What a fault makes of a trigger's answer. `run_id` is empty where no run was queued."""
        if fault.status is not None:
            body = _error_body(*_STATUS_TEXTS[fault.status])
            return Reply(fault.status, self._headers(admission, wall_s, _JSON), body)
        sound = _queued_body(test_id, run_id)
        bodies = {
            "not-json": b"<html><body>Accepted",
            "no-run-id": json.dumps({"status": "queued", "testId": test_id}).encode(),
            "bad-run-id": _queued_body(test_id, "run-1"),
            "duplicate-run-id": _queued_body(test_id, run_id_before or run_id),
        }
        body = bodies.get(fault.name, sound)
        delivery = _DELIVERIES.get(fault.name, Delivery.WHOLE)
        return Reply(202, self._headers(admission, wall_s, _JSON), body, delivery)

    def _headers(self, admission: Admission, wall_s: float, content: HeaderPairs) -> HeaderPairs:
        """Date, content and limits; the limits as they stood when the server counted."""
        headers = [_date(wall_s), *content]
        for style in self._limit_styles:
            headers += limit_headers(style, admission.standings, admission.wall_s)
        refused = admission.refused_by is not None
        if refused or self._config.retry_after_always:
            if self._config.retry_after_s is not None:
                headers.append(("Retry-After", str(self._config.retry_after_s)))
            elif self._retry_style is not None or self._config.retry_after_always:
                style = self._retry_style or HeaderStyle.RETRY_AFTER
                headers += retry_header(style, admission.retry_s, admission.wall_s)
        return tuple(headers)


def _date(wall_s: float) -> tuple[str, str]:
    return "Date", http_date(int(wall_s))


def _queued_body(test_id: str, run_id: str) -> bytes:
    return json.dumps({"status": "queued", "runId": run_id, "testId": test_id}).encode()


def _error_body(code: str, message: str) -> bytes:
    return json.dumps({"error": code, "message": message}).encode()
