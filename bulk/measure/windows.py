"""The models that count in windows: fixed, sliding, and the counter that blends two fixed ones."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

from bulk.measure.epochs import Epoch
from bulk.measure.log import AttemptLog, Floats
from bulk.measure.models import Fit, Size, best_size, whole_size

WINDOWS_S = (1.0, 2.0, 5.0, 10.0, 15.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 3600.0)
PHASES_MAX = 12  # recoveries whose instant is tried as a window's boundary


def sliding_window(log: AttemptLog) -> Fit | None:
    """Never more than a limit in any window; None where the log is too short to hold two."""
    return _best("sliding-window", log, lambda window: [_any_window(log, window)])


def fixed_window(log: AttemptLog, epochs: list[Epoch]) -> Fit | None:
    """A limit for each window; these begin on the wall's clock, or where requests got in again."""
    back = [float(log.sent[e.recovered]) for e in epochs if e.recovered is not None]

    def sizes(window: float) -> Iterable[Size]:
        for phase in (0.0, *(instant % window for instant in back[:PHASES_MAX])):
            yield _aligned(log, window, phase, blend=False)

    return _best("fixed-window", log, sizes)


def sliding_counter(log: AttemptLog) -> Fit | None:
    """This window's count and the last one's, by the share of it that a sliding window covers."""
    return _best("sliding-counter", log, lambda window: [_aligned(log, window, 0.0, blend=True)])


def _best(kind: str, log: AttemptLog, sizes: Callable[[float], Iterable[Size]]) -> Fit | None:
    """The best window; of equally good ones that which allows the least, as it binds the most."""
    fits = []
    for window in WINDOWS_S:
        if window > log.span_s / 2:
            break
        size = min(sizes(window), key=lambda size: size.impossible)
        limit = whole_size(size)
        spec = f"{kind} {limit:.0f}/{'' if window == 1 else f'{window:g}'}s"
        fits.append(
            Fit(kind, spec, size.impossible, size.low, size.high, size=limit, window_s=window)
        )
    return min(fits, key=lambda fit: (fit.impossible, fit.low / (fit.window_s or 1)), default=None)


def _any_window(log: AttemptLog, window: float) -> Size:
    ours, refused = log.accepted, ~log.accepted
    sent, received = log.earliest[ours], np.sort(log.latest[ours])
    # All that were sent since mine and answered within a window of it count together.
    together = np.searchsorted(received, sent + window, side="right") - np.arange(len(sent))
    maybe = np.searchsorted(sent, log.latest[refused], side="right")
    maybe = maybe - np.searchsorted(received, log.earliest[refused] - window)
    return best_size(together.astype(np.float64), maybe.astype(np.float64))


def _aligned(log: AttemptLog, window: float, phase: float, *, blend: bool) -> Size:
    """The limit of windows that begin at `phase`; `blend` adds the last one's remaining share."""
    ours, refused = log.accepted, ~log.accepted
    sent, received = log.earliest[ours], log.latest[ours]
    answered = np.sort(received)
    opened, closed = np.floor((sent - phase) / window), np.floor((received - phase) / window)
    sure = opened == closed  # on which side of a boundary it arrived is known
    own = opened[sure]

    # The nth acceptance that is surely in a window asks for a limit of n.
    asked = np.arange(len(own)) - np.searchsorted(own, own) + 1.0
    if blend:
        before = np.searchsorted(own, own) - np.searchsorted(own, own - 1)
        asked += before * (1 - ((received[sure] - phase) / window - own))

    def met(instants: Floats) -> Floats:
        """The most that a refusal may have found counted, had it arrived at these instants."""
        began = np.floor((instants - phase) / window) * window + phase
        latest = np.searchsorted(sent, log.latest[refused], side="right")
        count = (latest - np.searchsorted(answered, began)).astype(np.float64)
        if blend:
            last = np.searchsorted(sent, began) - np.searchsorted(answered, began - window)
            count += last * (1 - (instants - began) / window) + 1
        return count

    return best_size(asked, np.maximum(met(log.earliest[refused]), met(log.latest[refused])))
