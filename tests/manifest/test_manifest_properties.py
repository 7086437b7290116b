"""Properties of the manifest layer that hold for any input."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bulk.errors import ManifestError
from bulk.manifest import read_manifest
from bulk.manifest.caseless import fold
from bulk.manifest.findings import Findings
from bulk.manifest.formulas import escape_formula, unescape_formula
from bulk.manifest.matrix import Entry, Matrix, expand
from bulk.manifest.yaml_tree import FAST_LOADER, read_tree
from bulk.model import DEVICES_BY_PLATFORM, Mode, Platform, Trigger
from tests.properties import examples

IDS = st.uuids(version=4).map(str)
# No surrogates, which cannot be encoded, and no NUL, which a manifest must not contain.
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)


@contextmanager
def manifest_file(name: str, content: bytes) -> Iterator[Path]:
    with TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(content)
        yield path


@given(TEXT)
@example("'=1+1")
@example("''")
@example("\t=1")
@example("\n=1")
@example("\uff1d1+1")
def test_a_formula_escape_is_undone_and_leaves_no_formula(text: str) -> None:
    escaped = escape_formula(text)
    assert unescape_formula(escaped) == text
    assert not re.match(r"[=+\-@\t\r\n＝＋－＠]", escaped)


@st.composite
def triggers(draw: st.DrawFn) -> Trigger:
    platform = draw(st.sampled_from([None, *Platform]))
    devices = sorted(DEVICES_BY_PLATFORM[platform]) if platform else []
    tags = draw(st.lists(st.from_regex(r"[\w.-]{1,8}", fullmatch=True), max_size=3, unique_by=fold))
    return Trigger(
        test_id=draw(IDS),
        platform=platform,
        mode=draw(st.sampled_from([None, *Mode])),
        device_model=draw(st.sampled_from([None, *devices])),
        app_id=draw(st.none() | IDS),
        environment_id=draw(st.none() | IDS),
        name=draw(TEXT).strip(),
        tags=tuple(tags),
        own=(("note", draw(TEXT)),),
    )


@settings(max_examples=examples(100), deadline=None)
@given(
    st.lists(triggers(), min_size=1, max_size=8, unique_by=lambda trigger: trigger.key),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
    st.sampled_from([",", ";", "\t"]),
    st.sampled_from(["\n", "\r\n"]),
)
def test_triggers_survive_a_round_trip_through_csv(
    wanted: list[Trigger], encoding: str, delimiter: str, line_ending: str
) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "release.csv"
        columns = ("test_id", "name", "platform", "mode", "device_model", "app_id")
        with path.open("w", encoding=encoding, newline="") as out:
            # All quoted: otherwise the writer does not quote a lone carriage return.
            writer = csv.writer(
                out, delimiter=delimiter, lineterminator=line_ending, quoting=csv.QUOTE_ALL
            )
            writer.writerow((*columns, "environment_id", "tags", "note"))
            for trigger in wanted:
                cells = [getattr(trigger, name) for name in (*columns, "environment_id")]
                writer.writerow((*cells, "|".join(trigger.tags), trigger.own[0][1]))
        found = list(read_manifest(path).triggers())
    assert [t.key for t in found] == [t.key for t in wanted]
    assert [(t.name, t.tags) for t in found] == [(t.name, t.tags) for t in wanted]
    assert [dict(t.own).get("note", "") for t in found] == [t.own[0][1] for t in wanted]


WORDS = st.sampled_from(
    [
        *"[]{}:,-?&*!|>'\"%@#\n\t ~",
        "\n  ",
        "- ",
        ": ",
        "version: 1\n",
        "tests:\n",
        "  - id: 5a3b1e00-0001-4c1e-8a01-000000000001\n",
        "matrix:\n",
        "  platform: [web, ios]\n",
        "  include: [{mode: fast}]\n",
        "&a ",
        "*a",
        "!!str ",
        "---\n",
        "<<: ",
        "é",
        "\x85",
        "\ufeff",
    ]
)
CSV_WORDS = st.sampled_from(
    [
        *",;\t\"|\n\r ='",
        "test_id,platform,mode\n",
        "5a3b1e00-0001-4c1e-8a01-000000000001",
        ",web,fast\n",
        "ios",
        "sep=;\n",
        "key,outcome,run_id,",
        "repetition",
        "é",
        "\0",
    ]
)


def check_rejected_or_read(name: str, content: bytes) -> None:
    with manifest_file(name, content) as path:
        try:
            manifest = read_manifest(path)
        except ManifestError:
            pass
        else:
            assert len(list(manifest.triggers())) == manifest.count > 0


@settings(max_examples=examples(300), deadline=None)
@given(st.lists(WORDS, max_size=25).map("".join))
@example("? a\n")
@example("!\n")
@example("%YAML 9.9\n---\n")
@example("a: !<tag:x> b")
@example('"\\ud800"')
@example('version: 1\ntests: [{id: 5a3b1e00-0001-4c1e-8a01-000000000001, name: "\\ud800"}]')
def test_any_yaml_is_read_or_rejected_with_a_message(text: str) -> None:
    check_rejected_or_read("release.yaml", text.encode())


@settings(max_examples=examples(300), deadline=None)
@given(st.lists(CSV_WORDS, max_size=25).map("".join))
def test_any_csv_is_read_or_rejected_with_a_message(text: str) -> None:
    check_rejected_or_read("release.csv", text.encode())


@settings(max_examples=examples(300), deadline=None)
@given(st.binary(max_size=60), st.sampled_from(["release.csv", "release.yaml"]))
@example(b"\xff\xfe\x00\xd8", "release.csv")
@example(b"\xff\xfe\x00\x00\x00", "release.yaml")
def test_any_bytes_are_read_or_rejected_with_a_message(content: bytes, name: str) -> None:
    check_rejected_or_read(name, content)


@dataclass(slots=True)
class Aliased:
    """A YAML value with aliases: its text, and the text with all of them written out."""

    text: str
    written_out: str


@st.composite
def aliased_documents(draw: st.DrawFn) -> Aliased:
    known: list[str] = []  # what each anchor, named by its index, stands for

    def value(depth: int) -> Aliased:
        kinds = ["scalar"] + ["alias"] * bool(known) + ["list", "mapping"] * (depth < 4)
        kind = draw(st.sampled_from(kinds))
        if kind == "alias":
            index = draw(st.integers(0, len(known) - 1))
            return Aliased(f"*a{index} ", known[index])
        if kind == "scalar":
            word = draw(st.sampled_from(["x", "no", "1.10", "'*a0'", "'<<'", "é"]))
            node = Aliased(word, word)
        else:
            members = [value(depth + 1) for _ in range(draw(st.integers(0, 3)))]
            keys = [f"k{n}: " if kind == "mapping" else "" for n in range(len(members))]
            form = "[{}]" if kind == "list" else "{{{}}}"
            node = Aliased(
                form.format(", ".join(k + m.text for k, m in zip(keys, members, strict=True))),
                form.format(
                    ", ".join(k + m.written_out for k, m in zip(keys, members, strict=True))
                ),
            )
        if draw(st.booleans()):
            known.append(node.written_out)
            node.text = f"&a{len(known) - 1} {node.text}"
        return node

    members = [value(1) for _ in range(draw(st.integers(1, 5)))]
    return Aliased(
        "".join(f"- {m.text}\n" for m in members), "".join(f"- {m.written_out}\n" for m in members)
    )


@settings(max_examples=examples(200), deadline=None)
@given(aliased_documents(), st.sampled_from([yaml.SafeLoader, FAST_LOADER]))
def test_a_document_with_aliases_is_that_document_written_out(
    document: Aliased, loader: object
) -> None:
    aliased, written_out = Findings("a.yaml"), Findings("a.yaml")
    one = read_tree(document.text, aliased, loader)
    other = read_tree(document.written_out, written_out, loader)
    assert bool(aliased.problems) == bool(written_out.problems)
    if one is None or other is None:
        assert one is other  # too deep with the aliases written out, and without them as well
    else:
        assert one.plain == other.plain


KEYS = ("a", "b", "c", "d")
ENTRIES = st.dictionaries(st.sampled_from(KEYS), st.sampled_from("12"), min_size=1).map(
    lambda pairs: tuple(pairs.items())
)
AXES = st.dictionaries(
    st.sampled_from(KEYS[:3]), st.lists(st.sampled_from("123"), min_size=1, unique=True).map(tuple)
).map(lambda axes: tuple(axes.items()))


def expand_naively(
    axes: Any, excludes: list[Any], includes: list[Any]
) -> tuple[list[dict[str, str]], list[int]]:
    """GitHub's rules, taken literally: the combinations, and how many each exclude matches."""
    kept: list[tuple[dict[str, str], dict[str, str]]] = []  # values of axes, added values
    everything = [dict(zip(dict(axes), one, strict=True)) for one in product(*dict(axes).values())]
    if not axes:
        everything = []
    matched = [sum(set(entry) <= set(one.items()) for one in everything) for entry in excludes]
    for original in everything:
        if not any(set(entry) <= set(original.items()) for entry in excludes):
            kept.append((original, {}))
    new: list[dict[str, str]] = []
    for entry in includes:
        added = False
        for original, extra in kept:
            overwrites = [name for name, value in entry if original.get(name, value) != value]
            if not overwrites:
                extra.update({name: value for name, value in entry if name not in original})
                added = True
        if not added:
            new.append(dict(entry))
    return [{**original, **extra} for original, extra in kept] + new, matched


@settings(max_examples=examples(300), deadline=None)
@given(AXES, st.lists(ENTRIES, max_size=3), st.lists(ENTRIES, max_size=4))
def test_a_matrix_expands_by_githubs_rules(
    axes: tuple[tuple[str, tuple[str, ...]], ...], excludes: list[Any], includes: list[Any]
) -> None:
    matrix = Matrix(
        1,
        axes,
        tuple(Entry(2, pairs) for pairs in excludes),
        tuple(Entry(3, pairs) for pairs in includes),
    )
    expansion = expand(matrix)
    expected, matched = expand_naively(axes, excludes, includes)
    assert [dict(pairs) for pairs in expansion.combinations] == expected
    changes = expansion.changes
    assert [change.matched for change in changes if change.kind == "exclude"] == matched
    size = len(list(product(*dict(axes).values()))) if axes else 0
    removed = sum(change.removed for change in changes)
    assert len(expected) == size - removed + sum(change.added for change in changes)
    assert len(expected) <= matrix.size_max
