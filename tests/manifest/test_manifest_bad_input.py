"""Each bad manifest in `bad/` is rejected with exactly the message in its `.expected` file."""

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


def rejection(path: Path) -> str:
    with pytest.raises(ManifestError) as caught:
        read_manifest(path)
    assert caught.value.exit is Exit.USAGE
    return str(caught.value).replace(str(path), path.name)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.parent.name}/{case.name}")
def test_a_bad_manifest_is_rejected_with_the_expected_message(case: Path) -> None:
    expected = case.with_name(case.name + ".expected").read_text(encoding="utf-8")
    assert rejection(case) + "\n" == expected


def test_each_expectation_has_its_manifest() -> None:
    expected = {p.with_suffix("") for p in BAD.rglob("*.expected")}
    assert expected == set(CASES)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    assert rejection(tmp_path / "gone.csv") == "gone.csv: no such file"


def test_a_folder_is_no_manifest(tmp_path: Path) -> None:
    folder = tmp_path / "manifests"
    folder.mkdir()
    assert rejection(folder) == "manifests: is a folder; name the manifest file in it"


def test_a_path_with_a_nul_is_rejected() -> None:
    with pytest.raises(ManifestError, match="cannot be read"):
        read_manifest(Path("release\0.csv"))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the platform has no named pipes")
def test_a_pipe_is_rejected_without_waiting_for_a_writer(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.csv"
    os.mkfifo(pipe)
    assert "is not a regular file" in rejection(pipe)


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root can read everything"
)
def test_a_file_without_read_permission_is_named(tmp_path: Path) -> None:
    path = tmp_path / "secret.csv"
    path.write_text("x")
    path.chmod(0)
    assert rejection(path) == "secret.csv: cannot be read: permission denied"


def test_the_first_problems_are_reported_and_the_rest_counted(tmp_path: Path) -> None:
    path = tmp_path / "many.csv"
    path.write_text("test_id,platform,mode\n" + "nothing,web,fast\n" * 250)
    with pytest.raises(ManifestError) as caught:
        read_manifest(path)
    assert caught.value.total == 250
    assert len(caught.value.problems) == PROBLEMS_SHOWN_MAX
    assert str(caught.value).endswith("... and 150 more problems")


def test_a_huge_cell_is_reported_as_a_possibly_missing_quote(tmp_path: Path) -> None:
    path = tmp_path / "huge.csv"
    path.write_text(f'test_id,platform,mode,name\n{ID},web,fast,"{"x" * 140_000}"\n')
    assert rejection(path).startswith(
        "huge.csv:2: the row that starts here has a cell longer than 131,072"
    )


def test_too_many_yaml_values_are_rejected(tmp_path: Path) -> None:
    path = tmp_path / "many.yaml"
    path.write_text("tests: [" + "a," * 200_001 + "]")
    assert "more than 200,000 values; write large manifests as CSV" in rejection(path)


def test_a_yaml_file_that_is_too_long_is_rejected_before_it_is_parsed(tmp_path: Path) -> None:
    path = tmp_path / "long.yaml"
    path.write_text("# " + "x" * (9 << 20))
    assert rejection(path).startswith("long.yaml: longer than 8,388,608 characters")
