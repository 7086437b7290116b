"""Finds the values of a selection that match nothing in the manifest; must know no file.

Such a value is a typing error. With `--exclude-tags` it would bill what was to be left out, and in
a list of several it would silently leave out what was wanted.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from enum import StrEnum

from bulk.manifest.caseless import fold
from bulk.manifest.expansion import Row
from bulk.manifest.findings import did_you_mean, quoted
from bulk.manifest.header import similar_title
from bulk.manifest.selection import GLOB_SIGNS, Selection, glob_matcher
from bulk.model import Mode, Platform

# Comparing one value with a thousand words takes some milliseconds; more are of no use in a hint.
_HINTS_MAX = 1000
_EXPRESSION = re.compile(r"\b(and|or|not)\b|[()&!]", re.IGNORECASE)


class UnmatchedValues:
    """Sees all rows of a manifest, and says which values of a selection matched none.

    What the other options leave does not matter: a value that matches only what another one leaves
    out is no typing error.
    """

    def __init__(self, selection: Selection) -> None:
        self._selection = selection
        self._wants_tags = bool(selection.tags or selection.exclude_tags)
        self._wants_tests = bool(selection.tests)
        self._wants_combinations = bool(selection.platforms or selection.modes or selection.app_ids)
        self._unseen_tags = {fold(tag) for tag in (*selection.tags, *selection.exclude_tags)}
        self._unseen_names = {fold(test) for test in selection.tests}
        self._unseen_globs = {test: glob_matcher(test) for test in selection.tests}
        self._tags: dict[str, str] = {}
        self._names: dict[str, str] = {}
        self._platforms: set[Platform | None] = set()
        self._modes: set[Mode | None] = set()

    def see(self, row: Row) -> None:
        """Note what the row has."""
        if self._wants_combinations:
            for combination in row.combinations:
                self._platforms.add(combination.platform)
                self._modes.add(combination.mode)
        if self._wants_tags:
            self._see_tags(row.tags)
        if self._wants_tests:
            self._see_test(row)

    def _see_tags(self, tags: Iterable[str]) -> None:
        for tag in tags:
            folded = fold(tag)
            self._unseen_tags.discard(folded)
            if len(self._tags) < _HINTS_MAX:
                self._tags.setdefault(folded, tag)

    def _see_test(self, row: Row) -> None:
        name = fold(row.name)
        for text in (name, row.test_id):
            self._unseen_names.discard(text)
            for test, glob in [*self._unseen_globs.items()]:
                if glob.match(text):
                    del self._unseen_globs[test]
        if row.name and len(self._names) < _HINTS_MAX:
            self._names.setdefault(name, row.name)

    def exact_tests(self) -> tuple[str, ...]:
        """The values of `tests` that read as globs and are a test's name as they are written."""
        globs = (test for test in self._selection.tests if GLOB_SIGNS & set(test))
        return tuple(test for test in globs if fold(test) not in self._unseen_names)

    def problems(self, own_columns: Sequence[str], *, has_tags: bool) -> Iterator[str]:
        """A message for each value that matched nothing.

        `has_tags` is false if the manifest has no place for tags.
        """
        selection = self._selection
        for option, tags in (
            ("--tags", selection.tags),
            ("--exclude-tags", selection.exclude_tags),
        ):
            for tag in dict.fromkeys(tags):
                if fold(tag) in self._unseen_tags:
                    yield f"{option} {quoted(tag)}: {self._no_tag(tag, own_columns, has_tags)}"
        for test in dict.fromkeys(selection.tests):
            if test in self._unseen_globs and fold(test) in self._unseen_names:
                yield f"--test {quoted(test)}: {self._no_test(test)}"
        for platform in dict.fromkeys(selection.platforms):
            if platform not in self._platforms:
                yield f"--platform {platform}: no trigger has it; {_which(self._platforms)}"
        for mode in dict.fromkeys(selection.modes):
            if mode not in self._modes:
                yield f"--mode {mode}: no trigger has it; {_which(self._modes)}"
        for platform, _ in selection.app_ids:
            if platform not in self._platforms:
                which = _which(self._platforms)
                yield f"--app-id {platform}=...: no trigger has this platform; {which}"

    def _no_tag(self, tag: str, own_columns: Sequence[str], has_tags: bool) -> str:
        if not has_tags:
            similar = similar_title("tags", own_columns)
            hint = f" (did you name it {quoted(similar)}?)" if similar else ""
            return f'the manifest has no column "tags"{hint}'
        if not self._tags:
            return "no test in the manifest has a tag"
        if _EXPRESSION.search(tag):
            return (
                "no test has this tag; write tags, not an expression: --tags a,b keeps tests with "
                "any of them, and --exclude-tags leaves tests out"
            )
        return f"no test has this tag{did_you_mean(tag, [*self._tags.values()])}"

    def _no_test(self, test: str) -> str:
        if not self._names:
            return "no test has this id, and the manifest gives no names"
        hint = did_you_mean(test, [*self._names.values()])
        if "[" in test:
            literal = test.replace("[", "[[]")
            hint += (
                "; [ ] stand for one of the characters in them: to match a bracket, write [[], "
                f"as in {quoted(literal)}"
            )
        return f"no test has such a name or id{hint}"


def _which(seen: Iterable[StrEnum | None]) -> str:
    words = [str(one) for one in sorted(one for one in seen if one is not None)]
    if not words:
        return "the manifest sets none"
    return f"the manifest has {' and '.join(words)}"
