"""Groups refusals into epochs, and reads from these what needs no model: rates and promises kept.

An epoch is all 429s of one congestion: those sent before the answer to its first one was here, and
all that follow without an acceptance between. It ends with the next request that is accepted.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bulk.http.rate_limit_headers import read_rate_limit_headers
from bulk.measure.log import AttemptLog

NOT_EARLIER_S = 0.05  # a promise is kept if the next request, at most this early, is accepted


@dataclass(frozen=True, slots=True)
class Epoch:
    """One congestion. Indices are those of the log; times are seconds since the epoch.

    `recovered` is the first accepted request that was sent after the epoch's last refusal; None
    where the log ends before.
    """

    first: int
    last: int
    refusals: int
    recovered: int | None


@dataclass(frozen=True, slots=True)
class Rate:
    """Accepted requests a second, and the bounds the log leaves."""

    per_s: float
    low_per_s: float
    high_per_s: float


@dataclass(frozen=True, slots=True)
class Promises:
    """`Retry-After` against what followed, over epochs; what is promised too long is not seen."""

    refusals: int
    with_header: int
    kept: int
    too_short: int


def find_epochs(log: AttemptLog) -> list[Epoch]:
    """The epochs of a log, in order."""
    groups: list[list[int]] = []
    for index in np.flatnonzero(~log.accepted).tolist():
        if groups and _same_congestion(log, groups[-1], index):
            groups[-1].append(index)
        else:
            groups.append([index])
    return [
        Epoch(
            first=group[0],
            last=group[-1],
            refusals=len(group),
            recovered=_accepted_from(log, group[-1], len(log.sent)),
        )
        for group in groups
    ]


def _same_congestion(log: AttemptLog, group: list[int], index: int) -> bool:
    if log.sent[index] <= log.received[group[0]]:
        return True
    return _accepted_from(log, group[-1], index) is None


def _accepted_from(log: AttemptLog, refusal: int, end: int) -> int | None:
    """The first request before `end` that was sent after a refusal's answer, and accepted."""
    begin = int(np.searchsorted(log.sent, log.received[refusal], side="right"))
    found = np.flatnonzero(log.accepted[begin:end])
    return begin + int(found[0]) if len(found) else None


def sustained_rate(log: AttemptLog, epochs: list[Epoch]) -> Rate | None:
    """What the API accepted a second, from the first epoch to the last; None with less than two.

    The limit stood at its edge at both ends, so what it had saved up cancels out. The bounds come
    from not knowing which of two requests arrived first, and when: one request and one latency.
    """
    if len(epochs) < 2:
        return None
    first, last = epochs[0], epochs[-1]
    span = float(log.sent[last.first] - log.sent[first.first])
    count = int(log.accepted[first.first : last.first].sum())
    latency = float(np.median(log.received - log.sent))
    if count < 2 or span <= latency:
        return None
    return Rate(count / span, (count - 1) / (span + latency), (count + 1) / (span - latency))


def promises(log: AttemptLog, epochs: list[Epoch]) -> Promises:
    """How `Retry-After` was kept: what became of the first request sent when it had passed."""
    refused = np.flatnonzero(~log.accepted).tolist()
    with_header = sum(_promised(log, index) is not None for index in refused)
    kept = too_short = 0
    for epoch in epochs:
        until = _promised(log, epoch.first)
        if until is None:
            continue
        next_one = int(np.searchsorted(log.sent, until - NOT_EARLIER_S))
        if next_one < len(log.sent):
            kept += bool(log.accepted[next_one])
            too_short += not log.accepted[next_one]
    return Promises(len(refused), with_header, kept, too_short)


def _promised(log: AttemptLog, index: int) -> float | None:
    """The instant at which a refusal's `Retry-After` invites to come back."""
    received = float(log.received[index])
    wait_s = read_rate_limit_headers(log.records[index].headers, received).retry_after_s
    return None if wait_s is None else received + wait_s
