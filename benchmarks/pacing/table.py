"""Renders figures as the page of results in Markdown; measures nothing."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from statistics import median

from benchmarks.pacing.cases import Row
from benchmarks.pacing.judging import Miss, misses
from benchmarks.pacing.measuring import PRODUCT, RIVALS, Figures

WORST_SHOWN = 30
AGAINST = (
    *("row", "goal", "cases", "time / least: median", "worst"),
    *("429s per accepted: median", "worst", "429s in a case: most", "idle: median", "met"),
)
AT_QUOTA = ("row", "server", "client", "429s after the first answer", "over", "ended by")
WORST = ("row", "server", "N", "seed", "time / least", "429s", "idle", "missed", "by")
READING = """\
Time is virtual, from the start to the last answer. **Least** is the earliest end for a client that
knows the limit and the phase of its windows and has at most 32 requests in flight. It assumes an
average round trip, so a lucky client can be slightly below 1. For a concurrency cap it is the time
with as many requests in flight as the cap. The server counts a request only while it serves it, not
while it travels, so a client that risks 429s can be faster. **429s** are the server's count, per
accepted trigger. **Idle** is the longest time in which nothing was accepted; with windows, most of
it cannot be avoided. **Met** counts the cases that reached the whole goal. If a goal names a window
or 6 round trips, these are added to the allowed time.

The other clients: *backoff* is ten workers with exponential backoff and full jitter that obey
`Retry-After`. *Adaptive mode* is the cubic rate of the AWS SDKs with 32 workers. The *oracle* knows
the limit. So that only pacing is compared, none of them gives up or resends anything but a 429."""


def page(rows: Sequence[Row], figures: Sequence[Figures], facts: Sequence[str]) -> str:
    """The whole page. `facts` say when, with what and how it was made, one line each."""
    by_row = {row.name: [f for f in figures if f.case.row == row.name] for row in rows}
    parts = ["# Pacing, measured", "\n".join(f"- {fact}" for fact in facts), READING]
    timed = [row for row in rows if row.goal.stop_throttles is None]
    quotas = [row for row in rows if row.goal.stop_throttles is not None]
    if timed:
        lines = [_against_goal(row, by_row[row.name]) for row in timed]
        parts += ["## Against its goals", _table(AGAINST, lines)]
        parts += ["## Side by side", "On the cases that all of them met: time / least · 429s."]
        lines = [_side_by_side(row, by_row[row.name]) for row in timed if row.rivals]
        parts.append(_table(("row", "cases", PRODUCT, *RIVALS), lines))
    if quotas:
        lines = [line for row in quotas for line in _at_quota(row, by_row[row.name])]
        parts += [
            "## Quotas",
            _table(AT_QUOTA, lines),
            "The oracle knows the quota.",
        ]
    parts += ["## Worst cases, by name", _worst(rows, by_row)]
    return "\n\n".join(parts) + "\n"


def _against_goal(row: Row, figures: Sequence[Figures]) -> tuple[str, ...]:
    own = [f for f in figures if f.client == PRODUCT]
    sound = [f for f in own if not f.crashed]
    times = [f.times_least for f in sound if f.times_least is not None]
    met = sum(not misses(f, row.goal) for f in own)
    crashed = sum(bool(f.crashed) for f in own)
    ending = f"{met} of {len(own)}" if row.goal.describe() != "none" else "–"
    return (
        row.title,
        row.goal.describe(),
        str(len(own)),
        _number(median, times),
        _number(max, times),
        _share(median, [f.waste for f in sound]),
        _share(max, [f.waste for f in sound]),
        str(max((f.throttles for f in sound), default="–")),
        f"{median(f.idle_s for f in sound):.1f} s" if sound else "–",
        f"{ending}, {crashed} crashed" if crashed else ending,
    )


def _side_by_side(row: Row, figures: Sequence[Figures]) -> tuple[str, ...]:
    shared = [f for f in figures if f.case.with_rivals]
    cells = [_client_cell([f for f in shared if f.client == name]) for name in (PRODUCT, *RIVALS)]
    return (row.title, str(len({f.case for f in shared})), *cells)


def _client_cell(figures: Sequence[Figures]) -> str:
    sound = [f for f in figures if not f.crashed]
    times = [f.times_least for f in sound if f.times_least is not None]
    cell = f"{_number(median, times)} · {_share(median, [f.waste for f in sound])}"
    unfinished = len(figures) - len(times)
    return f"{cell} ({unfinished} not through)" if unfinished else cell


def _at_quota(row: Row, figures: Sequence[Figures]) -> Iterable[tuple[str, ...]]:
    order = (PRODUCT, *RIVALS)
    for f in sorted(figures, key=lambda f: (f.case.seed, order.index(f.client))):
        ending = f.stop or ("nothing" if f.client == PRODUCT else "us, after an hour")
        yield (
            f"{row.title} ({row.goal.describe()})",
            f"`{f.case.server.spec}`",
            f.client,
            str(f.throttles_later),
            f"{f.throttles_span_s:,.0f} s",
            f"crashed: {f.crashed}" if f.crashed else ending,
        )


def _worst(rows: Sequence[Row], by_row: dict[str, list[Figures]]) -> str:
    """The cases that miss their goals by the most, and how many miss theirs in total."""
    found: list[tuple[float, Row, Figures, list[Miss]]] = []
    for row in rows:
        for figures in by_row[row.name]:
            if figures.client == PRODUCT and (missed := misses(figures, row.goal)):
                found.append((max(miss.by for miss in missed), row, figures, missed))
    if not found:
        return "None: each case met its goal."
    found.sort(key=lambda entry: entry[0], reverse=True)
    lines = [_worst_line(*entry) for entry in found[:WORST_SHOWN]]
    count = f"{len(found)} cases missed their goal; the worst {len(lines)} are:"
    return f"{count}\n\n{_table(WORST, lines)}"


def _worst_line(by: float, row: Row, f: Figures, missed: Sequence[Miss]) -> tuple[str, ...]:
    return (
        row.name,
        f"`{f.case.server.spec}`",
        f"{f.case.count:,}",
        str(f.case.seed),
        "–" if f.times_least is None else f"{f.times_least:.3f}",
        f"{f.throttles} ({f.waste:.2%})",
        f"{f.idle_s:.1f} s",
        "; ".join(miss.text for miss in missed),
        "–" if math.isinf(by) else f"× {by:.2f}",
    )


def _number(summed: Callable[[list[float]], float], values: list[float]) -> str:
    return f"{summed(values):.3f}" if values else "–"


def _share(summed: Callable[[list[float]], float], values: list[float]) -> str:
    return f"{summed(values):.2%}" if values else "–"


def _table(head: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    cells = [head, ["---"] * len(head), *([c.replace("|", "\\|") for c in line] for line in lines)]
    return "\n".join(f"| {' | '.join(line)} |" for line in cells)
