"""Compares a listed run with a trigger, field by field: can it be the trigger's run?

A field is the same, different, or cannot be compared: the server may leave it null, choose it by
itself if the trigger does not set it, or use a word that we do not know. Only a clear difference
excludes a run; to exclude it wrongly would send a trigger twice.
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
    """How one field of a run compares with the trigger's."""

    SAME = "same"
    DIFFERENT = "different"
    CANNOT_TELL = "cannot tell"


def compare(trigger: Trigger, run: ListedRun, sources: Collection[str] = ()) -> dict[str, Likeness]:
    """The likeness of each field, by the trigger's field names.

    `sources` are the sources of runs known to be ours; if there are none, a run's source cannot be
    compared.
    """
    return {
        "test_id": _same(trigger.test_id, run.test_id),
        "platform": _same_word(trigger.platform, run.platform, PLATFORMS),
        "mode": _same_word(trigger.mode, run.mode, MODES),
        "device_model": _device(trigger.device_model, run.device_model),
        "app_id": _same(trigger.app_id, run.app_id),
        "environment_id": _same(trigger.environment_id, run.environment_id),
        "source": _source(run.source, sources),
    }


def compatible(trigger: Trigger, run: ListedRun, sources: Collection[str] = ()) -> bool:
    """Whether the run can be this trigger's, as far as its fields say."""
    return Likeness.DIFFERENT not in compare(trigger, run, sources).values()


def _same(wanted: str | None, seen: str | None) -> Likeness:
    if wanted is None or seen is None:  # what the trigger does not set, the server chooses
        return Likeness.CANNOT_TELL
    return Likeness.SAME if wanted == seen else Likeness.DIFFERENT


def _same_word(wanted: str | None, seen: str | None, known: Collection[str]) -> Likeness:
    """A word that we never send, such as `mobile`, may mean any of ours."""
    return _same(wanted, seen) if seen in known else Likeness.CANNOT_TELL


def _device(wanted: str | None, seen: str | None) -> Likeness:
    if wanted is None and seen == DeviceModel.IPAD:  # without one the server takes a phone
        return Likeness.DIFFERENT
    return _same_word(wanted, seen, DEVICES)


def _source(seen: str | None, ours: Collection[str]) -> Likeness:
    if seen is None or not ours:
        return Likeness.CANNOT_TELL
    return Likeness.SAME if seen in ours else Likeness.DIFFERENT
