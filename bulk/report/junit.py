"""The batch as JUnit XML for GitLab, Jenkins and Azure; it says nothing about tests passing.

A trigger that was not queued is an `error`: the server has no run of it, or may have none. There
is never a `failure`, which would say that the tested product failed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from xml.etree import ElementTree

from bulk.model import BatchFacts, Outcome, TriggerResult
from bulk.report.advice import advice_on
from bulk.report.case_names import CaseNames

SUITE = "trigger (no verdicts)"
# What XML 1.0 cannot hold: control characters, lone surrogates and the two non-characters.
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit_bytes(facts: BatchFacts, results: Iterable[TriggerResult], names: CaseNames) -> bytes:
    """One suite with one case per trigger."""
    name = f"simulated {SUITE}" if facts.simulated else SUITE
    suite = ElementTree.Element("testsuite", name=name)
    count = errors = 0
    for result in results:
        count += 1
        errors += result.outcome is not Outcome.QUEUED
        suite.append(_case(facts, result, names))
    moment = datetime.fromtimestamp(facts.created_at, UTC)
    for name, value in (
        ("tests", str(count)),
        ("failures", "0"),
        ("errors", str(errors)),
        ("skipped", "0"),
        ("time", f"{facts.elapsed_s:.3f}"),
        ("timestamp", f"{moment:%Y-%m-%dT%H:%M:%S}"),
    ):
        suite.set(name, value)
    root = ElementTree.Element("testsuites", {**suite.attrib, "name": f"bulk-trigger {facts.name}"})
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
        file=_xml(facts.manifest),
        line=str(trigger.line),
        time=f"{(result.total_ms or 0.0) / 1000:.3f}",
    )
    if result.run_id is not None:
        properties = ElementTree.SubElement(case, "properties")
        ElementTree.SubElement(properties, "property", name="run_id", value=result.run_id)
        if result.origin is not None:
            ElementTree.SubElement(properties, "property", name="origin", value=result.origin)
        if result.cancelled is not None:
            ElementTree.SubElement(properties, "property", name="cancelled", value=result.cancelled)
    if result.outcome is not Outcome.QUEUED:
        assert result.failure_code is not None
        lines = [f"HTTP {result.http_status}" if result.http_status else "", result.error or ""]
        advice = advice_on(result.failure_code, facts.cli_name, simulated=facts.simulated)
        lines += [result.message or "", advice.remedy]
        error = ElementTree.SubElement(
            case,
            "error",
            type=_xml(result.failure_code),
            message=_xml(f"{result.outcome}: {result.failure_code}"),
        )
        error.text = _xml("\n".join(filter(None, lines)))
    return case


def _xml(text: str) -> str:
    return _NOT_XML.sub("\ufffd", text)
