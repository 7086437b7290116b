"""Fails a test that uses sockets or processes without the mark for it, in every run.

`make test-fast` chooses by these marks: a missing one would slow it down unnoticed.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Generator, Iterator

import pytest

from tests.properties import load_profiles

# What Python reports to audit hooks, by the marks that allow it.
SOCKETS = frozenset({"socket.connect", "socket.bind", "socket.getaddrinfo"})
PROCESSES = frozenset({"subprocess.Popen", "os.fork", "os.posix_spawn", "os.exec", "os.system"})
ALLOWED = {
    "sockets": SOCKETS | PROCESSES,  # most that use sockets start processes that do
    "processes": PROCESSES,
    "browser": SOCKETS | PROCESSES,
    "nginx": SOCKETS | PROCESSES,
}


class ForbiddenError(BaseException):
    """The test did what its marks do not allow. No `except Exception` of the product hides it."""


class _Guard:
    """What the test that runs may not do, and what it did nevertheless."""

    forbidden: frozenset[str] = frozenset()
    done: list[str]

    def __call__(self, event: str, arguments: object) -> None:
        if event in self.forbidden:
            self.done.append(event)
            raise ForbiddenError(f"{event}, and the test is marked neither of {[*ALLOWED]}")


GUARD = _Guard()
sys.addaudithook(GUARD)
load_profiles()


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """How many workers `-n auto` has: two more than cores, for many tests wait for real servers.

    `-n logical` has one a core.
    """
    cores = os.cpu_count() or 1
    return cores if config.getoption("numprocesses") == "logical" else cores + 2


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Guard the test and its fixtures."""
    marks = {mark.name for mark in item.iter_markers()}
    allowed = frozenset[str]().union(*(ALLOWED[mark] for mark in marks & ALLOWED.keys()))
    GUARD.forbidden, GUARD.done = (SOCKETS | PROCESSES) - allowed, []
    try:
        return (yield)
    finally:
        GUARD.forbidden = frozenset()


@pytest.fixture(autouse=True)
def guarded() -> Iterator[None]:
    """Fail also where the product took the error for another one."""
    yield
    assert not GUARD.done, "forbidden to a test without the mark for it"
