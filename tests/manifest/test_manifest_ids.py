"""Which forms of an id are read, and what is said of the others."""

from __future__ import annotations

from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk.errors import ManifestError, OptionError
from bulk.manifest import Selection, read_manifest
from bulk.manifest.ids import read_id
from bulk.model import Platform

ID = "5a3b1e00-0001-4c1e-8a01-0000000000ab"
OTHER = "5a3b1e00-0002-4c1e-8a01-000000000002"
FORMS = {
    "upper case": ID.upper(),
    "no hyphens": ID.replace("-", ""),
    "braces": f"{{{ID}}}",
    "braces, upper case and no hyphens": f"{{{ID.upper().replace('-', '')}}}",
    "parentheses": f"({ID})",
    "quotes": f'"{ID}"',
    "typographic quotes": f"\u201c{ID}\u201d",
    "code": f"`{ID}`",
    "a URN": f"urn:uuid:{ID}",
    "a URN in another case": f"URN:UUID:{ID.upper()}",
    "a URN in angle brackets": f"<urn:uuid:{ID}>",
    "no-break spaces around": f"\u00a0{ID}\u00a0",
    "a URL": f"https://tester.army/tests/{ID}",
    "a URL with more behind": f"https://tester.army/tests/{ID}/runs?tab=all#top",
    "a URL's query": f"https://tester.army/tests?id={ID}&x=1",
    "a URL that names it twice": f"https://tester.army/tests/{ID}?test={ID.upper()}",
    "an escaped URL": f"https://tester.army/?id=%7B{ID}%7D",
    "a URL without its scheme": f"tester.army/tests/{ID}",
    "a path": f"/tests/{ID}",
}
BAD = {
    "a non-breaking hyphen": (ID.replace("-", "\u2011"), "U+2011 NON-BREAKING HYPHEN is no hyphen"),
    "an en dash": (ID.replace("-", "\u2013"), "U+2013 EN DASH is no hyphen"),
    "a minus sign": (ID.replace("-", "\u2212"), "U+2212 MINUS SIGN is no hyphen"),
    "underscores": (ID.replace("-", "_"), '"_" is no hyphen'),
    "an invisible space": (f"{ID[:9]}\u200b{ID[9:]}", "U+200B ZERO WIDTH SPACE does not belong"),
    "a byte order mark": (f"\ufeff{ID}", "U+FEFF ZERO WIDTH NO-BREAK SPACE does not belong there"),
    "a soft hyphen": (f"{ID}\u00ad", "U+00AD SOFT HYPHEN does not belong there"),
    "a full-width digit": (ID.replace("1", "\uff11"), "U+FF11 FULLWIDTH DIGIT ONE is no hexadec"),
    "a Cyrillic letter": (ID.replace("a", "\u0430"), "U+0430 CYRILLIC SMALL LETTER A is no hex"),
    "an accent": (ID.replace("e", "\u00e9"), "U+00E9 LATIN SMALL LETTER E WITH ACUTE is no hexa"),
    "the letter o": (ID.replace("0", "o"), '"o" is no hexadecimal digit'),
    "spaces inside": (ID.replace("-", " "), '" " does not belong there'),
    "a digit too few": (ID[:-1], "it has 31 digits instead of 32"),
    "a digit too many": (ID + "0", "it has 33 digits instead of 32"),
    "two in a URL": (f"https://x/{OTHER}/tests/{ID}", f"has 2 UUIDs ({OTHER}, {ID})"),
    "text around": (f"test {ID}", f"but contains {ID}; write only the UUID"),
    "none in a URL": ("https://tester.army/tests/login", "is not a UUID (8-4-4-4-12"),
    "another kind of id": (f"{ID}-0001", "is not a UUID"),
    "a number": ("123.0", "is not a UUID (8-4-4-4-12"),
    "nothing": (" ", "is empty; a UUID is required"),
}


@pytest.mark.parametrize("text", FORMS.values(), ids=FORMS.keys())
def test_an_id_is_read_in_each_plain_form(text: str) -> None:
    assert read_id(text) == ID


@pytest.mark.parametrize(("text", "words"), BAD.values(), ids=BAD.keys())
def test_what_only_looks_like_an_id_is_named(text: str, words: str) -> None:
    with pytest.raises(ValueError) as caught:
        read_id(text)
    assert words in str(caught.value)


@given(st.uuids(), st.sampled_from(["{}", "{{{}}}", "urn:uuid:{}", "https://x/{}"]), st.booleans())
def test_every_uuid_is_read_from_each_form(one: UUID, form: str, upper: bool) -> None:
    text = form.format(one)
    assert read_id(text.upper() if upper else text) == str(one)


@given(st.text(max_size=45))
def test_any_text_is_an_id_or_a_message(text: str) -> None:
    try:
        found = read_id(text)
    except ValueError:
        return
    assert str(UUID(found)) == found


def test_ids_are_read_alike_in_csv_yaml_and_options(tmp_path: Path) -> None:
    table = tmp_path / "release.csv"
    table.write_text(
        "test_id,platform,mode,app_id,environment_id\n"
        f"{{{ID}}},ios,fast,urn:uuid:{ID}|{{{OTHER}}},https://x/{ID.upper()}\n"
    )
    tree = tmp_path / "release.yaml"
    tree.write_text(
        "version: 1\ndefaults: {mode: fast, environment_id: 'https://x/" + ID + "'}\n"
        f"matrix: {{platform: [ios], app_id: ['urn:uuid:{ID}', {{{OTHER}}}]}}\n"
        f"tests: [{{id: {{{ID.upper()}}}}}]\n"
    )
    first, second = (list(read_manifest(path).triggers()) for path in (table, tree))
    assert [t.key for t in first] == [t.key for t in second]
    assert [(t.test_id, t.app_id, t.environment_id) for t in first] == [
        (ID, ID, ID),
        (ID, OTHER, ID),
    ]
    selection = Selection(app_ids=((Platform.IOS, f"{{{OTHER.upper()}}}"),))
    assert [t.app_id for t in read_manifest(table, selection).triggers()] == [OTHER]


def test_a_test_is_selected_by_its_url(tmp_path: Path) -> None:
    path = tmp_path / "release.csv"
    path.write_text(f"test_id,platform,mode\n{ID},,\n{OTHER},,\n")
    selection = Selection(tests=(f"https://tester.army/tests/{OTHER.upper()}",))
    assert [t.test_id for t in read_manifest(path, selection).triggers()] == [OTHER]


def test_the_same_test_in_two_forms_is_a_duplicate(tmp_path: Path) -> None:
    path = tmp_path / "release.csv"
    path.write_text(f"test_id,platform,mode\n{ID},,\nhttps://x/{ID.upper()},,\n")
    with pytest.raises(ManifestError, match="same combination as on line 2"):
        read_manifest(path)


def test_a_bad_id_of_an_option_is_named_with_its_fault() -> None:
    with pytest.raises(OptionError, match=r"--app-id ios=\.\.\.: .* EN DASH is no hyphen"):
        Selection(app_ids=((Platform.IOS, ID.replace("-", "\u2013")),))
