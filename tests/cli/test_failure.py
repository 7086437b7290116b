"""How a command that fails says so to another program: `--json`."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import bulk.batch.choosing
import bulk.journal  # noqa: F401 the errors of all modules are listed below
from bulk.cli.signals import WORDS
from bulk.errors import BulkError
from tests.cli.terminal import KEY, Terminal, spawn, write_manifest
from tests.processes import ROOT

USAGE = (ROOT / "docs" / "usage.md").read_text("utf-8").partition("## Errors as JSON")[2]
USAGE = USAGE.partition("\n## ")[0]
BAD = "test_id,platform,mode\nx,web,fast\n7c9e6679-7425-40de-944b-e07fc1f90ae7,iso,fast\n"

pytestmark = pytest.mark.sockets


def failure_of(terminal: Terminal, *words: str | Path, **environment: str) -> dict[str, object]:
    """The one object on stdout, of a command whose stderr says the same."""
    said = terminal.call(*words, **environment)
    content = json.loads(said.out)
    assert isinstance(content, dict)
    assert content["exit_code"] == said.code
    for line in str(content["message"]).splitlines():
        assert line in said.err
    return content


@pytest.mark.parametrize(
    ("words", "code", "exit_code"),
    [
        (["missing.csv"], "manifest", 2),
        (["bad.csv"], "manifest", 2),
        (["good.csv", "--no-such-option"], "usage", 2),
        (["--first", "0", "good.csv"], "usage", 2),
        (["good.csv", "--rate", "fast"], "usage", 2),
        (["good.csv", "--sandbox", "--simulate", "none"], "usage", 2),
        (["schema"], "usage", 2),
        (["good.csv"], "auth", 3),
        (["good.csv", "--sandbox", "nonsense"], "usage", 2),
        (["good.csv", "--sandbox", "--output", "bad.csv/x"], "storage", 8),
        (["resume"], "usage", 2),
        (["report", "b"], "usage", 2),
        (["measure"], "usage", 2),
        (["cancel", "b"], "usage", 2),
    ],
    ids=str,
)
@pytest.mark.parametrize("first", [True, False])
def test_an_error_is_one_object_on_stdout(
    terminal: Terminal, words: list[str], code: str, exit_code: int, first: bool
) -> None:
    """Also where the arguments could not be parsed as far as `--json`."""
    (terminal.folder / "bad.csv").write_text(BAD)
    write_manifest(terminal.folder / "good.csv", 2)
    command = words[:1] if words[0] in ("schema", "resume", "report", "measure", "cancel") else []
    rest = words[len(command) :]
    words = [*command, "--json", *rest] if first else [*words, "--json"]
    failure = failure_of(terminal, *words)
    assert (failure["code"], failure["exit_code"]) == (code, exit_code)


def test_each_problem_of_a_manifest_has_its_place(terminal: Terminal) -> None:
    (terminal.folder / "bad.csv").write_text(BAD)
    failure = failure_of(terminal, "bad.csv", "--json")
    problems = failure["problems"]
    assert isinstance(problems, list)
    assert [(problem["file"], problem["line"]) for problem in problems] == [
        ("bad.csv", 2),
        ("bad.csv", 3),
    ]
    assert failure["problems_total"] == 2
    assert '"iso" is not' in problems[1]["message"]


def test_an_address_at_which_nothing_answers_is_unreachable(terminal: Terminal) -> None:
    manifest = write_manifest(terminal.folder / "m.csv", 2)
    words = (manifest, "--json", "--base-url", "http://127.0.0.1:9")
    failure = failure_of(terminal, *words, TESTERARMY_API_KEY=KEY)
    assert (failure["code"], failure["exit_code"], failure["problems"]) == ("unreachable", 4, [])


def test_an_unfinished_batch_has_a_code_of_its_own(terminal: Terminal) -> None:
    manifest = write_manifest(terminal.folder / "m.csv", 40)
    run = (manifest, "--sandbox", "token-bucket 20/s burst 5")
    assert terminal.call(*run, "--deadline", "0.2s", "--batch", "b").code == 11
    process = spawn("resume", "b", folder=terminal.folder)
    assert process.stderr is not None
    while "continuing" not in process.stderr.readline():
        pass
    assert failure_of(terminal, "resume", "b", "--json")["code"] == "in_use"
    process.communicate(timeout=30)
    assert process.returncode == 0


def test_a_result_has_no_code(terminal: Terminal) -> None:
    manifest = write_manifest(terminal.folder / "m.csv", 2)
    said = terminal.call(manifest, "--dry-run", "--json")
    assert (said.code, "code" in json.loads(said.out)) == (0, False)


def test_without_the_option_stdout_is_empty(terminal: Terminal) -> None:
    for words in (["missing.csv"], ["missing.csv", "--", "--json"]):
        said = terminal.call(*words)
        assert (said.code, said.out) == (2, "")


def codes(kind: type[BulkError]) -> Iterator[str]:
    yield kind.code
    for further in kind.__subclasses__():
        yield from codes(further)


def test_the_docs_name_each_code_and_each_key(terminal: Terminal) -> None:
    rows = re.findall(r"^\| (`[a-z_`, ]+) \|", USAGE, re.MULTILINE)
    named = {word for row in rows for word in re.findall(r"`([a-z_]+)`", row)}
    keys = set(failure_of(terminal, "missing.csv", "--json"))
    assert named - {"code"} == (keys - {"code"}) | {*codes(BulkError), *WORDS.values(), "output"}
