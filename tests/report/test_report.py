"""Each report file agrees with the records, whatever text they contain."""

from __future__ import annotations

import csv
import io
import json
import re
from html.parser import HTMLParser
from itertools import pairwise
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bulk.exits import Exit
from bulk.manifest.formulas import unescape_formula
from bulk.manifest.header import COLUMNS, REPETITION, RESULT_COLUMNS
from bulk.model import Cancelled, FailureCode, Outcome, StopCode
from bulk.report import (
    ATTEMPT_COLUMNS,
    REPORT_COLUMNS,
    Rendered,
    ReportPaths,
    closing_lines,
    github_output,
    render_all,
    step_summary,
    summary_json,
)
from bulk.report.advice import ADVICE
from bulk.report.page import ROWS_MAX
from bulk.report.summary import EXIT_BY_STOP, exit_code, span
from tests.processes import ROOT
from tests.properties import examples
from tests.report.records import (
    HOSTILE,
    MIXED,
    RUN,
    STOPPED,
    T0,
    any_text,
    attempt,
    facts,
    failed,
    hostile_results,
    queued,
    trigger,
)

PATHS = ReportPaths(report="reports/nightly/report.html", table="reports/nightly/report.csv")


def rendered(results=MIXED, attempts=(), about=None) -> Rendered:  # type: ignore[no-untyped-def]
    return render_all(about or facts(), results, attempts, now=T0)


def content(of: Rendered, name: str) -> str:
    return dict(of.files)[name].decode("utf-8")


def table(of: Rendered, name: str = "report.csv") -> list[list[str]]:
    whole = content(of, name)
    assert whole.startswith("\ufeff"), "without a byte order mark Excel reads UTF-8 as Windows-1252"
    return list(csv.reader(io.StringIO(whole[1:], newline="")))


# --- report.csv ----------------------------------------------------------------------------------


def test_report_csv_has_one_row_per_trigger_and_our_columns_first() -> None:
    head, first, *rest = table(rendered())
    assert head == [column.name for column in REPORT_COLUMNS] + ["owner"]
    row = dict(zip(head, first, strict=True))
    assert row == {
        "line": "2",
        "key": trigger(1).key,
        "test_id": trigger(1).test_id,
        "name": "Log in",
        "platform": "ios",
        "mode": "deep",
        "device_model": "ipad",
        "app_id": "",
        "environment_id": "",
        "tags": "smoke|login",
        "repetition": "1",
        "outcome": "queued",
        "run_id": f"{RUN[:-4]}0001",
        "http_status": "202",
        "failure_code": "",
        "error": "",
        "message": "",
        "attempts": "2",
        "throttles": "1",
        "wait_ms": "1000.0",
        "latency_ms": "61.2",
        "total_ms": "1111.5",
        "first_sent": "2026-09-22T00:00:00.000Z",
        "finished": "2026-09-22T00:00:01.111Z",
        "origin": "answer",
        "candidates": "",
        "cancelled": "",
        "owner": "Ana",
    }
    assert [line[head.index("outcome")] for line in rest] == [
        "rejected",
        "unknown",
        "throttled",
        "unsent",
        "unsent",
    ]


def test_report_csv_keeps_text_that_looks_like_a_number_or_a_missing_value() -> None:
    odd = queued(trigger=trigger(1, name="007", own=(("owner", "NA"), ("zip", "00123"))))
    about = facts(own_columns=("owner", "zip"))
    head, row = table(rendered([odd], about=about))
    assert row[head.index("name")] == "007"
    assert row[-2:] == ["NA", "00123"]


def test_a_report_that_is_read_as_a_manifest_adds_no_own_columns() -> None:
    ours = {column.name for column in REPORT_COLUMNS}
    assert ours == {*COLUMNS, *RESULT_COLUMNS, REPETITION} - {"repeat"}


def test_own_columns_with_names_of_ours_are_renamed() -> None:
    about = facts(own_columns=("outcome", "outcome (manifest)", "=x"))
    odd = queued(trigger=trigger(1, own=(("outcome", "mine"), ("=x", "y"))))
    head, row = table(rendered([odd], about=about))
    assert head[-3:] == ["outcome (manifest)", "outcome (manifest) (manifest)", "'=x"]
    assert row[-3:] == ["mine", "", "y"]
    assert len(set(head)) == len(head)


@pytest.mark.parametrize("name", sorted({c.name for c in ATTEMPT_COLUMNS} | {"date"}))
def test_an_own_column_is_text_whatever_its_name(name: str) -> None:
    odd = queued(trigger=trigger(1, own=((name, "007 or so"),)))
    _, row = table(rendered([odd], about=facts(own_columns=(name,))))
    assert row[-1] == "007 or so"


@pytest.mark.long
@given(texts=st.lists(any_text, min_size=1, max_size=5))
@settings(deadline=None, max_examples=examples(40))
def test_no_cell_is_a_formula_and_each_text_can_be_read_back(texts: list[str]) -> None:
    head, *lines = table(rendered(hostile_results(texts)))
    assert len(lines) == len(texts)
    for text, line in zip(texts, lines, strict=True):
        assert not any(re.match(r"[=+\-@\t\r\n＝＋－＠]", cell) for cell in line if cell)
        expected = text.encode("utf-8", "replace").decode()
        for column in ("name", "message", "owner"):
            assert unescape_formula(line[head.index(column)]) == expected


def test_attempts_csv_has_the_servers_headers_as_received() -> None:
    attempts = [
        attempt(1),
        attempt(2, end="open", received_at=None, latency_ms=None, headers=(), http_status=None),
        attempt(3, headers=(("x-ratelimit-reset", "=1"), ("number", "x"))),
    ]
    head, first, second, third = table(rendered(attempts=attempts), "data/attempts.csv")
    ours = [column.name for column in ATTEMPT_COLUMNS]
    assert head == [*ours, "number (header)", "retry-after", "x-ratelimit-reset"]
    row = dict(zip(head, first, strict=True))
    assert row["server_date"] == "Tue, 22 Sep 2026 00:00:00 GMT"
    assert (row["retry-after"], row["in_flight"], row["end"]) == ("1", "1", "queued")
    assert dict(zip(head, second, strict=True))["received"] == ""
    assert third[-3:] == ["x", "", "'=1"]


def test_an_empty_batch_still_has_all_its_files() -> None:
    of = rendered([])
    assert table(of)[0][-1] == "owner"
    assert table(of, "data/attempts.csv") == [[column.name for column in ATTEMPT_COLUMNS]]


# --- summary -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("outcomes", "stop", "code"),
    [
        (["queued"], None, 0),
        ([], None, 0),
        (["queued", "rejected"], None, 1),
        (["queued", "unsent"], None, 1),
        (["queued", "rejected", "unknown"], None, 7),
        (["queued", "unknown", "throttled"], None, 11),
        (["queued", "unsent"], StopCode.DEADLINE, 11),
        (["queued", "unsent", "unknown"], StopCode.QUOTA_EXHAUSTED, 12),
        (["unsent", "throttled"], StopCode.UNREACHABLE, 4),
        (["unsent", "unknown"], StopCode.STORAGE, 8),
        (["unsent"], StopCode.AUTH, 3),
        (["queued", "unsent"], StopCode.INTERRUPTED, 130),
        (["queued", "unknown"], StopCode.TERMINATED, 143),
        (["rejected", "unsent"], StopCode.ALL_REJECTED, 1),
        (["rejected", "unsent"], StopCode.FAIL_FAST, 1),
        (["queued"], StopCode.INTERRUPTED, 130),
        (["queued"], StopCode.HANGUP, 129),
        (["queued", "unsent"], StopCode.QUIT, 131),
        (["queued"], StopCode.DEADLINE, 0),
    ],
)
def test_exit_codes(outcomes: list[str], stop: StopCode | None, code: int) -> None:
    assert exit_code(map(Outcome, outcomes), stop) == code


def test_every_stop_has_an_exit_code_and_every_failure_code_its_advice() -> None:
    assert set(EXIT_BY_STOP) == set(StopCode)
    assert set(FailureCode) <= set(ADVICE)


def test_green_is_green() -> None:
    for outcome in Outcome:
        if outcome is not Outcome.QUEUED:
            assert exit_code([Outcome.QUEUED, outcome], None) is not Exit.OK


def test_the_summary_counts_and_measures() -> None:
    attempts = [attempt(n) for n in range(1, 101)]
    attempts += [attempt(1, end="throttled", http_status=429, latency_ms=9_999.0)] * 3
    of = rendered(MIXED, attempts, STOPPED)
    values = json.loads(content(of, "data/summary.json"))
    assert values["outcomes"] == {
        "queued": 1,
        "rejected": 1,
        "throttled": 1,
        "unknown": 1,
        "unsent": 2,
    }
    assert values["failures"]["interrupted"] == 2
    assert values["latency_ms"] == {
        "p50": 500.0,
        "p90": 900.0,
        "p95": 950.0,
        "p99": 990.0,
        "max": 1000.0,
    }
    assert (values["attempts"], values["throttles"], values["waste"]) == (103, 3, 3.0)
    assert (values["exit_code"], values["stop"]) == (130, "interrupted")
    assert values["created"] == "2026-09-22T00:00:00.000Z"
    assert values["settings"] == {"--max-concurrency": "32"}


def test_a_batch_without_answers_has_valid_json_without_figures() -> None:
    of = rendered([failed(1, Outcome.UNSENT, "auth")], about=facts(elapsed_s=0.0))
    values = json.loads(content(of, "data/summary.json"))
    assert values["latency_ms"] is values["waste"] is values["rate_per_s"] is None
    assert "NaN" not in summary_json(facts(), of.summary)


def test_the_rate_leaves_out_the_time_of_reconciliation() -> None:
    of = rendered([queued(n) for n in range(1, 21)], about=facts(elapsed_s=14.0, reconcile_s=12.0))
    values = json.loads(content(of, "data/summary.json"))
    assert (values["rate_per_s"], values["elapsed_s"], values["reconcile_s"]) == (10.0, 14.0, 12.0)


def test_the_closing_lines_when_all_were_queued() -> None:
    results = [queued(n) for n in range(1, 15)]
    attempts = [attempt(n) for n in range(1, 15)]
    attempts += [attempt(1, end="throttled", http_status=429)] * 2
    about = facts(elapsed_s=2.12)
    assert closing_lines(about, rendered(results, attempts, about).summary) == [
        "All 14 triggered in 2.1 s. Test results not awaited.",
        "  queued 14   rejected 0   throttled 0   unknown 0   unsent 0",
        "  latency p50 70 ms, p95 140 ms; 429s 2 (both resent)",
    ]


def test_the_closing_lines_after_failures_say_what_to_do() -> None:
    lines = closing_lines(STOPPED, rendered(about=STOPPED).summary)
    assert lines[:3] == [
        "1 of 6 triggered in 12.3 s. Test results not awaited.",
        "Stopped: interrupted.",
        "  queued 1   rejected 1   throttled 1   unknown 1   unsent 2",
    ]
    whole = "\n".join(lines)
    assert "2 interrupted: The batch was interrupted." in whole
    assert "bulk-trigger resume nightly" in whole
    assert "passed" not in whole.lower()


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0.0 s"), (59.94, "59.9 s"), (61, "1 min 1 s"), (3_660, "1 h 1 min")],
)
def test_spans_are_written_in_their_largest_units(seconds: float, words: str) -> None:
    assert span(seconds) == words


# --- junit.xml -----------------------------------------------------------------------------------


def test_junit_has_one_case_per_trigger_and_errors_but_no_failures() -> None:
    root = ElementTree.fromstring(content(rendered(), "data/junit.xml"))
    (suite,) = root
    assert suite.get("name") == "trigger (no verdicts)"
    assert (suite.get("tests"), suite.get("errors"), suite.get("failures")) == ("6", "5", "0")
    cases = list(suite)
    assert [case.get("name") for case in cases[:2]] == [
        "Log in · ios · deep · ipad",
        "Log in · ios · deep · ipad · #2",
    ]
    assert suite.get("file") == "release.csv"
    assert cases[0].findtext("system-out") == f"run_id: {RUN[:-4]}0001\norigin: answer"
    assert cases[0].get("time") == "1.111" or cases[0].get("time") == "1.112"
    assert cases[0].find("error") is None
    error = cases[1].find("error")
    assert error is not None
    assert error.get("type") == "http_404"
    lines = (error.text or "").splitlines()
    assert lines[:3] == ["HTTP 404", "not_found", "the server's message"]
    assert lines[-1] == "at release.csv:3"
    assert root.findall(".//failure") == []


@pytest.mark.long
@given(texts=st.lists(any_text, min_size=1, max_size=5))
@settings(deadline=None, max_examples=examples(40))
def test_junit_is_xml_whatever_the_names(texts: list[str]) -> None:
    root = ElementTree.fromstring(content(rendered(hostile_results(texts)), "data/junit.xml"))
    assert len(root.findall(".//testcase")) == len(texts)
    assert len(list(root.iter())) == 2 + 2 * len(texts)


def test_the_steps_for_jenkins_name_files_that_a_batch_has() -> None:
    recipe = (ROOT / "docs" / "ci" / "jenkins.md").read_text("utf-8")
    named = set(re.findall(r"reports/\$\{env\.BATCH\}/([a-z./]+[a-z])", recipe))
    assert named == {"report.html", "report.csv", "data/junit.xml"}
    assert named < set(dict(rendered().files))


# --- report.html ---------------------------------------------------------------------------------


class Page(HTMLParser):
    """The elements, attributes and text of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: set[str] = set()
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_page_says_what_happened_and_what_to_do() -> None:
    page = Page(content(rendered(about=STOPPED), "report.html"))
    for words in (
        "1 of 6 triggered",
        "Queued is not passed:",
        "Stopped: interrupted",
        "The server knows no such test.",
        "bulk-trigger resume nightly",
        "Log in · ios · deep · ipad",
        "owner",
        "22 September 2026, 00:00 UTC",
    ):
        assert words in page.text, words
    assert page.tags.count("tr") == 1 + 1 + 1 + 6


def test_the_page_has_no_script_and_loads_nothing() -> None:
    html = content(rendered(hostile_results(HOSTILE)), "report.html")
    page = Page(html)
    assert not {"script", "img", "link", "iframe", "svg"} & set(page.tags)
    assert not {"style", "src", "onerror", "href"} & page.attributes
    assert "default-src 'none'" in html
    assert html.count("<style>") == 1


@pytest.mark.long
@given(texts=st.lists(any_text, min_size=1, max_size=4))
@settings(deadline=None, max_examples=examples(25))
def test_no_name_adds_an_element_to_the_page(texts: list[str]) -> None:
    plain = Page(content(rendered(hostile_results(["plain"] * len(texts))), "report.html"))
    page = Page(content(rendered(hostile_results(texts)), "report.html"))
    kinds = [[tag for tag in of.tags if tag != "bdi"] for of in (plain, page)]
    assert (
        sorted(kinds[0]) == sorted(kinds[1])
        or "" in texts
        or any(not text.strip() for text in texts)
    )


def test_a_large_batch_shows_failures_first_and_counts_the_rows_left_out() -> None:
    results = [queued(n) for n in range(1, ROWS_MAX + 100)]
    results.append(failed(9_000, Outcome.UNKNOWN, "read_timeout"))
    html = content(rendered(results), "report.html")
    assert "100 of 2100 triggers are left out here" in html
    assert html.index("#9000") < html.index(f"#{ROWS_MAX - 5}")
    assert len(table(rendered(results))) == 1 + len(results)


@pytest.mark.parametrize(
    ("about", "words"),
    [(facts(sandbox=True), "Sandbox: no real test"), (facts(simulated=True), "Simulated: no real")],
)
def test_sandbox_and_simulation_are_announced_on_the_page(about, words: str) -> None:  # type: ignore[no-untyped-def]
    assert words in content(rendered(about=about), "report.html")
    assert words not in content(rendered(), "report.html")


# --- cancelled runs ------------------------------------------------------------------------------


def test_the_results_of_cancelling_are_in_every_report_and_change_no_outcome() -> None:
    to_cancel = [queued(number, cancelled=word) for number, word in enumerate(Cancelled, 1)]
    results = [*to_cancel, *(queued(number) for number in (6, 7))]
    of = rendered(results)
    line = (
        "Of 7 queued runs, 1 cancelled, 1 had ended, 5 not (1 not found at the server, 1 refused, "
        "1 without a clear answer). A cancelled run may still be billed."
    )
    assert f"  {line}" in closing_lines(facts(), of.summary)
    assert line in content(of, "report.html")
    assert "<small>cancelled: had ended</small>" in content(of, "report.html")
    assert f"- {line}" in step_summary(facts(), of.summary, results, of.names)
    assert "cancelled=1\n" in github_output(facts(), of.summary, PATHS)
    head, *lines = table(of)
    column = head.index("cancelled")
    assert [cells[column] for cells in lines] == [*Cancelled, "", ""]
    values = json.loads(content(of, "data/summary.json"))
    words = ("yes", "had_ended", "not_found", "refused", "unclear")
    assert values["cancelled"] == dict.fromkeys(words, 1)
    assert (values["outcomes"]["queued"], of.summary.exit_code) == (7, Exit.OK)
    junit = ElementTree.fromstring(content(of, "data/junit.xml"))
    outputs = [case.findtext("system-out") or "" for case in junit.iter("testcase")]
    cancelled = [text.partition("cancelled: ")[2] for text in outputs]
    assert (cancelled, junit.get("errors")) == ([*Cancelled, "", ""], "0")


def test_no_report_mentions_cancelling_if_it_was_not_requested() -> None:
    of = rendered()
    assert not any("ancelled" in line for line in closing_lines(facts(), of.summary))
    assert "ancelled" not in content(of, "report.html")


# --- GitHub --------------------------------------------------------------------------------------


def test_github_gets_counts_and_paths_one_per_line() -> None:
    output = github_output(facts(), rendered().summary, PATHS)
    assert dict(line.split("=", 1) for line in output.splitlines()) == {
        "queued": "1",
        "rejected": "1",
        "throttled": "1",
        "unknown": "1",
        "unsent": "2",
        "cancelled": "0",
        "total": "6",
        "exit_code": "11",
        "batch": "nightly",
        "report": PATHS.report,
        "table": PATHS.table,
    }


def test_a_path_with_a_line_end_cannot_add_an_output() -> None:
    odd = ReportPaths(report="a\nqueued=99", table="b")
    lines = github_output(facts(), rendered().summary, odd).splitlines()
    start = next(n for n, line in enumerate(lines) if line.startswith("report<<"))
    assert lines[start + 1 : start + 4] == ["a", "queued=99", lines[start].partition("<<")[2]]


def test_the_step_summary_puts_failures_first_and_stays_small() -> None:
    results = hostile_results(HOSTILE * 100)
    of = rendered(results)
    markdown = step_summary(facts(), of.summary, results, of.names)
    assert len(markdown.encode()) < 500_000
    assert "<script>" not in re.sub(r"\\.", "", markdown)
    assert "and 1100 more, all in the report." in markdown
    rows = [line for line in markdown.splitlines() if line.startswith("|")]
    assert all(len(re.findall(r"(?<!\\)\|", a)) == 5 for a, _ in pairwise(rows[5:]))
