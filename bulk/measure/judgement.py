"""Weighs the models against each other and says what the log proves, and no more than that."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from bulk.measure import models, windows
from bulk.measure.epochs import Epoch, Promises, Rate, find_epochs, promises, sustained_rate
from bulk.measure.log import AttemptLog, Floats
from bulk.measure.models import Fit
from bulk.model import AttemptRecord

# What a class needs before it is named: as many congestions, or ends of windows, as its kind asks.
EPOCHS_MIN = {
    "token-bucket": 3,
    "concurrency": 3,
    "fixed-window": 5,
    "sliding-window": 5,
    "sliding-counter": 5,
}
RUNNER_UP_SHARE = 0.5  # named only if it explains twice as well as the next class does
RUNNER_UP_MIN = 3  # ... and the next class is contradicted by more than chance answers
UNEXPLAINED_MAX = 0.02  # of the refusals; a model that leaves more of them open explains nothing
QUOTA_SILENCE_S = 600.0  # a quota looks like a long window until this much time was refused
QUEUE_IN_FLIGHT_RATIO = 2.0  # a queue shows where twice as many in flight ...
QUEUE_LATENCY_SHARE = 0.7  # ... wait nearly twice as long ...
QUEUE_RATE_RATIO = 1.2  # ... and are served hardly faster
QUEUE_ACCEPTED_MIN = 100
QUEUE_CALM = 10  # requests with the fewest in flight that say how long an idle server takes


@dataclass(frozen=True, slots=True)
class Measurement:
    """What a log says of the limit.

    `limit` is the class that is named, in the language for limits, None where none could be;
    `consistent` are the classes that explain the log about as well. `fastest_per_s` is the most
    that was accepted in any one second. `burst_at_least` was accepted before the first refusal
    beyond the sustained rate. `fits` are all models, the best first.
    """

    attempts: int
    accepted: int
    refused: int
    undecided: int
    span_s: float
    fastest_per_s: int
    in_flight_max: int
    epochs: tuple[Epoch, ...] = ()
    rate: Rate | None = None
    burst_at_least: int | None = None
    promises: Promises | None = None
    limit: str | None = None
    consistent: tuple[str, ...] = ()
    fits: tuple[Fit, ...] = ()


def measure(attempts: Iterable[AttemptRecord]) -> Measurement:
    """What the attempts of a batch, in any order, say of the API's limit."""
    log = AttemptLog.of(attempts)
    accepted = int(log.accepted.sum())
    epochs = find_epochs(log)
    rate = sustained_rate(log, epochs)
    limit: str | None
    consistent: tuple[str, ...]
    if epochs:
        fits = _fits(log, epochs, rate)
        limit, consistent = _judge(fits, log, epochs)
    else:
        fits, limit, consistent = (), _queue(log), ()
    return Measurement(
        attempts=len(log.sent) + log.undecided,
        accepted=accepted,
        refused=len(log.sent) - accepted,
        undecided=log.undecided,
        span_s=log.span_s,
        fastest_per_s=_fastest(log),
        in_flight_max=int(log.in_flight.max()) if len(log.sent) else 0,
        epochs=tuple(epochs),
        rate=rate,
        burst_at_least=_burst_seen(log, epochs, rate),
        promises=promises(log, epochs) if epochs else None,
        limit=limit,
        consistent=consistent,
        fits=fits,
    )


def _fits(log: AttemptLog, epochs: list[Epoch], rate: Rate | None) -> tuple[Fit, ...]:
    around = rate.per_s if rate else max(1, int(log.accepted.sum())) / max(log.span_s, 1e-3)
    fits = [
        models.token_bucket(log, around, _fastest(log)),
        windows.fixed_window(log, epochs),
        windows.sliding_window(log),
        windows.sliding_counter(log),
        models.concurrency(log),
        models.quota(log),
    ]
    return tuple(sorted((fit for fit in fits if fit), key=lambda fit: fit.impossible))


def _judge(
    fits: tuple[Fit, ...], log: AttemptLog, epochs: list[Epoch]
) -> tuple[str | None, tuple[str, ...]]:
    """The class that is named, or those that cannot be told apart."""
    refused = int((~log.accepted).sum())
    able = [fit for fit in fits if fit.impossible <= max(1, UNEXPLAINED_MAX * refused)]
    if not able:
        return None, ()
    best, others = able[0], fits[1:]
    runner_up = others[0].impossible if others else 0
    alone = runner_up >= RUNNER_UP_MIN and best.impossible <= RUNNER_UP_SHARE * runner_up
    if alone and _seen_enough(best, log, epochs):
        return best.spec, ()
    if alone:
        return None, (best.spec,)
    near = [
        fit for fit in able if best.impossible > RUNNER_UP_SHARE * fit.impossible or fit is best
    ]
    near += [fit for fit in able if fit.impossible < RUNNER_UP_MIN and fit not in near]
    return None, tuple(fit.spec for fit in near)


def _seen_enough(fit: Fit, log: AttemptLog, epochs: list[Epoch]) -> bool:
    if fit.kind == "quota":
        first = log.received[epochs[0].first]
        return bool(log.received[-1] - first >= QUOTA_SILENCE_S)
    recovered = sum(epoch.recovered is not None for epoch in epochs)
    return recovered >= EPOCHS_MIN[fit.kind] and fit.high <= models.WIDE * fit.low


def _fastest(log: AttemptLog) -> int:
    """The most accepted requests that were sent within one second."""
    sent = log.sent[log.accepted]
    if not len(sent):
        return 0
    return int((np.searchsorted(sent, sent + 1.0, side="left") - np.arange(len(sent))).max())


def _burst_seen(log: AttemptLog, epochs: list[Epoch], rate: Rate | None) -> int | None:
    if rate is None:
        return None
    first = epochs[0].first
    before = int(log.accepted[:first].sum())
    refilled = rate.per_s * float(log.received[first] - log.sent[0])
    return max(0, int(before - refilled))


def _queue(log: AttemptLog) -> str | None:
    """A server that delays instead of refusing: more in flight wait longer and get no faster."""
    if int(log.accepted.sum()) < QUEUE_ACCEPTED_MIN:
        return None
    ours = log.accepted
    flight, latency = log.in_flight[ours], (log.received - log.sent)[ours]
    order = np.argsort(flight, kind="stable")
    calm, busy = order[: max(QUEUE_CALM, len(order) // 100)], order[-len(order) // 4 :]
    more = flight[busy].mean() / flight[calm].mean()
    if more < QUEUE_IN_FLIGHT_RATIO:
        return None
    if latency[busy].mean() <= QUEUE_LATENCY_SHARE * more * latency[calm].mean():
        return None
    served = np.sort(log.received[ours])
    half = len(served) // 2
    halves = [_per_s(served[:half]), _per_s(served[half:])]
    if max(halves) > QUEUE_RATE_RATIO * min(halves):
        return None
    return f"queue {models.rate_text(models.roundest(min(halves), max(halves)))}"


def _per_s(instants: Floats) -> float:
    return (len(instants) - 1) / max(float(instants[-1] - instants[0]), 1e-9)
