"""The batches beside one: which have sent the same and are not done, and which runs they claim.

Asks nobody, prints nothing and sends nothing.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Collection, Iterable, Set
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from bulk.batch.folder import BatchFolder, latest_name, newest
from bulk.errors import OptionError
from bulk.journal import (
    BatchInUseError,
    Journal,
    NewBatch,
    born_of,
    keys_of,
)
from bulk.journal.tally import Tally
from bulk.manifest import Manifest
from bulk.reconcile.claims import Claims, claims_of

LOOKED_AT_MAX = 100  # of the batches in a folder, the newest
PEEKS = 3  # at a file that is just being written
PEEK_AGAIN_S = 0.02


@dataclass(frozen=True, slots=True)
class Unfinished:
    """A batch that has sent `shared` of the `total` triggers of a manifest, and is not done.

    `same`: it consists of just these. `at_work`: another process works on it, so that nobody can
    tell which it has sent; of its own triggers `shared` are in the manifest.
    """

    folder: BatchFolder
    shared: int
    total: int
    same: bool
    tally: Tally | None = None

    @property
    def at_work(self) -> bool:
        """Whether another process works on it right now."""
        return self.tally is None

    def __str__(self) -> str:
        name, some = self.folder.name, f"{self.shared:,} of these {self.total:,} triggers"
        if self.at_work and self.same:
            return f"batch {name} triggers the same tests right now, in another process"
        if self.at_work:
            return f"batch {name} has {some} and is at work right now, in another process"
        if self.same:
            return f"batch {name} of the same triggers is unfinished"
        return f"batch {name} is unfinished and has sent {some} already"


def batches_in(output: Path) -> list[BatchFolder]:
    """All batches that lie there by now, newest first."""
    return newest(output, None)


def unfinished(
    manifest: Manifest, batches: Iterable[BatchFolder], base_url: str
) -> Unfinished | None:
    """The newest one of batches that is unfinished and has sent some of the manifest's triggers.

    A trigger counts in the newest batch that has it: what was begun beside an older one, and is
    finished, was begun on purpose. A batch that is damaged beyond telling counts, for it may be
    such; another user's, which may not be read, does not.
    Raises StorageError where one that counts is damaged or cannot be opened.
    """
    found = _newest_first(list(batches)[:LOOKED_AT_MAX], base_url)
    ours = _keys(manifest) if found else set()
    for folder, born in found:
        same = born is None or born.fingerprint == manifest.fingerprint
        shared = ours if same else ours & _peek(folder.journal, ours)
        if not shared or not (same or _may_be_opened(folder)):
            continue
        try:
            with Journal.open(folder.journal) as journal:
                tally = Tally.of(journal.counts())
                done, sent = _is_done(journal, tally), len(shared & journal.sent_keys())
        except BatchInUseError:
            return Unfinished(folder, len(shared), manifest.count, same)
        if not done and (same or sent):
            return Unfinished(folder, sent, manifest.count, same, tally)
        if done and born is not None:
            ours -= shared
        if not ours:
            break
    return None


def next_number(output: Path) -> int:
    """The number of the next batch to begin there; see `NewBatch`. Call it under `begin_lock`."""
    last = latest_name(output)
    batches = [BatchFolder(output / last)] if last is not None else []
    born = [born_of(folder.journal) for folder in (*batches, *newest(output, LOOKED_AT_MAX))]
    return 1 + max((one.number for one in born if one is not None), default=0)


def refuse_newcomers(newcomers: Collection[BatchFolder], manifest: Manifest, base_url: str) -> None:
    """Raise OptionError where one of these has some of the manifest's triggers."""
    found = _newest_first(newcomers, base_url)
    ours = _keys(manifest) if found else set()
    for folder, born in found:
        if born is None or ours & _peek(folder.journal, ours):
            raise OptionError(
                f"batch {folder.name} has some of the same triggers and was begun just now, by "
                "another process; this one sent nothing. Wait for it, or start another with --new"
            )


def claims_of_others(folder: BatchFolder, since: float) -> Claims:
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
            or (ours is not None and not same_api(born.base_url, ours.base_url))
        ):
            continue
        claims |= claims_of(other.journal, since)
    return claims


def same_api(one: str, other: str) -> bool:
    """With or without `/api`, it is the same server."""
    return urlsplit(one).netloc == urlsplit(other).netloc


def _newest_first(
    batches: Iterable[BatchFolder], base_url: str
) -> list[tuple[BatchFolder, NewBatch | None]]:
    """Those of this API, the last begun first, each with what it was born with; before them all
    those of which that can be told no more.

    Embedded sandboxes vanish with their process, and so does what was sent to them.
    """
    found: list[tuple[BatchFolder, NewBatch | None]] = []
    for folder in batches:
        born = born_of(folder.journal)
        if born is None:
            if os.access(folder.journal, os.R_OK):
                found.append((folder, None))
        elif born.sandbox is None and same_api(born.base_url, base_url):
            found.append((folder, born))
    return sorted(found, key=lambda row: _begun(row[1]), reverse=True)


def _begun(born: NewBatch | None) -> tuple[float, float]:
    """Later ones are higher. Clocks are set back at times, so a batch's number comes first."""
    return (born.number, born.created_at) if born else (math.inf, 0.0)


def _keys(manifest: Manifest) -> set[str]:
    return {trigger.key for trigger in manifest.triggers()}


def _peek(journal: Path, ours: set[str]) -> Set[str]:
    """The keys of a batch's triggers; where they cannot be read it may have all of ours."""
    for _ in range(PEEKS):
        keys = keys_of(journal)
        if keys is not None:
            return keys
        time.sleep(PEEK_AGAIN_S)
    return ours


def _may_be_opened(folder: BatchFolder) -> bool:
    """Whether it can be worked on at all: an archive that nobody may write is at its end."""
    journal = folder.journal
    return os.access(journal, os.R_OK | os.W_OK) and os.access(journal.parent, os.W_OK)


def _is_done(journal: Journal, tally: Tally) -> bool:
    """Whether nothing is left to send, the newest process has told how it went, and none was cut
    short before it could find out what became of unknown ones, unless one has found out since.
    """
    asked = not tally.unknown or not journal.left_unasked()
    return not tally.left and asked and journal.reported()
