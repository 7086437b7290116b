"""The header styles, to the letter."""

from __future__ import annotations

import math

import pytest

from bulk.sandbox.headers import HeaderPairs, HeaderStyle, limit_headers, retry_header
from bulk.sandbox.limiters import Standing

# 2026-01-01T00:00:00.250Z
WALL_S = 1_767_225_600.25
WINDOW = Standing("fixed-window", 100, 100, 60.0, 50, 29.5, 0.0)
BUCKET = Standing("token-bucket", 20, 20, 2.0, 0, 2.0, 0.1)
QUOTA = Standing("quota", 500, 500, None, 7, math.inf, 0.0)


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
    assert retry_header(HeaderStyle(style), retry_s, WALL_S) == (("Retry-After", text),)


def test_what_never_comes_back_has_no_retry_after() -> None:
    assert retry_header(HeaderStyle.RETRY_AFTER, math.inf, WALL_S) == ()


def three(prefix: str, reset: str) -> HeaderPairs:
    names = (f"{prefix}-Limit", f"{prefix}-Remaining", f"{prefix}-Reset")
    return tuple(zip(names, ("100", "50", reset), strict=True))


@pytest.mark.parametrize(
    ("style", "headers"),
    [
        ("draft-6", three("RateLimit", "30")),
        ("draft-7", (("RateLimit", "limit=100, remaining=50, reset=30"),)),
        (
            "draft-current",
            (
                ("RateLimit-Policy", '"fixed-window";q=100;w=60'),
                ("RateLimit", '"fixed-window";r=50;t=30'),
            ),
        ),
        ("x-ratelimit", three("X-RateLimit", "30")),
        ("x-ratelimit-epoch", three("X-RateLimit", "1767225630")),
        ("x-ratelimit-epoch-ms", three("X-RateLimit", "1767225629750")),
        ("x-ratelimit-epoch-fractional", three("X-RateLimit", "1767225629.750")),
        ("x-ratelimit-date", three("X-RateLimit", "Thu, 01 Jan 2026 00:00:30 GMT")),
    ],
)
def test_each_style_tells_limit_remaining_and_reset(style: str, headers: HeaderPairs) -> None:
    assert limit_headers(HeaderStyle(style), (WINDOW,), WALL_S) == headers


def test_of_several_limits_the_current_draft_tells_all_and_the_others_the_tightest() -> None:
    both = (WINDOW, BUCKET)
    assert limit_headers(HeaderStyle.DRAFT_CURRENT, both, WALL_S) == (
        ("RateLimit-Policy", '"fixed-window";q=100;w=60, "token-bucket";q=20;w=2'),
        ("RateLimit", '"fixed-window";r=50;t=30, "token-bucket";r=0;t=2'),
    )
    assert limit_headers(HeaderStyle.DRAFT_7, both, WALL_S) == (
        ("RateLimit", "limit=20, remaining=0, reset=2"),
    )


def test_a_quota_tells_no_reset() -> None:
    assert limit_headers(HeaderStyle.DRAFT_CURRENT, (QUOTA,), WALL_S) == (
        ("RateLimit-Policy", '"quota";q=500'),
        ("RateLimit", '"quota";r=7'),
    )
    names = [name for name, _ in limit_headers(HeaderStyle.X_EPOCH, (QUOTA,), WALL_S)]
    assert names == ["X-RateLimit-Limit", "X-RateLimit-Remaining"]


def test_no_limit_tells_nothing() -> None:
    assert limit_headers(HeaderStyle.DRAFT_6, (), WALL_S) == ()
