"""The docs cannot drift: what they show is run, and what there is stands in them."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest

from bulk.cli import COMMANDS, group
from bulk.exits import MEANINGS, PRECEDENCE, Exit
from bulk.measure import measure, measurement_lines
from bulk.model import AttemptRecord, Cancelled, FailureCode, Outcome
from bulk.report import ATTEMPT_COLUMNS, REPORT_COLUMNS
from bulk.sandbox import DEFAULT_SPEC, parse_spec

ROOT = Path(__file__).parent.parent
DOCS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
README = (ROOT / "README.md").read_text("utf-8")
USAGE = (ROOT / "docs" / "usage.md").read_text("utf-8")
REPORTS = (ROOT / "docs" / "reports.md").read_text("utf-8")
MEASURING = (ROOT / "docs" / "measuring.md").read_text("utf-8")
SANDBOX = (ROOT / "docs" / "sandbox.md").read_text("utf-8")


def options(command: str) -> set[str]:
    found = group.get_command(click.Context(group), command)
    assert found is not None
    return {
        name
        for parameter in found.params
        if isinstance(parameter, click.Option)
        for name in parameter.opts
        if name.startswith("--") and name != "--help"
    }


def option_rows(command: str) -> set[str]:
    """The options that the usage's section of a command has a row for."""
    section = USAGE.partition(f"\n## {command}\n")[2].partition("\n## ")[0]
    return set(re.findall(r"^\| `(--[a-z-]+)", section, re.MULTILINE))


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_is_in_the_usage(command: str) -> None:
    assert f"\n## {command}\n" in USAGE


def test_each_option_of_run_has_its_row_and_no_row_is_stale() -> None:
    rows = option_rows("run")
    assert rows == options("run")
    assert options("resume") - rows == option_rows("resume")
    assert options("report") == options("measure") <= rows
    assert options("cancel") <= rows


def test_each_option_of_the_sandbox_is_explained_as_its_clause() -> None:
    own = {"--spec", "--host", "--port", "--key-required"}
    for option in options("sandbox") - own:
        assert re.search(rf"`{option.removeprefix('--').rstrip('s')}", SANDBOX), option


def test_each_exit_code_is_in_the_readme() -> None:
    rows = dict(re.findall(r"^\| (\d+) \| (.+?) \|$", README, re.MULTILINE))
    assert {int(code): meaning for code, meaning in rows.items()} == dict(MEANINGS)
    order = [str(int(code)) for code in PRECEDENCE if code is not Exit.OK]
    assert ", ".join(order) in README


@pytest.mark.parametrize("column", [*REPORT_COLUMNS, *ATTEMPT_COLUMNS], ids=lambda c: c.name)
def test_each_column_is_defined(column) -> None:  # type: ignore[no-untyped-def]
    definition = column.definition.replace("|", "\\|")
    assert f"| `{column.name}` | {definition} |" in REPORTS


@pytest.mark.parametrize("word", Cancelled)
def test_each_word_on_cancelling_is_explained(word: Cancelled) -> None:
    assert f"\n| {word} |" in REPORTS.partition("## Cancelled runs")[2]


def test_the_usage_names_the_options_of_cancel() -> None:
    section = USAGE.partition("\n## cancel\n")[2].partition("\n## ")[0]
    own = options("cancel") - {"--base-url", "--api-key", "--api-key-file"}  # "address and key"
    assert own <= set(re.findall(r"`(--[a-z-]+)`", section))


@pytest.mark.parametrize("code", FailureCode)
def test_each_failure_code_says_what_to_do(code: FailureCode) -> None:
    assert f"\n| `{code}` |" in REPORTS


@pytest.mark.parametrize("outcome", Outcome)
def test_each_outcome_is_explained(outcome: Outcome) -> None:
    assert f"\n| {outcome} |" in REPORTS


def test_each_spec_in_the_docs_is_one() -> None:
    shown = re.findall(r"^\| `([a-z].*?)` \|", SANDBOX.partition("## Headers")[0], re.MULTILINE)
    shown += re.findall(r"`(latency .*?)`", SANDBOX)
    shown += re.findall(r"`((?:seed|scope|base|runs|refusal-body) .*?)`", SANDBOX)
    shown += [
        f"headers {name}" for name in re.findall(r"`((?:retry|draft|x-rate)[^ `]*)`", SANDBOX)
    ]
    shown += re.findall(r"`((?:concurrency 6 \+|token-bucket 10/s burst 20 until).*?)`", SANDBOX)
    shown += re.findall(r'bulk-trigger sandbox "(.*?)"', SANDBOX)
    assert len(shown) > 25
    for spec in shown:
        parse_spec(spec if not spec.startswith("latency") else f"none; {spec}")
    assert DEFAULT_SPEC in SANDBOX


@pytest.mark.parametrize("path", DOCS, ids=lambda path: path.name)
def test_each_link_leads_somewhere(path: Path) -> None:
    for target, anchor in re.findall(
        r"\]\((?!https?:)([^)#]*)#?([^)]*)\)", path.read_text("utf-8")
    ):
        page = path.parent / target if target else path
        assert page.exists(), target
        assert not anchor or anchor in anchors(page), f"{target}#{anchor}"


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub makes of a page's headings."""
    headings = re.findall(r"^#+ (.+)$", page.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_each_key_of_the_summary_is_explained() -> None:
    section = REPORTS.partition("## data/summary.json")[2].partition("\n## ")[0]
    keys = [
        key
        for names in re.findall(r"^\| (`.+?`) \|", section, re.MULTILINE)
        for key in re.findall(r"`(\w+)`", names)
    ]
    shown = json.loads((ROOT / "reports" / "sample" / "data" / "summary.json").read_text("utf-8"))
    assert sorted(keys) == sorted(shown)
    for name in ("outcomes", "cancelled", "latency_ms"):
        assert all(f"`{key}`" in section for key in shown[name]), name


def test_the_measurement_that_is_shown_is_laid_out_as_it_is_printed() -> None:
    """Its figures are one run's; its lines are those of any."""
    (shown,) = re.findall(r"```console\n\$ bulk-trigger measure\n(.*?)```", MEASURING, re.DOTALL)
    attempts = [
        AttemptRecord("k", "t", 1, "throttled", 0.1 * n, 0.1 * n + 0.05, http_status=429)
        if n % 9 == 0 and n > 40
        else AttemptRecord("k", "t", 1, "queued", 0.1 * max(n, 30), 0.1 * max(n, 30) + 0.05)
        for n in range(300)
    ]
    printed = measurement_lines("b", measure(attempts))

    def labels(lines: list[str]) -> list[str]:
        return [line.split()[0] for line in lines[1:] if not line.startswith("  ")]

    assert labels(shown.splitlines()) == labels(printed)
    assert all(f"| `{label}` |" in MEASURING for label in labels(printed))


def test_the_changelog_knows_this_version() -> None:
    assert "## Unreleased" in (ROOT / "CHANGELOG.md").read_text("utf-8")


@pytest.mark.sockets
@pytest.mark.skipif(os.name == "nt", reason="needs a pseudo-terminal")
def test_the_readmes_output_is_the_real_output(tmp_path: Path) -> None:
    """Each command of the README's example is run on a terminal and says what is shown there."""
    (block,) = re.findall(r"```console\n(.*?)```", README, re.DOTALL)
    shutil.copytree(ROOT / "manifests", tmp_path / "manifests")
    for example in block.split("$ ")[1:]:
        command, *shown = example.rstrip("\n").split("\n")
        said = on_a_terminal(command.split(), tmp_path)
        assert [in_general(line) for line in said] == [in_general(line) for line in shown]


def on_a_terminal(words: list[str], folder: Path) -> list[str]:
    """What `bulk-trigger ...` leaves on a terminal: of a line redrawn, only its last state."""
    import pty

    assert words[0] == "bulk-trigger"
    ours, theirs = pty.openpty()
    environment = {name: value for name, value in os.environ.items() if "TESTERARMY" not in name}
    process = subprocess.Popen(
        [sys.executable, "-m", "bulk", *words[1:]],
        cwd=folder,
        env={**environment, "PYTHONPATH": str(ROOT), "COLUMNS": "120"},
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    content = b""
    while True:
        try:
            chunk = os.read(ours, 65_536)
        except OSError:  # Linux says so when the other end is closed
            break
        if not chunk:
            break
        content += chunk
    os.close(ours)
    process.wait()
    lines = content.decode().replace("\r\n", "\n").split("\n")
    return [line.rstrip("\r").split("\r")[-1].rstrip() for line in lines[:-1]]


def in_general(line: str) -> str:
    """A line without what differs from run to run: names of batches, numbers, their words."""
    line = re.sub(r"\d{8}T\d{6}Z-release-[0-9a-f]{4}", "BATCH", line)
    line = re.sub(r"in flight \d+, throttled \d+", "THROTTLED", line)
    line = re.sub(r"429s \d+( \([a-z]+( [a-z]+)?\))?", "429s", line)
    return re.sub(r"\d+(\.\d+)?(?=/s| s\b| ms|$| \(nothing)|(?<=:)\d{4,}", "N", line)
