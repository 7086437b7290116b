"""Each bad manifest in `bad/` is refused with exactly the text beside it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bulk.errors import PROBLEMS_SHOWN_MAX, ManifestError
from bulk.exits import Exit
from bulk.manifest import read_manifest

BAD = Path(__file__).parent / "bad"
CASES = sorted(p for p in BAD.rglob("*") if p.is_file() and p.suffix != ".expected")
ID = "5a3b1e00-0001-4c1e-8a01-000000000001"


def refusal(path: Path) -> str:
    with pytest.raises(ManifestError) as caught:
        read_manifest(path)
    assert caught.value.exit is Exit.USAGE
    return str(caught.value).replace(str(path), path.name)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.parent.name}/{case.name}")
def test_a_bad_manifest_is_refused_in_these_words(case: Path) -> None:
    expected = case.with_name(case.name + ".expected").read_text(encoding="utf-8")
    assert refusal(case) + "\n" == expected


def test_each_expectation_has_its_manifest() -> None:
    beside = {p.with_suffix("") for p in BAD.rglob("*.expected")}
    assert beside == set(CASES)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    assert refusal(tmp_path / "gone.csv") == "gone.csv: there is no such file"


def test_a_folder_is_no_manifest(tmp_path: Path) -> None:
    folder = tmp_path / "manifests"
    folder.mkdir()
    assert refusal(folder) == "manifests: is a folder; name the manifest file in it"


def test_a_path_no_system_knows_is_refused() -> None:
    with pytest.raises(ManifestError, match="cannot be read"):
        read_manifest(Path("release\0.csv"))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes here")
def test_a_pipe_is_refused_without_waiting_for_it(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.csv"
    os.mkfifo(pipe)
    assert "is no regular file" in refusal(pipe)


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything"
)
def test_a_file_one_may_not_read_is_named(tmp_path: Path) -> None:
    path = tmp_path / "secret.csv"
    path.write_text("x")
    path.chmod(0)
    assert refusal(path) == "secret.csv: may not be read: permission denied"


def test_the_first_problems_are_told_and_the_rest_counted(tmp_path: Path) -> None:
    path = tmp_path / "many.csv"
    path.write_text("test_id,platform,mode\n" + "nothing,web,fast\n" * 250)
    with pytest.raises(ManifestError) as caught:
        read_manifest(path)
    assert caught.value.total == 250
    assert len(caught.value.problems) == PROBLEMS_SHOWN_MAX
    assert str(caught.value).endswith("... and 150 more problems")


def test_a_huge_cell_is_taken_for_an_open_quote(tmp_path: Path) -> None:
    path = tmp_path / "huge.csv"
    path.write_text(f'test_id,platform,mode,name\n{ID},web,fast,"{"x" * 140_000}"\n')
    assert refusal(path).startswith("huge.csv:2: a cell of the record that begins here is longer")


def test_too_many_yaml_values_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "many.yaml"
    path.write_text("tests: [" + "a," * 200_001 + "]")
    assert "more than 200,000 values; write large manifests as CSV" in refusal(path)


def test_a_yaml_too_long_is_refused_before_it_is_parsed(tmp_path: Path) -> None:
    path = tmp_path / "long.yaml"
    path.write_text("# " + "x" * (9 << 20))
    assert refusal(path).startswith("long.yaml: longer than 8,388,608 characters")
