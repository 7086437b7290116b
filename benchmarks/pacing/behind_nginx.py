"""The same comparison on real sockets and the real clock: nginx's own limits, the real command.

nginx forwards to a sandbox without limits in a process of its own. Everything is on loopback, and
each run ends after RUN_S_MAX at the latest.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random

import trio

from benchmarks.pacing.backoff import backoff
from benchmarks.pacing.cases import Case, Server
from benchmarks.pacing.clients import THROTTLED, Api, Reply, Workload
from tests.cli.terminal import command_line, rows, truth, write_manifest
from tests.nginx.test_behind_nginx import nginx
from tests.processes import clean_environment

COUNT, PER_S, BURST, CONNECTIONS = 200, 20, 10, 3
TRIP_S = 0.030
UPSTREAM = "none; latency 30ms jitter 10ms"
RUN_S_MAX = 180.0
RATE = ("--rate", f"{PER_S}/s")
RATE_AND_BURST = (*RATE, "--burst", str(BURST))


@dataclass(frozen=True, slots=True)
class Limit:
    """A limit of nginx, and the least time from the first accepted to the last.

    `options` state the limit to the product.
    """

    directive: str
    least_s: float
    options: tuple[str, ...]


LIMITS = (
    Limit(
        f"limit_req zone=rate burst={BURST} nodelay;", (COUNT - BURST - 1) / PER_S, RATE_AND_BURST
    ),
    Limit(f"limit_req zone=rate burst={BURST};", (COUNT - 1) / PER_S, RATE_AND_BURST),
    Limit("limit_req zone=rate;", (COUNT - 1) / PER_S, RATE),
    Limit(
        f"limit_conn connections {CONNECTIONS};",
        (COUNT / CONNECTIONS - 1) * TRIP_S,
        ("--max-concurrency", str(CONNECTIONS)),
    ),
)


def section() -> str:
    """The page's section about nginx; it says so if nginx is not installed."""
    lines = ["## Behind nginx, over real sockets", ""]
    path = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"])
    if shutil.which("nginx", path=path) is None:
        return "\n".join([*lines, "Skipped: nginx is not installed.", ""])
    lines += [
        f"N = {COUNT}, {PER_S} requests a second, round trip {TRIP_S * 1000:.0f} ms; from the "
        "first accepted trigger to the last. Time is real, on a machine whose load varies. If "
        "connections are limited, each request takes as long as the machine needs for it, so "
        "compare that row with its last columns. *With options*: bulk-trigger with the limit "
        "stated by its options.",
        "",
        "| limit | bulk-trigger: time / least | 429s | backoff: time / least | 429s "
        "| with options: time / least | 429s |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for limit in LIMITS:
        clients = (partial(_product, ()), _backoff, partial(_product, limit.options))
        cells = [_cell(limit, client) for client in clients]
        lines.append(f"| `{limit.directive}` | {' | '.join(cells)} |")
    return "\n".join([*lines, ""])


def _cell(limit: Limit, client: Callable[[Path, str], int]) -> str:
    """Time / least time, and 429s per accepted trigger; each client has a fresh server."""
    with tempfile.TemporaryDirectory() as name, _sandbox(UPSTREAM) as upstream:
        folder = Path(name)
        with nginx(folder / "nginx", upstream, limit.directive) as base_url:
            try:
                throttles = client(folder, base_url)
            except (subprocess.SubprocessError, trio.TooSlowError) as error:
                return f"not over: {type(error).__name__} | –"
        instants = sorted(run["at_s"] for run in truth(upstream)["accepted"])
    if len(instants) != COUNT:
        return f"only {len(instants)} of {COUNT} | {throttles / max(1, len(instants)):.1%}"
    return f"{(instants[-1] - instants[0]) / limit.least_s:.3f} | {throttles / COUNT:.1%}"


@contextmanager
def _sandbox(spec: str) -> Iterator[str]:
    """Run a sandbox in a process of its own and yield its address."""
    with subprocess.Popen(
        command_line("sandbox", spec),
        env=clean_environment({}),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().split()[1]
        finally:
            process.terminate()


def _product(options: tuple[str, ...], folder: Path, base_url: str) -> int:
    """Run the real command in a process of its own; returns its number of 429s."""
    manifest = write_manifest(folder / "release.csv", COUNT)
    output = str(folder / "reports")
    arguments = (str(manifest), "--base-url", base_url, "--output", output, *options)
    subprocess.run(
        command_line(*arguments),
        cwd=folder,
        env=clean_environment({"TESTERARMY_API_KEY": "sk_benchmark"}),
        capture_output=True,
        timeout=RUN_S_MAX,
    )
    (batch,) = [path for path in (folder / "reports").iterdir() if path.is_dir()]
    return sum(int(row["throttles"]) for row in rows(batch))


def _backoff(_: Path, base_url: str) -> int:
    """Run the backoff client in this process; returns its number of 429s."""
    return trio.run(partial(_backoff_over_sockets, base_url))


async def _backoff_over_sockets(base_url: str) -> int:
    api, throttles = Api(base_url), 0
    case = Case("nginx", Server("none", "none", "30ms", COUNT), 1, COUNT, with_rivals=True)

    async def post(test_id: str) -> Reply:
        nonlocal throttles
        reply = await api.post(test_id)
        throttles += reply.status == THROTTLED
        return reply

    with trio.fail_after(RUN_S_MAX):
        await backoff(Workload(post, case.test_ids, Random(1), case.config, case.start_unix_s))
    await api.aclose()
    return throttles


if __name__ == "__main__":
    sys.stdout.write(section())
