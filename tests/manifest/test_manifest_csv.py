"""How a valid CSV manifest is read, whatever program wrote it."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import pytest

from bulk.errors import ManifestError
from bulk.manifest import Manifest, Selection, read_manifest
from bulk.manifest.formulas import escape_formula
from bulk.model import DeviceModel, Mode, Platform, Trigger

A = "5a3b1e00-0001-4c1e-8a01-000000000001"
B = "5a3b1e00-0002-4c1e-8a01-000000000002"
APP = "5a3b1e00-00a1-4c1e-8a01-0000000000a1"
TEXT = f"test_id,platform,mode,name\n{A},web,fast,Café\n{B},,,\n"
EXPECTED = [
    Trigger(A, Platform.WEB, Mode.FAST, name="Café", line=2),
    Trigger(B, line=3),
]


def read(path: Path, content: str | bytes) -> Manifest:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_manifest(path)


WRITTEN = {
    "UTF-8": TEXT.encode(),
    "UTF-8 with a byte order mark": TEXT.encode("utf-8-sig"),
    "UTF-16, little-endian": TEXT.replace(",", "\t").encode("utf-16"),
    "UTF-16, big-endian": b"\xfe\xff" + TEXT.encode("utf-16-be"),
    "Windows line endings": TEXT.replace("\n", "\r\n").encode(),
    "classic Mac OS line endings": TEXT.replace("\n", "\r").encode(),
    "no line ending after the last row": TEXT.rstrip("\n").encode(),
    "semicolons": TEXT.replace(",", ";").encode(),
    "tabs": TEXT.replace(",", "\t").encode(),
    "trailing separators": TEXT.replace("\n", ",,\n").encode(),
    "blank rows at the end": (TEXT + ",,,\n\n   ,,,\n").encode(),
    "headers as people write them": TEXT.replace("test_id", " Test-ID ").encode(),
    "quoted throughout": b'"'
    + TEXT.rstrip("\n").replace(",", '","').replace("\n", '"\n"').encode()
    + b'"\n',
}


@pytest.mark.parametrize("content", WRITTEN.values(), ids=WRITTEN.keys())
def test_the_same_table_is_read_however_it_is_written(tmp_path: Path, content: bytes) -> None:
    manifest = read(tmp_path / "release.csv", content)
    assert list(manifest.triggers()) == EXPECTED
    assert manifest.notes == ()
    assert (manifest.rows, manifest.count, manifest.name) == (2, 2, "release")
    assert manifest.by_platform == ((Platform.WEB, 1), (None, 1))


@pytest.mark.parametrize("first", ["sep=;", "SEP=;", '"sep=;"', "sep=;;;"])
def test_a_sep_line_sets_the_separator_and_counts_as_a_line(tmp_path: Path, first: str) -> None:
    text = f"{first}\r\n" + TEXT.replace(",", ";")
    triggers = list(read(tmp_path / "release.csv", text).triggers())
    assert [trigger.line for trigger in triggers] == [3, 4]


def test_windows_1252_is_read_with_a_warning(tmp_path: Path) -> None:
    manifest = read(tmp_path / "release.csv", TEXT.encode("cp1252"))
    assert list(manifest.triggers()) == EXPECTED
    (note,) = manifest.notes
    assert note.startswith("read as Windows-1252 because line 2 is not valid UTF-8")


def test_a_byte_in_the_last_line_decides_the_encoding_of_the_whole_file(tmp_path: Path) -> None:
    rows = "".join(f"5a3b1e00-0001-4c1e-8a01-{n:012d},web,fast,x\n" for n in range(40_000))
    text = "test_id,platform,mode,name\n" + rows + f"{A},ios,fast,Caf\xe9\n"
    manifest = read(tmp_path / "release.csv", text.encode("latin-1"))
    assert "line 40002 is not valid UTF-8" in manifest.notes[0]
    assert list(manifest.triggers())[-1].name == "Café"


def test_a_row_has_the_number_of_the_line_it_starts_on(tmp_path: Path) -> None:
    text = f'test_id,platform,mode,note\n{A},web,fast,"one\r\ntwo\n\nthree"\n{B},web,fast,x\n'
    triggers = list(read(tmp_path / "release.csv", text).triggers())
    assert [trigger.line for trigger in triggers] == [2, 6]
    assert triggers[0].own == (("note", "one\r\ntwo\n\nthree"),)


def test_own_columns_are_kept_unchanged(tmp_path: Path) -> None:
    text = f"test_id,Owner,platform,mode,no\n{A}, Mia ,web,fast,007\n{B},,web,fast,NA\n"
    manifest = read(tmp_path / "release.csv", text)
    assert manifest.own_columns == ("Owner", "no")
    assert [trigger.own for trigger in manifest.triggers()] == [
        (("Owner", " Mia "), ("no", "007")),
        (("no", "NA"),),
    ]


EXPANSIONS = {
    "lists multiply in the order of platform, mode, device": (
        "ios,fast|deep,iphone|ipad,",
        ["ios fast iphone", "ios fast ipad", "ios deep iphone", "ios deep ipad"],
    ),
    "a device combines with the platforms it belongs to": (
        "web|ios|android,fast,ipad,",
        ["web fast", "ios fast ipad", "android fast"],
    ),
    "in a row with other platforms, web gets no app": (
        f"web|ios,fast,,{APP}",
        ["web fast", f"ios fast {APP}"],
    ),
    "in a row of its own, web gets the app": (f"web,fast,,{APP}", [f"web fast {APP}"]),
    "empty cells leave everything unset": (",,,", [""]),
    "an app without a platform is kept": (f",,,{APP.upper()}", [APP]),
    "case and surrounding spaces are ignored": (
        " iOS | ANDROID ,Fast,,",
        ["ios fast", "android fast"],
    ),
}


@pytest.mark.parametrize(("row", "expected"), EXPANSIONS.values(), ids=EXPANSIONS.keys())
def test_a_row_expands_to_combinations(tmp_path: Path, row: str, expected: list[str]) -> None:
    text = f"test_id,platform,mode,device_model,app_id\n{A},{row}\n"
    manifest = read(tmp_path / "release.csv", text)
    found = [
        " ".join(part for part in (t.platform, t.mode, t.device_model, t.app_id) if part)
        for t in manifest.triggers()
    ]
    assert found == expected


def test_repeat_repeats_each_combination(tmp_path: Path) -> None:
    text = f"test_id,platform,mode,repeat\n{A.upper()},web|ios,fast,2\n{B},web,fast,\n"
    manifest = read(tmp_path / "release.csv", text)
    assert [(t.test_id, t.platform, t.repetition) for t in manifest.triggers()] == [
        (A, "web", 1),
        (A, "web", 2),
        (A, "ios", 1),
        (A, "ios", 2),
        (B, "web", 1),
    ]


def test_tags_are_separated_by_bars_commas_or_semicolons(tmp_path: Path) -> None:
    text = f'test_id,platform,mode,tags\n{A},web,fast,"smoke|slow one, Sign;;smoke"\n'
    (trigger,) = read(tmp_path / "release.csv", text).triggers()
    assert trigger.tags == ("smoke", "slow one", "Sign")


def test_a_tag_written_in_two_forms_is_one_tag_in_the_form_that_came_first(tmp_path: Path) -> None:
    text = f"test_id,platform,mode,tags\n{A},web,fast,caf\u00e9|cafe\u0301|CAF\u00c9|x\n"
    (trigger,) = read(tmp_path / "release.csv", text).triggers()
    assert trigger.tags == ("caf\u00e9", "x")


def test_headers_are_compared_without_their_form(tmp_path: Path) -> None:
    text = f"test_id,platform,mode,Qualit\u00e9,qualite\u0301\n{A},web,fast,x,y\n"
    with pytest.raises(ManifestError, match="appears twice, in columns 4 and 5"):
        read(tmp_path / "release.csv", text)


def test_a_header_similar_to_an_optional_column_is_reported(tmp_path: Path) -> None:
    text = f"test_id,platform,mode,enviroment_id,device,code\n{A},ios,fast,x,ipad,y\n"
    manifest = read(tmp_path / "release.csv", text)
    assert manifest.own_columns == ("enviroment_id", "device", "code")
    assert manifest.notes == (
        'column "device" is treated as one of your own; did you mean "device_model"?',
        'column "enviroment_id" is treated as one of your own; did you mean "environment_id"?',
    )


REPORT_HEADER = (
    "line,key,test_id,name,platform,mode,device_model,app_id,environment_id,tags,repetition,"
    "outcome,run_id,http_status,failure_code,error,message,attempts,throttles,wait_ms,latency_ms,"
    "total_ms,first_sent,finished"
)


def report_row(test_id: str, name: str, repetition: int, own: str) -> str:
    result = f'rejected,,404,http_404,\'=err,"a, b",1,0,0,12,12,2026-11-24T00:15:00Z,{own}'
    return f"7,k1,{test_id},{name},ios,fast,ipad,{APP},,smoke|x,{repetition},{result}\n"


def test_a_report_is_a_manifest(tmp_path: Path) -> None:
    text = (
        f"{REPORT_HEADER},owner,key\n"
        + report_row(A, "'=1+1", 2, "2026-11-24T00:15:01Z,'-Mia,QA-1")
        + report_row(A, "''@x", 3, "2026-11-24T00:15:01Z,it's,QA-2")
    )
    manifest = read(tmp_path / "report.csv", text.encode("utf-8-sig"))
    first, second = manifest.triggers()
    assert first == Trigger(
        test_id=A,
        platform=Platform.IOS,
        mode=Mode.FAST,
        device_model=DeviceModel.IPAD,
        app_id=APP,
        repetition=2,
        name="=1+1",
        tags=("smoke", "x"),
        line=2,
        own=(("owner", "-Mia"), ("key", "QA-1")),
    )
    assert (second.repetition, second.name, second.own[0][1]) == (3, "'@x", "it's")
    assert manifest.own_columns == ("owner", "key")
    (note,) = manifest.notes
    assert note.startswith("this is a report; result columns ignored: line, key, outcome, run_id,")
    assert note.endswith("first_sent, finished")


def test_escaping_quotes_are_kept_in_a_file_that_is_not_a_report(tmp_path: Path) -> None:
    text = f"test_id,platform,mode,name\n{A},web,fast,{escape_formula('=1+1')}\n"
    (trigger,) = read(tmp_path / "release.csv", text).triggers()
    assert trigger.name == "'=1+1"


def test_a_file_changed_after_the_check_is_not_triggered(tmp_path: Path) -> None:
    path = tmp_path / "release.csv"
    manifest = read(path, TEXT)
    path.write_text(TEXT.replace("web", "ios"))
    with pytest.raises(ManifestError, match="has changed since it was checked"):
        next(manifest.triggers())
    path.unlink()
    with pytest.raises(ManifestError, match="no such file"):
        next(manifest.triggers())


def test_app_id_options_take_precedence_and_merge_combinations_of_a_row(tmp_path: Path) -> None:
    path = tmp_path / "release.csv"
    path.write_text(f"test_id,platform,mode,app_id\n{A},ios|android,fast,{A}|{B}\n")
    manifest = read_manifest(path, Selection(app_ids=((Platform.IOS, APP.upper()),)))
    assert [(t.platform, t.app_id) for t in manifest.triggers()] == [
        ("ios", APP),
        ("android", A),
        ("android", B),
    ]


def test_rows_that_an_app_id_option_makes_equal_are_an_error(tmp_path: Path) -> None:
    path = tmp_path / "release.csv"
    path.write_text(f"test_id,platform,mode,app_id\n{A},ios,fast,{A}\n{A},ios,fast,{B}\n")
    assert read_manifest(path).count == 2
    with pytest.raises(ManifestError, match=r"same combination as on line 2.*with --app-id"):
        read_manifest(path, Selection(app_ids=((Platform.IOS, APP),)))


@pytest.mark.long
def test_only_the_duplicate_check_grows_with_the_file(tmp_path: Path) -> None:
    rows = 20_000
    path = tmp_path / "large.csv"
    with path.open("w") as out:
        out.write("test_id,name,platform,mode\n")
        for number in range(rows):
            out.write(f"5a3b1e00-0001-4c1e-8a01-{number:012d},{'x' * 200},web,fast\n")
    read_manifest(path, Selection(first=1))
    tracemalloc.start()
    try:
        assert read_manifest(path).count == rows
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    # A shortened key and a line for each combination; the file itself (5 MB) would not fit.
    assert peak_bytes < rows * 150 + (2 << 20) * 2
