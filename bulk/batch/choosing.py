"""Which batch to work on: names and makes a new one, and tells whether two are the same.

Asks nobody, prints nothing and sends nothing.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Collection
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from bulk import __version__
from bulk.batch.folder import (
    BatchFolder,
    check_name,
    new_name,
    note_latest,
)
from bulk.batch.other_batches import (
    batches_in,
    next_number,
    refuse_newcomers,
    same_api,
)
from bulk.batch.running import BatchSettings
from bulk.errors import OptionError
from bulk.journal import Journal, NewBatch
from bulk.journal.begin_lock import begin_lock
from bulk.manifest import Manifest


def folder_for(
    manifest: Manifest, output: Path, name: str | None, *, simulated: bool = False
) -> BatchFolder:
    """The folder of the batch of that name, or of a new one. Raises OptionError for a bad name."""
    if name is not None:
        return BatchFolder(output / check_name(name))
    about = f"simulated-{manifest.name}" if simulated else manifest.name
    return BatchFolder(output / new_name(about, time.time(), secrets.token_hex(2)))


def create(
    folder: BatchFolder,
    manifest: Manifest,
    base_url: str,
    settings: BatchSettings,
    sandbox_spec: str | None,
    *,
    known: Collection[BatchFolder] | None = None,
    simulated: bool = False,
) -> Journal:
    """A new batch in its folder, open; nothing is left behind where that fails.

    Raises OptionError where a batch has triggers of ours and is not among those `known`, unless
    that is None: so of two processes that begin such batches at the same moment one does.
    """
    assert sandbox_spec is not None or not simulated
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
    try:
        with begin_lock(folder.path.parent):
            if known is not None:
                newcomers = set(batches_in(folder.path.parent)).difference(known, [folder])
                refuse_newcomers(newcomers, manifest, base_url)
            born = replace(born, number=next_number(folder.path.parent))
            journal = Journal.create(folder.journal, born, manifest.triggers())
            note_latest(folder)
            return journal
    except BaseException:
        folder.unmake()
        raise


def discard(folder: BatchFolder) -> None:
    """Remove a simulated batch that was cut short, and its folder if nothing else is in it.

    Its journal has to be closed. Half a simulation tells nothing.
    """
    for end in ("", "-wal", "-shm"):
        with suppress(OSError):
            folder.journal.with_name(folder.journal.name + end).unlink(missing_ok=True)
    folder.unmake()


def check_same(name: str, born: NewBatch, manifest: Manifest, base_url: str | None) -> None:
    """Raise OptionError unless a batch consists of this manifest's triggers, at the same API.

    `name` is what its folder is called by now. `base_url` None stands for an embedded sandbox. A
    simulated batch is like no other.
    """
    if born.simulated:
        raise OptionError(
            f"batch {name} is a simulation, which sent nothing; give this one another --batch name"
        )
    if born.fingerprint != manifest.fingerprint:
        raise OptionError(
            f"batch {name} consists of other triggers than {manifest.path} with these "
            "options does; give this one another --batch name"
        )
    if born.sandbox is None and base_url is not None and same_api(born.base_url, base_url):
        return
    if born.sandbox is None or base_url is not None:
        place = born.base_url if born.sandbox is None else "an embedded sandbox"
        raise OptionError(f"batch {name} was begun at {place}; give this one another --batch name")
