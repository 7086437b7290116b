"""Keeps tests that are not marked for it from sockets and processes, in every run.

`make test-fast` chooses by these marks, so a wrong one would slow it down unnoticed.
"""

from __future__ import annotations

import sys
from collections.abc import Generator, Iterator

import pytest

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
