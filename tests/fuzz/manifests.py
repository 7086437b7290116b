"""Hostile manifests, each made from a number alone, and what the reader may make of them."""

from __future__ import annotations

import csv
import io
import json
import re
import uuid
from random import Random
from typing import Any

import yaml

from tests.fuzz.texts import hostile_text

COLUMNS = (
    *("test_id", "platform", "mode", "name", "device_model", "app_id", "environment_id"),
    *("tags", "repeat", "repetition", "key", "outcome", "run_id", "number", "owner", "sent"),
)
ENCODINGS = ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252", "utf-7")
NAMES = ("m.csv", "m.tsv", "m.txt", "m", "m.CSV", "m.yaml", "m.yml", "m.YAML", "m.xlsx", "m.json")
MARKS = (b"\xff\xfe", b"\xfe\xff", b"\xef\xbb\xbf", b"\xff\xfe\x00\x00", b"PK\x03\x04", b"\0")
# What YAML's grammar turns on, and what a parser has been killed with.
YAML_WORDS = (
    *(
        "[",
        "]",
        "{",
        "}",
        ",",
        ": ",
        "- ",
        "? ",
        "&a ",
        "*a",
        "!!python/object:os.system ",
        "!<x> ",
    ),
    *("|", ">-", "%YAML 9.9\n---\n", "---\n", "...\n", "<<: ", "#", "@", "`", "'", '"', "\t", "\n"),
    *("\n  ", "\x85", "\ufeff", "\\ud800", '"\\0"', "=", "~", "0x1F", "1_000", "2026-01-01"),
)
CSV_WORDS = (",", ";", "\t", '"', '""', "\r", "\n", "\r\n", "|", "sep=;\n", "sep=\x00\n", "'", "\\")


def make_manifest(seed: int) -> tuple[str, bytes]:
    """The file's name and content."""
    random = Random(f"manifest {seed}")
    as_yaml = random.random() < 0.5
    text = _yaml(random) if as_yaml else _csv(random)
    if random.random() < 0.7:  # what no file may hold hides all else that is wrong with it
        text = re.sub("[\0\x01-\x08\ud800-\udfff\ufffe\uffff]", "", text)
        text = re.sub(r"\\u0000|\\u[dD][89a-fA-F]..|\\0", "", text)
    name = random.choice(("m.yaml", "m.yml") if as_yaml else ("m.csv", "m.tsv", "m"))
    if random.random() < 0.05:
        name = random.choice(NAMES)
    if random.random() < 0.3:
        text = _spoilt(random, text, YAML_WORDS if as_yaml else CSV_WORDS)
    encoding = random.choice(ENCODINGS) if random.random() < 0.15 else "utf-8"
    keeps_surrogates = encoding not in ("cp1252", "utf-7") and random.random() < 0.3
    content = text.encode(encoding, "surrogatepass" if keeps_surrogates else "replace")
    if random.random() < 0.15:
        content = _damaged(random, content)
    return name, content


# Good values, and behind them bad ones. A column that is not here takes any text.
VALUES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "platform": (
        ("web", "ios", "android", "IOS", "web|ios"),
        ("windows", "web,ios", "ios|ios", "|"),
    ),
    "mode": (("fast", "deep", "fast|deep", "Fast"), ("slow", "fast deep", "*")),
    "device_model": (("", "", "ipad", "iphone", "ipad|iphone"), ("pixel", "iPad |")),
    "repeat": (("1", "2", "3"), ("0", "1000", "1001", "-1", "1e3", "2.0", "\u0662")),
    "repetition": (("1", "2", ""), ("0", "x")),
}
IDS = ("test_id", "id", "app_id", "environment_id", "web", "ios", "android")


def _value(random: Random, column: str) -> str:
    """A value of a column: seldom a bad one, where only some are good; any text otherwise."""
    if column not in VALUES and column not in IDS:
        if random.random() < 0.5:
            return random.choice(("Log in", "Ana", "7", "\u00e9"))
        return hostile_text(random, characters_max=200_000 if random.random() < 0.01 else 4_000)
    if random.random() < 0.01:
        return hostile_text(random)
    if column in IDS:
        return str(uuid.UUID(int=random.getrandbits(128), version=4))
    good, bad = VALUES[column]
    return random.choice(bad if random.random() < 0.02 else good)


def _csv(random: Random) -> str:
    columns = list(COLUMNS[:3]) + random.sample(COLUMNS[3:], random.randint(0, 5))
    if random.random() < 0.1:
        random.shuffle(columns)
    if random.random() < 0.1:
        columns.append(random.choice(columns))
    if random.random() < 0.1:
        columns[random.randrange(len(columns))] = hostile_text(random)
    if random.random() < 0.02:
        columns += [f"own {n}" for n in range(random.randint(1, 2_000))]
    rows = (
        random.randint(random.random() > 0.05, 6)
        if random.random() < 0.99
        else random.randint(500, 2_000)
    )
    out = io.StringIO()
    writer = csv.writer(
        out,
        delimiter=random.choice(",,,;\t"),
        lineterminator=random.choice(("\n", "\r\n", "\r")),
        quoting=random.choice((csv.QUOTE_MINIMAL, csv.QUOTE_ALL)),
    )
    writer.writerow(columns if random.random() < 0.9 else [name.upper() for name in columns])
    for _ in range(rows):
        row = [_value(random, column) for column in columns]
        if random.random() < 0.03:
            row = row[: random.randint(0, len(row))] + [""] * random.randint(0, 3)
        writer.writerow(row)
    return out.getvalue()


def _yaml(random: Random) -> str:
    tree: dict[str, Any] = {
        "version": 1,
        "tests": [_test(random) for _ in range(random.randint(1, 4))],
    }
    if random.random() < 0.5:
        tree["matrix"] = _matrix(random)
    if random.random() < 0.3:
        keys = ("platform", "mode", "device_model", "environment_id", "repeat")
        tree["defaults"] = _some(random, keys)
        if random.random() < 0.3:
            tree["defaults"]["own"] = {hostile_text(random): hostile_text(random)}
    if random.random() < 0.3:
        tree["apps"] = _some(random, ("web", "ios", "android"))
    for _ in range(random.choice((0, 0, 0, 0, 0, 1, 2))):
        _graft(random, tree)
    if random.random() < 0.02:
        return _bomb(random)
    if random.random() < 0.5:
        return json.dumps(tree, ensure_ascii=random.random() < 0.5, indent=random.choice((None, 2)))
    return str(yaml.safe_dump(tree, allow_unicode=random.random() < 0.5, sort_keys=False))


def _some(random: Random, keys: tuple[str, ...]) -> dict[str, Any]:
    chosen = random.sample(keys, random.randint(1, len(keys)))
    return {key: _single(random, key) for key in chosen}


def _single(random: Random, key: str) -> str:
    return _value(random, key).partition("|")[0] or "iphone"


def _test(random: Random) -> dict[str, Any]:
    test: dict[str, Any] = {"id": _value(random, "id")}
    if random.random() < 0.6:
        test["name"] = hostile_text(random) if random.random() < 0.3 else "Log in"
    if random.random() < 0.3:
        test["tags"] = [_value(random, "name") for _ in range(random.randint(0, 3))]
    if random.random() < 0.3:
        test["own"] = {_value(random, "name"): _value(random, "name")}
    if random.random() < 0.2:
        test["repeat"] = _value(random, "repeat")
    if random.random() < 0.2:
        test["matrix"] = _matrix(random)
    return test


AXES = ("platform", "mode", "device_model", "app_id", "environment_id")


def _matrix(random: Random) -> dict[str, Any]:
    """Axes, and excludes and includes that fit them, miss them, or contradict each other."""
    matrix: dict[str, Any] = {}
    for axis in random.sample(AXES, random.randint(0, 3)):
        values = [_single(random, axis) for _ in range(random.randint(1, 3))]
        matrix[axis] = values if random.random() < 0.05 else list(dict.fromkeys(values))
    for rule in ("exclude", "include"):
        if random.random() < 0.4:
            many = 1_500 if random.random() < 0.01 else 3
            matrix[rule] = [_some(random, AXES) for _ in range(random.randint(0, many))]
    if random.random() < 0.01:
        matrix["app_id"] = [_value(random, "app_id") for _ in range(1_100)]
    return matrix


def _graft(random: Random, tree: dict[str, Any]) -> None:
    """Put something else in the place of any value, or under a key that has no place there."""
    node: Any = tree
    while random.random() < 0.7 and isinstance(node, dict | list) and node:
        inner = random.choice(list(node.values()) if isinstance(node, dict) else node)
        if not isinstance(inner, dict | list) or not inner:
            break
        node = inner
    odd: Any = random.choice(
        (None, True, [], {}, 1.5, [[[]]], {"a": {"b": {}}}, [None], hostile_text(random), 10**30)
    )
    if isinstance(node, list):
        node[random.randrange(len(node))] = odd
    else:
        key = random.choice([*node, "matrix", "include", "tests", "test_id", hostile_text(random)])
        node[key] = odd


def _bomb(random: Random) -> str:
    depth = random.choice((11, 100, 5_000, 100_000))
    laughs = "\n".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 30))
    return random.choice(
        (
            "[" * depth,
            "{a: " * depth,
            "".join(" " * n + "a:\n" for n in range(min(depth, 400))),
            "- " * depth,
            "? " * depth,
            f"a0: &a0 x\n{laughs}",
            "&a [*a]",
            "a: &a {<<: *a}",
            "version: 1\ntests: [" + "{}, " * min(depth, 50_000) + "]",
            "x: " + "'" * depth,
            "!" * depth,
            "#" * depth,
            "version: 1\n" * min(depth, 5_000),
        )
    )


def _spoilt(random: Random, text: str, words: tuple[str, ...]) -> str:
    """The text with words put in, lines moved, pieces doubled or cut out."""
    for _ in range(random.randint(1, 4)):
        place = random.randint(0, len(text))
        end = min(len(text), place + random.randint(0, 40))
        variant = random.randrange(6)
        if variant == 0:
            text = text[:place] + random.choice(words) + text[place:]
        elif variant == 1:
            text = text[:place] + text[end:]
        elif variant == 2:
            text = text[:end] + text[place:]
        elif variant == 3:
            lines = text.splitlines(keepends=True)
            random.shuffle(lines)
            text = "".join(lines[:1_000])
        elif variant == 4:
            text = text[:place] + random.choice(words) * random.choice((1, 3, 2_000)) + text[place:]
        else:
            text = text[:place] + hostile_text(random) + text[place:]
    return text


def _damaged(random: Random, content: bytes) -> bytes:
    """The bytes with some changed, lost, or put before."""
    damaged = bytearray(content)
    for _ in range(random.choice((1, 1, 2, 10))):
        place = random.randint(0, max(0, len(damaged) - 1))
        variant = random.randrange(5)
        if variant == 0 and damaged:
            damaged[place] = random.getrandbits(8)
        elif variant == 1:
            damaged[place:place] = random.randbytes(random.randint(1, 4))
        elif variant == 2:
            del damaged[place : place + random.randint(1, 20)]
        elif variant == 3:
            damaged[0:0] = random.choice(MARKS)
        else:
            del damaged[place:]
    return bytes(damaged)
