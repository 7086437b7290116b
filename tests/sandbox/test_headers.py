"""The header styles, to the letter."""

from __future__ import annotations

import math

import pytest

from bulk.sandbox.headers import HeaderPairs, HeaderStyle, limit_headers, retry_header
from bulk.sandbox.limiters import LimiterState

# 2026-01-01T00:00:00.250Z
UNIX_S = 1_767_225_600.25
WINDOW = LimiterState("fixed-window", 100, 100, 60.0, 50, 29.5, 0.0)
BUCKET = LimiterState("token-bucket", 20, 20, 2.0, 0, 2.0, 0.1)
QUOTA = LimiterState("quota", 500, 500, None, 7, math.inf, 0.0)


@pytest.mark.parametrize(
    ("style", "retry_s", "text"),
    [
        ("retry-after", 0.1, "1"),
        ("retry-after", 2.0, "2"),
        ("retry-after", 2.0000000001, "2"),
        ("retry-after", 2.01, "3"),
        ("retry-after-fractional", 0.1004, "0.101"),
        ("retry-after-fractional", 2.0, "2.000"),
        ("retry-after-date", 1.5, "Thu, 01 Jan 2026 00:00:02 GMT"),
        ("retry-after-date", 1.75, "Thu, 01 Jan 2026 00:00:02 GMT"),
    ],
)
def test_retry_after_is_rounded_up(style: str, retry_s: float, text: str) -> None:
    assert retry_header(HeaderStyle(style), retry_s, UNIX_S) == (("Retry-After", text),)


def test_a_limit_that_never_resets_has_no_retry_after() -> None:
    assert retry_header(HeaderStyle.RETRY_AFTER, math.inf, UNIX_S) == ()


def triple(prefix: str, reset: str) -> HeaderPairs:
    names = (f"{prefix}-Limit", f"{prefix}-Remaining", f"{prefix}-Reset")
    return tuple(zip(names, ("100", "50", reset), strict=True))


@pytest.mark.parametrize(
    ("style", "headers"),
    [
        ("draft-6", triple("RateLimit", "30")),
        ("draft-7", (("RateLimit", "limit=100, remaining=50, reset=30"),)),
        (
            "draft-current",
            (
                ("RateLimit-Policy", '"fixed-window";q=100;w=60'),
                ("RateLimit", '"fixed-window";r=50;t=30'),
            ),
        ),
        ("x-ratelimit", triple("X-RateLimit", "30")),
        ("x-ratelimit-epoch", triple("X-RateLimit", "1767225630")),
        ("x-ratelimit-epoch-ms", triple("X-RateLimit", "1767225629750")),
        ("x-ratelimit-epoch-fractional", triple("X-RateLimit", "1767225629.750")),
        ("x-ratelimit-date", triple("X-RateLimit", "Thu, 01 Jan 2026 00:00:30 GMT")),
    ],
)
def test_each_style_advertises_limit_remaining_and_reset(style: str, headers: HeaderPairs) -> None:
    assert limit_headers(HeaderStyle(style), (WINDOW,), UNIX_S) == headers


def test_the_current_draft_lists_all_limits_and_other_styles_the_tightest_one() -> None:
    both = (WINDOW, BUCKET)
    assert limit_headers(HeaderStyle.DRAFT_CURRENT, both, UNIX_S) == (
        ("RateLimit-Policy", '"fixed-window";q=100;w=60, "token-bucket";q=20;w=2'),
        ("RateLimit", '"fixed-window";r=50;t=30, "token-bucket";r=0;t=2'),
    )
    assert limit_headers(HeaderStyle.DRAFT_7, both, UNIX_S) == (
        ("RateLimit", "limit=20, remaining=0, reset=2"),
    )


def test_a_quota_advertises_no_reset() -> None:
    assert limit_headers(HeaderStyle.DRAFT_CURRENT, (QUOTA,), UNIX_S) == (
        ("RateLimit-Policy", '"quota";q=500'),
        ("RateLimit", '"quota";r=7'),
    )
    names = [name for name, _ in limit_headers(HeaderStyle.X_UNIX, (QUOTA,), UNIX_S)]
    assert names == ["X-RateLimit-Limit", "X-RateLimit-Remaining"]


def test_without_limits_there_are_no_headers() -> None:
    assert limit_headers(HeaderStyle.DRAFT_6, (), UNIX_S) == ()
