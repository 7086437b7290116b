"""The selection options as a user gives them, and what the dry run says of them."""

from __future__ import annotations

import json

import pytest

from tests.cli.terminal import Terminal

ROWS = "".join(
    f"00000000-0000-4000-8000-00000000000{n},Test {n},web,fast,{tags}\n"
    for n, tags in enumerate(["smoke", "slow", "smoke|slow", "other", ""])
)


@pytest.fixture
def manifest(terminal: Terminal) -> str:
    path = terminal.folder / "m.csv"
    path.write_text("test_id,name,platform,mode,tags\n" + ROWS, encoding="utf-8")
    return path.name


@pytest.mark.parametrize(
    "options", [["--tags", "smoke,slow"], ["--tags", "smoke", "--tags", "slow"]]
)
def test_a_comma_and_a_second_option_mean_the_same(
    terminal: Terminal, manifest: str, options: list[str]
) -> None:
    said = terminal.call(manifest, "--dry-run", *options)
    assert said.code == 0
    assert "--tags smoke,slow (any of): kept 3, left out 2\n" in said.err
    assert len(said.out.splitlines()) == 3


def test_a_dry_run_as_json_says_what_each_option_kept_and_left_out(
    terminal: Terminal, manifest: str
) -> None:
    options = ["--tags", "smoke,slow", "--exclude-tags", "slow", "--first", "1"]
    shown = json.loads(terminal.call(manifest, "--dry-run", "--json", *options).out)
    assert shown["kept"] == {"--tags": 3, "--exclude-tags": 1, "--first": 1}
    assert shown["left_out"] == {"--tags": 2, "--exclude-tags": 2, "--first": 0}


@pytest.mark.parametrize(
    "options",
    [
        ["--tags", ""],
        ["--tags", ","],
        ["--tags", "smoke,"],
        ["--exclude-tags", ""],
        ["--exclude-tags", "slow,,other"],
        ["--test", ""],
    ],
)
def test_an_empty_value_selects_nothing_and_is_an_error(
    terminal: Terminal, manifest: str, options: list[str]
) -> None:
    said = terminal.call(manifest, "--sandbox", *options)
    assert said.code == 2
    assert f"{options[0]}: a value is empty; is a variable unset?" in said.err
    assert terminal.batches() == []


def test_a_misspelt_tag_to_leave_out_sends_nothing(terminal: Terminal, manifest: str) -> None:
    said = terminal.call(manifest, "--sandbox", "--exclude-tags", "smokee")
    assert said.code == 2
    assert said.err == (
        'error: m.csv: --exclude-tags "smokee": no test has this tag (did you mean "smoke"?)\n'
    )
    assert terminal.batches() == []


def test_a_name_in_brackets_is_found_as_it_is_written(terminal: Terminal) -> None:
    (terminal.folder / "m.csv").write_text(
        "test_id,name,platform,mode\n"
        "00000000-0000-4000-8000-000000000001,[smoke] Login,web,fast\n"
        "00000000-0000-4000-8000-000000000002,s Login,web,fast\n"
    )
    said = terminal.call("m.csv", "--dry-run", "--test", "[smoke] Login")
    assert said.out.splitlines() == [
        "00000000-0000-4000-8000-000000000001  web  fast  -  -  -  [smoke] Login"
    ]
    assert '--test "[smoke] Login" as it is written: kept 1, left out 1\n' in said.err
