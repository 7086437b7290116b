"""The options that choose among a manifest's triggers; must know no file."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import translate

from bulk.errors import OptionError
from bulk.manifest.caseless import fold
from bulk.manifest.findings import quoted
from bulk.manifest.ids import read_id
from bulk.model import Mode, Platform, Trigger

GLOB_SIGNS = frozenset("*?[")
# What separates tags in a cell, besides the comma: no tag has one.
_TAG_SEPARATORS = frozenset("|;")
_ANY_OF, _NONE_OF = "any of", "none of"


@dataclass(frozen=True, slots=True)
class Selection:
    """The options that choose among a manifest's triggers. An option without values keeps all.

    A trigger needs one of `tags` and none of `exclude_tags`. `tests` are globs, matched against
    the test's name or id; `exact_tests` are names or ids in which no sign is a glob's. One match is
    enough. Texts are compared without regard to case and Unicode form. `first` keeps the first
    triggers that the other options leave. `app_ids` take precedence over the manifest's.
    Raises OptionError, with all that is wrong, if a value is empty, a tag has a separator, `first`
    is less than 1, an app id is not a UUID, or a platform has two.
    """

    platforms: tuple[Platform, ...] = ()
    modes: tuple[Mode, ...] = ()
    tags: tuple[str, ...] = ()
    exclude_tags: tuple[str, ...] = ()
    tests: tuple[str, ...] = ()
    exact_tests: tuple[str, ...] = ()
    first: int | None = None
    app_ids: tuple[tuple[Platform, str], ...] = ()

    def __post_init__(self) -> None:
        for name in ("tags", "exclude_tags", "tests"):
            object.__setattr__(self, name, tuple(value.strip() for value in getattr(self, name)))
        object.__setattr__(self, "tests", tuple(map(_as_id_or_glob, self.tests)))
        problems = [*self._problems()]
        app_ids = []
        for platform, given in self.app_ids:
            try:
                app_ids.append((platform, read_id(given)))
            except ValueError as exc:
                problems.append(f"--app-id {platform}=...: {exc}")
        object.__setattr__(self, "app_ids", tuple(app_ids))
        if problems:
            raise OptionError("\n".join(problems))

    def _problems(self) -> Iterator[str]:
        for option, values in (
            ("--tags", self.tags),
            ("--exclude-tags", self.exclude_tags),
            ("--test", self.tests),
        ):
            # Taken for no value at all, it would select everything, and everything is billed.
            if "" in values:
                yield (
                    f"{option}: a value is empty; is a variable unset? "
                    "To select without it, leave the option out"
                )
            for value in values if option != "--test" else ():
                if _TAG_SEPARATORS & set(value):
                    yield (
                        f'{option} {quoted(value)}: a tag has no "|" and no ";"; '
                        "separate several tags with commas"
                    )
        if self.first is not None and self.first < 1:
            yield f"--first {self.first}: must be at least 1"
        if len(dict(self.app_ids)) < len(self.app_ids):
            yield "--app-id: a platform is given twice"

    def options(self) -> Iterator[tuple[str, str]]:
        """The options that leave triggers out, in the order in which they apply: name and values
        as a person may read them.
        """
        if self.platforms:
            yield "--platform", _listed(self.platforms, _ANY_OF)
        if self.modes:
            yield "--mode", _listed(self.modes, _ANY_OF)
        if self.tests or self.exact_tests:
            exact = [f"{quoted(name)} as it is written" for name in self.exact_tests]
            yield "--test", _listed((*map(quoted, self.tests), *exact), _ANY_OF, ", ")
        if self.tags:
            yield "--tags", _listed(self.tags, _ANY_OF)
        if self.exclude_tags:
            yield "--exclude-tags", _listed(self.exclude_tags, _NONE_OF)
        if self.first is not None:
            yield "--first", str(self.first)


@dataclass(frozen=True, slots=True)
class SelectionStep:
    """What one option did to the triggers that the options before it left: it kept so many and left
    out so many. `values` are its values as a person may read them.
    """

    option: str
    values: str
    kept: int
    left_out: int

    def __str__(self) -> str:
        return f"{self.option} {self.values}: kept {self.kept}, left out {self.left_out}"


class SelectionFilter:
    """A selection prepared for checking one trigger after another. It does not apply `first`."""

    def __init__(self, selection: Selection) -> None:
        self._platforms = frozenset(selection.platforms)
        self._modes = frozenset(selection.modes)
        self._tags = frozenset(map(fold, selection.tags))
        self._exclude_tags = frozenset(map(fold, selection.exclude_tags))
        self._tests = tuple(map(glob_matcher, selection.tests))
        self._exact_tests = frozenset(map(fold, selection.exact_tests))
        self.keeps_all = next(selection.options(), ("--first", ""))[0] == "--first"

    def dropped_by(self, trigger: Trigger) -> str | None:
        """The first option that drops this trigger; None if all keep it."""
        if self._platforms and trigger.platform not in self._platforms:
            return "--platform"
        if self._modes and trigger.mode not in self._modes:
            return "--mode"
        if (self._tests or self._exact_tests) and not self._has_test(trigger):
            return "--test"
        if self._tags or self._exclude_tags:
            tags = {fold(tag) for tag in trigger.tags}
            if self._tags and not tags & self._tags:
                return "--tags"
            if tags & self._exclude_tags:
                return "--exclude-tags"
        return None

    def _has_test(self, trigger: Trigger) -> bool:
        name, test_id = fold(trigger.name), trigger.test_id
        if self._exact_tests and (name in self._exact_tests or test_id in self._exact_tests):
            return True
        return any(glob.match(name) or glob.match(test_id) for glob in self._tests)


def glob_matcher(glob: str) -> re.Pattern[str]:
    """What matches a folded name or id if the glob does."""
    return re.compile(translate(fold(glob)))


def _as_id_or_glob(text: str) -> str:
    """The id if the text is one in any plain form, such as a test's URL; else the text."""
    try:
        return read_id(text)
    except ValueError:
        return text


def _listed(values: tuple[str, ...], meaning: str, separator: str = ",") -> str:
    return separator.join(values) + (f" ({meaning})" if len(values) > 1 else "")
