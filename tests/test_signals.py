"""What the headers of an answer say about waiting."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk.signals import KEPT_HEADERS_MAX, kept_headers, read_signals

WALL = 1_790_035_200.0  # Tue, 22 Sep 2026 00:00:00 GMT
DATE = ("Date", "Tue, 22 Sep 2026 00:00:00 GMT")


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ([("Retry-After", "7")], 7.0),
        ([("retry-after", " 7 ")], 7.0),
        ([("Retry-After", "4.728")], 4.728),
        ([("Retry-After", "0")], 0.0),
        # A date is judged against the server's own clock ...
        ([DATE, ("Retry-After", "Tue, 22 Sep 2026 00:00:05 GMT")], 5.0),
        (
            [
                ("Date", "Tue, 22 Sep 2026 01:00:00 GMT"),
                ("Retry-After", "Tue, 22 Sep 2026 01:00:05 GMT"),
            ],
            5.0,
        ),
        # ... or ours where it sends none; one in the past is no wait.
        ([("Retry-After", "Tue, 22 Sep 2026 00:00:09 GMT")], 9.0),
        ([DATE, ("Retry-After", "Mon, 21 Sep 2026 00:00:05 GMT")], 0.0),
        # The obsolete forms of RFC 9110 5.6.7 are dates too.
        ([DATE, ("Retry-After", "Tuesday, 22-Sep-26 00:00:05 GMT")], 5.0),
        ([DATE, ("Retry-After", "Tue Sep 22 00:00:05 2026")], 5.0),
        # Senseless ones are as good as absent.
        ([], None),
        ([("Retry-After", "")], None),
        ([("Retry-After", "soon")], None),
        ([("Retry-After", "-1")], None),
        ([("Retry-After", "1e3")], None),
        ([("Retry-After", "inf")], None),
        ([("Retry-After", "\u0663")], None),
        ([("Retry-After", "99999999999999999999")], None),
        ([("Retry-After", "1790035260")], None),  # an epoch stamp is no span
        ([("Retry-After", "Tue, 99 Sep 2026 00:00:05 GMT")], None),
    ],
)
def test_retry_after(headers: list[tuple[str, str]], seconds: float | None) -> None:
    assert read_signals(headers, WALL).retry_after_s == seconds


@given(st.lists(st.tuples(st.sampled_from(["Date", "Retry-After"]), st.text())))
def test_no_header_crashes_the_reader(headers: list[tuple[str, str]]) -> None:
    wait_s = read_signals(headers, WALL).retry_after_s
    assert wait_s is None or 0 <= wait_s < float("inf")


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
    assert all(len(value) <= 200 for _, value in kept_headers(flood))
