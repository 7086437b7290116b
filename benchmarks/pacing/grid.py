"""Each row's goal and its servers: one set for tuning, another for the report."""

from __future__ import annotations

from benchmarks.pacing.cases import Goal, Row, Server
from benchmarks.pacing.grid_rates import (
    A80,
    A200,
    B60,
    B120,
    B180,
    BUCKETS,
    C90,
    C130,
    C220,
    WINDOWS,
)

FAULTS = "fault 500 2%; fault 503-queued 1%; fault reset-after 1%"
BARE = "refusal-body html"

OTHERS = (
    Row(
        "spacing",
        "strict spacing without burst, 80 ms ± 10 ms, N = 2,000",
        Goal(times_least=1.10, waste=0.015),
        tune=(Server("strict-spacing 10/s", "none", A80, 2_000),),
        report=(
            Server("strict-spacing 11/s", "none", A80, 2_000),
            Server("strict-spacing 18/s", "retry-after", A80, 2_000),
            Server("strict-spacing 24/s", "none", A80, 2_000),
        ),
    ),
    Row(
        "concurrency",
        "concurrency cap, N = 3,000",
        Goal(times_least=1.05, waste=0.01),
        tune=(
            Server("concurrency 4", "none", A80, 3_000),
            Server("concurrency 6", "retry-after", A200, 3_000),
            Server("concurrency 6", "none", f"{A80} split 2/96/2", 3_000),
            Server("concurrency 5", "none", B60, 3_000),
            Server("concurrency 9", "none", B120, 3_000),
            Server("concurrency 3", "retry-after", B180, 3_000),
            Server("concurrency 14", "none", B60, 3_000),
            Server("concurrency 4", "none", f"{B180} split 3/94/3", 3_000),
            Server("concurrency 10", "none", f"{B120} split 3/94/3", 3_000),
        ),
        report=(
            Server("concurrency 8", "none", C90, 3_000),
            Server("concurrency 13", "none", C130, 3_000),
            Server("concurrency 4", "retry-after", C220, 3_000),
            Server("concurrency 20", "none", C90, 3_000),
            Server("concurrency 6", "none", f"{C220} split 3/94/3", 3_000),
            Server("concurrency 14", "none", f"{C130} split 3/94/3", 3_000),
        ),
    ),
    Row(
        "change",
        "the limit halves, doubles or ends in the middle, N = 5,000",
        Goal(times_least=1.10, waste=0.01),
        tune=(
            Server(
                "token-bucket 20/s burst 20 until 100s then token-bucket 10/s burst 10",
                "none",
                A80,
                5_000,
            ),
            Server(
                "token-bucket 10/s burst 20 until 200s then token-bucket 20/s burst 40",
                "none",
                A80,
                5_000,
            ),
            Server(
                "token-bucket 24/s burst 24 until 110s then token-bucket 12/s burst 12",
                "none",
                B60,
                5_000,
            ),
            Server(
                "token-bucket 12/s burst 24 until 190s then token-bucket 24/s burst 48",
                "none",
                B60,
                5_000,
            ),
            Server("token-bucket 16/s burst 32 until 150s then none", "none", B60, 5_000),
            Server(
                "token-bucket 40/s burst 40 until 70s then token-bucket 20/s burst 20",
                "retry-after",
                B120,
                5_000,
            ),
            Server("fixed-window 120/10s until 200s then fixed-window 240/10s", "none", B60, 5_000),
            Server(
                "fixed-window 200/10s until 130s then fixed-window 100/10s", "draft-6", B120, 5_000
            ),
        ),
        report=(
            Server(
                "token-bucket 41/s burst 53 until 90s then token-bucket 21/s burst 27",
                "none",
                C90,
                5_000,
            ),
            Server(
                "token-bucket 17/s burst 27 until 190s then token-bucket 34/s burst 54",
                "none",
                C90,
                5_000,
            ),
            Server("token-bucket 14/s burst 29 until 150s then none", "none", C90, 5_000),
            Server(
                "token-bucket 52/s burst 42 until 50s then token-bucket 26/s burst 22",
                "retry-after",
                C130,
                5_000,
            ),
            Server("fixed-window 152/12s until 200s then fixed-window 303/12s", "none", C90, 5_000),
            Server(
                "fixed-window 276/10s until 130s then fixed-window 138/10s", "draft-6", C130, 5_000
            ),
        ),
    ),
    Row(
        "unlimited",
        "no limit, N = 10,000",
        Goal(times_least=1.05, waste=0.0),
        tune=(Server("none", "none", A80, 10_000), Server("none", "none", A200, 10_000)),
        report=(Server("none", "none", C90, 10_000), Server("none", "none", C220, 10_000)),
    ),
    Row(
        "queue",
        "a queueing server, N = 2,000, no time-outs",
        Goal(times_least=1.03, waste=0.0),
        tune=(Server("queue 10/s", "none", A80, 2_000),),
        report=(
            Server("queue 13/s", "none", C90, 2_000),
            Server("queue 55/s", "none", C130, 2_000),
            Server("queue 5/s", "none", C90, 1_000),
        ),
    ),
    Row(
        "counting",
        "throttled requests count too, N = 3,000",
        Goal(times_least=1.10, waste=0.01),
        tune=(
            Server("token-bucket 10/s burst 20 counting-refusals", "none", A80, 3_000),
            Server("sliding-window 100/10s counting-refusals", "none", A80, 3_000),
            Server("token-bucket 12/s burst 24 counting-refusals", "none", B60, 3_000),
            Server("sliding-window 150/15s counting-refusals", "none", B60, 3_000),
            Server("token-bucket 30/s burst 15 counting-refusals", "retry-after", B120, 3_000),
            Server("sliding-window 60/5s counting-refusals", "retry-after", B120, 3_000),
        ),
        report=(
            Server("token-bucket 9/s burst 16 counting-refusals", "none", C90, 3_000),
            Server("sliding-window 202/20s counting-refusals", "none", C90, 3_000),
            Server("token-bucket 44/s burst 18 counting-refusals", "retry-after", C130, 3_000),
            Server("sliding-window 52/7s counting-refusals", "retry-after", C130, 3_000),
        ),
    ),
    Row(
        "errors",
        "3 % errors and 1 % dropped connections on top of a bucket, N = 10,000",
        Goal(times_least=1.05, waste=0.005),
        tune=(Server("token-bucket 20/s burst 40", "none", A80, 10_000, more=FAULTS),),
        report=(
            Server("token-bucket 15/s burst 27", "none", C90, 10_000, more=FAULTS),
            Server("token-bucket 36/s burst 50", "retry-after", C130, 10_000, more=FAULTS),
            Server("token-bucket 81/s burst 140", "draft-6", C90, 10_000, more=FAULTS),
        ),
    ),
)

QUOTAS = (
    Row(
        "quota-code",
        "quota, named in the answer, N = 1,000",
        Goal(stop_throttles=2),
        tune=(Server("quota 400", "none", A80, 1_000),),
        report=(
            Server("quota 408", "none", C90, 1_000),
            Server("token-bucket 18/s burst 42 + quota 463", "retry-after", C130, 1_000),
            Server("quota 215", "none", C220, 1_000, more="quota-code insufficient_quota"),
        ),
        rivals=1,
    ),
    Row(
        "quota-silent",
        "quota, no hint at all, N = 1,000",
        Goal(stop_throttles=15, stop_span_s=600.0),
        tune=(Server("quota 400", "none", A80, 1_000, more=BARE),),
        report=(
            Server("quota 346", "none", C90, 1_000, more=BARE),
            Server("token-bucket 18/s burst 67 + quota 472", "none", C130, 1_000, more=BARE),
            Server("quota 183", "none", C220, 1_000, more="refusal-body empty"),
        ),
        rivals=1,
    ),
)

WITHOUT_GOAL = (
    Row(
        "several-limits",
        "several limits at once, N = 1,500",
        Goal(),
        tune=(Server("fixed-window 20/1s + fixed-window 300/60s", "none", A80, 1_500),),
        report=(
            Server("fixed-window 15/2s + fixed-window 331/60s", "none", C90, 1_500),
            Server("fixed-window 11/1s + fixed-window 229/60s", "draft-current", C90, 1_500),
            Server("concurrency 6 + token-bucket 25/s burst 32", "none", C130, 1_500),
        ),
    ),
    Row(
        "sliding-counter",
        "sliding-window counter, N = 3,000",
        Goal(),
        tune=(Server("sliding-counter 100/10s", "none", A80, 3_000),),
        report=(
            Server("sliding-counter 111/20s", "none", C90, 3_000),
            Server("sliding-counter 103/8s", "draft-6", C130, 3_000),
        ),
    ),
    Row(
        "shedding",
        "random 429s in addition to a bucket, N = 1,000",
        Goal(),
        tune=(
            Server("token-bucket 20/s burst 20", "none", A80, 1_000, more="fault 429 1%"),
            Server("token-bucket 20/s burst 20", "none", A80, 1_000, more="fault 429 5%"),
            Server("token-bucket 5/s burst 5", "none", B60, 1_000, more="fault 429 5%"),
        ),
        report=(
            Server("token-bucket 16/s burst 36", "none", C90, 1_000, more="fault 429 1%"),
            Server("token-bucket 7/s burst 12", "none", C130, 1_000, more="fault 429 4%"),
        ),
    ),
    Row(
        "per-test",
        "a limit per test, N = 2,000 of 20 tests",
        Goal(),
        tune=(Server("token-bucket 1/s burst 2 per-test", "none", A80, 2_000, tests=20),),
        report=(
            Server("token-bucket 3/s burst 3 per-test", "none", C90, 2_000, tests=20),
            Server("fixed-window 7/13s per-test", "retry-after", C130, 2_000, tests=20),
        ),
    ),
    Row(
        "per-test-sorted",
        "the same, N = 240 and 4,000, manifest sorted by test",
        Goal(),
        tune=(
            Server("token-bucket 1/s burst 3 per-test", "none", A80, 240, tests=20, sorted=True),
            Server(
                "token-bucket 2/s burst 3 per-test", "retry-after", B60, 240, tests=24, sorted=True
            ),
            Server("fixed-window 4/15s per-test", "none", B120, 4_000, tests=250, sorted=True),
        ),
        report=(
            Server(
                "token-bucket 3/s burst 7 per-test", "retry-after", C90, 240, tests=24, sorted=True
            ),
            Server("fixed-window 2/20s per-test", "none", C130, 4_000, tests=250, sorted=True),
        ),
        rivals=0,
    ),
    Row(
        "per-test-large",
        "the same, N = 1,000, a quarter of them of one test",
        Goal(),
        tune=(
            Server("token-bucket 1/s burst 5 per-test", "none", A80, 1_000, 200, large=0.25),
            Server("token-bucket 2/s burst 6 per-test", "none", B60, 1_000, 150, large=0.25),
            Server("sliding-window 12/8s per-test", "x-ratelimit", B120, 1_000, 300, large=0.25),
        ),
        report=(
            Server("token-bucket 3/s burst 5 per-test", "none", C90, 1_000, 150, large=0.25),
            Server("sliding-window 16/9s per-test", "x-ratelimit", C130, 1_000, 300, large=0.25),
        ),
        rivals=0,
    ),
    Row(
        "false-headers",
        "headers that have nothing to do with the limit, N = 2,000",
        Goal(),
        tune=(
            Server("token-bucket 10/s burst 20", "retry-after=3", A80, 2_000),
            Server("token-bucket 15/s burst 30", "retry-after=7", B60, 2_000),
            Server("fixed-window 120/15s", "retry-after=1", B60, 2_000),
            Server("token-bucket 40/s burst 40", "retry-after-always", B120, 2_000),
        ),
        report=(
            Server("token-bucket 12/s burst 27", "retry-after=5", C90, 2_000),
            Server("fixed-window 140/20s", "retry-after=2", C90, 2_000),
            Server("token-bucket 35/s burst 31", "retry-after-always", C130, 2_000),
        ),
    ),
)

ROWS = (*BUCKETS, *WINDOWS, *OTHERS, *QUOTAS, *WITHOUT_GOAL)
