"""Each rule that resolves unknown triggers, by its smallest case."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import pytest

from bulk.model import (
    DeviceModel,
    Found,
    Missing,
    Mode,
    Platform,
    Resolution,
    Trigger,
    Undecided,
)
from bulk.reconcile.likeness import Likeness, compare, compatible
from bulk.reconcile.rules import TOO_LATE, UnresolvedTrigger, resolve
from bulk.reconcile.run_page import ListedRun
from bulk.reconcile.server_clock import CreationWindow
from bulk.reconcile.surplus import surplus

TEST = str(UUID(int=(4 << 76) + (8 << 60) + 1))
OTHER_TEST = str(UUID(int=(4 << 76) + (8 << 60) + 2))
APP = str(UUID(int=(4 << 76) + (8 << 60) + 3))


def a_trigger(mode: Mode | None = Mode.FAST, **fields: object) -> Trigger:
    return Trigger(**({"test_id": TEST, "platform": Platform.WEB, "mode": mode} | fields))  # type: ignore[arg-type]


def unresolved(
    seq: int = 1, trigger: Trigger | None = None, opens: float = 0.0
) -> UnresolvedTrigger:
    return UnresolvedTrigger(seq, trigger or a_trigger(), (CreationWindow(opens, opens + 100.0),))


def a_run(number: int = 1, /, **fields: Any) -> ListedRun:
    listed: dict[str, Any] = {
        "run_id": str(UUID(int=(4 << 76) + (8 << 60) + 1000 + number)),
        "test_id": TEST,
        "platform": "web",
        "mode": "fast",
        "source": "api",
        "created_at": 50.0,
    }
    return ListedRun(**(listed | fields))


def resolved(
    triggers: Sequence[UnresolvedTrigger],
    runs: Sequence[ListedRun],
    owned: Sequence[ListedRun] = (),
) -> list[Resolution]:
    return resolve(triggers, runs, owned={run.run_id for run in owned}, sources={"api"})


def test_the_only_run_that_matches_is_the_triggers() -> None:
    run = a_run()
    assert resolved([unresolved()], [run]) == [Found(1, run.run_id, by_count=False)]


def test_a_late_run_leaves_a_trigger_of_a_stopped_process_undecided() -> None:
    stopped = UnresolvedTrigger(1, a_trigger(), (CreationWindow(0.0, 100.0, latest=5_000.0),))
    run = a_run(created_at=4_000.0)
    assert resolved([stopped], [run]) == [Undecided(1, (run.run_id,), TOO_LATE)]
    assert resolved([stopped], [run], owned=[run]) == [Missing(1)]
    assert resolved([stopped], [a_run(created_at=6_000.0)]) == [Missing(1)]
    in_time = a_run(2)
    assert resolved([stopped], [run, in_time]) == [Found(1, in_time.run_id, by_count=False)]


def test_a_run_that_may_be_a_resent_triggers_is_no_other_triggers() -> None:
    """The resent trigger has the run of its second attempt; the first may have created another."""
    run = a_run(mode=None)
    lost, resent = unresolved(1, a_trigger(Mode.FAST)), unresolved(2, a_trigger(Mode.DEEP))
    (one,) = resolve([lost], [run], owned=(), sources={"api"}, resent=[resent])
    assert isinstance(one, Undecided)
    assert one.candidates == (run.run_id,)
    (one,) = resolve([lost], [a_run()], owned=(), sources={"api"}, resent=[resent])
    assert isinstance(one, Found)


def test_nothing_listed_is_missing() -> None:
    assert resolved([unresolved()], []) == [Missing(1)]


@pytest.mark.parametrize(
    "fields",
    [
        {"mode": "deep"},
        {"platform": "ios"},
        {"test_id": OTHER_TEST},
        {"source": "scheduled"},
        {"created_at": -1.0},
        {"created_at": 101.0},
    ],
)
def test_a_run_that_differs_is_not_the_triggers(fields: dict[str, Any]) -> None:
    assert resolved([unresolved()], [a_run(**fields)]) == [Missing(1)]


@pytest.mark.parametrize(
    "fields",
    [
        {"mode": None, "platform": None, "test_id": None, "source": None, "created_at": None},
        {"mode": "turbo"},
        {"platform": "mobile"},
    ],
)
def test_a_field_that_cannot_be_compared_does_not_exclude_a_run(fields: dict[str, Any]) -> None:
    run = a_run(**fields)
    assert resolved([unresolved()], [run]) == [Found(1, run.run_id, by_count=False)]


def test_an_owned_run_is_no_other_triggers() -> None:
    run = a_run()
    assert resolved([unresolved()], [run], owned=[run]) == [Missing(1)]


def test_two_runs_of_one_trigger_leave_it_undecided() -> None:
    runs = [a_run(1), a_run(2)]
    (only,) = resolved([unresolved()], runs)
    assert isinstance(only, Undecided)
    assert set(only.candidates) == {run.run_id for run in runs}


def test_equal_triggers_are_resolved_by_count() -> None:
    triggers = [unresolved(seq, a_trigger(repetition=seq)) for seq in (1, 2, 3)]
    runs = [a_run(1), a_run(2)]
    came = resolved(triggers, runs)
    found = [one for one in came if isinstance(one, Found)]
    assert {one.run_id for one in found} == {run.run_id for run in runs}
    assert all(one.by_count for one in found)
    assert sum(isinstance(one, Missing) for one in came) == 1


def test_more_runs_than_equal_triggers_leave_all_of_them_undecided() -> None:
    triggers = [unresolved(seq, a_trigger(repetition=seq)) for seq in (1, 2)]
    came = resolved(triggers, [a_run(1), a_run(2), a_run(3)])
    assert [type(one) for one in came] == [Undecided, Undecided]


def test_equal_triggers_get_the_runs_within_their_own_windows() -> None:
    triggers = [unresolved(1, opens=1_000.0), unresolved(2, opens=0.0)]
    early, late = a_run(1, created_at=50.0), a_run(2, created_at=1_050.0)
    assert set(resolved(triggers, [late, early])) == {
        Found(1, late.run_id, by_count=True),
        Found(2, early.run_id, by_count=True),
    }


def test_a_run_that_could_belong_to_two_cells_leaves_both_undecided() -> None:
    triggers = [unresolved(1, a_trigger(Mode.FAST)), unresolved(2, a_trigger(Mode.DEEP))]
    came = resolved(triggers, [a_run(mode=None)])
    assert [type(one) for one in came] == [Undecided, Undecided]


def test_as_many_runs_as_tied_triggers_mean_that_all_were_executed() -> None:
    triggers = [unresolved(1, a_trigger(Mode.FAST)), unresolved(2, a_trigger(Mode.DEEP))]
    nameless, deep = a_run(1, mode=None), a_run(2, mode="deep")
    assert set(resolved(triggers, [nameless, deep])) == {
        Found(1, nameless.run_id, by_count=True),
        Found(2, deep.run_id, by_count=True),
    }


def test_a_run_that_an_answer_gave_to_the_wrong_trigger_is_not_adopted() -> None:
    run = a_run()
    (only,) = resolve(
        [unresolved()], [run], owned={run.run_id}, sources=set(), misnamed=frozenset({run.run_id})
    )
    assert isinstance(only, Undecided)


def test_a_run_that_another_batch_may_claim_is_not_adopted() -> None:
    (only,) = resolve(
        [unresolved()], [a_run()], owned=(), sources=(), claimed_by_others=lambda run, test_id: True
    )
    assert isinstance(only, Undecided)


def test_a_field_that_the_trigger_does_not_set_is_the_servers_choice() -> None:
    plain = Trigger(test_id=TEST, platform=Platform.IOS)
    run = a_run(platform="ios", mode="deep", app_id=APP, device_model="iphone")
    assert compatible(plain, run)
    assert compare(plain, run)["mode"] is Likeness.CANNOT_TELL


def test_without_a_device_model_the_server_takes_a_phone() -> None:
    plain = Trigger(test_id=TEST, platform=Platform.IOS)
    assert not compatible(plain, a_run(platform="ios", device_model="ipad"))
    pad = Trigger(test_id=TEST, platform=Platform.IOS, device_model=DeviceModel.IPAD)
    assert compatible(pad, a_run(platform="ios", device_model="ipad"))


def test_a_source_excludes_no_run_if_ours_is_not_known() -> None:
    assert compatible(a_trigger(), a_run(source="scheduled"), sources=())
    assert not compatible(a_trigger(), a_run(source="scheduled"), sources={"api"})


def test_surplus_runs_are_of_our_cells_and_time_and_have_no_owner() -> None:
    ours, early, other, deep = (
        a_run(1),
        a_run(2, created_at=-5.0),
        a_run(3, test_id=OTHER_TEST),
        a_run(4, mode="deep"),
    )
    unowned = a_run(5)
    found = surplus(
        [ours, early, other, deep, unowned, unowned],
        {TEST: [a_trigger()]},
        CreationWindow(0.0, 100.0),
        owned={ours.run_id},
        sources=(),
    )
    assert found == [unowned]
