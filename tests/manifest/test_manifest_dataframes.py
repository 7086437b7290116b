"""A manifest that has been through pandas reads as it was meant, whatever pandas made of it."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from bulk.errors import ManifestError
from bulk.manifest import Manifest, read_manifest
from bulk.manifest.dataframes import printed_list

A = "5a3b1e00-0001-4c1e-8a01-000000000001"
B = "5a3b1e00-0002-4c1e-8a01-000000000002"
FRAME = pd.DataFrame(
    {
        "test_id": [A, B],
        "name": ["Café", "x"],
        "platform": ["web|ios", None],
        "mode": ["fast", None],
        "app_id": [None, B],
        "tags": ["smoke|slow", None],
        "repeat": [2, None],
    }
)
EXPECTED = [
    (A, "Café", platform, "fast", None, ("smoke", "slow"), repetition)
    for platform in ("web", "ios")
    for repetition in (1, 2)
] + [(B, "x", None, None, B, (), 1)]


def changed(**columns: Any) -> pd.DataFrame:
    return FRAME.assign(**columns)


def unnamed(frame: pd.DataFrame) -> pd.DataFrame:
    frame.index.names = [None] * frame.index.nlevels
    return frame


def again(text: str) -> pd.DataFrame:
    return pd.read_csv(io.StringIO(text))


# What people write; each gives the bytes of the file.
WRITTEN: dict[str, Callable[[], str | bytes]] = {
    "to_csv": lambda: FRAME.to_csv(),
    "to_csv without the index": lambda: FRAME.to_csv(index=False),
    "read and written twice": lambda: again(again(FRAME.to_csv()).to_csv()).to_csv(),
    "read and written without the index": lambda: again(FRAME.to_csv()).to_csv(index=False),
    "an index of two levels": lambda: (
        changed(a=[1, 2], b=[3, 4]).set_index(["a", "b"]).pipe(unnamed).to_csv()
    ),
    "selected rows first": lambda: pd.concat([FRAME, FRAME]).iloc[2:].to_csv(),
    "missing values named": lambda: FRAME.to_csv(na_rep="NaN"),
    "missing values of R": lambda: FRAME.to_csv(na_rep="NA", index=False),
    "all as text": lambda: FRAME.astype(object).where(FRAME.notna(), None).map(str).to_csv(),
    "nullable types as text": lambda: FRAME.convert_dtypes().map(str).to_csv(),
    "for a German spreadsheet": lambda: FRAME.to_csv(sep=";", decimal=",", encoding="cp1252"),
    "with many decimals": lambda: FRAME.to_csv(float_format="%.6f"),
    "with two decimals": lambda: FRAME.to_csv(float_format="%.2f"),
    "all quoted": lambda: FRAME.to_csv(quoting=1),
    "UTF-16 with tabs": lambda: FRAME.to_csv(sep="\t").encode("utf-16"),
    "the ids as the index": lambda: FRAME.set_index("test_id").to_csv(),
    "lists": lambda: changed(
        platform=[["web", "ios"], []], tags=[["smoke", "slow"], []], mode=[["fast"], [None]]
    ).to_csv(),
    "tuples": lambda: changed(platform=[("web", "ios"), ()], mode=[("fast",), ()]).to_csv(),
    "arrays": lambda: changed(
        platform=[np.array(["web", "ios"]), np.array([])], tags=[np.array(["smoke", "slow"]), None]
    ).to_csv(),
}


def cells(manifest: Manifest) -> list[tuple[object, ...]]:
    return [
        (t.test_id, t.name, t.platform, t.mode, t.app_id, t.tags, t.repetition)
        for t in manifest.triggers()
    ]


@pytest.mark.parametrize("write", WRITTEN.values(), ids=WRITTEN.keys())
def test_a_manifest_survives_pandas(tmp_path: Path, write: Callable[[], str | bytes]) -> None:
    path = tmp_path / "release.csv"
    written = write()
    path.write_bytes(written if isinstance(written, bytes) else written.encode())
    assert cells(read_manifest(path)) == EXPECTED


def test_what_is_ignored_or_read_as_empty_is_noted(tmp_path: Path) -> None:
    path = tmp_path / "release.csv"
    changed(name=["x", None]).to_csv(path, na_rep="nan")
    assert read_manifest(path).notes == (
        "column 1 holds row numbers, as pandas writes them; ignored",
        'column "app_id": "nan" is read as an empty cell, for which programs such as pandas '
        "write it",
        *(
            f'column "{column}": "nan" is read as an empty cell, for which programs such as pandas '
            "write it"
            for column in ("platform", "mode", "tags", "repeat")
        ),
        'the name "nan" is kept; pandas writes it for an empty cell',
    )


def test_own_columns_are_not_touched(tmp_path: Path) -> None:
    path = tmp_path / "release.csv"
    changed(build=[1234, None], done=[True, None], when="NaT").to_csv(path)
    owns = [dict(trigger.own) for trigger in read_manifest(path).triggers()]
    assert owns[0] == {"build": "1234.0", "done": "True", "when": "NaT"}
    assert owns[-1] == {"when": "NaT"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (FRAME.set_index("test_id").rename_axis(None).to_csv(), "column 1 has no header"),
        (changed(test_id=[A, None]).to_csv(na_rep="nan"), '"nan" is written for a missing'),
        (FRAME.to_csv(float_format="%.3f"), '"2.000" is 2000 to some programs and 2 to others'),
        (changed(repeat=[2.5, 1]).to_csv(), '"2.5" is not a whole number'),
        (changed(repeat=[True, None]).to_csv(), '"True" is not a whole number'),
        (FRAME.to_csv().replace("\n1,", "\nx,"), "column 1 has no header and is taken for row num"),
        (changed(platform="#N/A").to_csv(), '"#N/A" is not web'),
    ],
)
def test_what_pandas_lost_is_named(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "release.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ManifestError) as caught:
        read_manifest(path)
    assert words in str(caught.value)


@pytest.mark.parametrize("suffix", [".gz", ".bz2", ".xz"])
@pytest.mark.parametrize("name", ["release.csv", "release"])
def test_a_compressed_file_is_named_as_one(tmp_path: Path, name: str, suffix: str) -> None:
    FRAME.to_csv(tmp_path / f"x{suffix}")
    path = (tmp_path / f"x{suffix}").rename(tmp_path / name)
    with pytest.raises(ManifestError, match="is compressed; unpack it"):
        read_manifest(path)


@pytest.mark.parametrize(
    ("text", "items"),
    [
        ("['web', 'ios']", ("web", "ios")),
        ('["web","ios"]', ("web", "ios")),
        ("['it\\'s', \"a\"]", ("it's", "a")),
        ("('web',)", ("web",)),
        ("{'web'}", ("web",)),
        ("frozenset({'web'})", ("web",)),
        ("['web'\n 'ios']", ("web", "ios")),
        ("array(['web', 'ios'], dtype=object)", ("web", "ios")),
        (f"[UUID('{A}'), UUID('{B}')]", (A, B)),
        ("['web', nan]", ("web",)),
        ("[web, ios]", ("web", "ios")),
        ("[]", ()),
        ("set()", ()),
        ("[WIP]", None),
        ("[smoke] login", None),
        (f"{{{A}}}", None),
        ("web|ios", None),
        ("['web", None),
        ("['web'] and ['ios']", None),
        ("[['web']]", None),
    ],
)
def test_a_printed_list_is_told_from_a_text(text: str, items: tuple[str, ...] | None) -> None:
    assert printed_list(text) == items


@pytest.mark.parametrize("column", ["platform", "mode", "app_id", "tags"])
def test_a_list_that_powershell_did_not_print_is_an_error(tmp_path: Path, column: str) -> None:
    path = tmp_path / "release.csv"
    changed(**{column: "System.Object[]"}).to_csv(path, index=False)
    with pytest.raises(ManifestError, match=r"is what PowerShell writes for a list"):
        read_manifest(path)
