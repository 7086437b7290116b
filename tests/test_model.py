"""The records refuse what could not be, and a key says what is the same cell."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bulk.exits import PRECEDENCE, Exit, most_urgent
from bulk.model import (
    UNSENT_BECAUSE,
    DeviceModel,
    Mode,
    Outcome,
    Platform,
    StopCode,
    Trigger,
    TriggerResult,
)

ID = "0b9c3a54-5d3c-4a8e-9a53-0d6a6a1f0c11"
FULL = Trigger(
    test_id=ID,
    platform=Platform.IOS,
    mode=Mode.DEEP,
    device_model=DeviceModel.IPAD,
    app_id=ID,
    environment_id=ID,
    name="Log in",
    tags=("smoke",),
    line=3,
    own=(("owner", "Ana"),),
)


def test_the_key_depends_on_all_that_is_sent_and_on_nothing_else() -> None:
    same = [replace(FULL, name="x"), replace(FULL, tags=()), replace(FULL, line=9, own=())]
    other = [
        replace(FULL, test_id=ID.replace("0", "1")),
        replace(FULL, mode=Mode.FAST),
        replace(FULL, mode=None),
        replace(FULL, device_model=None),
        replace(FULL, app_id=None),
        replace(FULL, environment_id=None),
        replace(FULL, platform=None, device_model=None),
        replace(FULL, repetition=2),
        replace(FULL, app_id=None, environment_id=None),
    ]
    assert {trigger.key for trigger in same} == {FULL.key}
    assert len({trigger.key for trigger in [FULL, *other]}) == len(other) + 1
    assert len(FULL.key) == 20
    assert FULL.key.startswith("k")


def test_the_case_is_what_two_releases_compare_by() -> None:
    assert FULL.case == "Log in · ios · deep · ipad"
    assert Trigger(test_id=ID).case == ID


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"test_id": "x"}, "test_id 'x' is not a lower-case UUID"),
        ({"test_id": ID.upper()}, "is not a lower-case UUID"),
        ({"app_id": ""}, "app_id '' is not a lower-case UUID"),
        ({"environment_id": "y"}, "environment_id 'y'"),
        ({"repetition": 0}, "repetition 0 is not positive"),
        ({"platform": Platform.WEB}, "device_model ipad is not one of web's"),
        ({"platform": None}, "device_model ipad is not one of None's"),
    ],
)
def test_a_trigger_that_could_not_be_sent_cannot_be_made(
    change: dict[str, object], why: str
) -> None:
    with pytest.raises(ValueError, match=why):
        replace(FULL, **change)  # type: ignore[arg-type]


def test_a_result_is_queued_or_has_a_failure_code() -> None:
    with pytest.raises(ValueError, match="queued without a run id"):
        TriggerResult(FULL, Outcome.QUEUED)
    with pytest.raises(ValueError, match="with failure code None"):
        TriggerResult(FULL, Outcome.REJECTED)
    with pytest.raises(ValueError, match="queued with failure code auth"):
        TriggerResult(FULL, Outcome.QUEUED, failure_code="auth", run_id=ID)


def test_every_stop_has_a_code_for_what_was_not_sent() -> None:
    assert set(UNSENT_BECAUSE) == set(StopCode)


def test_the_most_urgent_exit_wins() -> None:
    assert set(PRECEDENCE) == set(Exit)
    assert most_urgent([]) is Exit.OK
    assert most_urgent([Exit.FAILED, Exit.OK, Exit.UNKNOWN]) is Exit.UNKNOWN
    order = [130, 131, 143, 129, 2, 3, 8, 4, 12, 11, 7, 1, 0]
    for place, code in enumerate(order):
        assert most_urgent([Exit(code), *map(Exit, order[place:])]) == code
