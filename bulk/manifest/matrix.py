"""Expands a matrix as GitHub Actions does; must know no file and no meaning of an axis.

The rules, in order:
1. The product of the axes, in the order of their declaration; the last axis varies fastest.
2. Each exclude removes the combinations that have all of its pairs.
3. Each include is added to every remaining combination of the product in which it would not
   overwrite the value of an axis; it may overwrite values that earlier includes added. An include
   that fits no combination becomes a combination of its own, which later includes do not extend.
A matrix without axes has no product: each include becomes a combination.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from math import prod
from typing import Literal

Pairs = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Entry:
    """One exclude or include: its pairs, and the line of the manifest it starts on."""

    line: int
    pairs: Pairs


@dataclass(frozen=True, slots=True)
class Matrix:
    """The axes in the order of their declaration, each with its values; excludes and includes."""

    line: int
    axes: tuple[tuple[str, tuple[str, ...]], ...] = ()
    exclude: tuple[Entry, ...] = ()
    include: tuple[Entry, ...] = ()

    @property
    def size_max(self) -> int:
        """An upper bound on the number of combinations."""
        return prod(len(values) for _, values in self.axes) + len(self.include)


@dataclass(frozen=True, slots=True)
class Change:
    """What one exclude or include did, in combinations before repetition and selection.

    `matched` counts all combinations that an exclude matches, including those that an earlier
    exclude had removed.
    """

    kind: Literal["exclude", "include"]
    line: int
    pairs: Pairs
    matched: int = 0
    removed: int = 0
    extended: int = 0
    added: int = 0

    def __str__(self) -> str:
        pairs = ", ".join(f"{name}: {value}" for name, value in self.pairs)
        did = [
            f"{verb} {count}"
            for verb, count in (
                ("removed", self.removed),
                ("extended", self.extended),
                ("added", self.added),
            )
            if count
        ]
        return f"{self.kind} {{{pairs}}} (line {self.line}): {', '.join(did) or 'changed nothing'}"

    def times(self, count: int) -> Change:
        """The same change for a matrix that `count` tests use."""
        return Change(
            self.kind,
            self.line,
            self.pairs,
            self.matched * count,
            self.removed * count,
            self.extended * count,
            self.added * count,
        )


@dataclass(frozen=True, slots=True)
class MatrixExpansion:
    """All combinations in order, and what each exclude and include did."""

    combinations: tuple[Pairs, ...]
    changes: tuple[Change, ...]


def expand(matrix: Matrix) -> MatrixExpansion:
    """Expands a matrix. The caller must check `matrix.size_max` first."""
    names = [name for name, _ in matrix.axes]
    tuples = product(*(values for _, values in matrix.axes)) if names else ()
    originals = [dict(zip(names, values, strict=True)) for values in tuples]
    removed: set[int] = set()
    changes = []
    for entry in matrix.exclude:
        matched = {id(one) for one in originals if _has(one, entry.pairs)}
        changes.append(
            Change("exclude", entry.line, entry.pairs, len(matched), removed=len(matched - removed))
        )
        removed |= matched
    kept = [one for one in originals if id(one) not in removed]
    return _include(matrix, kept, changes)


def _include(matrix: Matrix, kept: list[dict[str, str]], changes: list[Change]) -> MatrixExpansion:
    axes = {name for name, _ in matrix.axes}
    extendable = [dict(one) for one in kept]
    created = []
    for entry in matrix.include:
        fixed = [pair for pair in entry.pairs if pair[0] in axes]
        fitting = [one for one in extendable if _has(one, fixed)]
        before = [dict(one) for one in fitting]
        for one in fitting:
            one.update(entry.pairs)
        if not fitting:
            created.append(dict(entry.pairs))
        extended = sum(old != new for old, new in zip(before, fitting, strict=True))
        changes.append(
            Change(
                "include",
                entry.line,
                entry.pairs,
                matched=len(fitting),
                extended=extended,
                added=0 if fitting else 1,
            )
        )
    combinations = tuple(tuple(one.items()) for one in extendable + created)
    return MatrixExpansion(combinations, tuple(changes))


def _has(combination: dict[str, str], pairs: Pairs | list[tuple[str, str]]) -> bool:
    return all(combination.get(name) == value for name, value in pairs)
