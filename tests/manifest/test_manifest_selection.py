"""What the selection options keep, drop and count."""

from __future__ import annotations

from pathlib import Path

import pytest

from bulk.errors import ManifestError, OptionError
from bulk.manifest import Selection, read_manifest
from bulk.model import Mode, Platform

ROWS = (
    "test_id,name,platform,mode,tags\n"
    "5a3b1e00-0001-4c1e-8a01-000000000001,Sign in,web|ios,fast|deep,Smoke|account\n"
    "5a3b1e00-0002-4c1e-8a01-000000000002,Pay [EU],android,fast,checkout\n"
    "6a3b1e00-0003-4c1e-8a01-000000000003,,,,\n"
)
ONE = "5a3b1e00-0001-4c1e-8a01-000000000001"
TWO = "5a3b1e00-0002-4c1e-8a01-000000000002"
APP = "5a3b1e00-00a1-4c1e-8a01-0000000000a1"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "release.csv"
    path.write_text(ROWS)
    return path


CASES: dict[str, tuple[Selection, int, list[tuple[str, int]]]] = {
    "no options keep all": (Selection(), 6, []),
    "a platform drops other platforms and unset ones": (
        Selection(platforms=(Platform.WEB,)),
        2,
        [("--platform", 4)],
    ),
    "a mode drops other modes and unset ones": (
        Selection(modes=(Mode.DEEP,)),
        2,
        [("--mode", 4)],
    ),
    "an option does not count what an earlier one dropped": (
        Selection(platforms=(Platform.IOS,), modes=(Mode.FAST,)),
        1,
        [("--platform", 4), ("--mode", 1)],
    ),
    "a glob matches the name in any case": (Selection(tests=("SIGN*",)), 4, [("--test", 2)]),
    "a glob matches the id": (Selection(tests=("6A3B*",)), 1, [("--test", 5)]),
    "any of several globs may match": (Selection(tests=("sign*", "6a*")), 5, [("--test", 1)]),
    "a bracket can be escaped": (Selection(tests=("pay [[]eu]",)), 1, [("--test", 5)]),
    "a glob matches the whole name": (Selection(tests=("sign i?", "*")), 6, [("--test", 0)]),
    "a tag matches in any case": (Selection(tags=("sMOKE",)), 4, [("--tags", 2)]),
    "any of several tags may match": (
        Selection(
            tags=(
                "smoke",
                "checkout",
            )
        ),
        5,
        [("--tags", 1)],
    ),
    "an excluded tag takes precedence": (
        Selection(
            tags=(
                "smoke",
                "checkout",
            ),
            exclude_tags=("account",),
        ),
        1,
        [("--tags", 1), ("--exclude-tags", 4)],
    ),
    "first applies to what the others left": (
        Selection(modes=(Mode.FAST,), first=2),
        2,
        [("--mode", 3), ("--first", 1)],
    ),
    "first may be more than there is": (Selection(first=99), 6, [("--first", 0)]),
    "an app drops nothing": (Selection(app_ids=((Platform.IOS, APP),)), 6, []),
}


@pytest.mark.parametrize(("selection", "count", "drops"), CASES.values(), ids=CASES.keys())
def test_a_selection_keeps_and_counts(
    path: Path, selection: Selection, count: int, drops: list[tuple[str, int]]
) -> None:
    manifest = read_manifest(path, selection)
    assert manifest.count == count == len(list(manifest.triggers()))
    assert [(step.option, step.left_out) for step in manifest.steps] == drops


def test_first_keeps_the_order_of_the_manifest(path: Path) -> None:
    triggers = read_manifest(path, Selection(first=3)).triggers()
    assert [(t.platform, t.mode) for t in triggers] == [
        ("web", "fast"),
        ("web", "deep"),
        ("ios", "fast"),
    ]


def test_an_empty_selection_reports_what_each_option_dropped(path: Path) -> None:
    selection = Selection(platforms=(Platform.WEB,), exclude_tags=("smoke",), first=1)
    with pytest.raises(ManifestError) as caught:
        read_manifest(path, selection)
    assert str(caught.value).endswith(
        "nothing is selected: of 6 triggers, "
        "--platform web: kept 2, left out 4; --exclude-tags smoke: kept 0, left out 2; "
        "--first 1: kept 0, left out 0"
    )


def rejection(path: Path, selection: Selection) -> list[str]:
    with pytest.raises(ManifestError) as caught:
        read_manifest(path, selection)
    return str(caught.value).replace(f"{path}: ", "").splitlines()


def test_each_value_that_matches_nothing_is_named_with_what_may_be_meant(path: Path) -> None:
    selection = Selection(
        platforms=(Platform.WEB,),
        tags=("smoke", "acount"),
        exclude_tags=("checkuot", "ACCOUNT", "zebra"),
        tests=("Sign in", "Pay*", "5a3b1e00-0009-*", "Sing in"),
    )
    assert rejection(path, selection) == [
        '--tags "acount": no test has this tag (did you mean "account"?)',
        '--exclude-tags "checkuot": no test has this tag (did you mean "checkout"?)',
        '--exclude-tags "zebra": no test has this tag',
        '--test "5a3b1e00-0009-*": no test has such a name or id',
        '--test "Sing in": no test has such a name or id (did you mean "Sign in"?)',
    ]


def test_a_value_that_another_option_leaves_out_is_no_error(path: Path) -> None:
    selection = Selection(platforms=(Platform.ANDROID,), exclude_tags=("smoke",))
    assert read_manifest(path, selection).count == 1


def test_a_platform_or_mode_or_app_of_no_trigger_is_an_error(path: Path) -> None:
    path.write_text(f"test_id,platform,mode\n{ONE},web|ios,\n")
    selection = Selection(
        platforms=(Platform.WEB, Platform.ANDROID),
        modes=(Mode.DEEP,),
        app_ids=((Platform.ANDROID, APP), (Platform.IOS, APP)),
    )
    assert rejection(path, selection) == [
        "--platform android: no trigger has it; the manifest has ios and web",
        "--mode deep: no trigger has it; the manifest sets none",
        "--app-id android=...: no trigger has this platform; the manifest has ios and web",
    ]


@pytest.mark.parametrize(
    ("header", "cells", "words"),
    [
        ("", "", 'the manifest has no column "tags"'),
        (",tag", ",smoke", 'the manifest has no column "tags" (did you name it "tag"?)'),
        (",tags", ",", "no test in the manifest has a tag"),
    ],
)
def test_tags_of_a_manifest_without_tags_are_an_error(
    path: Path, header: str, cells: str, words: str
) -> None:
    path.write_text(f"test_id,platform,mode{header}\n{ONE},web,fast{cells}\n")
    assert rejection(path, Selection(tags=("smoke",))) == [f'--tags "smoke": {words}']


@pytest.mark.parametrize("tag", ["smoke and account", "not smoke", "smoke&account", "!smoke"])
def test_an_expression_of_tags_is_explained(path: Path, tag: str) -> None:
    (problem,) = rejection(path, Selection(tags=(tag,)))
    assert "write tags, not an expression" in problem


def test_problems_of_the_file_come_before_those_of_the_selection(path: Path) -> None:
    path.write_text(f"test_id,platform,mode,tags\n{ONE},wbe,fast,smoke\n")
    (problem,) = rejection(path, Selection(tags=("smoke",), platforms=(Platform.WEB,)))
    assert '"wbe" is not' in problem


NAMES = {
    "a name that reads as a glob": ("[smoke] Login", ["[smoke] Login"]),
    "whatever its case": ("[SMOKE] login", ["[smoke] Login"]),
    "a glob that is no name": ("[st] Login", ["s Login", "t Login"]),
    "a bracket written as [[]": ("[[]smoke] *", ["[smoke] Login"]),
    "a star that is a name": ("Pay *", ["Pay *"]),
    "a star that is none": ("Pa*", ["Pay *", "Pay all"]),
}


@pytest.mark.parametrize(("value", "names"), NAMES.values(), ids=NAMES.keys())
def test_a_name_comes_before_a_glob(path: Path, value: str, names: list[str]) -> None:
    written = ["[smoke] Login", "s Login", "t Login", "Pay *", "Pay all"]
    rows = (f"5a3b1e00-0001-4c1e-8a01-00000000000{n},{name}" for n, name in enumerate(written))
    path.write_text("test_id,name,platform,mode\n" + "".join(f"{row},,\n" for row in rows))
    manifest = read_manifest(path, Selection(tests=(value,)))
    assert [trigger.name for trigger in manifest.triggers()] == names
    assert manifest.count == len(names)


def test_a_name_and_a_glob_may_be_given_together(path: Path) -> None:
    manifest = read_manifest(path, Selection(tests=("Pay [EU]", "6a*")))
    assert manifest.count == 2
    assert str(manifest.steps[0]) == (
        '--test "6a*", "Pay [EU]" as it is written (any of): kept 2, left out 4'
    )


def test_brackets_that_match_nothing_are_explained(path: Path) -> None:
    (problem,) = rejection(path, Selection(tests=("Pay [UE] now",)))
    assert '(did you mean "Pay [EU]"?)' in problem
    assert 'to match a bracket, write [[], as in "Pay [[]UE] now"' in problem


def test_a_step_says_what_several_values_mean(path: Path) -> None:
    selection = Selection(tags=("smoke", "checkout"), exclude_tags=("account",), first=1)
    assert [str(step) for step in read_manifest(path, selection).steps] == [
        "--tags smoke,checkout (any of): kept 5, left out 1",
        "--exclude-tags account: kept 1, left out 4",
        "--first 1: kept 1, left out 0",
    ]


def test_more_than_max_triggers_is_an_error(path: Path) -> None:
    assert read_manifest(path, triggers_max=6).count == 6
    assert read_manifest(path, Selection(first=2), triggers_max=2).count == 2
    with pytest.raises(ManifestError, match="6 triggers are more than --max-triggers 5 allows"):
        read_manifest(path, triggers_max=5)


def test_the_whole_file_is_checked_whatever_is_selected(path: Path) -> None:
    path.write_text(ROWS + "nothing,x,web,fast,\n")
    with pytest.raises(ManifestError, match="is not a UUID"):
        read_manifest(path, Selection(first=1))


def test_sample_depends_on_the_selected_ids_only(path: Path) -> None:
    assert read_manifest(path).sample
    assert not read_manifest(path, Selection(tests=("6a*",))).sample


def test_the_fingerprint_does_not_depend_on_the_order(path: Path) -> None:
    header, *rows = ROWS.splitlines(keepends=True)
    before = read_manifest(path)
    path.write_text(header + "".join(reversed(rows)))
    after = read_manifest(path)
    assert after.digest != before.digest
    assert after.fingerprint == before.fingerprint
    assert read_manifest(path, Selection(first=5)).fingerprint != before.fingerprint


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"first": 0}, "--first 0: must be at least 1"),
        ({"tags": ("",)}, "--tags: a value is empty; is a variable unset?"),
        ({"exclude_tags": ("a", " ")}, "--exclude-tags: a value is empty"),
        ({"tests": (" ",)}, "--test: a value is empty"),
        ({"tags": ("a|b",)}, "separate several tags with commas"),
        ({"tags": ("",), "tests": ("",)}, "(?s)--tags: a value.*--test: a value"),
        ({"app_ids": ((Platform.IOS, "abc"),)}, '"abc" is not a UUID'),
        ({"app_ids": ((Platform.IOS, APP), (Platform.IOS, APP))}, "a platform is given twice"),
    ],
)
def test_an_impossible_option_is_rejected(arguments: dict[str, object], words: str) -> None:
    with pytest.raises(OptionError, match=words):
        Selection(**arguments)  # type: ignore[arg-type]


COMPOSED, DECOMPOSED = "r\u00e9gression", "re\u0301gression"


@pytest.mark.parametrize(
    ("written", "given"), [(COMPOSED, DECOMPOSED), (DECOMPOSED, COMPOSED), ("Straße", "STRASSE")]
)
def test_texts_are_compared_in_one_form_and_kept_as_they_came(
    tmp_path: Path, written: str, given: str
) -> None:
    path = tmp_path / "release.csv"
    path.write_text(
        f"test_id,name,platform,mode,tags\n{ONE},{written} x,,,{written}\n{TWO},y,,,other\n",
        encoding="utf-8",
    )
    for selection in (
        Selection(tags=(given.upper(),)),
        Selection(tests=(f"{given} ?",)),
        Selection(tests=(f"{given} X",)),
        Selection(exclude_tags=("OTHER",)),
    ):
        (trigger,) = read_manifest(path, selection).triggers()
        assert (trigger.name, trigger.tags) == (f"{written} x", (written,))


@pytest.mark.parametrize("name", ["caf\u00e9", "cafe\u0301"])
@pytest.mark.parametrize("glob", ["caf?", "CAF[\u00c9\u00c8]", "caf[E\u0301]", "*f\u00e9"])
def test_a_glob_takes_a_letter_and_its_accent_for_one(tmp_path: Path, name: str, glob: str) -> None:
    path = tmp_path / "release.csv"
    path.write_text(f"test_id,name,platform,mode\n{ONE},{name},,\n", encoding="utf-8")
    assert read_manifest(path, Selection(tests=(glob,))).count == 1
