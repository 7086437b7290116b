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
        Selection(platforms=frozenset({Platform.WEB})),
        2,
        [("--platform", 4)],
    ),
    "a mode drops other modes and unset ones": (
        Selection(modes=frozenset({Mode.DEEP})),
        2,
        [("--mode", 4)],
    ),
    "an option does not count what an earlier one dropped": (
        Selection(platforms=frozenset({Platform.IOS}), modes=frozenset({Mode.FAST})),
        1,
        [("--platform", 4), ("--mode", 1)],
    ),
    "a glob matches the name in any case": (Selection(tests=("SIGN*",)), 4, [("--test", 2)]),
    "a glob matches the id": (Selection(tests=("6A3B*",)), 1, [("--test", 5)]),
    "any of several globs may match": (Selection(tests=("sign*", "6a*")), 5, [("--test", 1)]),
    "a bracket can be escaped": (Selection(tests=("pay [[]eu]",)), 1, [("--test", 5)]),
    "a glob matches the whole name": (Selection(tests=("sign", "*")), 6, [("--test", 0)]),
    "a tag matches in any case": (Selection(tags=frozenset({"sMOKE"})), 4, [("--tags", 2)]),
    "any of several tags may match": (
        Selection(tags=frozenset({"smoke", "checkout"})),
        5,
        [("--tags", 1)],
    ),
    "an excluded tag takes precedence": (
        Selection(tags=frozenset({"smoke", "checkout"}), exclude_tags=frozenset({"account"})),
        1,
        [("--tags", 1), ("--exclude-tags", 4)],
    ),
    "first applies to what the others left": (
        Selection(modes=frozenset({Mode.FAST}), first=2),
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
    assert [(drop.option, drop.count) for drop in manifest.drops] == drops


def test_first_keeps_the_order_of_the_manifest(path: Path) -> None:
    triggers = read_manifest(path, Selection(first=3)).triggers()
    assert [(t.platform, t.mode) for t in triggers] == [
        ("web", "fast"),
        ("web", "deep"),
        ("ios", "fast"),
    ]


def test_an_empty_selection_reports_what_each_option_dropped(path: Path) -> None:
    selection = Selection(
        platforms=frozenset({Platform.WEB}), exclude_tags=frozenset({"smoke"}), first=1
    )
    with pytest.raises(ManifestError) as caught:
        read_manifest(path, selection)
    assert str(caught.value).endswith(
        "nothing is selected: of 6 triggers, "
        "--platform dropped 4, --exclude-tags dropped 2, --first dropped 0"
    )


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
        Selection(tags=frozenset({given.upper()})),
        Selection(tests=(f"{given} ?",)),
        Selection(tests=(f"{given} X",)),
        Selection(exclude_tags=frozenset({"OTHER"})),
    ):
        (trigger,) = read_manifest(path, selection).triggers()
        assert (trigger.name, trigger.tags) == (f"{written} x", (written,))


@pytest.mark.parametrize("name", ["caf\u00e9", "cafe\u0301"])
@pytest.mark.parametrize("glob", ["caf?", "CAF[\u00c9\u00c8]", "caf[E\u0301]", "*f\u00e9"])
def test_a_glob_takes_a_letter_and_its_accent_for_one(tmp_path: Path, name: str, glob: str) -> None:
    path = tmp_path / "release.csv"
    path.write_text(f"test_id,name,platform,mode\n{ONE},{name},,\n", encoding="utf-8")
    assert read_manifest(path, Selection(tests=(glob,))).count == 1
