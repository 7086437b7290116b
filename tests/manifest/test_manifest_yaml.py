"""How a valid YAML manifest is read."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from bulk.errors import ManifestError
from bulk.manifest import Manifest, Selection, read_manifest
from bulk.manifest.findings import Findings
from bulk.manifest.yaml_tree import FAST_LOADER, read_tree
from bulk.model import Platform

A = "5a3b1e00-0001-4c1e-8a01-000000000001"
B = "5a3b1e00-0002-4c1e-8a01-000000000002"
APP = "5a3b1e00-00a1-4c1e-8a01-0000000000a1"
OTHER_APP = "5a3b1e00-00a2-4c1e-8a01-0000000000a2"
ENVIRONMENT = "5a3b1e00-00e1-4c1e-8a01-0000000000e1"


def read(tmp_path: Path, text: str | bytes, selection: Selection | None = None) -> Manifest:
    path = tmp_path / "release.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_manifest(path, selection or Selection())


def combinations(manifest: Manifest) -> list[str]:
    return [
        " ".join(
            part
            for part in (t.platform, t.mode, t.device_model, t.app_id, t.environment_id)
            if part
        )
        for t in manifest.triggers()
    ]


TESTS = f"tests: [{{id: {A}}}]\n"
EXPANSIONS = {
    "no matrix is one combination with nothing set": ("", [""]),
    "an empty matrix is the same": ("matrix: {}\n", [""]),
    "defaults fill in what the matrix leaves unset": (
        f"defaults: {{mode: deep, environment_id: {ENVIRONMENT}}}\nmatrix: {{platform: [web]}}\n",
        [f"web deep {ENVIRONMENT}"],
    ),
    "the matrix takes precedence over defaults": (
        "defaults: {mode: deep, platform: ios}\nmatrix: {mode: [fast]}\n",
        ["ios fast"],
    ),
    "axes multiply in the order they are written": (
        "matrix: {mode: [deep, fast], platform: [ios, web]}\n",
        ["ios deep", "web deep", "ios fast", "web fast"],
    ),
    "apps combine with their platforms": (
        f"apps: {{ios: {APP}}}\nmatrix: {{platform: [web, ios]}}\n",
        ["web", f"ios {APP}"],
    ),
    "an app in the matrix takes precedence over apps": (
        f"apps: {{ios: {APP}}}\nmatrix: {{platform: [ios], app_id: [{OTHER_APP}]}}\n",
        [f"ios {OTHER_APP}"],
    ),
    "a default device is used where it fits": (
        "defaults: {device_model: ipad}\nmatrix: {platform: [web, ios, android]}\n",
        ["web", "ios ipad", "android"],
    ),
    "an include extends the combinations it fits": (
        "matrix:\n  platform: [web, ios]\n  include: [{platform: ios, device_model: ipad}]\n",
        ["web", "ios ipad"],
    ),
    "an include that fits none adds a combination": (
        "matrix:\n  platform: [web]\n  include: [{platform: ios, device_model: ipad}]\n",
        ["web", "ios ipad"],
    ),
    "a matrix of includes only has a combination for each": (
        "matrix:\n  include: [{platform: web}, {platform: ios, mode: fast}]\n",
        ["web", "ios fast"],
    ),
    "everything may be excluded if something is included": (
        "matrix:\n  platform: [web]\n  exclude: [{platform: web}]\n  include: [{mode: fast}]\n",
        ["fast"],
    ),
}


@pytest.mark.parametrize(("head", "expected"), EXPANSIONS.values(), ids=EXPANSIONS.keys())
def test_a_matrix_expands_to_combinations(tmp_path: Path, head: str, expected: list[str]) -> None:
    assert combinations(read(tmp_path, f"version: 1\n{head}{TESTS}")) == expected


FULL = f"""\
version: 1
defaults:
  tags: [all]
  repeat: 2
  own: {{owner: Mia, area: web}}
matrix:
  platform: [web, ios, android]
  exclude:
    - {{platform: android}}
    - platform: android
  include:
    - {{mode: fast}}
tests:
  - id: {A.upper()}
    name: 1.10
    tags: [no, 010]
  - id: {B}
    repeat: 1
    own: {{owner: Jun, 12: "x"}}
    matrix: {{platform: [android], include: [{{platform: android}}]}}
"""


def test_a_test_without_its_own_values_gets_the_defaults(tmp_path: Path) -> None:
    manifest = read(tmp_path, FULL)
    triggers = list(manifest.triggers())
    assert [(t.test_id, t.platform, t.mode, t.repetition, t.line) for t in triggers] == [
        (A, "web", "fast", 1, 14),
        (A, "web", "fast", 2, 14),
        (A, "ios", "fast", 1, 14),
        (A, "ios", "fast", 2, 14),
        (B, "android", None, 1, 17),
    ]
    assert (triggers[0].name, triggers[0].tags) == ("1.10", ("no", "010"))
    assert triggers[0].own == (("owner", "Mia"), ("area", "web"))
    assert (triggers[-1].name, triggers[-1].tags) == ("", ("all",))
    assert triggers[-1].own == (("owner", "Jun"), ("area", "web"), ("12", "x"))
    assert manifest.own_columns == ("owner", "area", "12")
    assert (manifest.rows, manifest.count) == (2, 5)
    assert manifest.by_platform == ((Platform.WEB, 2), (Platform.IOS, 2), (Platform.ANDROID, 1))


def test_names_and_values_are_compared_without_their_form(tmp_path: Path) -> None:
    text = f"""\
version: 1
defaults: {{own: {{Qualit\u00e9: a, area: b}}}}
matrix: {{platform: [WEB, ios], exclude: [{{platform: Web}}]}}
tests: [{{id: {A}, own: {{qualite\u0301: c}}}}, {{id: {B}}}]
"""
    manifest = read(tmp_path, text)
    assert manifest.own_columns == ("Qualit\u00e9", "area")
    assert [t.own for t in manifest.triggers()] == [
        (("Qualit\u00e9", "c"), ("area", "b")),
        (("Qualit\u00e9", "a"), ("area", "b")),
    ]
    assert [t.platform for t in manifest.triggers()] == ["ios", "ios"]


def test_a_tag_in_two_forms_is_there_twice(tmp_path: Path) -> None:
    text = f"version: 1\ntests: [{{id: {A}, tags: [caf\u00e9, CAFE\u0301]}}]\n"
    with pytest.raises(ManifestError, match="appears twice in one list"):
        read(tmp_path, text)


def test_one_column_cannot_have_two_values(tmp_path: Path) -> None:
    text = f"version: 1\ntests: [{{id: {A}, own: {{Owner: a, owner: b}}}}]\n"
    with pytest.raises(ManifestError, match='"Owner" and "owner" are the same column'):
        read(tmp_path, text)


def test_the_effect_of_each_exclude_and_include_is_reported(tmp_path: Path) -> None:
    manifest = read(tmp_path, FULL)
    assert [str(change) for change in manifest.changes] == [
        "exclude {platform: android} (line 9): removed 1",
        "exclude {platform: android} (line 10): changed nothing",
        "include {mode: fast} (line 12): extended 2",
        "include {platform: android} (line 20): changed nothing",
    ]
    assert manifest.notes == ("line 20: this include changes nothing",)


def test_changes_count_the_combinations_of_all_tests(tmp_path: Path) -> None:
    matrix = "matrix:\n  platform: [web, ios]\n  exclude: [{platform: ios}]\n"
    manifest = read(tmp_path, f"version: 1\n{matrix}tests: [{{id: {A}}}, {{id: {B}}}]\n")
    assert [change.removed for change in manifest.changes] == [2]


def test_a_matrix_that_no_test_uses_is_reported(tmp_path: Path) -> None:
    text = f"version: 1\nmatrix: {{platform: [web]}}\ntests: [{{id: {A}, matrix: {{}}}}]\n"
    assert read(tmp_path, text).notes == ("line 2: no test uses this matrix; each has its own",)


def test_app_id_options_take_precedence_over_apps_and_matrix(tmp_path: Path) -> None:
    text = f"apps: {{ios: {APP}, android: {APP}}}\nmatrix: {{platform: [web, ios, android]}}\n"
    selection = Selection(app_ids=((Platform.IOS, OTHER_APP),))
    manifest = read(tmp_path, f"version: 1\n{text}{TESTS}", selection)
    assert combinations(manifest) == ["web", f"ios {OTHER_APP}", f"android {APP}"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("line_ending", ["\n", "\r\n"])
def test_yaml_is_read_in_each_encoding(tmp_path: Path, encoding: str, line_ending: str) -> None:
    text = f"version: 1\ntests:\n  - id: {A}\n    name: Café 🚀\n".replace("\n", line_ending)
    (trigger,) = read(tmp_path, text.encode(encoding)).triggers()
    assert (trigger.name, trigger.line) == ("Café 🚀", 3)


def test_yaml_in_windows_1252_is_read_with_a_warning(tmp_path: Path) -> None:
    text = f"version: 1\ntests:\n  - id: {A}\n    name: Café\n"
    manifest = read(tmp_path, text.encode("cp1252"))
    assert next(manifest.triggers()).name == "Café"
    assert "line 4 is not valid UTF-8" in manifest.notes[0]


@pytest.mark.parametrize("loader", [yaml.SafeLoader, FAST_LOADER], ids=["python", "fast"])
@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: 1\nb: [x, {c: d}]\n", ""),
        ("[" * 100_000, "release.yaml:1:11: nested more than 10 levels deep"),
        ("{a: " * 100_000, "release.yaml:1:41: nested more than 10 levels deep"),
        ("- " * 100_000, "release.yaml:1:21: nested more than 10 levels deep"),
        ("a: &x 1\nb: *x\n", ""),
        ("a: *x\n", "release.yaml:1:4: the alias *x has no anchor &x before it"),
        (
            "a: &x [*x]\n",
            "release.yaml:1:8: the alias *x stands within its own value, which never ends",
        ),
        (
            "a: {<<: {b: 1}}\n",
            "release.yaml:1:5: merge keys (<<) are not supported; write the keys out, "
            "or use an alias for the whole value, as in matrix: *name",
        ),
        ('a: {"<<": x}\n', ""),
        ("a: 1\na: 2\n", 'release.yaml:2:1: the key "a" appears twice, first on line 1'),
    ],
)
def test_both_parsers_enforce_the_same_limits(text: str, problem: str, loader: object) -> None:
    findings = Findings("release.yaml")
    read_tree(text, findings, loader)
    assert "\n".join(map(str, findings.problems)) == problem


ALIASED = f"""\
version: 1
defaults: {{tags: &tags [smoke, &slow slow], mode: &mode fast}}
matrix: &both
  platform: &platforms [web, ios]
  mode: [*mode]
  exclude: [&web {{platform: web}}]
  include: [&ipad {{platform: ios, device_model: ipad}}]
tests:
  - id: {A}
    name: *slow
  - id: {B}
    tags: *tags
    repeat: &two 2
    own: &own {{owner: *mode}}
    matrix: *both
  - id: {APP}
    own: *own
    repeat: *two
    matrix: {{platform: *platforms, exclude: [*web], include: [*ipad]}}
"""
WRITTEN_OUT = f"""\
version: 1
defaults: {{tags: [smoke, slow], mode: fast}}
matrix:
  platform: [web, ios]
  mode: [fast]
  exclude: [{{platform: web}}]
  include: [{{platform: ios, device_model: ipad}}]
tests:
  - id: {A}
    name: slow
  - id: {B}
    tags: [smoke, slow]
    repeat: 2
    own: {{owner: fast}}
    matrix:
      platform: [web, ios]
      mode: [fast]
      exclude: [{{platform: web}}]
      include: [{{platform: ios, device_model: ipad}}]
  - id: {APP}
    own: {{owner: fast}}
    repeat: 2
    matrix:
      platform: [web, ios]
      exclude: [{{platform: web}}]
      include: [{{platform: ios, device_model: ipad}}]
"""


def test_an_alias_stands_for_the_whole_value(tmp_path: Path) -> None:
    aliased = [replace(t, line=0) for t in read(tmp_path, ALIASED).triggers()]
    written = [replace(t, line=0) for t in read(tmp_path, WRITTEN_OUT).triggers()]
    assert aliased == written
    assert len(aliased) == 5


def test_a_matrix_and_its_aliases_count_as_one(tmp_path: Path) -> None:
    assert [str(change) for change in read(tmp_path, ALIASED).changes] == [
        "exclude {platform: web} (line 6): removed 2",
        "include {platform: ios, device_model: ipad} (line 7): extended 2",
        "exclude {platform: web} (line 19): removed 1",
        "include {platform: ios, device_model: ipad} (line 19): extended 1",
    ]


def test_an_anchor_may_be_given_again(tmp_path: Path) -> None:
    text = (
        f"version: 1\ntests: [{{id: {A}, name: &n x}}, "
        f"{{id: {B}, name: &n y}}, {{id: {APP}, name: *n}}]"
    )
    assert [t.name for t in read(tmp_path, text).triggers()] == ["x", "y", "y"]


def test_long_texts_behind_aliases_are_bounded_as_if_written_out(tmp_path: Path) -> None:
    text = "version: 1\ndefaults: {own: {a: &a " + "x" * 100_000 + "}}\n"
    text += "tests: [" + "*a," * 90 + "]\n"
    with pytest.raises(ManifestError, match=r"3:\d+: longer than 8,388,608 characters with all al"):
        read(tmp_path, text)


@pytest.mark.parametrize("loader", [yaml.SafeLoader, FAST_LOADER], ids=["python", "fast"])
def test_a_page_of_nested_aliases_costs_no_more_than_its_text(loader: object) -> None:
    levels = [f"x{n}: &x{n} [{', '.join([f'*x{n - 1}'] * 50)}]\n" for n in range(1, 9)]
    findings = Findings("release.yaml")
    tracemalloc.start()
    try:
        assert read_tree("x0: &x0 [lol]\n" + "".join(levels), findings, loader) is None
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert "more than 200,000 values with all aliases written out" in str(findings.error())
    assert peak_bytes < 1 << 20
