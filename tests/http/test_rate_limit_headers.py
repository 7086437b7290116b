"""Rate-limit headers as servers send them, and as hostile servers might."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk.http.rate_limit_headers import (
    KEPT_HEADERS_MAX,
    KEPT_VALUE_CHARACTERS_MAX,
    Allowance,
    kept_headers,
    read_rate_limit_headers,
)

WALL = 1_790_035_200.0  # Tue, 22 Sep 2026 00:00:00 GMT
DATE = ("Date", "Tue, 22 Sep 2026 00:00:00 GMT")


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ([("Retry-After", "7")], 7.0),
        ([("retry-after", " 7 ")], 7.0),
        ([("Retry-After", "4.728")], 4.728),
        ([("Retry-After", "0")], 0.0),
        # A date is compared with the server's own clock ...
        ([DATE, ("Retry-After", "Tue, 22 Sep 2026 00:00:05 GMT")], 5.0),
        (
            [
                ("Date", "Tue, 22 Sep 2026 01:00:00 GMT"),
                ("Retry-After", "Tue, 22 Sep 2026 01:00:05 GMT"),
            ],
            5.0,
        ),
        # ... or with ours if it sends none; a date in the past means no wait.
        ([("Retry-After", "Tue, 22 Sep 2026 00:00:09 GMT")], 9.0),
        ([DATE, ("Retry-After", "Mon, 21 Sep 2026 00:00:05 GMT")], 0.0),
        # The obsolete forms of RFC 9110 5.6.7 are dates too.
        ([DATE, ("Retry-After", "Tuesday, 22-Sep-26 00:00:05 GMT")], 5.0),
        ([DATE, ("Retry-After", "Tue Sep 22 00:00:05 2026")], 5.0),
        # Senseless values are ignored.
        ([], None),
        ([("Retry-After", "")], None),
        ([("Retry-After", "soon")], None),
        ([("Retry-After", "-1")], None),
        ([("Retry-After", "1e3")], None),
        ([("Retry-After", "inf")], None),
        ([("Retry-After", "\u0663")], None),
        ([("Retry-After", "99999999999999999999")], None),
        # Several values: each is read, and the longest wait counts.
        ([("Retry-After", "4"), ("Retry-After", "4")], 4.0),
        ([("Retry-After", "4"), ("Retry-After", "soon"), ("Retry-After", "9")], 9.0),
        ([("Retry-After", "4, 9")], 9.0),
        (
            [
                DATE,
                ("Retry-After", "Tue, 22 Sep 2026 00:00:05 GMT, Tue, 22 Sep 2026 00:00:07 GMT, 6"),
            ],
            7.0,
        ),
        # A wait of more than a month is taken for a month.
        ([("Retry-After", "2764801")], 31 * 86_400.0),
        # Other names, spans and instants in use.
        ([("retry-after-msec", "4000")], 4.0),
        ([("Retry-After", "2026-09-22 00:00:05 +0000 UTC")], 5.0),
        ([("retry-after-ms", "250")], 0.25),
        ([("x-ms-retry-after-ms", "250")], 0.25),
        ([("Retry-After", "1"), ("Retry-After-Ms", "1250")], 1.25),
        ([("X-Retry-After", "3")], 3.0),
        ([("X-RateLimit-Retry-After", "3")], 3.0),
        ([("Retry-After", "1790035260")], 60.0),
        ([("Retry-After", "1790035260000")], 60.0),
        ([("Retry-After", "1790035260000000")], 60.0),
        ([("Retry-After", "1790035260000000000")], 60.0),
        ([("Retry-After", "2026-09-22T00:00:05Z")], 5.0),
        ([("Retry-After", "2026-09-22T02:00:05+02:00")], 5.0),
        ([("Retry-After", "Tue Sep 22 2026 02:00:05 GMT+0200 (Central European Time)")], 5.0),
        ([("Retry-After", "1m30s")], 90.0),
        ([("Retry-After", "20ms")], 0.02),
        ([("Retry-After", "30 seconds")], 30.0),
        ([("Retry-After", "1 minute")], 60.0),
        ([("Retry-After", "PT1M30S")], 90.0),
        ([("Retry-After", '"7"')], 7.0),
        ([("Retry-After", "1790035260"), ("Retry-After", "9990035260")], 60.0),
        ([("Retry-After", "Tue, 99 Sep 2026 00:00:05 GMT")], None),
    ],
)
def test_retry_after(headers: list[tuple[str, str]], seconds: float | None) -> None:
    assert read_rate_limit_headers(headers, WALL).retry_after_s == seconds


@given(st.lists(st.tuples(st.sampled_from(["Date", "Retry-After"]), st.text())))
def test_no_header_crashes_the_reader(headers: list[tuple[str, str]]) -> None:
    wait_s = read_rate_limit_headers(headers, WALL).retry_after_s
    assert wait_s is None or 0 <= wait_s < float("inf")


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        # IETF drafts: 6 has a header each, 7 one with fields, the later ones a list of policies.
        (
            [("RateLimit-Limit", "100"), ("RateLimit-Remaining", "7"), ("RateLimit-Reset", "5")],
            [Allowance(7, 5.0, 100)],
        ),
        (
            [("RateLimit-Limit", "10, 10;w=1"), ("RateLimit-Remaining", "0")],
            [Allowance(0, None, 10, 1.0)],
        ),
        ([("RateLimit", "limit=100, remaining=50, reset=5")], [Allowance(50, 5.0, 100)]),
        (
            [
                ("RateLimit", '"second";r=3;t=1, "a, b";r=50;t=30'),
                ("RateLimit-Policy", '"second";q=10;w=1, "a, b";q=100;w=60'),
            ],
            [Allowance(3, 1.0, 10, 1.0), Allowance(50, 30.0, 100, 60.0)],
        ),
        # A list in two headers is one list.
        (
            [("RateLimit", '"a";r=1'), ("RateLimit", '"b";r=2')],
            [Allowance(1), Allowance(2)],
        ),
        # The quota's window stands in the policy, named by the quota itself in draft 7.
        (
            [
                ("RateLimit", "limit=100, remaining=50, reset=5"),
                ("RateLimit-Policy", "100;w=60, 1000;w=3600"),
            ],
            [Allowance(50, 5.0, 100, 60.0)],
        ),
        # What is left was `r` in `t` seconds, and is `a` in `w` in the latest draft.
        (
            [("RateLimit-Policy", '"burst";q=100;w=60'), ("RateLimit", '"burst";a=0;w=45')],
            [Allowance(0, 45.0, 100, 60.0)],
        ),
        # Only quotas of requests are allowances of requests.
        (
            [
                ("RateLimit-Policy", '"bw";q=65535;qu="content-bytes";w=10, "r";q=9;w=1'),
                ("RateLimit", '"bw";r=3;t=10, "r";r=8;t=1'),
            ],
            [Allowance(8, 1.0, 9, 1.0)],
        ),
        (
            [("RateLimit-Policy", '"bw";q=9;qu="tokens";w=10'), ("RateLimit", '"bw";a=0;w=9')],
            [],
        ),
        (
            [("RateLimit-Policy", '"r";q=9;qu="requests";w=10'), ("RateLimit", '"r";a=1;w=9')],
            [Allowance(1, 9.0, 9, 10.0)],
        ),
        ([("X-RateLimit-Remaining-Tokens", "0"), ("X-RateLimit-Reset-Tokens", "60s")], []),
        # A malformed line is ignored and takes no other with it.
        ([("RateLimit", '"a";r=1'), ("RateLimit", '"b;r=2')], [Allowance(1)]),
        ([("RateLimit", '"a";r=1;t=1'), ("RateLimit-Policy", '"a";q=')], [Allowance(1, 1.0)]),
        # Several values of a header belong together by their order, if there are as many of each.
        (
            [
                ("X-RateLimit-Remaining", "9"),
                ("X-RateLimit-Remaining", "3"),
                ("X-RateLimit-Reset", "60"),
                ("X-RateLimit-Reset", "1"),
                ("X-RateLimit-Limit", "100"),
                ("X-RateLimit-Limit", "5"),
            ],
            [Allowance(9, 60.0, 100), Allowance(3, 1.0, 5)],
        ),
        (
            [("X-RateLimit-Remaining", "9, 3"), ("X-RateLimit-Reset", "60")],
            [Allowance(3, 60.0)],
        ),
        (
            [("X-RateLimit-Remaining", "9"), ("X-RateLimit-ResetIn", "60")],
            [Allowance(9, 60.0)],
        ),
        (
            [
                ("RateLimit-Policy", '"r";q=9;qu="Request";w=10'),
                ("RateLimit", '"r";r=1;t=9'),
            ],
            [Allowance(1, 9.0, 9, 10.0)],
        ),
        # Vendors' names, and the units that a name may end with.
        (
            [("x-sib-ratelimit-remaining", "9"), ("x-sib-ratelimit-reset", "60")],
            [Allowance(9, 60.0)],
        ),
        (
            [
                ("anthropic-ratelimit-requests-limit", "50"),
                ("anthropic-ratelimit-requests-remaining", "49"),
                ("anthropic-ratelimit-requests-reset", "2026-09-22T00:00:30Z"),
                ("anthropic-ratelimit-tokens-remaining", "0"),
            ],
            [Allowance(49, 30.0, 50)],
        ),
        (
            [("X-RateLimit-Remaining", "9"), ("X-RateLimit-Reset-After", "0.25")],
            [Allowance(9, 0.25)],
        ),
        (
            [("X-RateLimit-Remaining", "9"), ("X-RateLimit-Reset-Ms", "250")],
            [Allowance(9, 0.25)],
        ),
        (
            [("X-RateLimit-Remaining", "3.7"), ("X-RateLimit-Limit", "5")],
            [Allowance(3, None, 5)],
        ),
        (
            [("X-RateLimit-Limit-Minute", "60"), ("X-RateLimit-Remaining-Minute", "59")],
            [Allowance(59, None, 60, 60.0)],
        ),
        # X-RateLimit: durations, timestamps and dates, compared with the server's clock.
        ([("X-RateLimit-Remaining", "9"), ("X-RateLimit-Reset", "60")], [Allowance(9, 60.0)]),
        ([("X-RateLimit-Remaining", "9"), ("X-RateLimit-Reset", "0.25")], [Allowance(9, 0.25)]),
        (
            [("X-RateLimit-Remaining", "9"), ("X-RateLimit-Reset", "1790035230")],
            [Allowance(9, 30.0)],
        ),
        (
            [("X-RateLimit-Remaining", "9"), ("X-RateLimit-Reset", "1790035230.5")],
            [Allowance(9, 30.5)],
        ),
        (
            [("X-RateLimit-Remaining", "9"), ("X-RateLimit-Reset", "1790035230500")],
            [Allowance(9, 30.5)],
        ),
        (
            [
                ("X-RateLimit-Remaining", "9"),
                ("X-RateLimit-Reset", "Tue, 22 Sep 2026 00:00:30 GMT"),
            ],
            [Allowance(9, 30.0)],
        ),
        (
            [("X-RateLimit-Remaining", "9"), ("X-RateLimit-Reset", "2026-09-22T00:00:30Z")],
            [Allowance(9, 30.0)],
        ),
        (
            [
                ("Date", "Tue, 22 Sep 2026 01:00:00 GMT"),
                ("X-Rate-Limit-Remaining", "9"),
                ("X-Rate-Limit-Reset", "1790038805"),
            ],
            [Allowance(9, 5.0)],
        ),
        # One each for several limits; durations as some large APIs write them.
        (
            [
                ("x-ratelimit-limit-requests", "60"),
                ("x-ratelimit-remaining-requests", "59"),
                ("x-ratelimit-reset-requests", "1m0.5s"),
                ("X-RateLimit-Remaining-Second", "4"),
                ("X-RateLimit-Reset-Second", "20ms"),
            ],
            [Allowance(59, 60.5, 60), Allowance(4, 0.02)],
        ),
        # Senseless values are ignored; a reset in the past is due now.
        ([("X-RateLimit-Remaining", "-1"), ("X-RateLimit-Reset", "5")], []),
        ([("X-RateLimit-Remaining", "many")], []),
        ([("X-RateLimit-Limit", "100")], []),
        ([("X-RateLimit-Remaining", "3"), ("X-RateLimit-Reset", "soon")], [Allowance(3)]),
        (
            [("X-RateLimit-Remaining", "3"), ("X-RateLimit-Reset", "1790035100")],
            [Allowance(3, 0.0)],
        ),
        ([("X-RateLimit-Remaining", "3"), ("X-RateLimit-Reset", "9990035100")], [Allowance(3)]),
        ([("RateLimit", "limit=100")], []),
        ([("RateLimit", ";;;,,,")], []),
    ],
)
def test_allowances(headers: list[tuple[str, str]], expected: list[Allowance]) -> None:
    assert list(read_rate_limit_headers(headers, WALL).allowances) == expected


def test_a_429_that_says_only_when_it_ends_has_nothing_left() -> None:
    headers = [("X-RateLimit-Reset", "4"), ("X-RateLimit-Limit", "10")]
    assert read_rate_limit_headers(headers, WALL).allowances == ()
    refused = read_rate_limit_headers(headers, WALL, throttled=True)
    assert refused.allowances == (Allowance(0, 4.0, 10),)


def test_a_wait_is_kept_however_many_headers_come_before_it() -> None:
    flood = [(f"X-RateLimit-{n}", "9") for n in range(100)]
    kept = kept_headers([*flood, ("Retry-After", "4"), DATE])
    assert read_rate_limit_headers(kept, WALL).retry_after_s == 4.0
    assert dict(kept)["date"] == DATE[1]


@pytest.mark.parametrize(
    ("policy", "in_flight_max"),
    [
        ('"c";q=10;qu="concurrent-requests"', 10),
        ('"c";q=10;qu="concurrent-requests", "d";q=4;qu="concurrent-requests"', 4),
        ('"c";q=0;qu="concurrent-requests"', None),
        ('"c";q=10;w=1', None),
    ],
)
def test_a_quota_of_concurrent_requests_is_a_cap_in_flight(
    policy: str, in_flight_max: int | None
) -> None:
    headers = [("RateLimit-Policy", policy), ("RateLimit", '"c";r=0, "r";r=5;t=1')]
    read = read_rate_limit_headers(headers, WALL)
    assert read.in_flight_max == in_flight_max
    if in_flight_max:
        assert read.allowances == (Allowance(5, 1.0),)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["Date", "RateLimit", "RateLimit-Policy", "X-RateLimit-Remaining"])
            | st.sampled_from(["X-RateLimit-Reset", "RateLimit-Limit", "Retry-After"])
            | st.text("xratelimitsngb-_", max_size=30),
            st.text() | st.text('0123456789=;,"rtqwTZ:-. '),
        )
    )
)
def test_no_allowance_crashes_the_reader(headers: list[tuple[str, str]]) -> None:
    for allowance in read_rate_limit_headers(headers, WALL).allowances:
        assert allowance.remaining >= 0
        assert allowance.reset_s is None or 0 <= allowance.reset_s < float("inf")


def test_only_date_and_rate_headers_are_kept_and_only_so_many() -> None:
    headers = [
        ("Content-Type", "text/html"),
        ("Set-Cookie", "secret"),
        DATE,
        ("X-RateLimit-Limit", "10"),
        ("RateLimit-Policy", '"a";q=1'),
        ("X-Rate-Limit-Reset", "3"),
    ]
    assert [name for name, _ in kept_headers(headers)] == [
        "date",
        "x-ratelimit-limit",
        "ratelimit-policy",
        "x-rate-limit-reset",
    ]
    flood = [(f"X-RateLimit-{n}", "9" * 10_000) for n in range(1000)]
    assert len(kept_headers(flood)) == KEPT_HEADERS_MAX
    assert all(len(value) <= KEPT_VALUE_CHARACTERS_MAX for _, value in kept_headers(flood))


def test_a_list_that_is_too_long_is_cut_between_its_members() -> None:
    members = [f'"policy-{n}";q=100;w=60' for n in range(100)]
    ((_, kept),) = kept_headers([("RateLimit-Policy", ", ".join(members))])
    assert len(kept) <= KEPT_VALUE_CHARACTERS_MAX
    assert [part.strip() for part in kept.split(",")] == members[: kept.count(",") + 1]


@pytest.mark.parametrize(
    "name",
    [
        "Retry-After",
        "retry-after-ms",
        "X-Retry-After",
        "x-ms-retry-after-ms",
        "RateLimit",
        "X-RateLimit-Used",
        "X-Rate-Limit-Policy",
        "X_RateLimit_Remaining",
        "anthropic-ratelimit-tokens-remaining",
        "x-sib-ratelimit-limit",
    ],
)
def test_every_header_of_the_family_is_kept(name: str) -> None:
    assert kept_headers([(name, "1")]) == ((name.lower(), "1"),)


@pytest.mark.parametrize("name", ["Content-Length", "X-Retry", "X-Limit", "After", "X-" + "a" * 99])
def test_no_other_header_is_kept(name: str) -> None:
    assert kept_headers([(name, "1")]) == ()
