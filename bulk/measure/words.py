"""A measurement in words for people and in JSON for programs; knows neither files nor arrays."""

from __future__ import annotations

import json
from dataclasses import asdict

from bulk.measure.judgement import Measurement
from bulk.measure.models import Fit

FORMAT = 1


def measurement_lines(name: str, measured: Measurement) -> list[str]:
    """What `measure` prints of the batch `name`: the finding first, the evidence under it."""
    lines = [
        f"{name}: {measured.attempts} attempts in {measured.span_s:.1f} s, "
        f"{measured.accepted} accepted, {measured.refused} refused"
        + (f" in {_count(len(measured.epochs), 'epoch')}" if measured.epochs else "")
        + (f", {measured.undecided} without a verdict on the limit" if measured.undecided else "")
    ]
    lines.append(f"Limit    {_finding(measured)}")
    if measured.rate is not None:
        rate = measured.rate
        lines.append(
            f"Rate     {rate.per_s:.4g}/s accepted between the first and the last epoch "
            f"({rate.low_per_s:.4g} to {rate.high_per_s:.4g})"
        )
    if measured.burst_at_least:
        lines.append(
            f"Burst    at least {measured.burst_at_least} accepted at the start beyond that rate"
        )
    lines.append(
        f"Fastest  {measured.fastest_per_s} accepted within a second; "
        f"at most {measured.in_flight_max} in flight"
    )
    lines += _promise_lines(measured)
    if measured.fits:
        width = max(len(fit.spec) for fit in measured.fits)
        count = max(len(str(fit.impossible)) for fit in measured.fits)
        lines.append("Evidence answers that cannot have come from the best of each kind:")
        lines += [
            f"  {fit.spec:{width}}  {fit.impossible:>{count}}{_bounds(fit)}"
            for fit in measured.fits
        ]
    return lines


def _finding(measured: Measurement) -> str:
    if measured.limit is not None:
        return measured.limit
    if measured.consistent:
        many = len(measured.consistent) > 1
        unsure = "the log cannot tell which" if many else "too few refusals to be sure"
        return f"consistent with {{{'; '.join(measured.consistent)}}}: {unsure}"
    if measured.refused:
        return "none of the known kinds explains these answers"
    if not measured.accepted:
        return "nothing was accepted, so nothing is known"
    return f"no limit seen up to {measured.fastest_per_s}/s with {measured.in_flight_max} in flight"


def _bounds(fit: Fit) -> str:
    """What the log leaves open of a model's rate or size."""
    if fit.low == fit.high:
        return ""
    unit = "" if fit.rate_per_s is None else "/s"
    return f"  ({'rate' if unit else 'size'} {fit.low:.4g} to {fit.high:.4g}{unit})"


def _promise_lines(measured: Measurement) -> list[str]:
    kept = measured.promises
    if kept is None:
        return []
    if not kept.with_header:
        return [f"Retry-After absent from all {_count(kept.refusals, 'refusal')}"]
    return [
        f"Retry-After on {kept.with_header} of {_count(kept.refusals, 'refusal')}; "
        f"the next request at its end was accepted {_times(kept.kept)}, "
        f"refused again {_times(kept.too_short)}"
    ]


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _times(number: int) -> str:
    return {0: "never", 1: "once", 2: "twice"}.get(number, f"{number} times")


def measurement_json(name: str, measured: Measurement) -> str:
    """The measurement as JSON text; keys are only added, or `format` changes."""
    content = {"format": FORMAT, "batch": name, **asdict(measured)}
    return json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
