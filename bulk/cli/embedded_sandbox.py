"""The sandbox that `--sandbox` serves within the command's own process."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import trio

from bulk.errors import BulkError, OptionError
from bulk.exits import Exit
from bulk.http.api_key import ApiKey

if TYPE_CHECKING:
    from bulk.sandbox import SandboxConfig

SANDBOX_KEY = ApiKey("sk_sandbox_local", "the sandbox's key")


def parse_sandbox(spec: str, option: str = "--sandbox") -> SandboxConfig:
    """The sandbox that a spec describes. Raises OptionError, which names the option."""
    from bulk.sandbox import SpecError, parse_spec

    try:
        return parse_spec(spec)
    except SpecError as error:
        raise OptionError(f"{option}: {error}") from error


def without_keys(config: SandboxConfig) -> SandboxConfig:
    """The config to print: a real key passed by mistake must not end up in a log or report."""
    return replace(
        config,
        key="***" if config.key else None,
        reject_key="***" if config.reject_key else None,
    )


def with_new_seed(config: SandboxConfig) -> SandboxConfig:
    """The sandbox with which a batch continues.

    The one it began with is gone with its process. Another one with the same seed would give the
    same run ids to other triggers.
    """
    return replace(config, seed=secrets.randbits(32))


async def with_sandbox(config: SandboxConfig, inner: Callable[[str], Awaitable[int]]) -> int:
    """Serve the sandbox while `inner` runs, which takes its base URL; return what that returns."""
    from bulk.sandbox import Served, serve

    code: int = Exit.OK
    failure: BulkError | None = None
    async with trio.open_nursery() as nursery:
        served: Served = await nursery.start(serve, config)
        try:
            code = await inner(served.url)
        except BulkError as error:  # raised outside the nursery, which would wrap it in a group
            failure = error
        nursery.cancel_scope.cancel()
    if failure is not None:
        raise failure
    return code
