"""The product of a matrix with GitHub Actions' exclude and include; knows no file, no platform.

The rule, in order:
1. The product of the axes, in the order they are declared; the last axis turns fastest.
2. Each exclude takes away the combinations that have all of its pairs.
3. Each include looks at every combination left of the product. It is added to each in which it
   would overwrite no value of an axis; values that earlier includes added may be overwritten.
   An include that could be added to none makes a combination of its own, which later includes
   leave alone.
A matrix without axes has no product: each include makes a combination.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from math import prod
from typing import Literal

Pairs = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Entry:
    """One exclude or include: the pairs it gives, and the manifest's line it begins on."""

    line: int
    pairs: Pairs


@dataclass(frozen=True, slots=True)
class Matrix:
    """Axes in order of declaration, each with its values, then what is taken away and added."""

    line: int
    axes: tuple[tuple[str, tuple[str, ...]], ...] = ()
    exclude: tuple[Entry, ...] = ()
    include: tuple[Entry, ...] = ()

    @property
    def size_max(self) -> int:
        """How many combinations there can be at most."""
        return prod(len(values) for _, values in self.axes) + len(self.include)


@dataclass(frozen=True, slots=True)
class Change:
    """What one exclude or include did, counted in cells before repetition and selection.

    `matched` counts all cells an exclude fits, also those an earlier one had taken away already.
    """

    kind: Literal["exclude", "include"]
    line: int
    pairs: Pairs
    matched: int = 0
    removed: int = 0
    extended: int = 0
    added: int = 0

    def __str__(self) -> str:
        what = ", ".join(f"{name}: {value}" for name, value in self.pairs)
        did = [
            f"{verb} {count}"
            for verb, count in (
                ("removed", self.removed),
                ("extended", self.extended),
                ("added", self.added),
            )
            if count
        ]
        return f"{self.kind} {{{what}}} (line {self.line}): {', '.join(did) or 'changed nothing'}"

    def times(self, count: int) -> Change:
        """The same change where the matrix is used by `count` tests."""
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
class Expansion:
    """All combinations in order, and what each exclude and include did."""

    combinations: tuple[Pairs, ...]
    changes: tuple[Change, ...]


def expand(matrix: Matrix) -> Expansion:
    """All combinations of a matrix. The caller bounds `matrix.size_max` first."""
    names = [name for name, _ in matrix.axes]
    tuples = product(*(values for _, values in matrix.axes)) if names else ()
    originals = [dict(zip(names, values, strict=True)) for values in tuples]
    changes = []
    for entry in matrix.exclude:
        fits = {id(one) for one in originals if _has(one, entry.pairs)}
        changes.append((entry, fits))
    removed: set[int] = set()
    told = []
    for entry, fits in changes:
        told.append(
            Change("exclude", entry.line, entry.pairs, len(fits), removed=len(fits - removed))
        )
        removed |= fits
    kept = [one for one in originals if id(one) not in removed]
    return _include(matrix, kept, told)


def _include(matrix: Matrix, kept: list[dict[str, str]], told: list[Change]) -> Expansion:
    axes = {name for name, _ in matrix.axes}
    grown = [dict(one) for one in kept]
    created = []
    for entry in matrix.include:
        fixed = [pair for pair in entry.pairs if pair[0] in axes]
        fitting = [cell for cell in grown if _has(cell, fixed)]
        before = [dict(cell) for cell in fitting]
        for cell in fitting:
            cell.update(entry.pairs)
        if not fitting:
            created.append(dict(entry.pairs))
        extended = sum(old != new for old, new in zip(before, fitting, strict=True))
        told.append(
            Change(
                "include",
                entry.line,
                entry.pairs,
                matched=len(fitting),
                extended=extended,
                added=0 if fitting else 1,
            )
        )
    combinations = tuple(tuple(cell.items()) for cell in grown + created)
    return Expansion(combinations, tuple(told))


def _has(cell: dict[str, str], pairs: Pairs | list[tuple[str, str]]) -> bool:
    return all(cell.get(name) == value for name, value in pairs)
