"""The other batches of a folder: unfinished ones with the same triggers, and the runs they claim.

Neither prints nor prompts, and sends nothing.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Collection, Iterable, Set
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from bulk.batch.folder import BatchFolder, latest_name, newest_batches
from bulk.errors import OptionError
from bulk.journal import (
    BatchInUseError,
    Journal,
    NewBatch,
    lost_journal,
    peek_batch,
    peek_keys,
)
from bulk.journal.tally import Tally
from bulk.manifest import Manifest
from bulk.reconcile.claims import Claims, claims_of

BATCHES_READ_MAX = 100  # the newest of a folder; reading all would take long after years
PEEKS_MAX = 3  # attempts to read a journal that is just being written
PEEK_WAIT_S = 0.02


@dataclass(frozen=True, slots=True)
class UnfinishedBatch:
    """An unfinished batch that has sent `shared` of the `total` triggers of a manifest.

    `same`: its triggers are the manifest's. `tally` is None if another process is working on it.
    Then `shared` counts all triggers it has in common with the manifest, sent or not.
    """

    folder: BatchFolder
    shared: int
    total: int
    same: bool
    tally: Tally | None = None

    @property
    def in_use(self) -> bool:
        """Whether another process is working on it."""
        return self.tally is None

    def __str__(self) -> str:
        name, some = self.folder.name, f"{self.shared:,} of these {self.total:,} triggers"
        if self.in_use and self.same:
            return f"another process is running batch {name}, which has the same triggers"
        if self.in_use:
            return f"another process is running batch {name}, which has {some}"
        if self.same:
            return f"batch {name} of the same triggers is unfinished"
        return f"batch {name} is unfinished and has already sent {some}"


def find_unfinished(
    manifest: Manifest, batches: Iterable[BatchFolder], base_url: str
) -> UnfinishedBatch | None:
    """The newest of `batches` that is unfinished and has sent some of the manifest's triggers.

    A trigger counts only in the newest batch that has it. If a finished batch has it too, the user
    has already decided to send it again despite the older batch. A damaged journal whose batch
    cannot be read counts, because it may have these triggers; another user's journal, which this
    process may not read, does not.
    Raises StorageError if a journal that counts is damaged or cannot be opened.
    """
    found = _newest_first(list(batches)[:BATCHES_READ_MAX], base_url)
    ours = _keys(manifest) if found else set()
    for folder, born in found:
        same = born is None or born.fingerprint == manifest.fingerprint
        shared = ours if same else ours & _peek(folder.journal, ours)
        if not shared or not (same or _may_be_opened(folder)):
            continue
        try:
            with Journal.open(folder.journal) as journal:
                tally = journal.tally()
                done, sent = _is_done(journal, tally), len(shared & journal.sent_keys())
        except BatchInUseError:
            return UnfinishedBatch(folder, len(shared), manifest.count, same)
        if not done and (same or sent):
            return UnfinishedBatch(folder, sent, manifest.count, same, tally)
        if done and born is not None:
            ours -= shared
        if not ours:
            break
    return None


def next_number(output: Path) -> int:
    """The number of the next batch in that folder, see `NewBatch`. Call it under `begin_lock`."""
    last = latest_name(output)
    batches = [BatchFolder(output / last)] if last is not None else []
    batches += newest_batches(output, BATCHES_READ_MAX)
    born = [peek_batch(folder.journal) for folder in batches]
    return 1 + max((one.number for one in born if one is not None), default=0)


def check_newcomers(newcomers: Collection[BatchFolder], manifest: Manifest, base_url: str) -> None:
    """Raise OptionError if one of these new batches has some of the manifest's triggers."""
    found = _newest_first(newcomers, base_url)
    ours = _keys(manifest) if found else set()
    for folder, born in found:
        if born is None or ours & _peek(folder.journal, ours):
            raise OptionError(
                f"another process has just created batch {folder.name}, which has some of the same "
                "triggers; nothing was sent. Wait for it, or start another batch with --new"
            )


def other_claims(folder: BatchFolder, since: float) -> Claims:
    """What the other batches next to this one claim of the runs created from Unix time `since` on.

    A batch at another API or at an embedded sandbox claims nothing, if its journal says so.
    """
    ours = peek_batch(folder.journal)
    claims = Claims()
    for other in newest_batches(folder.path.parent, BATCHES_READ_MAX):
        if other.name == folder.name:
            continue
        born = peek_batch(other.journal)
        if born is not None and (
            born.sandbox is not None
            or (ours is not None and not same_api(born.base_url, ours.base_url))
        ):
            continue
        claims |= claims_of(other.journal, since)
    return claims


def same_api(one: str, other: str) -> bool:
    """Whether two base URLs mean the same server; with or without `/api`."""
    return urlsplit(one).netloc == urlsplit(other).netloc


def _newest_first(
    batches: Iterable[BatchFolder], base_url: str
) -> list[tuple[BatchFolder, NewBatch | None]]:
    """The batches at this API, newest first, each with its `NewBatch` record. Batches whose record
    cannot be read come first, with None.

    A batch at an embedded sandbox is left out: its runs are gone with the sandbox's process.
    """
    found: list[tuple[BatchFolder, NewBatch | None]] = []
    for folder in batches:
        born = peek_batch(folder.journal)
        if born is None:
            if os.access(folder.journal, os.R_OK) or lost_journal(folder.journal):
                found.append((folder, None))
        elif born.sandbox is None and same_api(born.base_url, base_url):
            found.append((folder, born))
    return sorted(found, key=lambda row: _creation_order(row[1]), reverse=True)


def _creation_order(born: NewBatch | None) -> tuple[float, float]:
    """Higher for later batches. The number comes first because a clock can be set back."""
    return (born.number, born.created_at) if born else (math.inf, 0.0)


def _keys(manifest: Manifest) -> set[str]:
    return {trigger.key for trigger in manifest.triggers()}


def _peek(journal: Path, ours: set[str]) -> Set[str]:
    """The keys of a batch's triggers. If they cannot be read, it may have all of ours."""
    for _ in range(PEEKS_MAX):
        keys = peek_keys(journal)
        if keys is not None:
            return keys
        time.sleep(PEEK_WAIT_S)
    return ours


def _may_be_opened(folder: BatchFolder) -> bool:
    """Whether the batch can be continued at all: an archive that is read-only cannot."""
    journal = folder.journal
    return os.access(journal, os.R_OK | os.W_OK) and os.access(journal.parent, os.W_OK)


def _is_done(journal: Journal, tally: Tally) -> bool:
    """Whether nothing is left to send, the last process has written its reports, and no unknown
    trigger still has to be reconciled because a process was cut short.
    """
    asked = not tally.unknown or not journal.reconciliation_due()
    return not tally.left and asked and journal.reported()
