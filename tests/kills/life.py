"""One batch's life: real processes, killed, stopped, interrupted and cut off, until it is done.

Meanwhile the machine's clock is set, and the machine sleeps.
"""

from __future__ import annotations

import signal
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import trio

from tests.cli.terminal import ENVIRONMENT, KEY, listed_runs, rows, truth, write_manifest
from tests.kills.clocks import Clocks
from tests.kills.judge import problems
from tests.kills.looking import begun, reported_at, sessions, told_unfinished
from tests.kills.proxy import Proxy
from tests.launch import Request
from tests.processes import Process, clean_environment, launcher

LIMITS = (
    "none",
    "token-bucket 40/s burst 5; headers retry-after-fractional",
    "token-bucket 60/s burst 20; headers draft-current",
    "fixed-window 30/1s; headers x-ratelimit-epoch",
    "sliding-window 40/1s",
    "concurrency 4",
    "queue 60/s",
)
FAULTS = ("500", "500-queued", "503", "504-queued", "reset-before", "reset-after", "hang-queued")
# Short time-outs, so that an unknown trigger is settled within seconds.
PATIENCE = ("--timeout", "2s", "--connect-timeout", "2s", "--drain-timeout", "1s")
# What the user calls on the batch next, each with its weight.
COMMANDS = {"run": 4, "resume": 6, "resume --reconcile-only": 2, "resume --last-failed": 2}
COMMANDS |= {"resume --on-unknown report": 1, "cancel": 1, "report": 1}
ENDS = frozenset({0, 1, 4, 7, 11})  # of a process that was left alone
SIGNALLED = {signal.SIGINT: 130, signal.SIGTERM: 143}
AS_THE_BATCH = ENDS | frozenset(SIGNALLED.values())  # where there is nothing to do
LAST_TRIES = 4
MOMENTS_S = (0.0, 0.2, 5.0)  # a process reads and asks for a while before it sends
PROCESS_S_MAX = 240.0  # one that takes longer hangs
BEFALL = {"kill": 3, "stop and kill": 1, "stop": 1, "interrupt": 1}  # each with its weight
BEFALL |= {"set the clock": 1, "sleep": 1, "sleep and kill": 1}
SLEEPS_S = (90.0, 3_600.0, 8 * 3_600.0)
STEPS_S = (1.0, 30.0, 3_600.0, 86_400.0)  # forwards or back


@dataclass
class Life:
    """A round by its seed; `happened` counts what befell it, `broken` are broken promises.

    `left` says of each trigger that did not end as queued why.

    `mishaps`: how many there may be. `befall`: which, each with its weight. `short_waits`: see
    `tests.short_waits`.
    """

    seed: int
    folder: Path
    mishaps: range
    befall: Mapping[str, int] = field(default_factory=lambda: BEFALL)
    short_waits: bool = False
    happened: Counter[str] = field(default_factory=Counter)
    broken: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    unreported: bool = False  # the batch's last process was killed before its reports

    def __post_init__(self) -> None:
        self.rng = Random(f"kills {self.seed}")
        self.count = self.rng.randrange(30, 81)
        self.spec = f"{self.rng.choice(LIMITS)}; latency {self.rng.choice((5, 20, 60))}ms"
        for fault in self.rng.sample(FAULTS, self.rng.choice((0, 1, 2))):
            self.spec += f"; fault {fault} {self.rng.choice((2, 5, 10))}%"
        self.spec += f"; seed {self.seed}"
        self.manifest = write_manifest(self.folder / "m.csv", self.count)
        self.batch = self.folder / "reports" / "b"
        self.clocks = Clocks(self.folder / "clocks")
        self.server_clocks = Clocks(self.folder / "server-clocks")

    async def live(self) -> None:
        """Live it through, and judge."""
        sandbox = self._start(["sandbox", self.spec], self.server_clocks)
        assert sandbox.stdout is not None
        try:
            self.server = (await trio.to_thread.run_sync(sandbox.stdout.readline)).split()[1]
            self.proxy = proxy = Proxy(
                int(self.server.rpartition(":")[2]), self.rng, self.rng.choice((0.0, 0.1, 0.3))
            )
            async with trio.open_nursery() as nursery:
                self.url = f"http://127.0.0.1:{await nursery.start(proxy.serve)}"
                for _ in range(self.rng.choice(self.mishaps)):
                    await self._one_process(self._choose(COMMANDS), self._choose(self.befall))
                    await self._begin_no_other()
                proxy.share = 0.0
                await self._to_the_end()
                nursery.cancel_scope.cancel()
            self.happened.update(proxy.mishaps)
        finally:
            sandbox.terminate()
            with trio.CancelScope(shield=True):
                await sandbox.wait_in_trio()
            sandbox.communicate()

    def _choose(self, weights: Mapping[str, int]) -> str:
        return self.rng.choices(list(weights), list(weights.values()))[0]

    async def _to_the_end(self) -> None:
        code = -1
        for _ in range(LAST_TRIES):
            code = await self._one_process(self._choose({"run": 1, "resume": 2}), None)
            if code == 0:
                break
        truth = await self._truth()
        self.broken += problems(self.batch, self.manifest, truth, code, await self._cancelled())
        if await self._run(["report", "b"], None) != code:
            self.broken.append("report exits with another code than the batch")
        self.happened[f"exit {code}"] += 1
        if (self.batch / "report.csv").exists():
            left = [row for row in rows(self.batch) if row["outcome"] != "queued"]
            self.happened.update(f"{row['outcome']}: {row['failure_code']}" for row in left)
            self.left += [f"{row['outcome']}: {row['message']}" for row in left]
        self.happened["triggers"] += self.count

    async def _one_process(self, command: str, mishap: str | None) -> int:
        if command == "run" or not begun(self.batch):
            words = [str(self.manifest), "--base-url", self.url, "--batch", "b", *PATIENCE]
        else:
            name, *options = command.split()
            words = [name, "b", *options, *(PATIENCE if name != "report" else ())]
            self.happened[command] += 1
        only_tells = command in ("report", "resume --reconcile-only")
        begun_before, reported = sessions(self.batch), reported_at(self.batch)
        code = await self._run(words, mishap, AS_THE_BATCH if only_tells else ENDS)
        if code != -signal.SIGKILL:
            self.unreported = False
        elif sessions(self.batch) > begun_before and reported_at(self.batch) == reported:
            self.unreported = True
        return code

    async def _begin_no_other(self) -> None:
        """While the batch is unfinished, its manifest begins no second one, nor does an edited one
        that has some of what was sent.
        """
        if not begun(self.batch) or self.rng.random() < 0.7:
            return
        if not self.unreported:
            await self._run(["report", "b"], None, AS_THE_BATCH)
        if not (self.unreported or told_unfinished(self.batch)):
            return
        cancelled = await self._cancelled()  # what was cancelled may be sent by another batch
        truth = await self._truth()
        manifest, what = (
            self.manifest,
            "no second batch" + " beside an unreported one" * self.unreported,
        )
        sent = [run for run in truth["accepted"] if run["run_id"] not in cancelled]
        if sent and self.rng.random() < 0.5:
            last = max(int(run["test_id"][-12:]) for run in sent)
            manifest, what = (
                write_manifest(self.folder / "n.csv", self.count, last),
                "a manifest that shares no trigger",
            )
        await self._run([str(manifest), "--base-url", self.url], None, frozenset({2}))
        self.happened[what] += 1
        if await self._requests() != truth["counts"]["requests"]:
            self.broken.append("a second batch asked the server")

    async def _run(self, words: list[str], mishap: str | None, ends: frozenset[int] = ENDS) -> int:
        """Run a process to its end, whichever that is; its exit code."""
        expected = set(ends)
        with (self.folder / "said").open("w+") as said:
            process = self._start(words, self.clocks, stdout=said.fileno(), stderr=said.fileno())
            self.happened["processes"] += 1
            try:
                with trio.move_on_after(PROCESS_S_MAX) as patience:
                    if mishap is not None:
                        expected |= await self._befall(process, mishap)
                    await process.wait_in_trio()
            finally:
                process.kill()  # where it hangs, or another round failed
                with trio.CancelScope(shield=True):
                    await process.wait_in_trio()
            if patience.cancelled_caught:
                self.broken.append(f"{words} does not end")
            said.seek(0)
            text = said.read()
        code = process.returncode
        assert code is not None
        # Until our first line runs, a Ctrl-C ends the launcher's fork as it ends Python's start.
        ours = "Traceback" in text and (mishap != "interrupt" or "/bulk/" in text)
        if ours or KEY in text or code not in expected:
            self.broken.append(f"{words[0]} after {mishap}: exit {code}\n{text}")
        return code

    async def _befall(self, process: Process, mishap: str) -> set[int]:
        """What its exit code may be beside the usual ones."""
        await self._wait_for_a_moment(process)
        if process.poll() is not None:
            return set()
        if mishap.startswith("stop"):
            self.happened["stop"] += 1
            process.send_signal(signal.SIGSTOP)
            await trio.sleep(self.rng.uniform(0.1, 3.0))
            if mishap == "stop" or self.rng.random() < 0.5:
                process.send_signal(signal.SIGCONT)
                await trio.sleep(self.rng.uniform(0.0, 0.2))
        if mishap == "set the clock":
            self.happened[mishap] += 1
            self.clocks.set_by(self.rng.choice(STEPS_S) * self.rng.choice((-1, 1)))
        if mishap.startswith("sleep"):
            await self._sleep(process)
            await trio.sleep(self.rng.choice((0.0, 1.0)) * self.rng.random())
        if "kill" in mishap:
            self.happened["kill"] += process.poll() is None
            process.kill()
            return {-signal.SIGKILL}
        if mishap == "interrupt":
            self.happened["interrupt"] += 1
            number = self.rng.choice(list(SIGNALLED))
            for _ in range(self.rng.choice((1, 1, 2))):
                process.send_signal(number)
                await trio.sleep(self.rng.uniform(0.0, 0.3))
            return {SIGNALLED[number], -number}  # before Python is up, the signal itself
        return set()

    async def _sleep(self, process: Process) -> None:
        """The machine sleeps: its processes stop, and time passes for the server."""
        self.happened["sleep"] += 1
        slept_s = self.rng.choice(SLEEPS_S)
        process.send_signal(signal.SIGSTOP)
        began = trio.current_time()
        await trio.sleep(self.rng.uniform(0.1, 1.0))  # its last requests arrive, most are answered
        if self.rng.random() < 0.5:  # else the other end has kept the connections, and answers
            self.proxy.cut_all()
        stopped_s = trio.current_time() - began
        self.server_clocks.pass_by(slept_s - stopped_s)
        self.clocks.wake(slept_s, stopped_s)
        process.send_signal(signal.SIGCONT)

    async def _wait_for_a_moment(self, process: Process) -> None:
        """A random one: by the clock, as the journal is opened, or after some more requests."""
        kind = self.rng.choice(("clock", "clock", "opening", "requests", "requests"))
        if kind == "clock":
            with trio.move_on_after(self.rng.choice(MOMENTS_S) + self.rng.uniform(0, 1.5)):
                await process.wait_in_trio()
            return
        if kind == "opening":
            log = self.batch / "data" / "journal.sqlite-wal"
            for _ in range(10_000):
                if process.poll() is not None or log.exists():
                    break
                await trio.sleep(0.001)
            await trio.sleep(self.rng.choice((0.0, 0.02)) * self.rng.random())
            return
        wanted = (await self._requests()) + self.rng.randrange(1, self.count)
        for _ in range(200):
            if await self._requests() >= wanted:
                break
            await trio.sleep(0.02)

    async def _requests(self) -> int:
        return int((await self._truth(summary=True))["counts"]["requests"])

    async def _cancelled(self) -> set[str]:
        """The runs that were cancelled, as the server has it."""
        runs = await trio.to_thread.run_sync(lambda: listed_runs(self.server))
        return {run["id"] for run in runs if run["status"] == "cancelled"}

    async def _truth(self, *, summary: bool = False) -> Mapping[str, Any]:
        return await trio.to_thread.run_sync(lambda: truth(self.server, summary=summary))

    def _start(self, words: list[str], clocks: Clocks, **streams: int) -> Process:
        request = Request(
            words,
            str(self.folder),
            clean_environment(ENVIRONMENT),
            shifts=str(clocks.path),
            short_waits=self.short_waits,
        )
        return launcher(shifted=True).start(request, **streams)
