"""Parses YAML into lists, mappings and strings with positions; must know no key's meaning.

The tree is built from the parser's events, one by one and without recursion, so that excessive
depth and size are rejected before they cost anything: a parser that composes a document first
crashes on deep nesting, and a page of aliases can expand to gigabytes. An alias stands for the
whole value of its anchor: the value is shared, not copied, and counts as if it were written out.
Scalars stay the strings they are written as.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, NoReturn

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

from bulk.manifest.findings import Findings, did_you_mean, quoted

# The deepest value of a manifest is in tests > test > matrix > include > entry: six levels.
DEPTH_MAX = 10
# Each list, mapping and scalar is a node. A manifest with more should be a CSV file. Nodes and
# characters count with all aliases written out.
NODES_MAX = 200_000
CHARACTERS_MAX = 8 << 20
_TOO_LARGE = "write large manifests as CSV, which is read as a stream"
# Escapes in double quotes (`"\0"`, `"\ud800"`) can produce what no report can contain.
_UNWRITABLE = re.compile("[\0\ud800-\udfff]")
_MERGE_KEY = "\0<<"  # no key of a document, which cannot contain a NUL
FAST_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

NodePath = tuple[str | int, ...]  # the keys and list indexes from the root to a node
Position = tuple[int, int]  # a line and a column, both from 1


@dataclass(frozen=True, slots=True)
class Tree:
    """A document as plain lists, dicts and strings, and the position of each key and value."""

    plain: object
    _values: dict[NodePath, Position]
    _keys: dict[NodePath, Position]
    _aliases: dict[NodePath, NodePath]

    def origin(self, path: NodePath) -> NodePath:
        """Where the value at this path is written: elsewhere if it is in an alias's."""
        written: NodePath = ()
        for step in path:
            written = (*written, step)
            written = self._aliases.get(written, written)
        return written

    def position(self, path: NodePath, *, of_key: bool = False) -> Position:
        """The position of the value (or its key) at this path, or of its nearest ancestor.

        Within the value of an alias this is the position of the alias; see `origin`.
        """
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
    anchor: str | None
    nodes_before: int
    characters_before: int
    key: str | None = None
    levels: int = 1  # of nesting, itself included


@dataclass(frozen=True, slots=True)
class _Anchor:
    """A complete value with a name, and what it counts for wherever an alias stands for it."""

    node: Any
    path: NodePath
    nodes: int
    characters: int
    levels: int


@dataclass(slots=True)
class _Builder:
    findings: Findings
    frames: list[_Frame] = field(default_factory=list)
    values: dict[NodePath, Position] = field(default_factory=dict)
    keys: dict[NodePath, Position] = field(default_factory=dict)
    root: object = None
    documents: int = 0
    nodes: int = 0
    characters: int = 0
    anchors: dict[str, _Anchor] = field(default_factory=dict)
    aliases: dict[NodePath, NodePath] = field(default_factory=dict)

    def handle(self, event: Event) -> None:
        if isinstance(event, DocumentStartEvent):
            self.documents += 1
            if self.documents > 1:
                self._abort(
                    event, "a second document starts here; a manifest must be a single document"
                )
        elif isinstance(event, CollectionEndEvent):
            self._close(self.frames.pop())
        elif isinstance(event, AliasEvent):
            self._alias(event)
        elif isinstance(event, ScalarEvent | CollectionStartEvent):
            self._node(event)

    def _node(self, event: Any) -> None:
        is_scalar = isinstance(event, ScalarEvent)
        self._count(event, 1, len(event.value) if is_scalar else 0)
        if event.tag is not None:
            self._report(
                event, f"the tag {quoted(event.tag)} is not allowed; every value is plain text"
            )
        if is_scalar and _UNWRITABLE.search(event.value):
            self._report(
                event,
                f"{quoted(event.value)} contains a character that cannot be written to a file",
            )
        frame = self.frames[-1] if self.frames else None
        if frame is not None and isinstance(frame.node, dict) and frame.key is None:
            self._key(frame, event)
            return
        path = self._next_path(frame)
        node: Any = event.value if is_scalar else []
        if isinstance(event, MappingStartEvent):
            node = {}
        self._put(frame, node, path, event)
        if not is_scalar:
            before = (self.nodes - 1, self.characters)
            self.frames.append(_Frame(node, path, event.anchor, *before))
            self._check_depth(event, 0)
        elif event.anchor is not None:
            self.anchors[event.anchor] = _Anchor(node, path, 1, len(node), 0)

    def _alias(self, event: Any) -> None:
        name = quoted(event.anchor)[1:-1]
        frame = self.frames[-1] if self.frames else None
        if frame is not None and isinstance(frame.node, dict) and frame.key is None:
            self._abort(event, f"a key must be plain text, not the alias *{name}")
        if any(one.anchor == event.anchor for one in self.frames):
            self._abort(event, f"the alias *{name} stands within its own value, which never ends")
        anchor = self.anchors.get(event.anchor)
        if anchor is None:
            hint = did_you_mean(event.anchor, [*self.anchors])
            self._abort(event, f"the alias *{name} has no anchor &{name} before it{hint}")
        self._count(event, anchor.nodes, anchor.characters)
        self._check_depth(event, anchor.levels)
        path = self._next_path(frame)
        self.aliases.setdefault(path, anchor.path)
        self._put(frame, anchor.node, path, event)
        if frame is not None:
            frame.levels = max(frame.levels, 1 + anchor.levels)

    def _close(self, frame: _Frame) -> None:
        if self.frames:
            self.frames[-1].levels = max(self.frames[-1].levels, 1 + frame.levels)
        if frame.anchor is not None:
            self.anchors[frame.anchor] = _Anchor(
                frame.node,
                frame.path,
                self.nodes - frame.nodes_before,
                self.characters - frame.characters_before,
                frame.levels,
            )

    def _count(self, event: Event, nodes: int, characters: int) -> None:
        self.nodes += nodes
        self.characters += characters
        written_out = " with all aliases written out" if self.aliases or nodes > 1 else ""
        if self.nodes > NODES_MAX:
            self._abort(event, f"more than {NODES_MAX:,} values{written_out}; {_TOO_LARGE}")
        if self.characters > CHARACTERS_MAX:
            text = f"longer than {CHARACTERS_MAX:,} characters{written_out}"
            self._abort(event, f"{text}; {_TOO_LARGE}")

    def _check_depth(self, event: Event, levels: int) -> None:
        if len(self.frames) + levels > DEPTH_MAX:
            self._abort(event, f"nested more than {DEPTH_MAX} levels deep")

    def _next_path(self, frame: _Frame | None) -> NodePath:
        if frame is None:
            return ()
        step = len(frame.node) if isinstance(frame.node, list) else frame.key
        assert step is not None
        return (*frame.path, step)

    def _put(self, frame: _Frame | None, node: Any, path: NodePath, event: Event) -> None:
        if frame is None:
            self.root = node
        elif isinstance(frame.node, list):
            frame.node.append(node)
        else:
            key, frame.key = frame.key, None
            if key in frame.node or key == _MERGE_KEY:
                return  # the key has been reported; of two values the first stays
            frame.node[key] = node
        self.values.setdefault(path, _position(event))

    def _key(self, frame: _Frame, event: Any) -> None:
        if not isinstance(event, ScalarEvent):
            self._abort(event, "a key must be plain text, not a list or mapping")
        if event.anchor is not None:
            name = quoted(event.anchor)[1:-1]
            self._report(event, f"the anchor &{name} is on a key; put it in front of a value")
        if event.value == "<<" and event.implicit[0]:
            self._report(
                event,
                "merge keys (<<) are not supported; write the keys out, or use an alias for the "
                "whole value, as in matrix: *name",
            )
            frame.key = _MERGE_KEY
            return
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

    def _abort(self, event: Event, text: str) -> NoReturn:
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
    return Tree(builder.root, builder.values, builder.keys, builder.aliases)


def _position(event: Event) -> Position:
    assert event.start_mark is not None, "the parser marks every event"
    return event.start_mark.line + 1, event.start_mark.column + 1
