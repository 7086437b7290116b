"""Parses YAML into lists, mappings and strings with positions; must know no key's meaning.

The tree is built from the parser's events, one by one and without recursion, so that excessive
depth, size and aliases are rejected before they cost anything: a parser that composes a document
first crashes on deep nesting, and a page of aliases can expand to gigabytes. Scalars stay the
strings they are written as.
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

from bulk.manifest.findings import Findings, quoted

# The deepest value of a manifest is in tests > test > matrix > include > entry: six levels.
DEPTH_MAX = 10
# Each list, mapping and scalar is a node. A manifest with more should be a CSV file.
NODES_MAX = 200_000
CHARACTERS_MAX = 8 << 20
_TOO_LARGE = "write large manifests as CSV, which is read as a stream"
# Escapes in double quotes (`"\0"`, `"\ud800"`) can produce what no report can contain.
_UNWRITABLE = re.compile("[\0\ud800-\udfff]")
FAST_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

NodePath = tuple[str | int, ...]  # the keys and list indexes from the root to a node
Position = tuple[int, int]  # a line and a column, both from 1


@dataclass(frozen=True, slots=True)
class Tree:
    """A document as plain lists, dicts and strings, and the position of each key and value."""

    plain: object
    _values: dict[NodePath, Position]
    _keys: dict[NodePath, Position]

    def position(self, path: NodePath, *, of_key: bool = False) -> Position:
        """The position of the value (or its key) at this path, or of its nearest ancestor."""
        if of_key and path in self._keys:
            return self._keys[path]
        while path not in self._values:
            path = path[:-1]
        return self._values[path]

    def keys(self, path: NodePath) -> tuple[str, ...]:
        """The keys of the mapping at this path, in the order they are written."""
        node: Any = self.plain
        for step in path:
            node = node[step]
        return tuple(node)


class _AbortedError(Exception):
    """The rest of the document cannot be interpreted; the problem has been reported."""


@dataclass(slots=True)
class _Frame:
    """A list or mapping that is still open. `key` is the key whose value comes next."""

    node: Any
    path: NodePath
    key: str | None = None


@dataclass(slots=True)
class _Builder:
    findings: Findings
    frames: list[_Frame] = field(default_factory=list)
    values: dict[NodePath, Position] = field(default_factory=dict)
    keys: dict[NodePath, Position] = field(default_factory=dict)
    root: object = None
    documents: int = 0
    nodes: int = 0

    def handle(self, event: Event) -> None:
        if isinstance(event, DocumentStartEvent):
            self.documents += 1
            if self.documents > 1:
                self._abort(
                    event, "a second document starts here; a manifest must be a single document"
                )
        elif isinstance(event, CollectionEndEvent):
            self.frames.pop()
        elif isinstance(event, AliasEvent):
            name = quoted(event.anchor)[1:-1]
            self._abort(event, f"the alias *{name} is not allowed; write the value itself")
        elif isinstance(event, ScalarEvent | CollectionStartEvent):
            self._node(event)

    def _node(self, event: Any) -> None:
        self.nodes += 1
        if self.nodes > NODES_MAX:
            self._abort(event, f"more than {NODES_MAX:,} values; {_TOO_LARGE}")
        if event.anchor is not None:
            name = quoted(event.anchor)[1:-1]
            self._report(event, f"the anchor &{name} is not allowed; write the value itself")
        if event.tag is not None:
            self._report(
                event, f"the tag {quoted(event.tag)} is not allowed; every value is plain text"
            )
        if isinstance(event, ScalarEvent) and _UNWRITABLE.search(event.value):
            self._report(
                event,
                f"{quoted(event.value)} contains a character that cannot be written to a file",
            )
        frame = self.frames[-1] if self.frames else None
        if frame is not None and isinstance(frame.node, dict) and frame.key is None:
            self._key(frame, event)
            return
        path: NodePath = ()
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
                self._abort(event, f"nested more than {DEPTH_MAX} levels deep")

    def _put(self, frame: _Frame | None, node: Any, path: NodePath, event: Event) -> None:
        if frame is None:
            self.root = node
        elif isinstance(frame.node, list):
            frame.node.append(node)
        else:
            key, frame.key = frame.key, None
            if key in frame.node:
                return  # the duplicate key has been reported; the first value stays
            frame.node[key] = node
        self.values.setdefault(path, _position(event))

    def _key(self, frame: _Frame, event: Any) -> None:
        if not isinstance(event, ScalarEvent):
            self._abort(event, "a key must be plain text, not a list or mapping")
        path = (*frame.path, event.value)
        if path in self.keys:
            line = self.keys[path][0]
            self._report(
                event, f"the key {quoted(event.value)} appears twice, first on line {line}"
            )
        self.keys.setdefault(path, _position(event))
        frame.key = event.value

    def _report(self, event: Event, text: str) -> None:
        line, column = _position(event)
        self.findings.add_problem(line, text, column)

    def _abort(self, event: Event, text: str) -> None:
        self._report(event, text)
        raise _AbortedError


def read_tree(text: str, findings: Findings, loader: Any = FAST_LOADER) -> Tree | None:
    """Parses a document. None if it cannot be interpreted, after reporting the problem."""
    if len(text) > CHARACTERS_MAX:
        findings.add_problem(0, f"longer than {CHARACTERS_MAX:,} characters; {_TOO_LARGE}")
        return None
    forbidden = Reader.NON_PRINTABLE.search(text)
    if forbidden:
        before = text[: forbidden.start()]
        column = forbidden.start() - (before.rfind("\n") + 1) + 1
        findings.add_problem(
            before.count("\n") + 1, f"the character {forbidden[0]!a} is not allowed in YAML", column
        )
        return None
    builder = _Builder(findings)
    try:
        for event in yaml.parse(text, Loader=loader):
            builder.handle(event)
    except _AbortedError:
        return None
    except yaml.MarkedYAMLError as exc:
        if loader is FAST_LOADER is not yaml.SafeLoader and "nesting depth" in str(exc.problem):
            # It read ahead and met its own limit; the other parser meets ours first.
            return read_tree(text, findings, yaml.SafeLoader)
        mark = exc.problem_mark or exc.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (0, 0)
        detail = ", ".join(part for part in (exc.problem, exc.context) if part)
        findings.add_problem(line, f"not valid YAML: {detail}", column)
        return None
    except yaml.YAMLError as exc:
        findings.add_problem(0, f"not valid YAML: {exc}")
        return None
    if builder.root is None:
        findings.add_problem(0, "is empty")
        return None
    return Tree(builder.root, builder.values, builder.keys)


def _position(event: Event) -> Position:
    assert event.start_mark is not None, "the parser marks every event"
    return event.start_mark.line + 1, event.start_mark.column + 1
