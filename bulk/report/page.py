"""The batch as one HTML page for the release meeting, without scripts or anything to load.

Jinja2 escapes every text. The content security policy allows the style sheet, by its hash, and
nothing else.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from importlib.resources import files

import jinja2

from bulk.model import BatchFacts, Outcome, TriggerResult
from bulk.report.advice import Advice, advice_on
from bulk.report.case_names import CaseNames
from bulk.report.legible import balanced, isolated
from bulk.report.summary import Summary, cancelled_lines, headline, iso, reconciled_lines, span

ROWS_MAX = 2_000  # browsers are slow to lay out longer tables; report.csv has all rows
SHOWN_PER_FAILURE_MAX = 50
OWN_COLUMNS_MAX = 4  # more would push the outcome off the screen; report.csv has all columns
# A cell of a manifest can have 131,072 characters and as many tags; report.csv has them in full.
TEXT_CHARACTERS_MAX = 500
TAGS_MAX = 20
MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)


@dataclass(frozen=True, slots=True)
class FailureGroup:
    """Triggers with the same failure code: the first ones, and how many `more` there are."""

    code: str
    count: int
    advice: Advice
    shown: tuple[TriggerResult, ...]
    more: int


@dataclass(frozen=True, slots=True)
class CellCount:
    """The outcomes of the triggers of one platform and mode; `counts` are in `Outcome`'s order."""

    label: str
    counts: tuple[int, ...]
    total: int


def page_bytes(
    facts: BatchFacts,
    summary: Summary,
    results: Sequence[TriggerResult],
    names: CaseNames,
    *,
    now: float,
) -> bytes:
    """The page, written at Unix time `now`, in UTF-8."""
    folder = files("bulk.report") / "templates"
    style = (folder / "report.css").read_bytes().decode()
    environment = jinja2.Environment(
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_finalized,
    )
    environment.filters |= {"day": _day, "iso": iso, "span": span, "ms": _ms, "brief": brief}
    environment.filters |= {"case": names.of, "isolated": isolated}
    template = environment.from_string((folder / "report.html.j2").read_bytes().decode())
    failed = [result for result in results if result.outcome is not Outcome.QUEUED]
    queued = [result for result in results if result.outcome is Outcome.QUEUED]
    rows = [*failed, *queued][:ROWS_MAX]
    text = template.render(
        facts=facts,
        summary=summary,
        headline=headline(summary, simulated=facts.simulated),
        outcomes=list(Outcome),
        now=now,
        style=style,
        style_hash=base64.b64encode(sha256(style.encode()).digest()).decode(),
        further=[*reconciled_lines(facts, summary), *cancelled_lines(summary)],
        groups=_groups(facts, summary, failed),
        cells=_cells(results),
        rows=rows,
        left_out=len(results) - len(rows),
        tags_max=TAGS_MAX,
        own_columns=facts.own_columns[:OWN_COLUMNS_MAX],
        own_columns_left_out=max(0, len(facts.own_columns) - OWN_COLUMNS_MAX),
    )
    return text.encode("utf-8", "replace")


def _finalized(value: object) -> object:
    """What the template writes for a value: for a text, one that `<bdi>` can hold together."""
    if value is None:
        return ""
    return balanced(value) if type(value) is str else value  # not markup, which is a subclass


def _groups(
    facts: BatchFacts, summary: Summary, failed: Sequence[TriggerResult]
) -> list[FailureGroup]:
    by_code: dict[str, list[TriggerResult]] = {code: [] for code, _ in summary.failures}
    for result in failed:
        assert result.failure_code is not None
        by_code[result.failure_code].append(result)
    return [
        FailureGroup(
            code=code,
            count=len(members),
            advice=advice_on(code, facts.cli_name, simulated=facts.simulated),
            shown=tuple(members[:SHOWN_PER_FAILURE_MAX]),
            more=max(0, len(members) - SHOWN_PER_FAILURE_MAX),
        )
        for code, members in by_code.items()
    ]


def _cells(results: Sequence[TriggerResult]) -> list[CellCount]:
    counts: dict[str, dict[Outcome, int]] = {}
    for result in results:
        trigger = result.trigger
        label = f"{trigger.platform or 'default platform'}, {trigger.mode or 'default mode'}"
        of_label = counts.setdefault(label, dict.fromkeys(Outcome, 0))
        of_label[result.outcome] += 1
    return [
        CellCount(label, tuple(of_label.values()), sum(of_label.values()))
        for label, of_label in counts.items()
    ]


def _day(unix_s: float) -> str:
    """`24 November 2026, 02:41 UTC`, in English whatever the locale."""
    at = datetime.fromtimestamp(unix_s, UTC)
    return f"{at.day} {MONTHS[at.month - 1]} {at.year}, {at:%H:%M} UTC"


def _ms(milliseconds: float | None) -> str:
    if milliseconds is None:
        return ""
    return f"{milliseconds:,.0f} ms" if milliseconds < 10_000 else span(milliseconds / 1000)


def brief(text: str) -> str:
    """The text, cut if it is too long for a table."""
    return text if len(text) <= TEXT_CHARACTERS_MAX else text[: TEXT_CHARACTERS_MAX - 1] + "…"
