"""Carries out `run --simulate`: a batch of its own, in virtual time; knows no key and no address.

The batch is marked as simulated from its birth on, and is never continued.
"""

from __future__ import annotations

import math
import sys
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from bulk.batch import choosing as batch
from bulk.batch.folder import BatchFolder
from bulk.batch.running import BatchSettings, run_batch
from bulk.batch.virtual import BASE_URL, run_virtually
from bulk.cli.choose_batch import parse_sandbox
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

LATENCY = "60ms jitter 15ms"  # the default sandbox's; without any, no limit would be felt in time
SHOWN_FROM = 20_000  # fewer triggers take less than half a minute
SHOWN_EVERY_S = 0.25


def simulate(manifest: Manifest, options: RunOptions) -> int:
    """Simulate the batch and write its reports; the exit code. Raises BulkError, click.Abort."""
    config, notes = _model(options.simulate or "")
    folder = batch.folder_for(manifest, options.output, options.batch, simulated=True)
    if folder.exists:
        raise OptionError(
            f"batch {folder.name} exists already, and a simulation is always a new one; "
            "give it another --batch name"
        )
    spec = _shown(config)
    notes = [*notes, *(f"note: {note}" for note in manifest.notes), expansion_line(manifest)]
    if not options.quiet:
        for line in (f"SIMULATION {spec} (nothing is sent)", *notes):
            click.echo(line, err=True)
    settings = batch_settings(options)
    journal = batch.create(folder, manifest, BASE_URL, settings, spec, simulated=True)
    progress = None
    if manifest.count > SHOWN_FROM and sys.stderr.isatty() and not options.quiet:
        progress = _Counter()
    _run_batch(journal, folder, config, settings, progress)
    with journal:
        return finish(journal, folder, time.time(), as_json=options.as_json)


def _model(spec: str) -> tuple[SandboxConfig, list[str]]:
    """What a spec describes, and what was assumed where it is silent."""
    config = parse_sandbox(spec, "--simulate")
    # Where the API lies is found out before the first trigger and takes no part in the time.
    config = replace(config, base="both")
    if any(clause.split()[:1] == ["latency"] for clause in spec.split(";")):
        return config, []
    assumed = parse_sandbox(f"none; latency {LATENCY}").latency
    return replace(config, latency=assumed), [f"note: no latency is given; {LATENCY} is assumed"]


def _shown(config: SandboxConfig) -> str:
    """The spec in its own words; a real key handed in by mistake must not end up in a report."""
    return replace(
        config,
        key="***" if config.key else None,
        reject_key="***" if config.reject_key else None,
    ).describe()


def _run_batch(
    journal: Journal,
    folder: BatchFolder,
    config: SandboxConfig,
    settings: BatchSettings,
    progress: _Counter | None,
) -> None:
    """Run the batch; where that is cut short, nothing is left of it."""
    # A whole second: fractions of it would show in rounded headers, no two runs would be alike.
    epoch_s = float(math.ceil(time.time()))
    interrupted = False
    try:
        try:
            done = run_virtually(
                run_batch,
                journal,
                Sandbox(config, epoch_s=epoch_s),
                settings,
                t0_unix_s=epoch_s,
                seed=config.seed,
                progress=progress,
            )
            if done.end.stop is StopCode.STORAGE:
                raise StorageError(done.end.stop_detail)
        except* KeyboardInterrupt:
            interrupted = True
        if interrupted:
            raise click.Abort
    except BaseException:
        journal.abandon()
        batch.discard(folder)
        raise
    finally:
        if progress is not None:
            progress.close()


class _Counter:
    """How far a long simulation is: one line on a terminal, redrawn in real time."""

    def __init__(self) -> None:
        self._next_at = 0.0
        self._shown = False

    def show(self, tally: Tally, view: PaceView, now: float) -> None:
        """See `bulk.dispatch.ProgressLine`; `now` is virtual."""
        if time.monotonic() >= self._next_at:
            self._next_at = time.monotonic() + SHOWN_EVERY_S
            self._shown = True
            line = f"{tally.done:,}/{tally.total:,} simulated, {span(now)} of virtual time"
            click.echo(f"\r{line:<60}", nl=False, err=True)

    def say(self, line: str) -> None:
        """See `bulk.dispatch.ProgressLine`: of a simulation, the end says it all."""

    def close(self) -> None:
        """Leave the line and go to the next."""
        if self._shown:
            click.echo(err=True)
