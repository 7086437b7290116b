"""The spec language: parsed, rejected with a reason, and formatted."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk.sandbox import DEFAULT_SPEC, SandboxConfig, SpecError, parse_spec
from bulk.sandbox.config import RunSettings
from bulk.sandbox.faults import FAULT_NAMES, Fault, FaultPicker
from bulk.sandbox.headers import HeaderStyle
from bulk.sandbox.latency import LATENCY_MAX_S, Latency, LatencyShape
from bulk.sandbox.limit_spec import LimitKind, LimitPhase, LimitSpec

CANONICAL = [
    "none",
    "token-bucket 10/s burst 20",
    "fixed-window 100/10s",
    "sliding-window 100/10s",
    "concurrency 6",
    "quota 500",
    "strict-spacing 10/s",
    "queue 10/s",
    "sliding-counter 100/10s phase 3s",
    "token-bucket 10/s burst 20 + quota 500 counting-refusals",
    "concurrency 6 per-test until 30s then none",
    "none until 500ms then quota 1 until 2s then none",
    DEFAULT_SPEC,
    "none; latency uniform 20ms..100ms split 0/100/0",
    "none; latency normal 60ms sd 10ms",
    "none; latency lognormal 60ms sigma 0.5",
    "none; fault 500-queued 1%; fault reset-after first 3; fault hang every 10th",
    "none; headers draft-6 x-ratelimit-date retry-after=7",
    "none; headers retry-after retry-after-always",
    "none; seed 7; key abc; reject-key def; base api; refusal-body html; "
    "refusal-code too_many_requests; quota-code insufficient_quota; scope all; "
    "runs queued 2s running 500ms failed 25% broken 1% listed 3s; legacy",
    "none; tests 5a3b1e00-0000-4000-8000-000000000001; "
    "unknown-tests 5a3b1e00-0000-4000-8000-000000000002",
]


@pytest.mark.parametrize("text", CANONICAL)
def test_a_canonical_spec_is_formatted_as_it_was_written(text: str) -> None:
    assert parse_spec(text).describe() == text


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("token-bucket 10/s", "token-bucket 10/s burst 10"),
        ("sliding-log 600/m", "sliding-window 600/60s"),
        ("  headers   draft-6 ;; queue 1/2s ", "queue 1/2s; headers draft-6"),
        ("limits quota 5", "quota 5"),
        ("headers none", "none"),
        ("fault 500 every 2nd", "none; fault 500 every 2nd"),
        ("quota 3 counting-refusals per-test", "quota 3 per-test counting-refusals"),
    ],
)
def test_other_spellings_have_the_same_canonical_form(text: str, canonical: str) -> None:
    assert parse_spec(text).describe() == canonical


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "the spec is empty"),
        (" ; ", "the spec is empty"),
        ("token-buket 10/s", 'did you mean "token-bucket"'),
        ("token-bucket", "its size is missing"),
        ("token-bucket 10", '"10" is not a rate'),
        ("token-bucket 0/s", "use more than 0"),
        ("token-bucket 10/s burst", '"burst" needs a value'),
        ("token-bucket 10/s burst 0", '"0" is not a whole number from 1'),
        ("queue 10/s burst 3", '"burst" is not one of: per-test'),
        ("queue 10/s counting-refusals", "counting-refusals has no effect here"),
        ("fixed-window 1.5/s", "not a whole number of requests"),
        ("sliding-window 5/s phase 1s", '"phase" is not one of'),
        ("quota 5 + quota 5", "the same limit twice"),
        ("none + quota 5", '"none" cannot be combined'),
        ("quota 5 until 30s", 'add "then none"'),
        ("quota 5 then none", "say until when"),
        (
            "quota 5 until 30s then quota 6 until 20s then none",
            "not after the end of",
        ),
        ("quota 5; quota 6", "a second limits clause"),
        ("seed 1; seed 2", "a second seed clause"),
        ("seed x", '"x" is not a whole number'),
        ("headers", "a style is missing"),
        ("headers retry-afer", 'did you mean "retry-after"'),
        ("headers retry-after retry-after-date", "more than one form of Retry-After"),
        ("headers none draft-6", '"none" is not valid here'),
        ("headers draft-7 draft-current", "share a header"),
        ("headers x-ratelimit x-ratelimit-date", "more than one form of X-RateLimit-Reset"),
        ("headers retry-after=N", "is not valid here"),
        ("latency 60", '"60" is not a duration'),
        ("latency unifrom 1ms..2ms", 'did you mean "uniform"'),
        ("latency 60ms jitter", "is not one of"),
        ("latency uniform 20ms..10ms", "from the lower to the higher"),
        ("latency 1s split 50/50", "not three percentages"),
        ("latency 1s split 50/50/50", "does not add up to 100"),
        ("fault", "its name is missing"),
        ("fault 501 1%", '"501" is not one of'),
        ("fault 500", "say when"),
        ("fault 500 0%", "choose one of"),
        ("fault 500 101%", "from 0% to 100%"),
        ("fault hang first none", '"none" is not a whole number'),
        ("key", "its value is missing"),
        ("key two words", "visible ASCII"),
        ("tests abc", "not a lower-case UUID"),
        ("unknown-tests", "at least one"),
        ("legacy yes", "takes no value"),
        ("base both ways", "is not one of: root, api, both"),
        ("runs queued", "expected pairs such as"),
        ("runs failed 60% broken 60%", "more than 100%"),
        ("x" * 200_000, "characters"),
    ],
)
def test_an_invalid_spec_is_rejected_with_the_offending_part(text: str, reason: str) -> None:
    with pytest.raises(SpecError) as caught:
        parse_spec(text)
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)


@given(st.text(max_size=60))
def test_any_text_is_parsed_or_rejected_with_a_reason(text: str) -> None:
    try:
        config = parse_spec(text)
    except SpecError:
        return
    assert parse_spec(config.describe()) == config


spans = st.one_of(st.integers(1, 10**6).map(float), st.floats(1e-6, 1e6))
shares = st.floats(1e-6, 1.0)
wholes = st.integers(1, 10**9)


@st.composite
def limit_specs(draw: st.DrawFn) -> LimitSpec:
    kind = draw(st.sampled_from(LimitKind))
    sized = kind in (LimitKind.CONCURRENCY, LimitKind.QUOTA)
    windowed = kind.endswith(("window", "counter"))
    phased = kind in (LimitKind.FIXED_WINDOW, LimitKind.SLIDING_COUNTER)
    return LimitSpec(
        kind,
        float(draw(wholes)) if sized or windowed else draw(spans),
        1.0 if sized else draw(spans),
        draw(wholes) if kind is LimitKind.TOKEN_BUCKET else 0,
        draw(st.none() | spans) if phased else None,
        draw(st.booleans()),
        draw(st.booleans()) and kind not in (LimitKind.QUEUE, LimitKind.CONCURRENCY),
    )


limits_at_once = st.lists(limit_specs(), max_size=3, unique=True).map(tuple)


@st.composite
def phases(draw: st.DrawFn) -> tuple[LimitPhase, ...]:
    ends = sorted(draw(st.lists(spans, max_size=2, unique=True)))
    changing = [LimitPhase(draw(limits_at_once), end) for end in ends]
    return (*changing, LimitPhase(draw(limits_at_once)))


@st.composite
def latencies(draw: st.DrawFn) -> Latency:
    shape = draw(st.sampled_from(LatencyShape))
    low, high = sorted((draw(spans), draw(spans)))
    out = draw(st.integers(0, 100))
    back = draw(st.integers(0, 100 - out))
    spread = 0.0 if shape is LatencyShape.CONSTANT else high
    return Latency(shape, low, spread, (out, 100 - out - back, back))


faults = st.one_of(
    st.builds(Fault, st.sampled_from(FAULT_NAMES), share=shares),
    st.builds(Fault, st.sampled_from(FAULT_NAMES), first=wholes),
    st.builds(Fault, st.sampled_from(FAULT_NAMES), every=wholes),
)


@given(
    st.builds(
        SandboxConfig,
        limits=phases(),
        headers=st.sampled_from([(), (HeaderStyle.DRAFT_6, HeaderStyle.X_UNIX_MS)]),
        retry_after_s=st.none() | st.integers(0, 10**9),
        retry_after_always=st.booleans(),
        latency=latencies(),
        faults=st.lists(faults, max_size=3).map(tuple),
        seed=st.integers(0, 10**9),
        key=st.none() | st.from_regex(r"\A[!-:<-~]{1,20}\Z"),
        legacy=st.booleans(),
        runs=st.builds(RunSettings, spans, spans, st.floats(0, 0.5), st.floats(0, 0.5), spans),
    )
)
def test_parsing_a_formatted_config_gives_an_equal_one(config: SandboxConfig) -> None:
    assert parse_spec(config.describe()) == config


@given(latencies(), st.integers())
def test_a_drawn_latency_is_between_zero_and_the_maximum(latency: Latency, seed: int) -> None:
    trip = latency.draw(random.Random(seed))
    assert min(trip.out_s, trip.service_s, trip.back_s) >= 0
    assert trip.out_s + trip.service_s + trip.back_s <= LATENCY_MAX_S * 1.000001


@pytest.mark.parametrize(
    ("text", "applied"),
    [
        ("none; fault 500 first 2", "11000000"),
        ("none; fault 500 every 3rd", "00100100"),
        ("none; fault 500 100%", "11111111"),
    ],
)
def test_a_fault_applies_to_the_triggers_it_names(text: str, applied: str) -> None:
    picker = FaultPicker(parse_spec(text).faults, random.Random(0))
    assert "".join("1" if picker.pick() else "0" for _ in applied) == applied


def test_if_two_faults_apply_the_first_in_the_spec_wins() -> None:
    two = parse_spec("fault hang first 1; fault 500 100%").faults
    picker = FaultPicker(two, random.Random(0))
    assert [getattr(picker.pick(), "name", None) for _ in range(2)] == ["hang", "500"]


def test_a_share_is_met_in_the_long_run_and_depends_only_on_the_seed() -> None:
    def draws(seed: int) -> list[bool]:
        picker = FaultPicker(parse_spec("fault 500 10%").faults, random.Random(seed))
        return [picker.pick() is not None for _ in range(10_000)]

    assert draws(3) == draws(3)
    assert 900 < sum(draws(3)) < 1100
