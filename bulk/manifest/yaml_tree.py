"""YAML text to plain lists, mappings and strings with their places; knows no key's meaning.

Built from the parser's events, one by one and without recursion, so that depth, size and aliases
are refused before they can cost anything: a parser that composes first dies of deep nesting, and
a page of aliases can stand for gigabytes. Scalars stay the strings they are written as.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import yaml
from yaml.events import (
    AliasEvent,
    CollectionEndEvent,
    CollectionStartEvent,
    DocumentStartEvent,
    Event,
    MappingStartEvent,
    ScalarEvent,
)
from yaml.reader import Reader

from bulk.manifest.findings import Findings, shown

# The form's deepest value is in tests > test > matrix > include > entry: six levels.
DEPTH_MAX = 10
# A list and a mapping and a scalar are a node each. More than this is a table's job.
NODES_MAX = 200_000
CHARACTERS_MAX = 8 << 20
_TOO_LARGE = "write large manifests as CSV, which is read as a stream"
# Escapes in double quotes (`"\0"`, `"\ud800"`) can spell what no report could be written with.
_UNWRITABLE = re.compile("[\0\ud800-\udfff]")
FAST_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

Path = tuple[str | int, ...]
Place = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Tree:
    """A document: its plain value, and the line and column (from 1) of each key and value."""

    plain: object
    _values: dict[Path, Place]
    _keys: dict[Path, Place]

    def place(self, path: Path, *, of_key: bool = False) -> Place:
        """Where the value (or its key) at this path stands, or the nearest thing around it."""
        if of_key and path in self._keys:
            return self._keys[path]
        while path not in self._values:
            path = path[:-1]
        return self._values[path]

    def keys(self, path: Path) -> tuple[str, ...]:
        """The keys of the mapping at this path, in the order they are written."""
        node: Any = self.plain
        for step in path:
            node = node[step]
        return tuple(node)


class _GaveUpError(Exception):
    """The rest of the document means nothing; the problem has been told."""


@dataclass(slots=True)
class _Frame:
    """A list or mapping whose end has not come yet. `key` is the key that waits for its value."""

    node: Any
    path: Path
    key: str | None = None


@dataclass(slots=True)
class _Builder:
    findings: Findings
    frames: list[_Frame] = field(default_factory=list)
    values: dict[Path, Place] = field(default_factory=dict)
    keys: dict[Path, Place] = field(default_factory=dict)
    root: object = None
    documents: int = 0
    nodes: int = 0

    def take(self, event: Event) -> None:
        if isinstance(event, DocumentStartEvent):
            self.documents += 1
            if self.documents > 1:
                self._give_up(event, "a second document begins; a manifest is one document")
        elif isinstance(event, CollectionEndEvent):
            self.frames.pop()
        elif isinstance(event, AliasEvent):
            name = shown(event.anchor)[1:-1]
            self._give_up(event, f"the alias *{name} has no place here; write the value")
        elif isinstance(event, ScalarEvent | CollectionStartEvent):
            self._node(event)

    def _node(self, event: Any) -> None:
        self.nodes += 1
        if self.nodes > NODES_MAX:
            self._give_up(event, f"more than {NODES_MAX:,} values; {_TOO_LARGE}")
        if event.anchor is not None:
            name = shown(event.anchor)[1:-1]
            self._tell(event, f"the anchor &{name} has no place here; write the value")
        if event.tag is not None:
            self._tell(event, f"the tag {shown(event.tag)} has no place here; all is plain text")
        if isinstance(event, ScalarEvent) and _UNWRITABLE.search(event.value):
            self._tell(event, f"{shown(event.value)} holds a character that no file can hold")
        frame = self.frames[-1] if self.frames else None
        if frame is not None and isinstance(frame.node, dict) and frame.key is None:
            self._key(frame, event)
            return
        path: Path = ()
        if frame is not None:
            step = len(frame.node) if isinstance(frame.node, list) else frame.key
            assert step is not None
            path = (*frame.path, step)
        node: Any = event.value if isinstance(event, ScalarEvent) else []
        if isinstance(event, MappingStartEvent):
            node = {}
        self._put(frame, node, path, event)
        if isinstance(event, CollectionStartEvent):
            self.frames.append(_Frame(node, path))
            if len(self.frames) > DEPTH_MAX:
                self._give_up(event, f"nested more than {DEPTH_MAX} levels deep")

    def _put(self, frame: _Frame | None, node: Any, path: Path, event: Event) -> None:
        if frame is None:
            self.root = node
        elif isinstance(frame.node, list):
            frame.node.append(node)
        else:
            key, frame.key = frame.key, None
            if key in frame.node:
                return  # told when the key came; the first one stays
            frame.node[key] = node
        self.values.setdefault(path, _place(event))

    def _key(self, frame: _Frame, event: Any) -> None:
        if not isinstance(event, ScalarEvent):
            self._give_up(event, "a key has to be plain text, not a list or mapping")
        path = (*frame.path, event.value)
        if path in self.keys:
            line = self.keys[path][0]
            self._tell(event, f"the key {shown(event.value)} stands twice, first on line {line}")
        self.keys.setdefault(path, _place(event))
        frame.key = event.value

    def _tell(self, event: Event, text: str) -> None:
        line, column = _place(event)
        self.findings.problem(line, text, column)

    def _give_up(self, event: Event, text: str) -> None:
        self._tell(event, text)
        raise _GaveUpError


def read_tree(text: str, findings: Findings, loader: Any = FAST_LOADER) -> Tree | None:
    """The document's tree. None, with the problem told, where there is none to go on with."""
    if len(text) > CHARACTERS_MAX:
        findings.problem(0, f"longer than {CHARACTERS_MAX:,} characters; {_TOO_LARGE}")
        return None
    odd = Reader.NON_PRINTABLE.search(text)
    if odd:
        before = text[: odd.start()]
        column = odd.start() - (before.rfind("\n") + 1) + 1
        findings.problem(
            before.count("\n") + 1, f"the character {odd[0]!a} may not stand in YAML", column
        )
        return None
    builder = _Builder(findings)
    try:
        for event in yaml.parse(text, Loader=loader):
            builder.take(event)
    except _GaveUpError:
        return None
    except yaml.MarkedYAMLError as exc:
        if loader is FAST_LOADER is not yaml.SafeLoader and "nesting depth" in str(exc.problem):
            # It looked ahead into its own bound; the other parser comes to ours first.
            return read_tree(text, findings, yaml.SafeLoader)
        mark = exc.problem_mark or exc.context_mark
        where = (mark.line + 1, mark.column + 1) if mark else (0, 0)
        told = ", ".join(part for part in (exc.problem, exc.context) if part)
        findings.problem(where[0], f"this is no YAML: {told}", where[1])
        return None
    except yaml.YAMLError as exc:
        findings.problem(0, f"this is no YAML: {exc}")
        return None
    if builder.root is None:
        findings.problem(0, "is empty")
        return None
    return Tree(builder.root, builder.values, builder.keys)


def _place(event: Event) -> Place:
    assert event.start_mark is not None, "the parser marks every event"
    return event.start_mark.line + 1, event.start_mark.column + 1
