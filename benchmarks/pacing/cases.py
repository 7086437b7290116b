"""What is measured: goals, rows and cases; runs nothing. Their values are in `grid`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from uuid import UUID

from bulk.sandbox import SandboxConfig, parse_spec
from bulk.sandbox.limit_spec import LimitKind

T0 = 1_790_035_200.0  # midnight: aligned windows of every length start there
WINDOWS = (LimitKind.FIXED_WINDOW, LimitKind.SLIDING_WINDOW, LimitKind.SLIDING_COUNTER)
SLACK_TRIPS = 6  # round trips that learning a limit may cost a short batch


@dataclass(frozen=True, slots=True)
class Goal:
    """What the product should reach; None sets no bound.

    `times_least`: time divided by the least time; `slack` allows one window more, or SLACK_TRIPS
    round trips if the limit has no windows. `waste`: 429s per accepted trigger. `throttles`: 429s
    in total. `stop_throttles`: at a quota, 429s to requests sent after the first 429 had arrived,
    spread over at least `stop_span_s`.
    """

    times_least: float | None = None
    slack: bool = False
    waste: float | None = None
    throttles: int | None = None
    stop_throttles: int | None = None
    stop_span_s: float = 0.0

    def describe(self) -> str:
        """The goal as a cell of the table."""
        parts = []
        if self.times_least is not None:
            slack = " + a window or 6 round trips" if self.slack else ""
            parts.append(f"≤ {self.times_least:.2f}{slack}")
        if self.waste is not None:
            parts.append(f"≤ {self.waste:.1%}" if self.waste else "no 429")
        if self.throttles is not None:
            parts.append(f"≤ {self.throttles} 429s")
        if self.stop_throttles is not None:
            span = f" over ≥ {self.stop_span_s / 60:.0f} min" if self.stop_span_s else ""
            parts.append(f"stops, ≤ {self.stop_throttles} 429s{span}")
        return ", ".join(parts) or "none"


@dataclass(frozen=True, slots=True)
class Server:
    """A server of a row: its limits and faults, headers, round trip, and the number of triggers.

    `tests`: how many different tests the triggers have; 0 for a different test in each trigger. In
    the manifest they are interleaved, or grouped by test if `sorted`. `large`: the first test's
    share of the triggers.
    """

    limits: str
    headers: str
    latency: str
    count: int
    tests: int = 0
    more: str = ""
    sorted: bool = False
    large: float = 0.0

    @property
    def spec(self) -> str:
        """The sandbox's spec, without the seed."""
        clauses = [self.limits, f"headers {self.headers}", f"latency {self.latency}", self.more]
        return "; ".join(filter(None, clauses))


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the table. `name` is for the command line; rivals run the first `rivals`."""

    name: str
    title: str
    goal: Goal
    tune: tuple[Server, ...]
    report: tuple[Server, ...]
    seeds: int = 1
    rivals: int = 2


@dataclass(frozen=True)
class Case:
    """One batch against one server with one seed. `with_rivals`: the rivals run it too."""

    row: str
    server: Server
    seed: int
    count: int
    with_rivals: bool

    @cached_property
    def config(self) -> SandboxConfig:
        """The sandbox's settings."""
        return parse_spec(f"{self.server.spec}; seed {self.seed}")

    @property
    def start_unix_s(self) -> float:
        """The Unix time at the start; each seed starts in another phase of the server's windows."""
        return T0 + self.seed * 7.31 % 600

    @property
    def test_ids(self) -> tuple[str, ...]:
        """One per trigger, in the order of the manifest."""
        tests = self.server.tests or self.count
        large = round(self.server.large * self.count)
        numbers = [0] * large + [number % tests for number in range(self.count - large)]
        return tuple(map(_test_id, sorted(numbers) if self.server.sorted else numbers))

    @property
    def window_s(self) -> float:
        """The longest window of its limits in seconds; 0 if there is none."""
        return max(
            (
                spec.per_s
                for phase in self.config.limits
                for spec in phase.all_of
                if spec.kind in WINDOWS
            ),
            default=0.0,
        )

    @property
    def slack_s(self) -> float:
        """The time that learning the limit may cost a short batch, in seconds."""
        return self.window_s or SLACK_TRIPS * self.config.latency.base_s


def _test_id(number: int) -> str:
    return str(UUID(int=(0x4000 << 64) + (0x8000 << 48) + number))


def cases_of(row: Row, which: str, *, seeds: int | None = None, quick: bool = False) -> list[Case]:
    """The cases of a row in the `tune` or the `report` set; the sets share no seed."""
    first_seed = 1 if which == "tune" else 4001
    servers = row.tune if which == "tune" else row.report
    count_max = 1_000 if quick else 1_000_000
    return [
        Case(
            row.name,
            server,
            first_seed + number * 10 + repeat,
            min(server.count, count_max),
            with_rivals=number < row.rivals and repeat == 0,
        )
        for number, server in enumerate(islice(servers, 1 if quick else None))
        for repeat in range(1 if quick else seeds or row.seeds)
    ]
