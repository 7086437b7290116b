"""A manifest reads as it was meant, whatever program wrote it; `written_by/README.md` says how."""

from __future__ import annotations

from pathlib import Path

import pytest

from bulk.manifest import read_manifest
from bulk.model import DeviceModel, Mode, Platform, Trigger
from tests.manifest.written_by import make_files
from tests.manifest.written_by.make_files import APP, A, B, C

HERE = Path(make_files.__file__).parent
FILES = sorted(path for path in HERE.glob("*/*.*") if path.suffix in (".csv", ".tsv", ".txt"))
NAME = 'Café, "été"; Übersicht'
WEB_AND_IOS = [
    (platform, mode) for platform in (Platform.WEB, Platform.IOS) for mode in (Mode.FAST, Mode.DEEP)
]


def expected(path: Path) -> list[tuple[object, ...]]:
    """The triggers of the table, without what the program itself could not write."""
    name, tag, owner, broken = NAME, "régression", "Müller, 007", "Sign in\nand out"
    if path.parent.name == "google-sheets" and path.suffix == ".tsv":
        broken = "Sign in and out"
    if path.name == "csv-macintosh-german.csv":
        broken = "Sign in\rand out"
    if path.name == "5-export-csv.csv":
        name, tag, owner = (
            "".join(c if c.isascii() else "?" for c in t) for t in (name, tag, owner)
        )
    first: tuple[tuple[str, str], ...] = (("Owner", "Mia"),)
    second: tuple[tuple[str, str], ...] = (("Owner", owner),)
    if path.name in ("nan.csv", "nullable.csv"):
        name, broken, first, second = "", "", (), ()
    rows: list[tuple[object, ...]] = [
        (A, name, platform, mode, None, None, ("smoke", tag), 1, first)
        for platform, mode in WEB_AND_IOS
    ]
    for repetition in (1, 2):
        rows.append(
            (
                *(B, broken, Platform.IOS, Mode.FAST, DeviceModel.IPAD, APP),
                *(("checkout",), repetition, second),
            )
        )
    rows.append((C, "", None, None, None, None, (), 1, ()))
    return rows


def cells(trigger: Trigger) -> tuple[object, ...]:
    return (
        *(trigger.test_id, trigger.name, trigger.platform, trigger.mode, trigger.device_model),
        *(trigger.app_id, trigger.tags, trigger.repetition, trigger.own),
    )


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_a_file_reads_as_it_was_meant(path: Path) -> None:
    assert [cells(trigger) for trigger in read_manifest(path).triggers()] == expected(path)


@pytest.mark.parametrize(
    ("path", "encoding"),
    [
        ("excel/csv.csv", "Windows-1252"),
        ("excel/csv-macintosh.csv", "Mac Roman"),
        ("excel/csv-ms-dos.csv", "MS-DOS (code page 850)"),
    ],
)
def test_an_encoding_that_was_inferred_is_noted(path: str, encoding: str) -> None:
    (note,) = read_manifest(HERE / path).notes
    assert note.startswith(f"read as {encoding} because line 2 is not valid UTF-8")


@pytest.mark.parametrize(
    "text", ["“Pay” – it’s 5‰", "naïve café", "Škoda Ž", "„Wort‘ ‚x’", "A‹b›", "50€", "Œuvre"]
)
def test_signs_of_windows_are_not_taken_for_letters_of_ms_dos(tmp_path: Path, text: str) -> None:
    path = tmp_path / "release.csv"
    path.write_text(f"test_id,name,platform,mode\n{A},{text},,\n", encoding="cp1252")
    assert next(read_manifest(path).triggers()).name == text


def test_the_files_are_those_that_are_made_here() -> None:
    for make in (
        make_files.excel,
        make_files.numbers,
        make_files.google_sheets,
        make_files.powershell,
        make_files.pandas,
    ):
        folder = HERE / make.__name__.replace("_", "-")
        made = make()
        assert {path.name for path in folder.iterdir()} == set(made)
        for name, content in made.items():
            assert (folder / name).read_bytes() == content
