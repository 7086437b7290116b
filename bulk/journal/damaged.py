"""Reads what SQLite still can of a damaged journal, around its broken pages; writes nothing.

SQLite gives up a statement at the first broken page. So tables are read by ranges of their row
numbers, and a range that fails is halved until only the rows of the broken page are missing.
Indexes are read from both ends.

A row counts as a trigger only if its key is that of its cell, so no damaged cell is taken for one.
Its place is also read from the index of keys, a run id also from its own index and from the attempt
whose answer named it.
"""

from __future__ import annotations

import re
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from bulk.journal import tables
from bulk.journal.peeking import Opened, batch_text
from bulk.journal.records import new_batch, salvaged_trigger
from bulk.journal.runs_file import batch_id
from bulk.journal.unlocked import file_alone, with_log
from bulk.model import UUID_PATTERN, Outcome, Trigger

KEY = re.compile(r"k[0-9a-f]{19}")
SEQ_MAX = 1 << 24  # more than a manifest may have, and a bound for ids of attempts as well
# Ranges that fail one after the other before the rest of a table is given up. A page of pages hides
# some 9,000 rows at most, each of which is looked for, and the halving doubles that.
FAILURES_MAX = 25_000
FAULTS_MAX = 3  # of SQLite's own check
# Recorded for good, unless a later attempt was begun.
DECLINED = (Outcome.REJECTED, Outcome.THROTTLED)
# Of a statement, whichever rows it asks for: no database, no such table, no such file.
HOPELESS = frozenset({sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR, sqlite3.SQLITE_CANTOPEN})
# Of Python's own: for a broken size, and for a message of SQLite's with broken text in it.
UNREADABLE = (sqlite3.Error, MemoryError, UnicodeDecodeError)


@dataclass(frozen=True, slots=True)
class DamagedTrigger:
    """What the journal still says of the trigger at place `seq`, from 1. Any part may be missing.

    `outcome` is `unknown` wherever the damage could hide that it was sent. `run_ids` has more than
    one where the file contradicts itself. With `confirmed` each of them is in the file at least
    twice.
    """

    seq: int | None
    key: str | None
    trigger: Trigger | None
    outcome: Outcome
    run_ids: tuple[str, ...] = ()
    confirmed: bool = False


@dataclass(frozen=True, slots=True)
class DamagedBatch:
    """All triggers that could be read, in the batch's order; `faults` by `PRAGMA integrity_check`.

    `places` are those of keys, also of such whose trigger could not be read.

    `foreign_log`: the log is another batch's, and was not used. `batch` identifies the batch as in
    `runs.txt`; it and `manifest` are None where the journal does not say.
    """

    triggers: tuple[DamagedTrigger, ...]
    places: Mapping[str, int]
    batch: str | None
    manifest: str | None
    foreign_log: bool
    faults: tuple[str, ...]


def read_damaged(path: Path) -> DamagedBatch:
    """Read what can be read. Raises nothing for damage."""
    alone, logged = (batch_text(path, opened) for opened in (file_alone, with_log))
    foreign_log = alone is not None and logged is not None and alone != logged
    rows = _Rows()
    faults: tuple[str, ...] = ()
    # Where the log cannot be used at all, the file may still be readable without it.
    for opened in (file_alone,) if foreign_log else (with_log, file_alone):
        faults = _read(path, opened, rows) or faults
        if rows.found:
            break
    text = alone or logged
    return DamagedBatch(
        triggers=tuple(rows.triggers()),
        places=rows.places,
        batch=None if text is None else batch_id(text),
        manifest=_manifest(text),
        foreign_log=foreign_log,
        faults=faults,
    )


def _read(path: Path, opened: Opened, rows: _Rows) -> tuple[str, ...]:
    """Read into `rows`; what SQLite's check finds."""
    faults: list[str] = []
    with suppress(*UNREADABLE, OSError), opened(path) as sql:
        sql.text_factory = lambda raw: raw.decode("utf-8", "replace")
        sql.execute("PRAGMA writable_schema = ON")  # SQLite then accepts a short file
        rows.read(sql)
        for row in sql.execute(f"PRAGMA integrity_check({FAULTS_MAX})"):
            faults += str(row["integrity_check"]).splitlines()
    return tuple(fault for fault in faults if fault != "ok" and not fault.startswith("***"))


class _Cell(NamedTuple):
    """A row of the table of triggers whose key is that of its cell; its `seq` may be altered."""

    seq: int
    trigger: Trigger
    outcome: str | None


@dataclass(slots=True)
class _Rows:
    """What the rows say. Places and run ids have several sources, of which any may be damaged."""

    cells: dict[str, _Cell] = field(default_factory=dict)  # by key
    in_doubt: set[int] = field(default_factory=set)
    places: dict[str, int] = field(default_factory=dict)  # of keys, by their index
    # Which trigger has which run: by the attempts, by the table of triggers, by its index.
    owners: tuple[dict[str, int], ...] = field(default_factory=lambda: ({}, {}, {}))

    @property
    def found(self) -> bool:
        """Whether anything of a batch could be read."""
        return bool(self.cells or any(self.owners))

    def read(self, sql: sqlite3.Connection) -> None:
        """Take in all rows that SQLite gives."""
        by_attempt, by_table, by_index = self.owners
        for row in _by_ranges(sql, tables.SALVAGE_TRIGGERS):
            trigger = salvaged_trigger(row)
            if trigger is not None:
                self.cells[trigger.key] = _Cell(row["seq"], trigger, row["outcome"])
            _add_owner(by_table, row["run_id"], row["seq"])
        for row in _by_ranges(sql, tables.SALVAGE_OWNERS):
            _add_owner(by_table, row["run_id"], row["seq"])
        for row in _by_ranges(sql, tables.SALVAGE_ATTEMPTS):
            seq = row["trigger_seq"]
            if isinstance(seq, int) and 0 < seq <= SEQ_MAX:
                if row["end"] in ("open", "unknown"):
                    self.in_doubt.add(seq)
                _add_owner(by_attempt, row["run_id"], seq)
        for row in _from_both_ends(sql, tables.SALVAGE_KEYS):
            if KEY.fullmatch(str(row["value"])):
                self.places[row["value"]] = row["seq"]
        for row in _from_both_ends(sql, tables.SALVAGE_RUN_IDS):
            _add_owner(by_index, row["value"], row["seq"])

    def triggers(self) -> Iterator[DamagedTrigger]:
        """All triggers of which anything is known, in the batch's order, without a place last."""
        keys = self._keys()
        runs = self._runs()
        for seq in sorted({*keys, *runs}):
            key = keys.get(seq)
            cell = self.cells.get(key or "")
            # A run id that is there once, where others are there twice, is one of those, altered.
            twice = tuple(run_id for run_id, votes in runs[seq].items() if votes > 1)
            run_ids = twice or tuple(runs[seq])
            outcome = Outcome.QUEUED if run_ids else self._outcome(seq, cell)
            trigger = None if cell is None else cell.trigger
            yield DamagedTrigger(seq, key, trigger, outcome, run_ids, confirmed=bool(twice))
        placed = set(keys.values())
        for key, cell in self.cells.items():
            if key not in placed:
                yield DamagedTrigger(None, key, cell.trigger, Outcome.UNKNOWN)

    def _keys(self) -> dict[int, str]:
        """Which key is at which place: as both the table and its index have it, or one of them.

        Where the two contradict each other, and either may be right, the key has no place.
        """
        keys = {cell.seq: key for key, cell in self.cells.items() if self._place(key) == cell.seq}
        for key, cell in self.cells.items():
            free = {cell.seq, self._place(key)} - keys.keys()
            if len(free) == 1 and self._place(key) != cell.seq:
                keys[free.pop()] = key
        return keys

    def _place(self, key: str) -> int:
        """The key's place by the index, or by the table where the index does not have it."""
        return self.places.get(key, self.cells[key].seq)

    def _runs(self) -> dict[int, dict[str, int]]:
        """The run ids of each trigger by most of the sources, in a tie by the attempts; and how
        many of the sources those are.
        """
        runs: dict[int, dict[str, int]] = defaultdict(dict)
        by_attempt, by_table, by_index = self.owners
        for run_id in by_index | by_table | by_attempt:
            owners = Counter(source[run_id] for source in self.owners if run_id in source)
            seq, votes = owners.most_common(1)[0]
            runs[seq][run_id] = votes
        return runs

    def _outcome(self, seq: int, cell: _Cell | None) -> Outcome:
        if cell is not None and cell.outcome in DECLINED and seq not in self.in_doubt:
            return Outcome(cell.outcome)
        return Outcome.UNKNOWN


def _by_ranges(sql: sqlite3.Connection, select: str) -> Iterator[sqlite3.Row]:
    """The rows of a statement that is ordered by `seq`, which `low` and `high` bound."""
    ranges = [(1, SEQ_MAX)]
    failures = 0
    while ranges and failures < FAILURES_MAX:
        low, high = ranges.pop()
        read_to = low - 1
        try:
            for row in sql.execute(select, {"low": low, "high": high}):
                if 0 < row["seq"] <= SEQ_MAX:
                    yield row
                    read_to = row["seq"]  # of a broken row it may be any number
                    failures = 0
        except UNREADABLE as error:
            if getattr(error, "sqlite_errorcode", 0) & 0xFF in HOPELESS:
                return
            failures += 1
            low = max(low, read_to + 1)
            if low < high:
                middle = (low + high) // 2
                ranges += [(middle + 1, high), (low, middle)]


def _from_both_ends(sql: sqlite3.Connection, select: str) -> Iterable[sqlite3.Row]:
    """The rows of an index, from each end up to the first broken page."""
    rows: list[sqlite3.Row] = []
    for order in ("", " DESC"):
        try:
            for row in sql.execute(f"{select} ORDER BY 1{order}"):
                if isinstance(row["seq"], int) and 0 < row["seq"] <= SEQ_MAX:
                    rows.append(row)
            break
        except UNREADABLE:
            continue
    return rows


def _add_owner(owners: dict[str, int], run_id: object, seq: int) -> None:
    if isinstance(run_id, str) and UUID_PATTERN.fullmatch(run_id):
        owners[run_id] = seq


def _manifest(created_with: str | None) -> str | None:
    with suppress(ValueError, TypeError, KeyError):
        return None if created_with is None else new_batch(created_with).manifest
    return None
