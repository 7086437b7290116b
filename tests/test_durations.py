"""One grammar of durations: in options, in headers and, by a parser of its own, in the sandbox."""

from __future__ import annotations

import click
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bulk.cli.options import DurationType
from bulk.durations import describe_duration, parse_duration, parse_rate
from bulk.http.rate_limit_headers import read_rate_limit_headers
from bulk.sandbox import SpecError, spec_durations

DURATIONS = [
    ("90s", 90.0),
    ("90S", 90.0),
    ("10m", 600.0),
    ("10min", 600.0),
    ("1h30m", 5400.0),
    ("30m1h", 5400.0),
    ("1 h 30 m", 5400.0),
    (" 1.5 h ", 5400.0),
    ("1d", 86_400.0),
    ("250ms", 0.25),
    ("7ms", 0.007),
    ("6m0s", 360.0),
    ("1m0.5s", 60.5),
    ("0s", 0.0),
    ("1e3s", 1000.0),
]
NOT_DURATIONS = [
    *("", " ", "s", "10x", "1w", "ten", "-5s", "+5s", "1h-3m", "1h,30m", "1,5s", ".5s", "5.s"),
    *("1h30", "30 1h", "1 000s", "1_000s", "infs", "nan", "2e12s", "1e999s"),
    *("\u0663s", "1\u017f"),  # a digit of another script, and a letter whose capital is S
]


@pytest.mark.parametrize(("text", "seconds"), DURATIONS)
def test_a_duration_is_the_sum_of_its_parts(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds
    assert parse_duration(text, bare_seconds=False) == seconds


@pytest.mark.parametrize("text", NOT_DURATIONS)
def test_other_text_is_not_a_duration(text: str) -> None:
    assert parse_duration(text) is None
    assert parse_duration(text, bare_seconds=False) is None


@pytest.mark.parametrize(("text", "seconds"), [("7", 7.0), ("1.5", 1.5), (" 0 ", 0.0)])
def test_a_bare_number_is_seconds_unless_the_caller_wants_a_unit(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds
    assert parse_duration(text, bare_seconds=False) is None


@pytest.mark.parametrize(
    ("text", "per_s"),
    [
        ("10/s", 10.0),
        ("600/m", 10.0),
        ("600/MIN", 10.0),
        ("100 / 10s", 10.0),
        ("1/500ms", 2.0),
        ("5400/1h30m", 1.0),
        ("86400/d", 1.0),
    ],
)
def test_a_rate_is_a_count_per_period(text: str, per_s: float) -> None:
    assert parse_rate(text) == per_s


@pytest.mark.parametrize(
    "text", ["", "10", "10/", "/s", "10/5", "10s", "10/s/s", "ten/s", "-1/s", "0/s", "1/0s"]
)
def test_other_text_is_not_a_rate(text: str) -> None:
    assert parse_rate(text) is None


@pytest.mark.parametrize(("text", "seconds"), [row for row in DURATIONS if row[1] > 0])
def test_options_and_headers_read_the_same_durations(text: str, seconds: float) -> None:
    assert DurationType().convert(text, None, None) == seconds
    assert reset_s(text) == seconds


@pytest.mark.parametrize("text", NOT_DURATIONS)
def test_what_is_not_a_duration_is_an_error_in_options_and_ignored_in_headers(text: str) -> None:
    with pytest.raises(click.BadParameter, match="is not a duration; write 90s"):
        DurationType().convert(text, None, None)
    if "," not in text:  # to a header, a comma separates values
        assert reset_s(text) is None


def test_an_option_takes_no_duration_of_0() -> None:
    with pytest.raises(click.BadParameter, match="write a duration above 0"):
        DurationType().convert("0s", None, None)


def test_a_reset_beyond_any_pause_is_ignored() -> None:
    assert (reset_s("31d"), reset_s("32d"), reset_s("999999h")) == (2_678_400.0, None, None)


# Pieces of durations make long ones likely; single characters make near misses likely.
PIECES = ["ms", "s", "m", "min", "h", "d", "MS", "Min", " ", "0", "1", "30", "1.5", "1e3", "2e12"]
texts = st.one_of(
    st.lists(st.sampled_from(PIECES), max_size=8).map("".join),
    st.text("0123456789.eE+- \tmshdinMSHD\u0663\u017f", max_size=12),
    st.text(max_size=6),
)


@given(texts, st.booleans())
@example("1h30m", True)
@example("1e3", True)
def test_the_sandbox_reads_the_same_durations(text: str, bare_seconds: bool) -> None:
    ours = parse_duration(text, bare_seconds=bare_seconds)
    assert ours == spec_durations.parse_duration(text, bare_seconds=bare_seconds)


@given(texts, texts)
@example("100", "10s")
@example("600", "m")
def test_the_sandbox_reads_the_same_rates(count: str, period: str) -> None:
    """Options allow blanks around a rate's count and period, which specs do not."""
    text = f"{count.strip()}/{period.strip()}"
    try:
        theirs, per_s = spec_durations.read_rate(text, "rate")
    except SpecError:
        assert parse_rate(text) is None
    else:
        assert parse_rate(text) == theirs / per_s


def reset_s(text: str) -> float | None:
    """What a reset header with this text says."""
    headers = [("X-RateLimit-Remaining", "1"), ("X-RateLimit-Reset", text)]
    (allowance,) = read_rate_limit_headers(headers, 1_790_035_200.0).allowances
    return allowance.reset_s


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        *((0.5, "0.5 s"), (30.0, "30 s"), (61.4, "61 s"), (900.0, "15 min"), (5_400.0, "90 min")),
        *((7_200.0, "2 h"), (9_000.0, "2.5 h"), (86_400.0, "24 h"), (172_800.0, "2 days")),
    ],
)
def test_a_duration_for_people_has_one_unit(seconds: float, text: str) -> None:
    assert describe_duration(seconds) == text
