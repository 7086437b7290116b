"""Owns the figures of the rows about rates and windows, which are most of them; see `grid`."""

from __future__ import annotations

from benchmarks.pacing.cases import Goal, Row, Server

# Round trips: near, usual and far. No two sets share one, but where a row names its own.
A20, A80, A200 = "20ms jitter 4ms", "80ms jitter 10ms", "200ms jitter 25ms"
B25, B60, B120, B180 = (
    "25ms jitter 5ms",
    "60ms jitter 12ms",
    "120ms jitter 15ms",
    "180ms jitter 30ms",
)
FRACTION, DATE = "retry-after-fractional", "retry-after-date"


BUCKETS = (
    Row(
        "bucket-10k",
        "token bucket, N = 10,000, any header style or none",
        Goal(times_least=1.02, waste=0.005),
        tune=(
            Server("token-bucket 10/s burst 20", "none", A80, 10_000),
            Server("token-bucket 50/s burst 100", "retry-after", A80, 10_000),
            Server("token-bucket 100/s burst 50", "draft-6", A20, 10_000),
            Server("token-bucket 20/s burst 5", FRACTION, A200, 10_000),
            Server("token-bucket 5/s burst 150", "x-ratelimit", A80, 10_000),
            Server("token-bucket 30/s burst 30", "none", A200, 10_000),
        ),
        report=(
            Server("token-bucket 8/s burst 16", "none", B60, 10_000),
            Server("token-bucket 40/s burst 80", "retry-after", B60, 10_000),
            Server("token-bucket 12/s burst 60", "x-ratelimit-epoch", B120, 10_000),
            Server("token-bucket 90/s burst 45", "none", B120, 10_000),
            Server("token-bucket 25/s burst 6", FRACTION, B60, 10_000),
            Server("token-bucket 130/s burst 260", "draft-6", B60, 10_000),
            Server("token-bucket 7/s burst 200", "draft-7", B180, 10_000),
            Server("token-bucket 33/s burst 33", "draft-current", B25, 10_000),
        ),
    ),
    Row(
        "bucket-seconds",
        "token bucket, whole-second Retry-After, high rate, small burst, N = 10,000",
        Goal(times_least=1.05, waste=0.005),
        tune=(
            Server("token-bucket 50/s burst 10", "retry-after", A80, 10_000),
            Server("token-bucket 100/s burst 10", "retry-after", A20, 10_000),
        ),
        report=(
            Server("token-bucket 60/s burst 12", "retry-after", B60, 10_000),
            Server("token-bucket 80/s burst 8", "retry-after", B120, 10_000),
            Server("token-bucket 45/s burst 9", "retry-after", B25, 10_000),
            Server("token-bucket 110/s burst 20", DATE, B60, 10_000),
        ),
    ),
    Row(
        "bucket-1k",
        "token bucket, N = 1,000",
        Goal(times_least=1.05, slack=True, throttles=15),
        tune=(
            Server("token-bucket 10/s burst 20", "none", A80, 1_000),
            Server("token-bucket 50/s burst 100", "retry-after", A20, 1_000),
            Server("token-bucket 20/s burst 5", FRACTION, A200, 1_000),
        ),
        report=(
            Server("token-bucket 8/s burst 16", "none", B60, 1_000),
            Server("token-bucket 40/s burst 80", "retry-after", B60, 1_000),
            Server("token-bucket 15/s burst 15", "none", B120, 1_000),
            Server("token-bucket 25/s burst 6", FRACTION, B180, 1_000),
            Server("token-bucket 70/s burst 40", "draft-6", B25, 1_000),
            Server("token-bucket 90/s burst 30", "none", B60, 1_000),
        ),
        seeds=3,
    ),
)

WINDOWS = (
    Row(
        "windows-told-10k",
        "fixed or sliding window, headers, N = 10,000",
        Goal(times_least=1.03, waste=0.005),
        tune=(
            Server("fixed-window 100/10s", "draft-6", A80, 10_000),
            Server("fixed-window 600/60s", "x-ratelimit-epoch", A200, 10_000),
            Server("sliding-window 100/10s", "draft-7", A80, 10_000),
            Server("sliding-window 50/2s", "x-ratelimit", A20, 10_000),
        ),
        report=(
            Server("fixed-window 120/15s", "draft-6", B60, 10_000),
            Server("sliding-window 150/15s", "draft-7", B60, 10_000),
            Server("fixed-window 300/60s", "x-ratelimit-epoch", B120, 10_000),
            Server("sliding-window 45/3s", "x-ratelimit", B60, 10_000),
            Server("fixed-window 70/5s", "draft-current", B120, 10_000),
            Server("sliding-window 500/60s", "x-ratelimit-epoch-fractional", B25, 10_000),
            Server("fixed-window 80/8s", "retry-after", B60, 10_000),
            Server("sliding-window 90/6s", "retry-after", B120, 10_000),
        ),
    ),
    Row(
        "windows-untold-10k",
        "the same without headers, N = 10,000",
        Goal(times_least=1.08, waste=0.01),
        tune=(
            Server("fixed-window 100/10s", "none", A80, 10_000),
            Server("fixed-window 600/60s", "none", A200, 10_000),
            Server("sliding-window 100/10s", "none", A80, 10_000),
            Server("sliding-window 50/2s", "none", A20, 10_000),
        ),
        report=(
            Server("fixed-window 120/15s", "none", B60, 10_000),
            Server("sliding-window 150/15s", "none", B60, 10_000),
            Server("fixed-window 300/60s", "none", B120, 10_000),
            Server("sliding-window 45/3s", "none", B60, 10_000),
            Server("fixed-window 70/5s", "none", B120, 10_000),
            Server("sliding-window 500/60s", "none", B25, 10_000),
        ),
    ),
    Row(
        "windows-1k",
        "fixed or sliding window, N = 1,000",
        Goal(times_least=1.05, slack=True, throttles=25),
        tune=(
            Server("fixed-window 100/10s", "none", A80, 1_000),
            Server("sliding-window 100/10s", "none", A200, 1_000),
            Server("fixed-window 50/5s", "draft-6", A20, 1_000),
        ),
        report=(
            Server("fixed-window 120/15s", "none", B60, 1_000),
            Server("sliding-window 150/15s", "none", B60, 1_000),
            Server("fixed-window 200/60s", "none", B120, 1_000),
            Server("sliding-window 45/3s", "none", B180, 1_000),
            Server("fixed-window 70/5s", "retry-after", B25, 1_000),
            Server("sliding-window 250/30s", "x-ratelimit", B60, 1_000),
        ),
        seeds=3,
    ),
    Row(
        "release",
        "a usual release, N = 100-400",
        Goal(times_least=1.10, slack=True, throttles=15),
        tune=(
            Server("token-bucket 5/s burst 10", "retry-after", A80, 200),
            Server("fixed-window 60/60s", "none", A80, 200),
            Server("sliding-window 100/10s", "retry-after", A200, 400),
        ),
        report=(
            Server("token-bucket 4/s burst 8", "retry-after", B60, 250),
            Server("fixed-window 50/30s", "none", B60, 200),
            Server("token-bucket 30/s burst 10", "none", B120, 400),
            Server("sliding-window 80/15s", "none", B120, 300),
            Server("fixed-window 90/60s", "draft-6", B180, 350),
            Server("token-bucket 2/s burst 30", "none", B25, 100),
            Server("sliding-window 40/10s", DATE, B60, 150),
            Server("token-bucket 12/s burst 3", "none", B60, 120),
        ),
        seeds=3,
    ),
)
