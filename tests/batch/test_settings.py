"""What a batch can be run with: the same bounds for the command and the Python API."""

from __future__ import annotations

import math
from typing import Any

import pytest

from bulk.batch.running import BatchSettings
from bulk.errors import OptionError


@pytest.mark.parametrize(
    ("settings", "option"),
    [
        ({"burst": 5}, "--burst: only used with --rate"),
        ({"rate_per_s": 1.0, "burst": 0}, "--burst"),
        ({"rate_per_s": 1e-300}, "--rate"),
        ({"rate_per_s": math.nan}, "--rate"),
        ({"rate_per_s": math.inf}, "--rate"),
        ({"concurrency_max": 0}, "--max-concurrency"),
        ({"concurrency_max": 513}, "--max-concurrency"),
        ({"retries_max": -1}, "--max-retries"),
        ({"deadline_s": math.nan}, "--deadline"),
        ({"deadline_s": -1.0}, "--deadline"),
        ({"deadline_s": 1e9}, "--deadline"),
        ({"answer_timeout_s": 0.0}, "--timeout"),
        ({"on_unknown": "foo"}, "--on-unknown"),
        ({"on_interrupt": "stay"}, "--on-interrupt"),
    ],
)
def test_a_value_out_of_range_is_an_error_that_names_the_option(
    settings: dict[str, Any], option: str
) -> None:
    with pytest.raises(OptionError, match=f"^{option}"):
        BatchSettings(**settings)
