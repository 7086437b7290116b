"""What `run --simulate` does: runs a batch of its own in virtual time, without key and address.

The batch is marked as simulated when it is created, and is never continued.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import click

from bulk.batch import choosing
from bulk.batch.folder import BatchFolder
from bulk.batch.running import BatchSettings, run_batch
from bulk.batch.virtual import BASE_URL, run_virtually
from bulk.cli import signals
from bulk.cli.embedded_sandbox import parse_sandbox, without_keys
from bulk.cli.finish import finish
from bulk.cli.options import RunOptions
from bulk.cli.phrases import expansion_line
from bulk.cli.runner import batch_settings
from bulk.errors import OptionError, StorageError
from bulk.journal import Journal
from bulk.journal.tally import Tally
from bulk.model import StopCode
from bulk.pacing import PaceView
from bulk.report.summary import span
from bulk.sandbox import Sandbox, SandboxConfig

if TYPE_CHECKING:
    from bulk.manifest import Manifest

LATENCY = "60ms jitter 15ms"  # the default sandbox's; with none, no limit would be reached
PROGRESS_TRIGGERS_MIN = 20_000  # fewer take less than half a minute
PROGRESS_INTERVAL_S = 0.25


def simulate(manifest: Manifest, options: RunOptions) -> int:
    """Simulate the batch and write its reports; the exit code. Raises BulkError, click.Abort."""
    config, notes = _model(options.simulate or "")
    folder = choosing.folder_for(manifest, options.output, options.batch, simulated=True)
    if folder.exists:
        raise OptionError(
            f"batch {folder.name} exists already, and a simulation is always a new batch; "
            "choose another --batch name"
        )
    spec = without_keys(config).describe()
    notes = [*notes, *(f"note: {note}" for note in manifest.notes), expansion_line(manifest)]
    if not options.quiet:
        for line in (f"SIMULATION {spec} (nothing is sent)", *notes):
            click.echo(line, err=True)
    settings = batch_settings(options)
    choice = choosing.NewBatchChoice(folder)
    create = partial(choosing.create, choice, manifest, BASE_URL, settings, spec, simulated=True)
    progress = None
    if manifest.count > PROGRESS_TRIGGERS_MIN and sys.stderr.isatty() and not options.quiet:
        progress = SimulatedProgress()
    with _run_batch(create, folder, config, settings, progress) as journal:
        return finish(journal, folder, time.time(), as_json=options.as_json)


def _model(spec: str) -> tuple[SandboxConfig, list[str]]:
    """What a spec describes, and notes on what it leaves open."""
    config = parse_sandbox(spec, "--simulate")
    # The base URL is found before the first trigger and takes none of the time.
    config = replace(config, base="both")
    if any(clause.split()[:1] == ["latency"] for clause in spec.split(";")):
        return config, []
    assumed = parse_sandbox(f"none; latency {LATENCY}").latency
    return replace(config, latency=assumed), [f"note: no latency is given; {LATENCY} is assumed"]


def _run_batch(
    create: Callable[[], Journal],
    folder: BatchFolder,
    config: SandboxConfig,
    settings: BatchSettings,
    progress: SimulatedProgress | None,
) -> Journal:
    """Create the batch and run it. If that is interrupted or fails, the batch is removed."""
    journal: Journal | None = None
    # A whole second: a fraction would show in rounded headers and make every run different.
    t0_unix_s = float(math.ceil(time.time()))
    interrupted = False
    try:
        try:
            with signals.held():
                journal = create()
            done = run_virtually(
                run_batch,
                journal,
                Sandbox(config, start_unix_s=t0_unix_s),
                settings,
                t0_unix_s=t0_unix_s,
                seed=config.seed,
                progress=progress,
            )
            if done.end.stop is StopCode.STORAGE:
                raise StorageError(done.end.stop_detail)
        except* KeyboardInterrupt:
            interrupted = True
        if interrupted:
            raise click.Abort
        assert journal is not None
        return journal
    except BaseException:
        if journal is not None:
            journal.abandon()
            choosing.discard(folder)
        raise
    finally:
        if progress is not None:
            progress.close()


class SimulatedProgress:
    """The progress of a long simulation: one line on a terminal, redrawn in real time."""

    def __init__(self) -> None:
        self._next_at = 0.0
        self._shown = False

    def show(self, tally: Tally, view: PaceView, now: float) -> None:
        """See `bulk.dispatch.ProgressLine`; `now` is virtual."""
        if time.monotonic() >= self._next_at:
            self._next_at = time.monotonic() + PROGRESS_INTERVAL_S
            self._shown = True
            line = f"{tally.done:,}/{tally.total:,} simulated, {span(now)} of virtual time"
            click.echo(f"\r{line:<60}", nl=False, err=True)

    def say(self, line: str) -> None:
        """See `bulk.dispatch.ProgressLine`. Nothing: the result of a simulation says it all."""

    def close(self) -> None:
        """Leave the line as it is and begin a new one."""
        if self._shown:
            click.echo(err=True)
