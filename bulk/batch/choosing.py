"""Decides which batch to run: an existing one to continue, or a new one; creates new ones.

The decision is a value, on which the CLI and the Python API each act in their own way. This module
neither prints nor prompts, and sends nothing.
"""

from __future__ import annotations

import secrets
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from bulk import __version__
from bulk.batch.batch_runner import to_reconcile
from bulk.batch.folder import BatchFolder, check_name, new_name, newest_batches, note_latest
from bulk.batch.manifest_copy import keep
from bulk.batch.other_batches import (
    UnfinishedBatch,
    check_newcomers,
    find_unfinished,
    next_number,
    same_api,
)
from bulk.batch.running import BatchSettings
from bulk.errors import OptionError
from bulk.http.address import is_loopback
from bulk.journal import Journal, NewBatch
from bulk.journal.begin_lock import begin_lock
from bulk.journal.tally import Tally
from bulk.manifest import Manifest
from bulk.model import OnUnknown


@dataclass(frozen=True, slots=True)
class RemainingWork:
    """What a batch still needs: triggers to send, and unknown ones to reconcile."""

    to_send: int
    to_reconcile: int

    def __bool__(self) -> bool:
        """Whether anything remains."""
        return self.to_send + self.to_reconcile > 0


def remaining_work(
    tally: Tally,
    on_unknown: OnUnknown,
    *,
    failed_again: bool = False,
    reconcile_only: bool = False,
) -> RemainingWork:
    """What a batch still needs; the options mean what they mean in `BatchSettings`."""
    to_send = tally.left + (tally.declined if failed_again else 0)
    return RemainingWork(0 if reconcile_only else to_send, to_reconcile(tally, on_unknown))


@dataclass(frozen=True, slots=True)
class NewBatchChoice:
    """Create a batch in this folder; see `create`.

    `known` are the batches that were considered. None: others with the same triggers do not matter.
    """

    folder: BatchFolder
    known: tuple[BatchFolder, ...] | None = None


@dataclass(frozen=True, slots=True)
class ContinueBatch:
    """The batch exists, has the same triggers, and needs this."""

    folder: BatchFolder
    remaining: RemainingWork


@dataclass(frozen=True, slots=True)
class FinishedBatch:
    """The batch exists, has the same triggers, and needs nothing but its reports."""

    folder: BatchFolder


@dataclass(frozen=True, slots=True)
class UnfinishedFound:
    """Another batch is unfinished and has sent some of the same triggers: the user must decide.

    `new` is the choice to create a new batch all the same.
    """

    unfinished: UnfinishedBatch
    new: NewBatchChoice


BatchChoice = NewBatchChoice | ContinueBatch | FinishedBatch | UnfinishedFound


def folder_for(
    manifest: Manifest, output: Path, name: str | None, *, simulated: bool = False
) -> BatchFolder:
    """The folder of the batch of that name, or of a new one. Raises OptionError for a bad name."""
    if name is not None:
        return BatchFolder(output / check_name(name))
    about = f"simulated-{manifest.name}" if simulated else manifest.name
    return BatchFolder(output / new_name(about, time.time(), secrets.token_hex(2)))


def choose(
    folder: BatchFolder,
    manifest: Manifest,
    base_url: str | None,
    on_unknown: OnUnknown,
    *,
    new: bool = False,
) -> BatchChoice:
    """Decide what to do with a manifest whose batch is, or would be, in `folder`.

    `base_url` is None for an embedded sandbox. `new`: create a batch even if an unfinished one has
    sent some of the same triggers.
    Raises OptionError if the batch in the folder is another one, if it exists although a new one
    is wanted, or if the manifest cannot run at that address; StorageError if a journal that matters
    cannot be read.
    """
    if folder.exists and new:
        raise OptionError(
            f"--new: batch {folder.name} exists already; choose another --batch name, or leave out "
            "--new to continue it"
        )
    if folder.exists:
        with Journal.open(folder.journal) as journal:
            check_same(folder.name, journal.batch, manifest, base_url)
            remaining = remaining_work(journal.tally(), on_unknown)
        return ContinueBatch(folder, remaining) if remaining else FinishedBatch(folder)
    if base_url is None:
        return NewBatchChoice(folder)
    if manifest.sample and not is_loopback(base_url):
        raise OptionError(
            f"{manifest.title} is one of our samples: its test ids exist only in the sandbox. "
            "Put your own test ids into it, or run it against a sandbox"
        )
    if new:
        return NewBatchChoice(folder)
    known = tuple(newest_batches(folder.path.parent))
    choice = NewBatchChoice(folder, known)
    unfinished = find_unfinished(manifest, known, base_url)
    return choice if unfinished is None else UnfinishedFound(unfinished, choice)


def check_same(name: str, born: NewBatch, manifest: Manifest, base_url: str | None) -> None:
    """Raise OptionError unless a batch consists of this manifest's triggers, at the same API.

    `name` is the current name of its folder. `base_url` is None for an embedded sandbox. A
    simulated batch is never the same.
    """
    if born.simulated:
        raise OptionError(
            f"batch {name} is a simulation, which sent nothing; choose another --batch name"
        )
    if born.fingerprint != manifest.fingerprint:
        raise OptionError(
            f"batch {name} has other triggers than {manifest.title} with these options; "
            "choose another --batch name"
        )
    if born.sandbox is None and base_url is not None and same_api(born.base_url, base_url):
        return
    if born.sandbox is None or base_url is not None:
        place = born.base_url if born.sandbox is None else "an embedded sandbox"
        raise OptionError(f"batch {name} was run at {place}; choose another --batch name")


def create(
    choice: NewBatchChoice,
    manifest: Manifest,
    base_url: str,
    settings: BatchSettings,
    sandbox_spec: str | None,
    *,
    simulated: bool = False,
) -> Journal:
    """Create the batch and return its journal, open. If that fails, nothing is left behind.

    Raises OptionError if a batch that was not known when this one was chosen has some of the same
    triggers. So of two processes that start at the same moment only one creates its batch.
    """
    assert sandbox_spec is not None or not simulated
    folder = choice.folder
    simulation = (("--simulate", str(sandbox_spec)),) if simulated else ()
    folder.make()
    born = NewBatch(
        name=folder.name,
        manifest=str(manifest.path),
        base_url=base_url,
        created_at=time.time(),
        version=__version__,
        fingerprint=manifest.fingerprint,
        sandbox=sandbox_spec,
        simulated=simulated,
        settings=(*simulation, *settings.describe()),
        notes=manifest.notes,
        own_columns=manifest.own_columns,
    )
    output = folder.path.parent
    try:
        born = replace(born, manifest=str(keep(manifest, folder)))
        with begin_lock(output):
            if choice.known is not None:
                newcomers = set(newest_batches(output)).difference(choice.known, [folder])
                check_newcomers(newcomers, manifest, base_url)
            born = replace(born, number=next_number(output))
            journal = Journal.create(folder.journal, born, manifest.triggers())
            note_latest(folder)
            return journal
    except BaseException:
        folder.unmake()
        raise


def discard(folder: BatchFolder) -> None:
    """Remove a simulated batch that was interrupted, and its folder if nothing else is in it.

    Its journal must be closed. Half a simulation is of no use.
    """
    for end in ("", "-wal", "-shm"):
        with suppress(OSError):
            folder.journal.with_name(folder.journal.name + end).unlink(missing_ok=True)
    folder.unmake()
