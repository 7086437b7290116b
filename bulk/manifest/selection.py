"""The options that choose among a manifest's triggers; must know no file."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fnmatch import translate

from bulk.errors import OptionError
from bulk.manifest.caseless import fold
from bulk.manifest.findings import quoted
from bulk.model import UUID_PATTERN, Mode, Platform, Trigger


@dataclass(frozen=True, slots=True)
class Selection:
    """The options that choose among a manifest's triggers. An empty option keeps all.

    `tests` are globs, matched against the test's name or id without regard to case; one match is
    enough. A trigger needs one of `tags` and none of `exclude_tags`, also without regard to case.
    `first` keeps the first triggers that the other options leave. `app_ids` take precedence over
    the manifest's. Raises OptionError if `first` is less than 1, an app id is not a UUID, or a
    platform has two.
    """

    platforms: frozenset[Platform] = frozenset()
    modes: frozenset[Mode] = frozenset()
    tags: frozenset[str] = frozenset()
    exclude_tags: frozenset[str] = frozenset()
    tests: tuple[str, ...] = ()
    first: int | None = None
    app_ids: tuple[tuple[Platform, str], ...] = ()

    def __post_init__(self) -> None:
        if self.first is not None and self.first < 1:
            raise OptionError(f"--first {self.first}: must be at least 1")
        lowered = tuple((platform, app_id.lower()) for platform, app_id in self.app_ids)
        object.__setattr__(self, "app_ids", lowered)
        for platform, app_id in lowered:
            if not UUID_PATTERN.fullmatch(app_id):
                raise OptionError(f"--app-id {platform}=...: {quoted(app_id)} is not a UUID")
        if len(dict(lowered)) < len(lowered):
            raise OptionError("--app-id: a platform is given twice")


@dataclass(frozen=True, slots=True)
class Drop:
    """How many triggers an option dropped, out of those that the options before it left."""

    option: str
    count: int


class SelectionFilter:
    """A selection prepared for checking one trigger after another. It does not apply `first`."""

    def __init__(self, selection: Selection) -> None:
        self._platforms = selection.platforms
        self._modes = selection.modes
        self._tags = frozenset(fold(tag) for tag in selection.tags)
        self._exclude_tags = frozenset(fold(tag) for tag in selection.exclude_tags)
        globs = [re.compile(translate(fold(glob))) for glob in selection.tests]
        self._tests = tuple(glob.match for glob in globs)
        self.keeps_all = not (
            self._platforms or self._modes or self._tags or self._exclude_tags or self._tests
        )

    def dropped_by(self, trigger: Trigger) -> str | None:
        """The first option that drops this trigger; None if all keep it."""
        if self._platforms and trigger.platform not in self._platforms:
            return "--platform"
        if self._modes and trigger.mode not in self._modes:
            return "--mode"
        if self._tests:
            name = fold(trigger.name)
            if not any(match(name) or match(trigger.test_id) for match in self._tests):
                return "--test"
        if self._tags or self._exclude_tags:
            tags = {fold(tag) for tag in trigger.tags}
            if self._tags and not tags & self._tags:
                return "--tags"
            if tags & self._exclude_tags:
                return "--exclude-tags"
        return None
