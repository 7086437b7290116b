"""Serves the OpenAPI document in openapi.json, cut to the endpoints that a sandbox has."""

from __future__ import annotations

import json
from functools import lru_cache
from importlib.resources import files

from bulk.sandbox.config import SandboxConfig

TRIGGER_PATH = "/v1/tests/{testId}/runs"


def document_bytes(config: SandboxConfig) -> bytes:
    """Return the document as JSON. Its server URL and its paths depend on the config."""
    return _document_bytes(config.base == "api", config.legacy)


@lru_cache(maxsize=4)  # two settings of two values each
def _document_bytes(under_api: bool, legacy: bool) -> bytes:
    document = json.loads(files("bulk.sandbox").joinpath("openapi.json").read_bytes())
    if under_api:
        document["servers"] = [{"url": "/api"}]
    if legacy:
        document["paths"] = {TRIGGER_PATH: document["paths"][TRIGGER_PATH]}
    return json.dumps(document).encode()
