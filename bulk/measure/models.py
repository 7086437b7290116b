"""Holds the log against each model of a limiter and counts the answers that it cannot explain.

Each model has one size (a burst, a limit, a cap) that acceptances bound from below and refusals
from above. The size that contradicts the fewest answers is the model's best case, and the number
it still contradicts is what speaks against the model.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bulk.measure.log import AttemptLog, Floats

COMBS = 3  # each finer, about the edges of the best rates of the last one
RATES = 60  # rates tried for a bucket, evenly spaced in logarithm
RATE_BELOW = 1.5  # the rate is searched from this many times below the sustained one ...
RATE_ABOVE = 6.0  # ... to this many times above the fastest second: pauses hide what was free
NEAR = 0.02  # about the sustained rate, combed four times as finely
WIDE = 1.25
EXACT = 1e-3  # of a request: times are seconds since 1970, exact to a quarter of a microsecond


@dataclass(frozen=True, slots=True)
class Fit:
    """A model at its best. `spec` is its text in the language for limits.

    `impossible` answers of the log cannot have come from it. `low` and `high` bound the rate of a
    bucket, per second, and the size of all others.
    """

    kind: str
    spec: str
    impossible: int
    low: float
    high: float
    rate_per_s: float | None = None
    size: float | None = None
    window_s: float | None = None


@dataclass(frozen=True, slots=True)
class Size:
    """The best size of a model, the whole range that is as good, and what contradicts it."""

    low: float
    high: float
    impossible: int


def best_size(at_least: Floats, at_most: Floats) -> Size:
    """The sizes that the fewest answers contradict.

    at_least: shape (accepted,), what each acceptance asks for. at_most: shape (refused,), what each
    refusal allows. Sizes are at least 1.
    """
    floor = np.sort(np.maximum(at_least, 1.0))
    ceiling = np.sort(at_most)
    tried = np.unique(np.concatenate([floor, ceiling[ceiling >= 1.0], [1.0]]))
    against = len(floor) - np.searchsorted(floor, tried + EXACT, side="right")
    against = against + np.searchsorted(ceiling, tried - EXACT, side="left")
    least = int(against.min())
    good = tried[against == least]
    return Size(float(good[0]), float(good[-1]), least)


def whole_size(size: Size) -> float:
    """The whole number to name a size by."""
    low = float(np.ceil(size.low - EXACT))
    return max(1.0, float(np.floor(roundest(low, max(low, float(np.floor(size.high + EXACT)))))))


def roundest(low: float, high: float) -> float:
    """The number in [low, high] with the fewest significant digits; of several, the middle one.

    Of a wide range only the middle counts: a round number at its edge would be a bad guess.
    """
    if high > WIDE * low > 0:
        third = (high / low) ** (1 / 3)
        low, high = low * third, high / third
    middle = (low + high) / 2
    if middle <= 0 or high - low < 1e-9 * middle:
        return float(f"{middle:.4g}")
    for digits in range(1, 5):
        step = 10.0 ** (np.floor(np.log10(middle)) - digits + 1)
        for unit in (5 * step, 2 * step, step):  # 50 before 40 before 47
            nearest = float(f"{round(middle / unit) * unit:.6g}")
            if low <= nearest <= high:
                return nearest
    return float(f"{middle:.4g}")


def token_bucket(log: AttemptLog, around_per_s: float, fastest_per_s: float) -> Fit:
    """A bucket: its rate is searched up from the sustained one, its burst is what fits it best."""
    near = around_per_s * np.linspace(1 - NEAR, 1 + NEAR, 4 * RATES)  # a long log is this exact
    far = np.geomspace(
        around_per_s / RATE_BELOW, RATE_ABOVE * max(around_per_s, fastest_per_s), RATES
    )
    against: dict[float, int] = {}
    for _ in range(COMBS):
        against |= {float(rate): _burst(log, float(rate)).impossible for rate in [*near, *far]}
        low, high, below, above = _best_block(against, around_per_s)
        near, far = np.geomspace(below, low, RATES // 2), np.geomspace(high, above, RATES // 2)
    rate = roundest(low, high)
    size = _burst(log, rate)
    burst = whole_size(size)
    spec = f"token-bucket {rate_text(rate)} burst {burst:.0f}"
    if burst == 1:
        spec = f"strict-spacing {rate_text(rate)}"
    return Fit("token-bucket", spec, size.impossible, low, high, rate, burst)


def _best_block(against: dict[float, int], around: float) -> tuple[float, float, float, float]:
    """Of the neighbouring best rates those nearest to `around`: first, last, and what is beyond."""
    rates, least = sorted(against), min(against.values())
    nearest = min((r for r in rates if against[r] == least), key=lambda r: abs(np.log(r / around)))
    low = high = rates.index(nearest)
    while low > 0 and against[rates[low - 1]] == least:
        low -= 1
    while high < len(rates) - 1 and against[rates[high + 1]] == least:
        high += 1
    below, above = max(low - 1, 0), min(high + 1, len(rates) - 1)
    return rates[low], rates[high], rates[below], rates[above]


def _burst(log: AttemptLog, rate: float) -> Size:
    """What acceptances and refusals say of the burst, if the bucket fills at `rate` a second."""
    ours, refused = log.accepted, ~log.accepted
    sent, received = log.earliest[ours], log.latest[ours]
    turn = np.arange(len(sent))
    # The least debt: any run of sends was drawn no earlier than its first, and by its last answer.
    drawn = np.maximum.accumulate(sent - turn / rate) + (turn + 1) / rate
    at_least = (drawn - np.maximum.accumulate(received)) * rate
    # The most debt a refusal may have met: all that may have been before it, drawn at the answers.
    latest = np.maximum.accumulate(np.sort(received) - turn / rate)
    before = np.searchsorted(sent, log.latest[refused], side="right")
    debt = np.zeros(len(before))
    some = before > 0
    last = before[some] - 1
    debt[some] = latest[last] + (last + 1) / rate - log.earliest[refused][some]
    at_most = 1 + np.maximum(debt, 0.0) * rate - 2 * EXACT
    return best_size(at_least.astype(np.float64), at_most.astype(np.float64))


def concurrency(log: AttemptLog) -> Fit:
    """A cap on requests at once.

    What the server held at an instant is not bounded by the log: it is taken to hold a request for
    the middle half of its latency. Where it holds them longer, that errs in the model's favour.
    """
    ours, refused = log.accepted, ~log.accepted
    quarter = (log.received - log.sent) / 4
    came, went = (log.sent + quarter)[ours], (log.received - quarter)[ours]
    held = np.searchsorted(np.sort(came), came, side="right")
    at_least = held - np.searchsorted(np.sort(went), came, side="right")
    overlapping = np.searchsorted(np.sort(log.sent), log.received[refused], side="right")
    overlapping = overlapping - np.searchsorted(np.sort(log.received), log.sent[refused])
    size = best_size(at_least.astype(np.float64), overlapping.astype(np.float64) - 1.0)
    cap = whole_size(size)
    spec = f"concurrency {cap:.0f}"
    return Fit("concurrency", spec, size.impossible, size.low, size.high, size=cap)


def quota(log: AttemptLog) -> Fit:
    """A number that is used up for good: every acceptance behind the first refusal contradicts."""
    refused = np.flatnonzero(~log.accepted)
    first_answer = log.received[refused[0]] if len(refused) else np.inf
    late = int((log.accepted & (log.sent > first_answer)).sum())
    count = int(log.accepted.sum())
    return Fit("quota", f"quota {max(1, count - late)}", late, count, count, size=float(count))


def rate_text(per_s: float) -> str:
    """A rate in the language for limits, in the unit in which it is a number one reads."""
    for unit, seconds in (("s", 1), ("m", 60), ("h", 3600)):
        if per_s * seconds >= 1 or unit == "h":
            return f"{float(f'{per_s * seconds:.4g}'):g}/{unit}"
    raise AssertionError("the last unit takes all")
