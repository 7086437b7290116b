"""One seed makes a world: a manifest, a server with limits and faults, and what befalls us."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, Literal, get_args
from uuid import UUID

from bulk.batch.running import BatchSettings
from bulk.model import DeviceModel, Mode, OnInterrupt, Platform, Trigger

LIMITERS = (
    *("none",) * 4,
    "token-bucket 10/s burst 5",
    "token-bucket 40/s burst 3",
    "fixed-window 15/4s",
    "sliding-window 12/3s",
    "concurrency 3",
    "strict-spacing 20/s",
    "queue 20/s",
    "token-bucket 5/s burst 4 per-test",
)
HEADERS = ("none", "retry-after", "draft-current", "x-ratelimit-epoch")
LATENCIES = ("5ms", "40ms jitter 15ms", "200ms jitter 60ms", "900ms jitter 300ms")
# Each may strike; what a fault does is in the sandbox's docs. None of them makes a false claim.
FAULTS = (
    *("500", "500-queued", "502-queued", "503", "504", "504-queued"),
    *("reset-before", "reset-after", "hang", "hang-queued", "not-json", "no-run-id"),
    *("truncated", "endless-body", "drip", "not-http", "connect-refused", "connect-hang", "429"),
)


Command = Literal["resume", "last-failed", "reconcile-only", "report", "resend", "cancel"]


@dataclass(frozen=True, slots=True)
class Crash:
    """The process dies: after `writes` commits of entries, after `commits` of any kind, or after
    `after_s` seconds, whichever is given.

    `during`: in the midst of that commit; `torn` says how much of it reached the disk, from 0 to 1.
    The next process begins `gap_s` later, its wall clock stepped by `step_s`.
    """

    writes: int | None = None
    commits: int | None = None
    after_s: float | None = None
    during: bool = False
    torn: float = 0.0
    gap_s: float = 0.0
    step_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Sleep:
    """The machine sleeps, from `at_s` at the earliest, while time passes for everybody else.

    `counted`: our steady clock keeps running, as Windows has it; else it stops, as on Linux
    and macOS. `left`: requests in flight had reached the server before; else they leave on
    waking up. `cut`: by then the server has closed the connections, and the answers are lost.
    """

    at_s: float
    for_s: float
    counted: bool
    left: bool
    cut: bool


@dataclass(frozen=True, slots=True)
class World:
    """All that a seed decides.

    `commands` are those of the first processes; all others resume. `others` are the triggers of a
    second batch beside the first one, worked on in turns with it.
    """

    seed: int
    spec: str
    triggers: tuple[Trigger, ...]
    settings: BatchSettings
    crashes: tuple[Crash, ...]
    commands: tuple[Command, ...] = ()
    others: tuple[Trigger, ...] = ()
    skew_s: float = 0.0  # our wall clock against the server's, at the start
    steps: tuple[tuple[float, float], ...] = field(
        default=()
    )  # our clock is set: when, by how much
    interrupt_at_s: float | None = None
    sleep: Sleep | None = None


def make_world(seed: int) -> World:
    """The world of a seed; the same seed makes the same world.

    What was thought of later is drawn apart, so that worlds that once failed stay what they were.
    """
    rng = Random(f"world {seed}")
    faults = rng.sample(FAULTS, rng.choice((0, 1, 1, 2, 3)))
    spec = (
        f"{rng.choice(LIMITERS)}; headers {rng.choice(HEADERS)}; latency {rng.choice(LATENCIES)}"
        f"; seed {seed}"
    )
    if lag_s := Random(f"lag {seed}").choice((0, 0, 0, 1, 6)):
        spec += f"; runs listed {lag_s}s"
    for fault in faults:
        spec += f"; fault {fault} {rng.choice((3, 10, 25, 50))}%"
    triggers = tuple(_triggers(rng))
    return World(
        seed=seed,
        spec=spec,
        triggers=triggers,
        settings=BatchSettings(
            concurrency_max=rng.choice((1, 2, 4, 8, 32)),
            retries_max=rng.choice((2, 20, 20, 20)),
            answer_timeout_s=rng.choice((2.0, 10.0, 60.0)),
            connect_timeout_s=rng.choice((1.0, 10.0)),
            drain_timeout_s=rng.choice((0.2, 5.0)),
            on_interrupt=Random(f"on interrupt {seed}").choice(get_args(OnInterrupt)),
            **_budgets(Random(f"budgets {seed}")),
        ),
        crashes=tuple(_crash(rng) for _ in range(rng.choice((0, 1, 1, 2, 4)))),
        commands=tuple(_commands(Random(f"commands {seed}"))),
        others=tuple(_others(triggers, Random(f"second batch {seed}"))),
        skew_s=rng.choice((0.0, 0.0, 0.4, -3.0, 3_600.0, -86_400.0)),
        steps=tuple(
            (rng.uniform(0, 10), rng.choice((-3_600.0, -2.0, 0.7, 30.0, 3_600.0)))
            for _ in range(rng.choice((0, 0, 0, 1, 2)))
        ),
        interrupt_at_s=rng.uniform(0, 5) if rng.random() < 0.15 else None,
        sleep=_sleep(Random(f"asleep {seed}")),
    )


def _triggers(rng: Random) -> list[Trigger]:
    tests = rng.choice((1, 1, 2, 5, 12))
    cells: dict[str, Trigger] = {}
    for line in range(rng.choice((1, 3, 8, 15, 25, 40))):
        platform = rng.choice((None, *Platform))
        devices = (None, *DeviceModel) if platform is Platform.IOS else (None,)
        test = rng.randrange(tests)
        made = Trigger(
            test_id=str(UUID(int=(0x4000 << 64) + (0x8000 << 48) + test)),
            platform=platform,
            mode=rng.choice((None, *Mode)),
            device_model=rng.choice(devices),
            app_id=rng.choice((None, None, str(UUID(int=(4 << 76) + (8 << 60) + 7)))),
            repetition=rng.choice((1, 1, 2, 3)),
            name=f"test {test}",
            line=line + 2,
        )
        cells[made.key] = made
    return list(cells.values())


def _others(triggers: Sequence[Trigger], rng: Random) -> list[Trigger]:
    """What a second batch has in common with the first one."""
    if rng.random() >= 0.15:
        return []
    return [one for one in triggers if rng.random() < 0.7] or [triggers[0]]


def _commands(rng: Random) -> list[Command]:
    if rng.random() < 0.75:
        return []
    return rng.choices(get_args(Command), (6, 2, 2, 1, 1, 2), k=rng.randrange(1, 6))


def _budgets(rng: Random) -> dict[str, Any]:
    """A deadline, or the user's own word on the rate, in some worlds."""
    if rng.random() < 0.8:
        return {}
    if rng.random() < 0.5:
        return {"deadline_s": rng.choice((1.0, 5.0, 40.0))}
    return {"rate_per_s": rng.choice((2.0, 8.0, 30.0)), "burst": rng.choice((1, 3, 10))}


def _sleep(rng: Random) -> Sleep | None:
    if rng.random() < 0.75:
        return None
    return Sleep(
        at_s=rng.choice((rng.uniform(0, 3), rng.uniform(0, 60))),
        for_s=rng.choice((90.0, 3_600.0, 30_000.0)),
        counted=rng.random() < 0.3,
        left=rng.random() < 0.6,
        cut=rng.random() < 0.5,
    )


def _crash(rng: Random) -> Crash:
    by_writes = rng.random() < 0.7
    return Crash(
        writes=rng.randrange(60) if by_writes else None,
        after_s=None if by_writes else rng.expovariate(1 / 3),
        during=rng.random() < 0.4,
        torn=rng.random(),
        gap_s=rng.choice((0.0, 0.01, 5.0, 400.0, 40_000.0)),
        step_s=rng.choice((0.0, 0.0, 0.0, -3_600.0, 90.0)),
    )
