"""A batch in numbers, and the lines the terminal prints at its end; knows no files or frames."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from bulk.exits import Exit, most_urgent
from bulk.model import (
    CANCEL_SETTLED,
    INTERRUPTS,
    AttemptRecord,
    BatchFacts,
    Cancelled,
    Origin,
    Outcome,
    StopCode,
    TriggerResult,
)
from bulk.report.advice import advice_on

FORMAT = 1
SURPLUS_NAMED_MAX = 5
EXIT_BY_STOP: dict[StopCode, Exit] = {
    StopCode.INTERRUPTED: Exit.INTERRUPTED,
    StopCode.TERMINATED: Exit.TERMINATED,
    StopCode.HANGUP: Exit.HANGUP,
    StopCode.QUIT: Exit.QUIT,
    StopCode.AUTH: Exit.AUTH,
    StopCode.STORAGE: Exit.STORAGE,
    StopCode.UNREACHABLE: Exit.UNREACHABLE,
    StopCode.BLOCKED: Exit.UNREACHABLE,
    StopCode.QUOTA_EXHAUSTED: Exit.QUOTA,
    StopCode.RATE_LIMITED: Exit.RATE_LIMITED,
    StopCode.DEADLINE: Exit.RATE_LIMITED,
    StopCode.ALL_REJECTED: Exit.FAILED,
    StopCode.FAIL_FAST: Exit.FAILED,
}
EXIT_BY_OUTCOME: dict[Outcome, Exit] = {
    Outcome.QUEUED: Exit.OK,
    Outcome.REJECTED: Exit.FAILED,
    Outcome.THROTTLED: Exit.RATE_LIMITED,
    Outcome.UNKNOWN: Exit.UNKNOWN,
    Outcome.UNSENT: Exit.FAILED,
}


@dataclass(frozen=True, slots=True)
class LatencyPercentiles:
    """The latencies of accepted attempts, in milliseconds."""

    p50_ms: float
    p90_ms: float
    p95_ms: float
    p99_ms: float
    max_ms: float


@dataclass(frozen=True, slots=True)
class Summary:
    """A batch in numbers.

    `throttles` counts 429s, `resent` the triggers that were throttled and then queued. `waste` is
    429s per queued trigger, None if none was queued. `rate_per_s` is queued triggers per second of
    the batch's time, without the time spent asking the server about lost answers; None if no time
    is left. `failures` pairs failure codes with their counts, the most frequent first. `found`
    counts queued triggers whose run was found at the server after the answer was lost, `surplus`
    the runs that no trigger owns. `cancelled` counts the results of cancelling runs.
    """

    total: int
    queued: int
    rejected: int
    throttled: int
    unknown: int
    unsent: int
    attempts: int
    throttles: int
    resent: int
    waste: float | None
    rate_per_s: float | None
    latency: LatencyPercentiles | None
    failures: tuple[tuple[str, int], ...]
    exit_code: Exit
    found: int = 0
    surplus: int = 0
    cancelled: Counter[Cancelled] = field(default_factory=Counter)


def summarize(
    facts: BatchFacts, results: Sequence[TriggerResult], attempts: Iterable[AttemptRecord]
) -> Summary:
    """The numbers of a batch."""
    outcomes = Counter(result.outcome for result in results)
    codes = Counter(result.failure_code for result in results if result.failure_code)
    requests = throttles = 0
    latencies: list[float] = []
    for attempt in attempts:
        requests += 1
        throttles += attempt.http_status == 429
        if attempt.end == "queued" and attempt.latency_ms is not None:
            latencies.append(attempt.latency_ms)
    queued = outcomes[Outcome.QUEUED]
    sending_s = facts.elapsed_s - facts.reconcile_s
    return Summary(
        total=len(results),
        queued=queued,
        rejected=outcomes[Outcome.REJECTED],
        throttled=outcomes[Outcome.THROTTLED],
        unknown=outcomes[Outcome.UNKNOWN],
        unsent=outcomes[Outcome.UNSENT],
        attempts=requests,
        throttles=throttles,
        resent=sum(result.throttles > 0 and result.outcome is Outcome.QUEUED for result in results),
        waste=throttles / queued if queued else None,
        rate_per_s=queued / sending_s if sending_s > 0 else None,
        latency=_latency(latencies),
        failures=tuple(codes.most_common()),
        exit_code=exit_code(outcomes, facts.stop),
        found=sum(result.origin in (Origin.ADOPTED, Origin.BY_COUNT) for result in results),
        surplus=len(facts.surplus),
        cancelled=Counter(result.cancelled for result in results if result.cancelled),
    )


def exit_code(outcomes: Iterable[Outcome], stop: StopCode | None) -> Exit:
    """The exit code of a batch with these outcomes, stopped by `stop` (None: not stopped)."""
    seen = set(outcomes)
    codes = [EXIT_BY_OUTCOME[outcome] for outcome in seen]
    # A stop requested by the user counts even if nothing was left to send, as with Ctrl-C just
    # before the end. Any other stop counts only if it kept something from being queued.
    if stop is not None and (seen != {Outcome.QUEUED} or stop in INTERRUPTS):
        codes.append(EXIT_BY_STOP[stop])
    return most_urgent(codes)


def exit_of_stop(stop: StopCode) -> Exit:
    """The exit code of a command that `stop` ended early."""
    return EXIT_BY_STOP[stop]


def _latency(latencies: list[float]) -> LatencyPercentiles | None:
    if not latencies:
        return None
    ordered = sorted(latencies)

    def percentile(share: float) -> float:  # the nearest rank: always a measured latency
        return ordered[max(0, math.ceil(share * len(ordered)) - 1)]

    return LatencyPercentiles(
        percentile(0.50), percentile(0.90), percentile(0.95), percentile(0.99), ordered[-1]
    )


def summary_json(facts: BatchFacts, summary: Summary) -> str:
    """The summary as JSON text. `format` changes whenever a key is removed or changes meaning."""
    latency = summary.latency
    content = {
        "format": FORMAT,
        "batch": facts.name,
        "manifest": facts.manifest,
        "base_url": facts.base_url,
        "created": iso(facts.created_at),
        "elapsed_s": round(facts.elapsed_s, 3),
        "reconcile_s": round(facts.reconcile_s, 3),
        "sandbox": facts.sandbox,
        "simulated": facts.simulated,
        "exit_code": int(summary.exit_code),
        "stop": facts.stop,
        "stop_detail": facts.stop_detail,
        "total": summary.total,
        "outcomes": {outcome.value: getattr(summary, outcome.value) for outcome in Outcome},
        "failures": dict(summary.failures),
        "attempts": summary.attempts,
        "throttles": summary.throttles,
        "resent": summary.resent,
        "found": summary.found,
        "surplus": list(facts.surplus),
        "cancelled": {word.replace(" ", "_"): summary.cancelled[word] for word in Cancelled},
        "waste": summary.waste,
        "rate_per_s": summary.rate_per_s,
        "latency_ms": None
        if latency is None
        else {
            name.removesuffix("_ms"): round(getattr(latency, name), 1)
            for name in LatencyPercentiles.__slots__
        },
        "settings": dict(facts.settings),
        "notes": list(facts.notes),
        "version": facts.version,
    }
    return json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def headline(summary: Summary, *, simulated: bool = False) -> str:
    """`All 14 triggered` or `12 of 14 triggered`: about the triggers, not about test results."""
    verb = "would be triggered" if simulated else "triggered"
    if summary.queued == summary.total:
        return f"All {summary.total} {verb}"
    return f"{summary.queued} of {summary.total} {verb}"


def closing_lines(facts: BatchFacts, summary: Summary) -> list[str]:
    """The lines that the terminal prints at the end."""
    lines = [f"{headline(summary)} in {span(facts.elapsed_s)}. Test results not awaited."]
    if facts.simulated:
        lines = [_would_take(facts, summary), "Simulated: nothing was sent; run ids are made up."]
    if facts.stop is not None:
        reason = facts.stop.replace("_", " ")
        lines.append(f"Stopped: {reason}{f' ({facts.stop_detail})' if facts.stop_detail else ''}.")
    lines.append("  " + "   ".join(f"{o.value} {getattr(summary, o.value)}" for o in Outcome))
    numbers = []
    if summary.latency is not None:
        latency = summary.latency
        numbers.append(f"latency p50 {latency.p50_ms:.0f} ms, p95 {latency.p95_ms:.0f} ms")
    numbers.append(f"429s {summary.throttles}{_resent(summary)}")
    lines.append("  " + "; ".join(numbers))
    further = [*reconciled_lines(facts, summary), *cancelled_lines(summary)]
    lines += [f"  {line}" for line in further]
    for code, count in summary.failures:
        advice = advice_on(code, facts.cli_name, simulated=facts.simulated)
        lines += [f"  {count} {code}: {advice.meaning}", f"    {advice.remedy}"]
    return lines


def reconciled_lines(facts: BatchFacts, summary: Summary) -> list[str]:
    """What reconciliation found, in sentences; empty if it found no run."""
    lines = []
    if summary.found:
        of = "1 run was" if summary.found == 1 else f"{summary.found:,} runs were"
        lines.append(f"{of} found at the server after the answer was lost.")
    if summary.surplus:
        named = ", ".join(facts.surplus[:SURPLUS_NAMED_MAX])
        more = summary.surplus - SURPLUS_NAMED_MAX
        runs = "1 run" if summary.surplus == 1 else f"{summary.surplus:,} runs"
        lines.append(
            f"{runs} of these tests that no trigger owns, created meanwhile and billed: {named}"
            + (f" and {more:,} more, all in summary.json" if more > 0 else "")
        )
    return lines


def cancelled_lines(summary: Summary) -> list[str]:
    """The results of cancelling the batch's runs; empty if cancelling was not requested."""
    counts = summary.cancelled
    if not counts:
        return []
    of = "1 queued run" if summary.queued == 1 else f"{summary.queued:,} queued runs"
    line = (
        f"Of {of}, {counts[Cancelled.YES]:,} cancelled, {counts[Cancelled.HAD_ENDED]:,} had ended"
    )
    left = summary.queued - sum(counts[word] for word in CANCEL_SETTLED)
    reasons = {
        Cancelled.NOT_FOUND: "not found at the server",
        Cancelled.REFUSED: "refused",
        Cancelled.UNCLEAR: "without a clear answer",
    }
    why = [f"{counts[word]:,} {text}" for word, text in reasons.items() if counts[word]]
    if left:
        line += f", {left:,} not" + (f" ({', '.join(why)})" if why else "")
    return [f"{line}. A cancelled run may still be billed."]


def _would_take(facts: BatchFacts, summary: Summary) -> str:
    """`Would take 1 min 38 s: 1,000 triggers, 7 429s (0.7 %).`"""
    took = span(facts.elapsed_s)
    triggers = f"{summary.total:,} trigger{'' if summary.total == 1 else 's'}"
    throttles = f"{summary.throttles:,} 429{'' if summary.throttles == 1 else 's'}"
    if summary.throttles and summary.waste is not None:
        throttles += f" ({summary.waste * 100:.1f} %)"
    if summary.queued == summary.total:
        return f"Would take {took}: {triggers}, {throttles}."
    return f"Would end after {took}: {summary.queued:,} of {triggers} queued, {throttles}."


def _resent(summary: Summary) -> str:
    if not summary.throttles:
        return ""
    if summary.queued < summary.total:
        return f" ({summary.resent} triggers were sent again and queued)"
    return {1: " (resent)", 2: " (both resent)"}.get(summary.throttles, " (all resent)")


def span(seconds: float) -> str:
    """`2.1 s`, `3 min 20 s`, `1 h 5 min`."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest_s = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest_s} s"


def iso(unix_s: float) -> str:
    """Unix time as ISO 8601 in UTC, with milliseconds."""
    return datetime.fromtimestamp(unix_s, UTC).isoformat(timespec="milliseconds")[:-6] + "Z"
