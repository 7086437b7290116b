"""Batches of hostile names, tags, columns and server messages, and the reports made of them."""

from __future__ import annotations

import csv
import io
import json
import re
import traceback
from html.parser import HTMLParser
from random import Random
from xml.etree import ElementTree

from bulk.http.answers import Answer, classify
from bulk.http.rate_limit_headers import kept_headers
from bulk.manifest.formulas import unescape_formula
from bulk.model import AttemptRecord, BatchFacts, Outcome, StopCode, Trigger, TriggerResult
from bulk.report import Rendered, ReportPaths, github_output, render_all, step_summary
from tests.fuzz.messages import RUN, body, headers
from tests.fuzz.texts import hostile_text
from tests.report.records import T0, attempt, facts, queued, trigger

# The texts here are at most some thousand characters long; no report may make much more of them.
REPORT_BYTES_MAX = 4 << 20
SUMMARY_BYTES_MAX = 1 << 20  # GitHub drops a larger one
_FORMULA = re.compile("[=+\\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")
# All that the page itself is made of.
ELEMENTS = frozenset(
    (
        *("html", "head", "meta", "title", "style", "body", "header", "main", "section", "footer"),
        *("p", "h1", "h2", "strong", "small", "code", "bdi", "span", "div", "dl", "dt", "dd"),
        *("ul", "li", "details", "summary", "table", "caption", "thead", "tbody", "tr", "th", "td"),
    )
)
ATTRIBUTES = frozenset(
    ("lang", "charset", "http-equiv", "content", "name", "class", "aria-label", "scope", "open")
)


def make_batch(seed: int) -> tuple[BatchFacts, list[TriggerResult], list[AttemptRecord]]:
    """A batch whose every text is hostile, as the manifest and the server could have it."""
    random = Random(f"report {seed}")
    names = ("number", "sent", "outcome", "origin", "date", hostile_text(random), "=x", "'=x")
    own = tuple(dict.fromkeys(name for name in random.sample(names, 4) if name.strip()))
    about = facts(
        manifest=hostile_text(random) or "m",
        own_columns=own,
        notes=(hostile_text(random),),
        stop=random.choice((None, StopCode.UNREACHABLE)),
        stop_detail=hostile_text(random),
        simulated=random.random() < 0.1,
        surplus=(RUN,) * random.choice((0, 1, 9)),
    )
    results = [_result(random, number, own) for number in range(1, random.randint(2, 30))]
    attempts = []
    for number in range(1, len(results) + 1):
        pairs = [line.partition(":") for line in headers(random)]
        kept = kept_headers((name, value.strip()) for name, _, value in pairs)
        attempts.append(attempt(number, headers=kept, message=hostile_text(random)))
    return about, results, attempts


def _result(random: Random, number: int, own: tuple[str, ...]) -> TriggerResult:
    said: Trigger = trigger(
        number,
        name=hostile_text(random).strip(),
        tags=tuple(hostile_text(random) for _ in range(random.randrange(4))),
        own=tuple((name, hostile_text(random)) for name in own if random.random() < 0.8),
    )
    if random.random() < 0.3:
        return queued(number, trigger=said)
    classification = classify(
        Answer(random.choice((200, 400, 404, 500, 504, 429)), body=body(random))
    )
    return TriggerResult(
        said,
        Outcome.UNKNOWN if random.random() < 0.5 else Outcome.REJECTED,
        classification.failure_code or "http_418",
        http_status=400,
        error=classification.error,
        message=classification.message,
        candidates=(RUN,) * random.randrange(4),
        attempts=1,
    )


def report_problems(seed: int) -> list[str]:
    """What is wrong with the reports of the batch of this number."""
    about, results, attempts = make_batch(seed)
    try:
        rendered = render_all(about, results, attempts, now=T0)
        paths = ReportPaths(hostile_text(Random(seed)), "report.csv")
        output = github_output(about, rendered.summary, paths)
        summary = step_summary(about, rendered.summary, results, rendered.names)
        return [
            *_of_files(rendered),
            *_of_table(rendered, results),
            *_of_page(dict(rendered.files)["report.html"].decode()),
            *_of_junit(dict(rendered.files)["data/junit.xml"], results),
            *_of_step_summary(summary),
            *_of_output(output, len(results)),
        ]
    except Exception:
        return [traceback.format_exc()]


def _of_files(rendered: Rendered) -> list[str]:
    wrong = [f"{name}: {len(file)} bytes" for name, file in rendered.files]
    wrong = [
        line
        for line, (_, file) in zip(wrong, rendered.files, strict=True)
        if len(file) > REPORT_BYTES_MAX
    ]
    files = dict(rendered.files)
    content = json.loads(files["data/summary.json"])
    if content["total"] != rendered.summary.total:
        wrong.append("summary.json counts otherwise")
    for name in ("report.csv", "data/attempts.csv"):
        rows = _rows(files[name])
        if len({len(row) for row in rows}) != 1:
            wrong.append(f"{name} is ragged")
        if len(rows[0]) > 100 or len(set(rows[0])) != len(rows[0]):
            wrong.append(f"{name}: {len(rows[0])} columns, {len(set(rows[0]))} names")
        wrong += [f"{name}: {cell!r}" for row in rows for cell in row if _FORMULA.match(cell)]
    return wrong


def _rows(file: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(file.decode("utf-8-sig"), newline=""), strict=True))


def _of_table(rendered: Rendered, results: list[TriggerResult]) -> list[str]:
    head, *rows = _rows(dict(rendered.files)["report.csv"])
    if len(rows) != len(results):
        return [f"report.csv has {len(rows)} rows for {len(results)} triggers"]
    place = head.index("name")
    return [
        f"report.csv: {row[place]!r} is not {result.trigger.name!r}"
        for row, result in zip(rows, results, strict=True)
        if unescape_formula(row[place]) != result.trigger.name.encode("utf-8", "replace").decode()
    ]


class _Page(HTMLParser):
    """Collects what the page should not have."""

    def __init__(self) -> None:
        super().__init__()
        self.wrong: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in ELEMENTS or {name for name, _ in attrs} - ATTRIBUTES:
            self.wrong.append(f"report.html: <{tag} {attrs}>")
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.wrong.append(f"report.html: </{tag}> ends nothing")

    def handle_comment(self, data: str) -> None:
        self.wrong.append(f"report.html: a comment {data!r}")


def _of_page(text: str) -> list[str]:
    page = _Page()
    page.feed(text)
    page.close()
    return page.wrong + [f"report.html: <{tag}> has no end" for tag in page.open]


def _of_junit(file: bytes, results: list[TriggerResult]) -> list[str]:
    root = ElementTree.fromstring(file)
    tags = {element.tag for element in root.iter()}
    wrong = (
        []
        if tags <= {"testsuites", "testsuite", "testcase", "error", "system-out"}
        else [f"junit.xml: {tags}"]
    )
    if len(root.findall("testsuite/testcase")) != len(results):
        wrong.append("junit.xml counts otherwise")
    return wrong


# What Markdown, and the HTML that GitHub lets through in it, would take for more than text.
_ACTIVE = re.compile(r"(?<!\\)(?:<[a-zA-Z/!?]|!?\[[^\]]*\]\(|`)|^::", re.MULTILINE)


def _of_step_summary(text: str) -> list[str]:
    wrong = [f"step summary: {found[0]!r}" for found in _ACTIVE.finditer(text)]
    if len(text.encode()) > SUMMARY_BYTES_MAX:
        wrong.append(f"step summary: {len(text.encode())} bytes")
    rows = text.partition("| test |")[2].splitlines()[2:]
    for row in rows:
        cells = len(re.findall(r"(?<!\\)\|", row))
        if row and not row.startswith("...") and cells != 5:
            wrong.append(f"step summary: a row of {cells} bars: {row!r}")
    return wrong


def _of_output(text: str, total: int) -> list[str]:
    """Reads the outputs as GitHub's runner does."""
    found: dict[str, str] = {}
    lines = iter(re.split(r"\r\n|\n|\r", text))
    for line in lines:
        name, sign, value = line.partition("=")
        if "<<" in name or (not sign and "<<" in line):
            name, _, end = line.partition("<<")
            value = "\n".join(iter(lambda: next(lines), end))
        if name:
            found[name] = value
    known = {
        "queued",
        "rejected",
        "throttled",
        "unknown",
        "unsent",
        "total",
        "exit_code",
        "batch",
        "cancelled",
    }
    known |= {"report", "table", "simulated"}
    wrong = [f"GITHUB_OUTPUT: {name!r}" for name in found if name not in known]
    if found.get("total") != str(total):
        wrong.append("GITHUB_OUTPUT: another total")
    return wrong
