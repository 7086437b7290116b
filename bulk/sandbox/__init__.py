"""A local TesterArmy with real limits and faults; owns its own truth, imports nothing of the rest.

The names below are loaded when first used, so that importing the package costs next to nothing.
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

# Gentle: a sample manifest of a dozen cells takes about two seconds and meets a few 429s, so the
# first run already shows what the tool is for.
DEFAULT_SPEC = "token-bucket 5/s burst 10; headers retry-after; latency 60ms jitter 15ms"

_HOMES = {
    "Sandbox": "simulation",
    "SandboxConfig": "config",
    "SandboxTransport": "transport",
    "Served": "server",
    "SpecError": "spec_values",
    "parse_spec": "spec",
    "serve": "server",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found: object = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = found
    return found
