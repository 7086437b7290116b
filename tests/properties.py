"""How many examples Hypothesis tries: some in each run of the tests, many in `make soak`."""

from __future__ import annotations

from hypothesis import settings

SOAK = "soak"  # the profile's name
TIMES = 20


def load_profiles() -> None:
    """Load the tests' own profile, and let `--hypothesis-profile=soak` be chosen.

    No example has a deadline: a busy machine is slow at times.
    """
    settings.register_profile("tests", deadline=None)
    usual = settings.get_profile("tests")
    settings.register_profile(SOAK, usual, max_examples=usual.max_examples * TIMES)
    settings.load_profile("tests")


def examples(count: int) -> int:
    """`count` in a run of the tests, TIMES as many in a soak."""
    return count * (TIMES if settings.get_current_profile_name() == SOAK else 1)
