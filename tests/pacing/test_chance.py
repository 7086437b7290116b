"""The pace where refusals come by chance."""

from __future__ import annotations

from bulk.pacing.chance import BACK_MAX, PATIENCE, STEP_MIN, Chance


def after(accepted: int) -> tuple[float, float]:
    """The pace after so many accepted requests, and after the refusal of the next one."""
    chance = Chance(100.0, 10_000)
    for since in range(accepted):
        chance.accepted(since + 1)
    before = chance.pace
    chance.refused(accepted)
    return before, chance.pace


def test_a_refusal_that_comes_as_often_as_it_may_lowers_the_pace_by_a_step() -> None:
    before, lowered = after(PATIENCE // 2)
    assert lowered == before * (1 - STEP_MIN)


def test_a_pace_raised_for_want_of_refusals_goes_half_the_way_back_at_the_first() -> None:
    before, lowered = after(PATIENCE + 300)
    raised = before / after(PATIENCE)[0] - 1
    assert raised > 4 * STEP_MIN
    assert 0.4 * raised < before / lowered - 1 < 0.6 * raised


def test_what_a_raised_limit_gained_is_kept_but_for_a_small_part() -> None:
    before, lowered = after(PATIENCE + 2_000)
    assert before > 300.0
    assert lowered >= before * (1 - BACK_MAX)
