"""Which word means what on the command line, and what is said to a slip."""

from __future__ import annotations

from pathlib import Path

import click
import pytest
from click.shell_completion import ShellComplete

from bulk.cli import COMMANDS, group
from bulk.cli.options import Duration, Rate
from tests.cli.terminal import Terminal
from tests.processes import ROOT

SMOKE = ROOT / "manifests" / "smoke.csv"


@pytest.mark.parametrize("word", ["-h", "--help"])
@pytest.mark.parametrize("command", [None, *COMMANDS])
def test_help_is_everywhere(terminal: Terminal, command: str | None, word: str) -> None:
    said = terminal.call(*([command] if command else []), word)
    assert said.code == 0
    assert said.out.startswith("Usage: bulk-trigger")


def test_no_word_at_all_is_answered_with_help(terminal: Terminal) -> None:
    said = terminal.call()
    assert "Usage: bulk-trigger" in said.out + said.err


@pytest.mark.parametrize(
    ("word", "answer"),
    [
        ("resum", '"resum" is neither a command nor a file. Did you mean "resume"?'),
        ("Report", 'Did you mean "report"?'),
        ("frobnicate", "Commands: run, resume, cancel, report, measure, sandbox, schema."),
    ],
)
def test_a_mistyped_command_is_not_taken_for_a_file(
    terminal: Terminal, word: str, answer: str
) -> None:
    said = terminal.call(word)
    assert (said.code, answer in said.err) == (2, True)


@pytest.mark.parametrize(
    "arguments",
    [
        [SMOKE, "--dry-run"],
        ["--dry-run", SMOKE],
        ["run", SMOKE, "--dry-run"],
        ["--first", "2", "--dry-run", SMOKE],
        ["--sandbox", SMOKE, "--dry-run"],
        ["--dry-run", "--sandbox", SMOKE],
        [SMOKE, "--sandbox", "--dry-run"],
        ["--sandbox", "token-bucket 10/s burst 20", SMOKE, "--dry-run"],
        ["--sandbox=none", SMOKE, "--dry-run"],
    ],
)
def test_options_stand_before_or_behind_the_manifest(
    terminal: Terminal, arguments: list[str | Path]
) -> None:
    said = terminal.call(*arguments)
    assert (said.code, "Dry run: nothing was sent." in said.err) == (0, True)
    assert terminal.batches() == []


def test_a_file_without_a_suffix_is_a_manifest_when_it_is_there(terminal: Terminal) -> None:
    (terminal.folder / "nightly").write_bytes(SMOKE.read_bytes())
    assert terminal.call("nightly", "--dry-run").code == 0


def test_options_before_another_command_are_pointed_out(terminal: Terminal) -> None:
    said = terminal.call("--quiet", "resume")
    assert said.code == 2
    assert "put the options behind the command: bulk-trigger resume ..." in said.err


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("10m", 600), ("1h30m", 5400), ("1.5 h", 5400), ("250ms", 0.25), ("7", 7)],
)
def test_spans_of_time(text: str, seconds: float) -> None:
    assert Duration().convert(text, None, None) == seconds


@pytest.mark.parametrize("text", ["", "s", "10x", "1h-3m", "0s", "-5s", "ten", "1e3"])
def test_what_is_no_span_of_time_is_refused(text: str) -> None:
    with pytest.raises(click.BadParameter, match=r"no span of time|no time at all"):
        Duration().convert(text, None, None)


@pytest.mark.parametrize(
    ("arguments", "incomplete", "offered"),
    [
        ([], "res", {("plain", "resume"), ("file", "res")}),
        ([], "manif", {("file", "manif")}),
        ([], "--dead", {("plain", "--deadline")}),
        (["run"], "--dead", {("plain", "--deadline")}),
        (["run"], "manif", {("file", "manif")}),
    ],
)
def test_completion_offers_commands_options_and_files(
    arguments: list[str], incomplete: str, offered: set[tuple[str, str]]
) -> None:
    completion = ShellComplete(group, {}, "bulk-trigger", "_BULK_TRIGGER_COMPLETE")
    items = completion.get_completions(arguments, incomplete)
    assert offered <= {(item.type, item.value) for item in items}


@pytest.mark.parametrize(
    ("text", "per_s"), [("10/s", 10.0), ("600/m", 10.0), ("100 / 10s", 10.0), ("1/500ms", 2.0)]
)
def test_a_rate_is_written_as_people_write_it(text: str, per_s: float) -> None:
    assert Rate().convert(text, None, None) == per_s


@pytest.mark.parametrize("text", ["10", "0/s", "ten/s", "10/d", "-1/s", "1/0s"])
def test_what_is_no_rate_is_said_to_be_none(terminal: Terminal, text: str) -> None:
    said = terminal.call(SMOKE, "--dry-run", "--rate", text)
    assert (said.code, "is no rate; write 10/s" in said.err) == (2, True)
