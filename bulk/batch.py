"""Which batch to work on: makes a new one, finds an unfinished one, tells whether two are the same.

Asks nobody, prints nothing and sends nothing.
"""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from bulk import __version__
from bulk.errors import DamagedError, OptionError, StorageError
from bulk.folder import BatchFolder, check_name, new_name, newest, note_latest
from bulk.job import JobSettings
from bulk.journal import (
    BatchInUseError,
    Claims,
    Journal,
    NewBatch,
    born_of,
    claims_of,
    in_turn,
    keys_of,
)
from bulk.manifest import Manifest
from bulk.tally import Tally

LOOKED_AT_MAX = 100  # a peek takes a millisecond; older batches are forgotten


def folder_for(
    manifest: Manifest, output: Path, name: str | None, *, simulated: bool = False
) -> BatchFolder:
    """The folder of the batch of that name, or of a new one. Raises OptionError for a bad name."""
    if name is not None:
        return BatchFolder(output / check_name(name))
    about = f"simulated-{manifest.name}" if simulated else manifest.name
    return BatchFolder(output / new_name(about, time.time(), secrets.token_hex(2)))


def claims_elsewhere(folder: BatchFolder, since: float) -> Claims:
    """What the other batches beside this one claim of the runs made from wall time `since` on.

    Those of other APIs and of embedded sandboxes claim nothing, as far as that can be read.
    """
    ours = born_of(folder.journal)
    claims = Claims()
    for other in newest(folder.path.parent, LOOKED_AT_MAX):
        if other.name == folder.name:
            continue
        born = born_of(other.journal)
        if born is not None and (
            born.sandbox is not None
            or (ours is not None and not _same_api(born.base_url, ours.base_url))
        ):
            continue
        claims |= claims_of(other.journal, since)
    return claims


def beside(output: Path) -> list[BatchFolder]:
    """The batches that are looked at before another one is begun, newest first."""
    return newest(output, LOOKED_AT_MAX)


def alike(manifest: Manifest, batches: Iterable[BatchFolder], base_url: str) -> list[BatchFolder]:
    """Those batches that are of the same triggers at the same API.

    Those that are damaged beyond telling count, for they may be such. Another user's, which may not
    be read, do not; nor do those of embedded sandboxes, simulated or not, which vanish with their
    process.
    """

    def is_alike(folder: BatchFolder) -> bool:
        born = born_of(folder.journal)
        if born is None:
            return os.access(folder.journal, os.R_OK)
        return born.fingerprint == manifest.fingerprint and _in_the_way(born, base_url)

    return [folder for folder in batches if is_alike(folder)]


@dataclass(frozen=True, slots=True)
class Overlap:
    """An unfinished batch of other triggers that has sent `shared` of ours; `at_work`: that another
    process works on right now, of which that many are ours.
    """

    folder: BatchFolder
    shared: int
    at_work: bool = False


def overlap(manifest: Manifest, batches: Iterable[BatchFolder], base_url: str) -> Overlap | None:
    """The newest such one of batches, as where a manifest was edited after an interrupt.

    A trigger counts where it was sent last: what a newer batch has sent, which is finished, was
    sent once more on purpose. Raises DamagedError where one that has some of them is damaged.
    """
    dated = [
        (born.created_at, folder.name, folder)
        for folder in batches
        if (born := born_of(folder.journal)) and _in_the_way(born, base_url)
    ]
    ours = {trigger.key for trigger in manifest.triggers()} if dated else set()
    for *_, folder in sorted(dated, reverse=True):
        shared = ours & (keys_of(folder.journal) or set())
        if not shared:
            continue
        try:
            with Journal.open(folder.journal) as journal:
                shared &= journal.sent_keys()
                if shared and _is_unfinished(journal, Tally.of(journal.counts())):
                    return Overlap(folder, len(shared))
        except BatchInUseError:
            return Overlap(folder, len(shared), at_work=True)
        except DamagedError:
            raise
        except StorageError:  # one that is kept from being written to is not gone on with
            continue
        ours -= shared
    return None


def _in_the_way(born: NewBatch, base_url: str) -> bool:
    """Whether a batch sends to that API, and not to a sandbox that vanishes with its process."""
    return born.sandbox is None and _same_api(born.base_url, base_url)


def _is_unfinished(journal: Journal, tally: Tally) -> bool:
    """Whether something is left to send, a process was cut short before it could find out what
    became of the unknown ones, and none has found out since, or one was killed before its reports.
    """
    return bool(tally.left or (tally.unknown and journal.left_unasked()) or not journal.reported())


def unfinished(batches: Iterable[BatchFolder]) -> tuple[BatchFolder, Tally] | None:
    """The first unfinished one of batches of the same triggers, and how far it has come.

    Raises OptionError where one is being worked on right now, StorageError where one is damaged.
    """
    for folder in batches:
        try:
            with Journal.open(folder.journal) as journal:
                tally = Tally.of(journal.counts())
                if _is_unfinished(journal, tally):
                    return folder, tally
        except BatchInUseError as error:
            raise OptionError(
                f"batch {folder.name} triggers the same tests right now, in another process. "
                "Wait for it, or start another batch of them with --new"
            ) from error
    return None


def create(
    folder: BatchFolder,
    manifest: Manifest,
    base_url: str,
    settings: JobSettings,
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
        settings=(*simulation, *settings.in_words()),
        notes=manifest.notes,
        own_columns=manifest.own_columns,
    )
    try:
        with in_turn(folder.path.parent):
            if known is not None:
                others = set(beside(folder.path.parent)).difference(known, [folder])
                _refuse_beside(others, manifest, base_url)
            journal = Journal.create(folder.journal, born, manifest.triggers())
            note_latest(folder)
            return journal
    except BaseException:
        folder.unmake()
        raise


def _refuse_beside(others: Collection[BatchFolder], manifest: Manifest, base_url: str) -> None:
    ours = {trigger.key for trigger in manifest.triggers()} if others else set()
    same = alike(manifest, others, base_url)
    for other in others:
        born = born_of(other.journal)
        shares = born and _in_the_way(born, base_url) and ours & (keys_of(other.journal) or set())
        if shares or other in same:
            raise OptionError(
                f"batch {other.name} of the same triggers was begun by another process meanwhile; "
                "this one sent nothing. Wait for it, or start another batch of them with --new"
            )


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
    if born.sandbox is None and base_url is not None and _same_api(born.base_url, base_url):
        return
    if born.sandbox is None or base_url is not None:
        place = born.base_url if born.sandbox is None else "an embedded sandbox"
        raise OptionError(f"batch {name} was begun at {place}; give this one another --batch name")


def _same_api(one: str, other: str) -> bool:
    """With or without `/api`, it is the same server."""
    return urlsplit(one).netloc == urlsplit(other).netloc
