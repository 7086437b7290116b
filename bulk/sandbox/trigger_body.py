"""Validates the body of a trigger, strictly. Knows no limit, fault or run."""

from __future__ import annotations

import json
from dataclasses import dataclass

from bulk.sandbox.config import UUID_PATTERN

# A valid body has five short fields and fits 50 times over.
BODY_BYTES_MAX = 16_384

PLATFORMS = ("web", "ios", "android")
MODES = ("fast", "deep")
DEVICE_MODELS = ("iphone", "ipad")
FIELDS = ("mode", "platform", "appId", "deviceModel", "projectEnvironmentId")


class ApiError(Exception):
    """A request is rejected: any 4xx but 429. `allow`: the methods that a 405 lists."""

    def __init__(self, status: int, code: str, message: str, allow: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.allow = allow


@dataclass(frozen=True, slots=True)
class TriggerBody:
    """A valid body. A field is None if it was left out."""

    mode: str | None = None
    platform: str | None = None
    device_model: str | None = None
    app_id: str | None = None
    environment_id: str | None = None


def parse_body(body: bytes, content_type: str | None) -> TriggerBody:
    """Parse a body; an empty one leaves out every field. Raises ApiError with 400 or 415."""
    if not body:
        return TriggerBody()
    media_type = (content_type or "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        raise ApiError(415, "unsupported_media_type", "Send the body as application/json.")
    fields = _parse_object(body)
    unknown = sorted(set(fields) - set(FIELDS))
    if unknown:
        raise _bad(f"Unknown field {unknown[0][:80]!r}. Valid fields are {', '.join(FIELDS)}.")
    parsed = TriggerBody(
        mode=_choice(fields, "mode", MODES),
        platform=_choice(fields, "platform", PLATFORMS),
        device_model=_choice(fields, "deviceModel", DEVICE_MODELS),
        app_id=_uuid(fields, "appId"),
        environment_id=_uuid(fields, "projectEnvironmentId"),
    )
    if parsed.device_model is not None and parsed.platform != "ios":
        raise _bad("deviceModel is valid for platform ios only.")
    return parsed


def _parse_object(body: bytes) -> dict[str, object]:
    try:
        found = json.loads(body.decode("utf-8"), object_pairs_hook=_unique)
    except (ValueError, RecursionError) as exc:
        raise _bad("The body is not JSON.") from exc
    if not isinstance(found, dict):
        raise _bad("The body is not a JSON object.")
    return found


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("duplicate name")
    return found


def _choice(fields: dict[str, object], name: str, choices: tuple[str, ...]) -> str | None:
    if name not in fields:
        return None
    value = fields[name]
    if not isinstance(value, str) or value not in choices:
        raise _bad(f"{name} must be one of {', '.join(choices)}.")
    return value


def _uuid(fields: dict[str, object], name: str) -> str | None:
    if name not in fields:
        return None
    value = fields[name]
    if not isinstance(value, str) or not UUID_PATTERN.fullmatch(value):
        raise _bad(f"{name} must be a UUID.")
    return value.lower()


def _bad(message: str) -> ApiError:
    return ApiError(400, "invalid_request", message)
