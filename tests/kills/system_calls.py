"""Kills real processes at each system call of a batch in turn, and fills the disk at each.

`mortal.c` says which calls these are and does the killing, so this is for machines with a C
compiler and a loader that knows LD_PRELOAD. One process meets its fate at its nth call; a second
one, which takes the batch up, is killed at a call that a seed draws; the third ends it.

    python -m tests.kills.system_calls
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from random import Random

from tests.cli.terminal import ENVIRONMENT, KEY, sandbox, truth, write_manifest
from tests.kills.judge import problems
from tests.launch import Request
from tests.processes import clean_environment, launcher
from tests.soak_summary import print_summary

SOURCE = Path(__file__).with_name("mortal.c")
CELLS = 6
SPEC = "none; latency 5ms"
# Unknown triggers stay unknown: resolving them would take a minute for each moment.
WORDS = ("--batch", "b", "--on-unknown", "report", "--max-concurrency", "4")
DIES, FULL = "DIES_AT", "FULL_AT"  # as mortal.c reads them
# Exit codes: all queued, or some of them unknown; beside these, by a process's fate.
ENDS = {0, 7}
FATAL = {DIES: -signal.SIGKILL, FULL: 8}
AT_ONCE = 4
PROCESS_S_MAX = 120.0


def build(folder: Path) -> Path | None:
    """What makes processes mortal, built; None where it cannot be, or does not work."""
    built = folder / "mortal.so"
    compiler = shutil.which("cc")
    if compiler is None:
        return None
    words = [compiler, "-shared", "-fPIC", "-O2", "-o", str(built), str(SOURCE), "-ldl"]
    made = subprocess.run(words, capture_output=True)
    trial = [sys.executable, "-c", "import os; os.unlink('nothing')"]
    environment = {**os.environ, "LD_PRELOAD": str(built), DIES: "1"}
    if made.returncode or subprocess.run(trial, env=environment).returncode != -signal.SIGKILL:
        return None
    return built


class Place:
    """One sandbox, in a process of its own, and cells of its own for each batch."""

    def __init__(self, folder: Path, base_url: str, mortal: Path) -> None:
        self._folder = folder
        self._base_url = base_url
        self._mortal = mortal

    def count_calls(self) -> int:
        """How many a process makes that works a batch off undisturbed."""
        counted = self._folder / "counted"
        self._process(0, {"COUNTED": str(counted)})
        return int(counted.read_text("utf-8"))

    def live_through(self, number: int, *fates: tuple[str, int]) -> tuple[Counter[str], list[str]]:
        """One batch, each process with a fate at its nth call: those met, and what was broken."""
        met: Counter[str] = Counter()
        broken = []
        for fate, nth in fates:
            code, said = self._process(number, {fate: str(nth)})
            met[fate] += code == FATAL[fate]
            broken += self._complaints(number, code, said, ENDS | {FATAL[fate]})
        code, said = self._process(number, {})
        broken += self._complaints(number, code, said, ENDS)
        manifest = self._manifest(number)
        mine = {line.partition(",")[0] for line in manifest.read_text("utf-8").splitlines()}
        accepted = [run for run in truth(self._base_url)["accepted"] if run["test_id"] in mine]
        batch = manifest.parent / "reports" / "b"
        return met, broken + problems(batch, manifest, {"accepted": accepted}, code)

    def _process(self, number: int, environment: Mapping[str, str]) -> tuple[int, str]:
        manifest = self._manifest(number)
        if not manifest.exists():
            manifest.parent.mkdir()
            write_manifest(manifest, CELLS, number * CELLS)
        run = (manifest, "--base-url", self._base_url, *WORDS)
        process = launcher(preload=str(self._mortal)).start(
            Request(
                [*map(str, run)],
                str(manifest.parent),
                clean_environment({**ENVIRONMENT, **environment}),
            )
        )
        try:
            out, err = process.communicate(timeout=PROCESS_S_MAX)
        finally:
            process.kill()
        return process.wait(), out + err

    def _complaints(self, number: int, code: int, said: str, expected: set[int]) -> list[str]:
        folder = self._manifest(number).parent
        named = re.findall(r"^(?:Report|Table) +(.+)$", said, re.MULTILINE)
        fine = code in expected and "Traceback" not in said and KEY not in said
        fine &= all((folder / name).exists() for name in named)
        return [] if fine else [f"exit {code}: {said}"]

    def _manifest(self, number: int) -> Path:
        return self._folder / str(number) / "m.csv"


def soak(
    place: Place, firsts: Sequence[tuple[str, int]], rng: Random, calls: int
) -> tuple[Counter[str], dict[str, list[str]]]:
    """Each fate of `firsts`, then a death at any of so many calls: counts, and broken promises."""
    happened: Counter[str] = Counter()
    broken: dict[str, list[str]] = {}
    seconds = [(DIES, rng.randint(1, calls)) for _ in firsts]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        ends = pool.map(place.live_through, count(1), firsts, seconds)
        for first, second, (met, found) in zip(firsts, seconds, ends, strict=True):
            happened["batches"] += 1
            happened.update(met)
            if found:
                broken[f"{first}, then {second}"] = found
            if happened["batches"] % 50 == 0:
                sys.stdout.write(f"{happened['batches']} of {len(firsts)} batches are over\n")
                sys.stdout.flush()
    return happened, broken


def main() -> int:
    """0 where all went well, or nothing could be done."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0, help="draws the second moments")
    given = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder, sandbox(SPEC) as base_url:
        mortal = build(Path(folder))
        if mortal is None:
            sys.stdout.write("no C compiler, or no LD_PRELOAD: nothing was killed\n")
            return 0
        place = Place(Path(folder), base_url, mortal)
        calls = place.count_calls()
        rng = Random(f"system calls {given.seed}")
        firsts = [(fate, nth) for fate in FATAL for nth in range(1, calls + 1)]
        happened, broken = soak(place, firsts, rng, calls)
    for moments, found in broken.items():
        sys.stdout.write(f"{moments}: {found}\n")
    return print_summary(f"seed {given.seed}, {time.monotonic() - began:.0f} s", happened, broken)


if __name__ == "__main__":
    sys.exit(main())
