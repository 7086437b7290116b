"""The usual client: ten workers, each with its own exponential backoff and full jitter."""

from __future__ import annotations

import trio

from benchmarks.pacing.clients import THROTTLED, Workload

WORKERS = 10
BASE_S, CAP_S = 0.5, 60.0
DOUBLINGS_MAX = 20  # the cap is reached long before


async def backoff(workload: Workload) -> None:
    """A throttled request waits as long as Retry-After says, or a random part of the backoff."""
    remaining = iter(workload.test_ids)

    async def work() -> None:
        for test_id in remaining:
            throttles = 0
            while (reply := await workload.post(test_id)).status == THROTTLED:
                wait_s = reply.retry_after_s
                if wait_s is None:
                    longest_s = min(CAP_S, BASE_S * 2 ** min(throttles, DOUBLINGS_MAX))
                    wait_s = workload.random.uniform(0.0, longest_s)
                throttles += 1
                await trio.sleep(wait_s)

    async with trio.open_nursery() as nursery:
        for _ in range(WORKERS):
            nursery.start_soon(work)
