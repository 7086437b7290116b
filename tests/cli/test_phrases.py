"""Which word means what on the command line, and what is said to a slip."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.shell_completion import ShellComplete

import bulk
from bulk.cli import COMMANDS, group
from bulk.errors import OptionError
from bulk.manifest import read_manifest
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
def test_options_may_come_before_or_after_the_manifest(
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
    assert "put the options after the command: bulk-trigger resume ..." in said.err


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


@pytest.mark.parametrize("text", ["10", "0/s", "ten/s", "10/x", "-1/s", "1/0s"])
def test_what_is_not_a_rate_is_an_error(terminal: Terminal, text: str) -> None:
    said = terminal.call(SMOKE, "--dry-run", "--rate", text)
    assert (said.code, "is not a rate; write 10/s" in said.err) == (2, True)


def test_a_dry_run_as_json_is_one_object_on_stdout(terminal: Terminal) -> None:
    said = terminal.call(SMOKE, "--dry-run", "--json", "--quiet")
    assert (said.code, said.err) == (0, "")
    shown = json.loads(said.out)
    assert (shown["dry_run"], shown["rows"], shown["total"]) == (True, 3, 4)
    assert [trigger["line"] for trigger in shown["triggers"]] == [2, 3, 4, 4]
    assert {trigger["key"] for trigger in shown["triggers"]} == {
        trigger.key for trigger in read_manifest(SMOKE).triggers()
    }


def test_a_burst_without_a_rate_is_an_error(terminal: Terminal) -> None:
    said = terminal.call(SMOKE, "--sandbox", "--burst", "5")
    assert (said.code, "--burst: only used with --rate" in said.err) == (2, True)
    assert terminal.batches() == []


async def test_the_api_in_a_trio_task_says_to_use_a_thread(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match=r"trio\.to_thread\.run_sync"):
        bulk.trigger(SMOKE, api_key="k", output=tmp_path)
