"""The step outputs and the step summary for GitHub Actions; writes no file."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass

from bulk.model import BatchFacts, Cancelled, Outcome, TriggerResult
from bulk.report.advice import advice_on
from bulk.report.case_names import CaseNames
from bulk.report.legible import isolated
from bulk.report.summary import Summary, cancelled_lines, headline, reconciled_lines, span

ROWS_MAX = 200  # GitHub drops a whole summary above 1 MiB; 200 rows are below 700 kB
CELL_CHARACTERS_MAX = 300
_MARKDOWN = re.compile(r"([\\`*_{}\[\]()<>#+!|~&@:-])")


@dataclass(frozen=True, slots=True)
class ReportPaths:
    """The paths of the reports for people: the page and the table."""

    report: str
    table: str


def github_output(facts: BatchFacts, summary: Summary, paths: ReportPaths) -> str:
    """The lines for `$GITHUB_OUTPUT`."""
    fields = {
        **{outcome.value: getattr(summary, outcome.value) for outcome in Outcome},
        "cancelled": summary.cancelled[Cancelled.YES],
        "total": summary.total,
        "exit_code": int(summary.exit_code),
        "batch": facts.name,
        "report": paths.report,
        "table": paths.table,
        **({"simulated": "true"} if facts.simulated else {}),
    }
    return "".join(_assignment(name, str(value)) for name, value in fields.items())


def _assignment(name: str, value: str) -> str:
    if "\n" not in value and "\r" not in value:
        return f"{name}={value}\n"
    # A value with line ends needs a delimiter that it does not contain.
    end = f"end-{secrets.token_hex(8)}"
    return f"{name}<<{end}\n{value}\n{end}\n"


def step_summary(
    facts: BatchFacts, summary: Summary, results: Iterable[TriggerResult], names: CaseNames
) -> str:
    """Markdown for `$GITHUB_STEP_SUMMARY`: failures first, at most `ROWS_MAX` of them."""
    lines = [
        f"## {headline(summary, simulated=facts.simulated)}",
        "",
        *(("**Simulated: nothing was sent.**", "") if facts.simulated else ()),
        f"Batch {_plain(facts.name)}, {span(facts.elapsed_s)}. **Queued is not passed:** "
        "test results were not awaited.",
        "",
        "| " + " | ".join(outcome.value for outcome in Outcome) + " | 429s |",
        "|" + "---:|" * (len(Outcome) + 1),
        "| "
        + " | ".join(str(getattr(summary, outcome.value)) for outcome in Outcome)
        + f" | {summary.throttles} |",
        "",
    ]
    further = [*reconciled_lines(facts, summary), *cancelled_lines(summary)]
    lines += [f"- {line}" for line in further]
    for code, count in summary.failures:
        advice = advice_on(code, facts.cli_name, simulated=facts.simulated)
        lines.append(f"- **{count} {_plain(code)}**: {advice.meaning} {advice.remedy}")
    failed = [result for result in results if result.outcome is not Outcome.QUEUED]
    if failed:
        lines += ["", "| test | outcome | code | message |", "|---|---|---|---|"]
        for result in failed[:ROWS_MAX]:
            texts = (result.outcome, result.failure_code or "", result.message or "")
            cells = [_literal(names.of(result.trigger).text), *map(_plain, texts)]
            lines.append(f"| {' | '.join(cells)} |")
        if len(failed) > ROWS_MAX:
            lines += ["", f"... and {len(failed) - ROWS_MAX} more, all in the report."]
    return "\n".join([*lines, ""])


def _plain(text: str) -> str:
    """The text as Markdown that shows it literally, on one line and cut to a cell's length."""
    return _literal(isolated(" ".join(text[:CELL_CHARACTERS_MAX].split())))


def _literal(text: str) -> str:
    """The text as Markdown that shows it literally."""
    return _MARKDOWN.sub(r"\\\1", text).encode("utf-8", "replace").decode()
