"""Routes requests: path, method, key and query. Knows nothing of what a request does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal
from urllib.parse import parse_qsl, unquote

from bulk.sandbox.config import UUID_PATTERN, SandboxConfig
from bulk.sandbox.runs import STATUSES
from bulk.sandbox.trigger_body import ApiError
from bulk.sandbox.wire import Request

Action = Literal["trigger", "get-run", "list-runs", "cancel", "list-tests", "openapi", "truth"]
# Requests about the sandbox itself. They need no key, take no time and are not counted.
INTROSPECTION = ("openapi", "truth")

PAGE_ROWS_DEFAULT = 20
PAGE_ROWS_MAX = 100


@dataclass(frozen=True, slots=True)
class Route:
    """What a request asks for. `subject`: the id of the test or run in its path, if any."""

    action: Action
    subject: str = ""


@dataclass(frozen=True, slots=True)
class ListQuery:
    """The query of a list. `before` is the number of the last row on the previous page."""

    limit: int
    before: int | None
    status: str | None = None
    project_id: str | None = None
    test_id: str | None = None


def is_introspection(request: Request) -> bool:
    """Whether the request is about the sandbox itself, whatever its method."""
    return request.path.endswith(("/openapi.json", "/sandbox/truth"))


def find_route(request: Request, config: SandboxConfig) -> Route:
    """Return the route of a request. Raises ApiError with 404 or 405."""
    parts = _parts(request.path, config)
    method = "GET" if request.method == "HEAD" else request.method
    routes = _routes(parts)
    if config.legacy:
        kept = ("trigger", *INTROSPECTION)
        routes = {verb: route for verb, route in routes.items() if route.action in kept}
    if not routes:
        raise ApiError(404, "not_found", "There is nothing at this address.")
    if method not in routes:
        allow = (*routes, "HEAD") if "GET" in routes else tuple(routes)
        raise ApiError(405, "method_not_allowed", f"Allowed are {', '.join(allow)}.", allow)
    return routes[method]


def check_subject(route: Route) -> None:
    """Raise ApiError with 400 if the id in the path is not a UUID."""
    if route.subject and not UUID_PATTERN.fullmatch(route.subject):
        raise ApiError(400, "invalid_request", "The id in the path must be a UUID.")


def _parts(path: str, config: SandboxConfig) -> list[str]:
    parts = [unquote(part) for part in path.split("/")[1:]]
    if parts[:1] == ["api"] and config.base != "root":
        return parts[1:]
    return ["?", *parts] if config.base == "api" and parts[:1] == ["v1"] else parts


def _routes(parts: list[str]) -> dict[str, Route]:
    match parts:
        case ["v1", "tests", test_id, "runs"] if test_id:
            return {"POST": Route("trigger", test_id.lower())}
        case ["v1", "tests"]:
            return {"GET": Route("list-tests")}
        case ["v1", "runs"]:
            return {"GET": Route("list-runs")}
        case ["v1", "runs", run_id] if run_id:
            return {"GET": Route("get-run", run_id.lower())}
        case ["v1", "runs", run_id, "cancel"] if run_id:
            return {"POST": Route("cancel", run_id.lower())}
        case ["openapi.json"]:
            return {"GET": Route("openapi")}
        case ["sandbox", "truth"]:
            return {"GET": Route("truth")}
        case _:
            return {}


def check_key(authorization: str | None, config: SandboxConfig) -> None:
    """Raise ApiError with 401 unless the header holds a Bearer key that the config accepts."""
    scheme, _, key = (authorization or "").partition(" ")
    key = key.strip()
    if scheme.lower() != "bearer" or not key:
        raise ApiError(401, "unauthorized", "Send the API key as Authorization: Bearer <key>.")
    if key == config.reject_key or (config.key is not None and key != config.key):
        raise ApiError(401, "unauthorized", "The API key is not valid.")


def wants_summary(query: str) -> bool:
    """Whether a request for the truth has `?summary=1`."""
    return dict(parse_qsl(query)).get("summary") == "1"


def parse_runs_query(query: str) -> ListQuery:
    """Parse the query of `GET /v1/runs`. Raises ApiError with 400."""
    found = _query(query, ("limit", "cursor", "status", "projectId", "testId"))
    status = found.get("status")
    if status is not None and status not in STATUSES:
        raise _bad(f"status must be one of {', '.join(STATUSES)}.")
    return ListQuery(
        _limit(found.get("limit")),
        _cursor(found.get("cursor")),
        status,
        _uuid("projectId", found.get("projectId")),
        _uuid("testId", found.get("testId")),
    )


def parse_tests_query(query: str) -> ListQuery:
    """Parse the query of `GET /v1/tests`. Raises ApiError with 400."""
    found = _query(query, ("projectId", "groupId", "limit", "cursor"))
    _uuid("groupId", found.get("groupId"))
    project_id = _uuid("projectId", found.get("projectId"))
    if project_id is None:
        raise _bad("projectId is required.")
    return ListQuery(
        _limit(found.get("limit")), _cursor(found.get("cursor")), project_id=project_id
    )


def check_no_query(query: str) -> None:
    """Raise ApiError with 400 if there is a query; this endpoint takes none."""
    _query(query, ())


def cursor_of(number: int) -> str:
    """Return the cursor of the page that follows the row with this number."""
    return f"c{number}"


def _query(query: str, names: tuple[str, ...]) -> dict[str, str]:
    pairs = parse_qsl(query, keep_blank_values=True)
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _bad("A parameter appears twice.")
    unknown = sorted(set(found) - set(names))
    if unknown:
        raise _bad(f"Unknown parameter {unknown[0][:80]!r}.")
    return found


def _limit(text: str | None) -> int:
    if text is None:
        return PAGE_ROWS_DEFAULT
    # isdecimal alone would accept digits of other scripts.
    whole = text.isascii() and text.isdecimal() and len(text) <= 3
    if not whole or not 1 <= int(text) <= PAGE_ROWS_MAX:
        raise _bad(f"limit must be a number from 1 to {PAGE_ROWS_MAX}.")
    return int(text)


def _cursor(text: str | None) -> int | None:
    if text is None:
        return None
    digits = text[1:]
    if text[:1] != "c" or not (digits.isascii() and digits.isdecimal() and len(digits) <= 12):
        raise _bad("cursor must be one that the server returned.")
    return int(digits)


def _uuid(name: str, text: str | None) -> str | None:
    if text is not None and not UUID_PATTERN.fullmatch(text):
        raise _bad(f"{name} must be a UUID.")
    return text.lower() if text is not None else None


def _bad(message: str) -> ApiError:
    return ApiError(400, "invalid_request", message)
