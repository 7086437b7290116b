"""Tells whether a listed run can be the one that a trigger asked for, field by field.

A field compares as same, as different, or it cannot be told: the server may leave it null, choose
it by itself where the trigger is silent, or use a word that we do not know. Only a clear difference
speaks against a run; calling it too early would send a trigger twice.
"""

from __future__ import annotations

from collections.abc import Collection
from enum import StrEnum

from bulk.model import DeviceModel, Mode, Platform, Trigger
from bulk.reconcile.run_page import ListedRun

PLATFORMS = frozenset(Platform)
MODES = frozenset(Mode)
DEVICES = frozenset(DeviceModel)


class Likeness(StrEnum):
    """How one field of a run compares with what a trigger asked for."""

    SAME = "same"
    DIFFERENT = "different"
    CANNOT_TELL = "cannot tell"


def compare(trigger: Trigger, run: ListedRun, sources: Collection[str] = ()) -> dict[str, Likeness]:
    """Each field's likeness, by the trigger's names.

    `sources` are those that runs known to be ours bear; where none is known, a source tells
    nothing.
    """
    return {
        "test_id": _told(trigger.test_id, run.test_id),
        "platform": _word(trigger.platform, run.platform, PLATFORMS),
        "mode": _word(trigger.mode, run.mode, MODES),
        "device_model": _device(trigger.device_model, run.device_model),
        "app_id": _told(trigger.app_id, run.app_id),
        "environment_id": _told(trigger.environment_id, run.environment_id),
        "source": _source(run.source, sources),
    }


def compatible(trigger: Trigger, run: ListedRun, sources: Collection[str] = ()) -> bool:
    """Whether no field speaks against the run being this trigger's."""
    return Likeness.DIFFERENT not in compare(trigger, run, sources).values()


def _told(wanted: str | None, seen: str | None) -> Likeness:
    if wanted is None or seen is None:  # where we were silent, the server chose
        return Likeness.CANNOT_TELL
    return Likeness.SAME if wanted == seen else Likeness.DIFFERENT


def _word(wanted: str | None, seen: str | None, known: Collection[str]) -> Likeness:
    """Of a word that we never send (`mobile`), nobody knows what it stands for."""
    return _told(wanted, seen) if seen in known else Likeness.CANNOT_TELL


def _device(wanted: str | None, seen: str | None) -> Likeness:
    if wanted is None and seen == DeviceModel.IPAD:  # left out, it is a phone
        return Likeness.DIFFERENT
    return _word(wanted, seen, DEVICES)


def _source(seen: str | None, ours: Collection[str]) -> Likeness:
    if seen is None or not ours:
        return Likeness.CANNOT_TELL
    return Likeness.SAME if seen in ours else Likeness.DIFFERENT
