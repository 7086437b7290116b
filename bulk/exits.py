"""The process's exit codes, and which one wins when a batch ended in several ways."""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum


class Exit(IntEnum):
    """The exit codes. Green is green: 0 only if every selected trigger was queued."""

    OK = 0
    FAILED = 1
    USAGE = 2
    AUTH = 3
    UNREACHABLE = 4
    UNKNOWN = 7
    STORAGE = 8
    RATE_LIMITED = 11
    QUOTA = 12
    HANGUP = 129
    INTERRUPTED = 130
    QUIT = 131
    TERMINATED = 143


MEANINGS: dict[Exit, str] = {
    Exit.OK: "every selected trigger was queued; of cancel: every run was cancelled or had ended",
    Exit.FAILED: "some trigger was rejected or not sent; of cancel: some run was not cancelled",
    Exit.USAGE: "wrong usage, bad manifest or empty selection; nothing was sent",
    Exit.AUTH: "no API key, or the server rejected it",
    Exit.UNREACHABLE: "the API could not be reached, or something in between blocks requests",
    Exit.UNKNOWN: "some trigger may or may not have been executed",
    Exit.STORAGE: "the batch's folder could not be read or written, or stdout not written",
    Exit.RATE_LIMITED: "the rate limit outlasted --max-retries, --max-wait or --deadline",
    Exit.QUOTA: "the account's quota is used up",
    Exit.HANGUP: "the terminal was closed (SIGHUP)",
    Exit.INTERRUPTED: "interrupted (Ctrl-C)",
    Exit.QUIT: "quit (SIGQUIT)",
    Exit.TERMINATED: "terminated (SIGTERM)",
}

# Most urgent first: a code comes before those that it may hide.
PRECEDENCE = (
    Exit.INTERRUPTED,
    Exit.QUIT,
    Exit.TERMINATED,
    Exit.HANGUP,
    Exit.USAGE,
    Exit.AUTH,
    Exit.STORAGE,
    Exit.UNREACHABLE,
    Exit.QUOTA,
    Exit.RATE_LIMITED,
    Exit.UNKNOWN,
    Exit.FAILED,
    Exit.OK,
)


def most_urgent(exits: Iterable[Exit]) -> Exit:
    """The most urgent of several codes; OK if there are none."""
    return min(exits, key=PRECEDENCE.index, default=Exit.OK)
