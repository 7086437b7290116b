"""junit.xml is valid against the strictest schema we know, and no two of its cases are one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import xmlschema
from hypothesis import given, settings
from hypothesis import strategies as st

from bulk.model import Cancelled, FailureCode, Origin, Outcome, Trigger, TriggerResult
from bulk.report import render_all
from tests.properties import examples
from tests.report.records import (
    HOSTILE,
    MIXED,
    RUN,
    STOPPED,
    T0,
    any_text,
    facts,
    hostile_results,
    queued,
)
from tests.report.test_case_names import batches

JENKINS_XUNIT = xmlschema.XMLSchema10(
    Path(__file__).parent / "schemas" / "jenkins-xunit-junit-10.xsd"
)


def junit(results: list[TriggerResult], **about: Any) -> str:
    of = render_all(replace(facts(), **about), results, [], now=T0)
    return dict(of.files)["data/junit.xml"].decode()


@pytest.mark.parametrize(
    "results",
    [
        [],
        MIXED,
        hostile_results(HOSTILE),
        [queued(number, cancelled=word) for number, word in enumerate(Cancelled, 1)],
    ],
    ids=["no trigger", "each outcome", "hostile texts", "cancelled"],
)
@pytest.mark.parametrize(
    "about",
    [
        {},
        {"stop": STOPPED.stop, "simulated": True},
        {"elapsed_s": 1_234_567.891, "name": "a\x00\ud800", "manifest": "a\nb\x1b.csv"},
    ],
    ids=["plain", "simulated", "odd facts"],
)
def test_it_is_valid_for_jenkins_xunit_plugin(
    results: list[TriggerResult], about: dict[str, Any]
) -> None:
    JENKINS_XUNIT.validate(junit(results, **about))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("<testcase ", '<testcase file="release.csv" '),
        ("<testcase ", '<testcase line="2" '),
        ("<testsuites ", '<testsuites skipped="0" '),
        ("<system-out>", "<properties /><system-out>"),
    ],
)
def test_the_schema_refuses_what_some_other_readers_accept(old: str, new: str) -> None:
    text = junit(MIXED)
    assert old in text
    with pytest.raises(xmlschema.XMLSchemaValidationError):
        JENKINS_XUNIT.validate(text.replace(old, new, 1))


@st.composite
def results(draw: st.DrawFn, trigger: Trigger) -> TriggerResult:
    """Any result of a trigger."""
    outcome = draw(st.sampled_from(Outcome))
    number = st.none() | st.floats(0, 1e9)
    common: dict[str, Any] = {
        "http_status": draw(st.none() | st.integers(100, 599)),
        "error": draw(st.none() | any_text),
        "message": draw(st.none() | any_text),
        "total_ms": draw(number),
    }
    if outcome is not Outcome.QUEUED:
        code = draw(st.sampled_from(FailureCode))
        return TriggerResult(trigger, outcome, failure_code=code, **common)
    return TriggerResult(
        trigger,
        outcome,
        run_id=RUN,
        origin=draw(st.none() | st.sampled_from(Origin)),
        cancelled=draw(st.none() | st.sampled_from(Cancelled)),
        **common,
    )


@pytest.mark.long
@given(data=st.data(), triggers=batches)
@settings(deadline=None, max_examples=examples(60))
def test_any_batch_gives_a_valid_file_in_which_each_case_is_told_apart(
    data: st.DataObject, triggers: list[Trigger]
) -> None:
    text = junit([data.draw(results(trigger)) for trigger in triggers])
    JENKINS_XUNIT.validate(text)
    cases = list(ElementTree.fromstring(text).iter("testcase"))
    assert len({(case.get("classname"), case.get("name")) for case in cases}) == len(triggers)
