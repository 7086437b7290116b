"""The grammar of durations and rates in specs."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk.sandbox import SpecError, parse_spec
from bulk.sandbox.spec_durations import format_duration, format_rate, parse_duration, read_rate


@pytest.mark.parametrize(
    ("text", "duration_s"),
    [
        ("250ms", 0.25),
        ("7ms", 0.007),
        ("0s", 0.0),
        ("90s", 90.0),
        ("1.5s", 1.5),
        ("10m", 600.0),
        ("10min", 600.0),
        ("1h", 3600.0),
        ("1d", 86_400.0),
        ("1h30m", 5400.0),
        ("1h30min5s", 5405.0),
        ("30m1h", 5400.0),
        ("1m250ms", 60.25),
        ("1 h 30 m", 5400.0),
        ("1h 30m", 5400.0),
        (" 90s ", 90.0),
        ("90S", 90.0),
        ("250MS", 0.25),
        ("1H30M", 5400.0),
        ("1e3s", 1000.0),
        ("1e-06s", 1e-6),
        ("1000000000000s", 1e12),
    ],
)
def test_a_duration_is_the_sum_of_its_parts(text: str, duration_s: float) -> None:
    assert parse_duration(text) == duration_s
    assert parse_duration(text, bare_seconds=True) == duration_s


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "s", "abc", "-1s", "+1s", ".5s", "5.s", "1,5s", "1h30", "30 1h", "1h,30m"),
        *("1w", "1 000s", "1_000s", "1s1s1sx", "infs", "nans", "1e999s", "2e12s"),
        *("\u0663s", "1\u017f"),  # a digit of another script, and a letter whose capital is S
    ],
)
def test_other_text_is_no_duration(text: str) -> None:
    assert parse_duration(text) is None
    assert parse_duration(text, bare_seconds=True) is None


@pytest.mark.parametrize(("text", "duration_s"), [("90", 90.0), ("1.5", 1.5), (" 0 ", 0.0)])
def test_a_bare_number_is_seconds_only_where_the_caller_accepts_it(
    text: str, duration_s: float
) -> None:
    assert parse_duration(text, bare_seconds=True) == duration_s
    assert parse_duration(text) is None


def test_a_bare_number_has_the_same_upper_limit() -> None:
    assert parse_duration("1e12", bare_seconds=True) == 1e12
    assert parse_duration("2e12", bare_seconds=True) is None


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ("10/s", (10.0, 1.0)),
        ("100/10s", (100.0, 10.0)),
        ("600/m", (600.0, 60.0)),
        ("600/MIN", (600.0, 60.0)),
        ("0.5/250ms", (0.5, 0.25)),
        ("5/1h30m", (5.0, 5400.0)),
    ],
)
def test_a_rate_is_a_count_and_a_period(text: str, rate: tuple[float, float]) -> None:
    assert read_rate(text, "limit") == rate


@pytest.mark.parametrize("text", ["", "10", "10/", "/s", "10/5", "10/s/s", "10s", "x/s", "10/h30m"])
def test_other_text_is_no_rate(text: str) -> None:
    with pytest.raises(SpecError, match="is not a rate such as"):
        read_rate(text, "limit")


@pytest.mark.parametrize("text", ["0/s", "10/0s"])
def test_a_rate_of_nothing_is_an_error(text: str) -> None:
    with pytest.raises(SpecError, match="use more than 0"):
        read_rate(text, "limit")


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("token-bucket 10/1m30s burst 3", "token-bucket 10/90s burst 3"),
        ("fixed-window 5/1h phase 1m30s", "fixed-window 5/3600s phase 90s"),
        ("quota 1 until 1h 30m then none", "quota 1 until 5400s then none"),
        ("latency 60MS jitter 0.01s", "none; latency 60ms jitter 10ms"),
        ("latency uniform 1s500ms..1m", "none; latency uniform 1.5s..60s"),
        ("runs queued 1m1s running 1h", "none; runs queued 61s running 3600s failed 10% broken 0%"),
    ],
)
def test_every_clause_with_a_duration_reads_the_whole_grammar(text: str, canonical: str) -> None:
    assert parse_spec(text).describe() == canonical


durations = st.floats(0.0, 1e12, allow_subnormal=False)


@given(durations)
def test_a_formatted_duration_is_read_as_the_same(duration_s: float) -> None:
    assert parse_duration(format_duration(duration_s)) == duration_s


@given(st.floats(1e-9, 1e12), st.floats(1e-9, 1e12))
def test_a_formatted_rate_is_read_as_the_same(count: float, per_s: float) -> None:
    assert read_rate(format_rate(count, per_s), "limit") == (count, per_s)


@given(st.text(alphabet="0123456789.eE+- mshdMSHDin/", max_size=12))
def test_any_text_is_a_duration_of_at_least_nothing_or_none(text: str) -> None:
    duration_s = parse_duration(text, bare_seconds=True)
    assert duration_s is None or duration_s >= 0
