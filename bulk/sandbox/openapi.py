"""Owns the sandbox's OpenAPI document: what it promises in answers and asks of requests."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any

from bulk.sandbox.config import UUID_PATTERN, SandboxConfig
from bulk.sandbox.routes import PAGE_ROWS_DEFAULT, PAGE_ROWS_MAX
from bulk.sandbox.runs import STATUSES
from bulk.sandbox.trigger_body import DEVICE_MODELS, MODES, PLATFORMS

# A JSON document in the making; it leaves this module as bytes.
Json = dict[str, Any]

# `format` alone binds no one; the pattern says what the server really accepts.
_UUID: Json = {"type": "string", "format": "uuid", "pattern": f"^{UUID_PATTERN.pattern}$"}
_ERROR: Json = {
    "type": "object",
    "properties": {"error": {"type": "string"}, "message": {"type": "string"}},
    "required": ["error", "message"],
}
_ERROR_TEXTS = {
    400: "The request is malformed",
    401: "The API key is missing or not valid",
    404: "There is no such thing",
    405: "The method is not possible here",
    409: "The run is over already",
    413: "The body is too large",
    415: "The body is not JSON",
    429: "Too fast, or the quota is used up",
    500: "The server failed",
    502: "The server behind the gateway failed",
    503: "The server is not available",
    504: "The server behind the gateway took too long",
}


def document_bytes(config: SandboxConfig) -> bytes:
    """The document as JSON, for the addresses and endpoints this sandbox has."""
    return _document_bytes(config.base == "api", config.legacy)


@lru_cache(maxsize=4)  # both values of both settings
def _document_bytes(under_api: bool, legacy: bool) -> bytes:
    paths = {"/v1/tests/{testId}/runs": {"post": _trigger()}}
    if not legacy:
        paths["/v1/tests"] = {"get": _list_tests()}
        paths["/v1/runs"] = {"get": _list_runs()}
        paths["/v1/runs/{id}"] = {"get": _get_run()}
        paths["/v1/runs/{id}/cancel"] = {"post": _cancel()}
    document = {
        "openapi": "3.1.0",
        "info": {
            "title": "TesterArmy sandbox",
            "version": "1.0.0",
            "description": "A local stand-in. Nothing is tested, nothing is billed.",
        },
        "servers": [{"url": "/api" if under_api else "/"}],
        "security": [{"bearerAuth": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {"bearerAuth": {"type": "http", "scheme": "bearer"}},
            "schemas": {"Error": _ERROR, "Run": _run(), "TriggerBody": _trigger_body()},
        },
    }
    return json.dumps(document).encode()


def _trigger() -> Json:
    queued = {
        "type": "object",
        "properties": {"status": {"const": "queued"}, "runId": _UUID, "testId": _UUID},
        "required": ["status", "runId", "testId"],
    }
    body = {"$ref": "#/components/schemas/TriggerBody"}
    return {
        "operationId": "triggerTestRun",
        "parameters": [_in_path("testId")],
        "requestBody": {"required": False, "content": {"application/json": {"schema": body}}},
        "responses": {
            "202": _answer("The run is queued", queued),
            **_errors(400, 401, 404, 413, 415, 429, 500, 502, 503, 504),
        },
    }


def _trigger_body() -> Json:
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "mode": {"enum": list(MODES)},
            "platform": {"enum": list(PLATFORMS)},
            "appId": _UUID,
            "deviceModel": {"enum": list(DEVICE_MODELS)},
            "projectEnvironmentId": _UUID,
        },
        "if": {"required": ["deviceModel"]},
        "then": {"required": ["platform"], "properties": {"platform": {"const": "ios"}}},
    }


def _get_run() -> Json:
    return {
        "operationId": "getRun",
        "parameters": [_in_path("id")],
        "responses": {
            "200": _answer("The run", {"$ref": "#/components/schemas/Run"}),
            **_errors(400, 401, 404, 413, 429),
        },
    }


def _list_runs() -> Json:
    page = {
        "type": "object",
        "properties": {
            "runs": {"type": "array", "items": {"$ref": "#/components/schemas/Run"}},
            "nextCursor": {"type": ["string", "null"]},
        },
        "required": ["runs", "nextCursor"],
    }
    return {
        "operationId": "listRuns",
        "parameters": [
            *_paging(),
            _in_query("status", {"enum": list(STATUSES)}),
            _in_query("projectId", _UUID),
            _in_query("testId", _UUID),
        ],
        "responses": {"200": _answer("Runs, newest first", page), **_errors(400, 401, 413, 429)},
    }


def _cancel() -> Json:
    cancelled = {
        "type": "object",
        "properties": {"id": _UUID, "status": {"const": "cancelled"}},
        "required": ["id", "status"],
    }
    return {
        "operationId": "cancelRun",
        "parameters": [_in_path("id")],
        "responses": {
            "200": _answer("The run is cancelled", cancelled),
            **_errors(400, 401, 404, 409, 413, 429),
        },
    }


def _list_tests() -> Json:
    test = {
        "type": "object",
        "properties": {
            "id": _UUID,
            "title": {"type": "string"},
            "platform": {"enum": ["web", "mobile"]},
            "enabled": {"type": "boolean"},
        },
        "required": ["id", "title", "platform", "enabled"],
    }
    page = {
        "type": "object",
        "properties": {
            "projectUrl": {"type": "string"},
            "projectName": {"type": "string"},
            "tests": {"type": "array", "items": test},
            "nextCursor": {"type": ["string", "null"]},
        },
        "required": ["projectUrl", "projectName", "tests", "nextCursor"],
    }
    project = {**_in_query("projectId", _UUID), "required": True}
    return {
        "operationId": "listTests",
        "parameters": [project, _in_query("groupId", _UUID), *_paging()],
        "responses": {
            "200": _answer("A project's tests", page),
            **_errors(400, 401, 404, 413, 429),
        },
    }


def _run() -> Json:
    nullable: Json = {"type": ["string", "null"]}
    return {
        "type": "object",
        "properties": {
            "id": _UUID,
            "type": {"enum": ["ci", "test"]},
            "status": {"enum": list(STATUSES)},
            "platform": {"enum": list(PLATFORMS)},
            "deviceModel": nullable,
            "source": nullable,
            "projectId": _UUID,
            "input": {"type": "object"},
            "output": {"type": ["object", "null"]},
            "error": {"type": ["object", "null"]},
            "durationMs": {"type": ["integer", "null"]},
            "testId": _UUID,
            "executionMode": nullable,
            "autoRetryCount": {"type": "integer"},
            "createdAt": {"type": "string", "format": "date-time"},
            "startedAt": nullable,
            "completedAt": nullable,
        },
        "required": ["id", "type", "status", "projectId", "testId", "createdAt"],
    }


def _paging() -> list[Json]:
    limit = {
        "type": "integer",
        "minimum": 1,
        "maximum": PAGE_ROWS_MAX,
        "default": PAGE_ROWS_DEFAULT,
    }
    cursor = {"type": "string", "pattern": "^c[0-9]{1,12}$"}
    return [_in_query("limit", limit), _in_query("cursor", cursor)]


def _in_path(name: str) -> Json:
    return {"name": name, "in": "path", "required": True, "schema": _UUID}


def _in_query(name: str, schema: Json) -> Json:
    return {"name": name, "in": "query", "schema": schema}


def _answer(description: str, schema: Json) -> Json:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _errors(*statuses: int) -> Json:
    shape = {"$ref": "#/components/schemas/Error"}
    return {str(status): _answer(_ERROR_TEXTS[status], shape) for status in statuses}
