"""Owns what is measured: goals, rows and cases; runs nothing. The figures are in `grid`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from uuid import UUID

from bulk.sandbox import SandboxConfig, parse_spec
from bulk.sandbox.limit_spec import LimitKind

T0 = 1_790_035_200.0  # a whole day: aligned windows of every length begin there
WINDOWS = (LimitKind.FIXED_WINDOW, LimitKind.SLIDING_WINDOW, LimitKind.SLIDING_COUNTER)
SLACK_TRIPS = 6  # round trips that learning a limit may cost a short batch


@dataclass(frozen=True, slots=True)
class Goal:
    """What the product ought to reach; None where nothing is asked.

    `times_least` and, with `slack`, one window more (of a limit in windows; else SLACK_TRIPS round
    trips). `waste`: 429s per accepted; `throttles`: 429s in all. `stop_throttles`: of a quota, 429s
    after the answer to the first, spread over at least `stop_span_s`.
    """

    times_least: float | None = None
    slack: bool = False
    waste: float | None = None
    throttles: int | None = None
    stop_throttles: int | None = None
    stop_span_s: float = 0.0

    def describe(self) -> str:
        """As a cell of the table."""
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
    """A server of a row: its limits and faults, its headers, its round trip, and how many for it.

    `tests`: how many different tests the triggers are of; 0 for as many as triggers. They stand in
    the manifest in turn, or one after the other if `sorted`; `large`: the share of the first one.
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
        """As the sandbox reads it, but for the seed."""
        clauses = [self.limits, f"headers {self.headers}", f"latency {self.latency}", self.more]
        return "; ".join(filter(None, clauses))


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the table. `name` is for the command line; `rivals`: how many servers they meet."""

    name: str
    title: str
    goal: Goal
    tune: tuple[Server, ...]
    report: tuple[Server, ...]
    seeds: int = 1
    rivals: int = 2


@dataclass(frozen=True)
class Case:
    """One batch against one server, under one seed. `with_rivals`: the others meet it as well."""

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
        """The wall clock at the start: another phase of the server's windows with each seed."""
        return T0 + self.seed * 7.31 % 600

    @property
    def test_ids(self) -> tuple[str, ...]:
        """One a trigger, in the order of the manifest."""
        tests = self.server.tests or self.count
        large = round(self.server.large * self.count)
        numbers = [0] * large + [number % tests for number in range(self.count - large)]
        return tuple(map(_test_id, sorted(numbers) if self.server.sorted else numbers))

    @property
    def window_s(self) -> float:
        """The longest window of its limits; 0 where there is none."""
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
        """What learning may cost a short batch."""
        return self.window_s or SLACK_TRIPS * self.config.latency.base_s


def _test_id(number: int) -> str:
    return str(UUID(int=(0x4000 << 64) + (0x8000 << 48) + number))


def cases_of(row: Row, which: str, *, seeds: int | None = None, quick: bool = False) -> list[Case]:
    """The cases of a row in the `tune` or the `report` set, whose seeds differ as well."""
    first_seed = 1 if which == "tune" else 4001
    servers = row.tune if which == "tune" else row.report
    count_max = 1_000 if quick else 1_000_000
    return [
        Case(
            row.name,
            server,
            first_seed + number * 10 + turn,
            min(server.count, count_max),
            with_rivals=number < row.rivals and turn == 0,
        )
        for number, server in enumerate(islice(servers, 1 if quick else None))
        for turn in range(1 if quick else seeds or row.seeds)
    ]
