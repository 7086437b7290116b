"""A local TesterArmy API with real rate limits and faults, which records what really happened.

It imports nothing from the rest of the project, so that it can judge it. The names below are
loaded on first use, which keeps importing the package cheap.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bulk.sandbox.config import SandboxConfig
    from bulk.sandbox.server import Served, serve
    from bulk.sandbox.simulation import Sandbox
    from bulk.sandbox.spec import parse_spec
    from bulk.sandbox.spec_values import SpecError
    from bulk.sandbox.transport import SandboxTransport

__all__ = [
    "DEFAULT_SPEC",
    "Sandbox",
    "SandboxConfig",
    "SandboxTransport",
    "Served",
    "SpecError",
    "parse_spec",
    "serve",
]

# A sample manifest of a dozen cells takes about two seconds and meets a few 429s, so that a first
# run shows what the tool is for.
DEFAULT_SPEC = "token-bucket 5/s burst 10; headers retry-after; latency 60ms jitter 15ms"

_MODULE_BY_NAME = {
    "Sandbox": "simulation",
    "SandboxConfig": "config",
    "SandboxTransport": "transport",
    "Served": "server",
    "SpecError": "spec_values",
    "parse_spec": "spec",
    "serve": "server",
}


def __getattr__(name: str) -> object:
    if name not in _MODULE_BY_NAME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found: object = getattr(import_module(f"{__name__}.{_MODULE_BY_NAME[name]}"), name)
    globals()[name] = found
    return found
