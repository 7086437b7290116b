"""The batch as JUnit XML for CI servers; it says nothing about tests passing.

A trigger that was not queued is an `error`: the server has no run of it, or may have none. There
is never a `failure`, which would say that the tested product failed.

The file is valid against the schema of Jenkins' xUnit plugin, which refuses what it does not know.
So a case has no attribute and no property for its line and its run; they stand in its texts.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from xml.etree import ElementTree

from bulk.model import BatchFacts, Outcome, TriggerResult
from bulk.report.advice import advice_on
from bulk.report.case_names import CaseNames
from bulk.report.legible import one_line

SUITE = "trigger (no verdicts)"
# What XML 1.0 cannot hold: control characters, lone surrogates and the two non-characters.
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit_bytes(facts: BatchFacts, results: Iterable[TriggerResult], names: CaseNames) -> bytes:
    """One suite with one case per trigger."""
    name = f"simulated {SUITE}" if facts.simulated else SUITE
    suite = ElementTree.Element("testsuite", name=name, file=_xml(facts.manifest))
    count = errors = 0
    for result in results:
        count += 1
        errors += result.outcome is not Outcome.QUEUED
        suite.append(_case(facts, result, names))
    moment = datetime.fromtimestamp(facts.created_at, UTC)
    counts = {
        "tests": str(count),
        "failures": "0",
        "errors": str(errors),
        "time": f"{facts.elapsed_s:.3f}",
    }
    suite.attrib |= {**counts, "skipped": "0", "timestamp": f"{moment:%Y-%m-%dT%H:%M:%S}"}
    root = ElementTree.Element("testsuites", {"name": _xml(f"bulk-trigger {facts.name}"), **counts})
    root.append(suite)
    ElementTree.indent(root)
    text: bytes = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    return text + b"\n"


def _case(facts: BatchFacts, result: TriggerResult, names: CaseNames) -> ElementTree.Element:
    trigger = result.trigger
    case = ElementTree.Element(
        "testcase",
        name=_xml(names.of(trigger).text),
        classname=trigger.test_id,
        time=f"{(result.total_ms or 0.0) / 1000:.3f}",
    )
    if result.outcome is not Outcome.QUEUED:
        assert result.failure_code is not None
        lines = [f"HTTP {result.http_status}" if result.http_status else "", result.error or ""]
        advice = advice_on(result.failure_code, facts.cli_name, simulated=facts.simulated)
        lines += [result.message or "", advice.remedy]
        # As in a stack trace: reporters for GitHub look for such a place, and mark the last one.
        lines.append(f"at {one_line(facts.manifest)}:{trigger.line}")
        error = ElementTree.SubElement(
            case,
            "error",
            type=_xml(result.failure_code),
            message=_xml(f"{result.outcome}: {result.failure_code}"),
        )
        error.text = _xml("\n".join(filter(None, lines)))
    # Nothing foreign may stand here: GitLab and Jenkins attach files that an output names.
    run = {"run_id": result.run_id, "origin": result.origin, "cancelled": result.cancelled}
    if result.run_id is not None:
        output = ElementTree.SubElement(case, "system-out")
        output.text = "\n".join(f"{name}: {value}" for name, value in run.items() if value)
    return case


def _xml(text: str) -> str:
    return _NOT_XML.sub("\ufffd", text)
