"""What is left of a damaged journal: triggers, outcomes and above all run ids; writes nothing.

A row counts as a trigger only if its key is that of its cell, so no damaged cell is taken for one.
A run id is also read from its index and from the attempt that was given it.
"""

from __future__ import annotations

import json
import re
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from bulk.journal import schema
from bulk.journal.checking import log_of
from bulk.journal.pages import Record, Value, pages_of
from bulk.journal.rows import CELL, salvaged_trigger
from bulk.model import UUID_PATTERN, Outcome, Trigger

KEY = re.compile(r"k[0-9a-f]{19}")
# Recorded for good, unless a later attempt was begun.
REFUSED = (Outcome.REJECTED, Outcome.THROTTLED)


@dataclass(frozen=True, slots=True)
class Remnant:
    """What is known of the trigger at place `seq`, from 1. Parts of it may be lost.

    `outcome` is `unknown` wherever the damage could hide that it was sent. `candidates` are
    further run ids that stand for it somewhere in the file.
    """

    seq: int
    key: str | None
    trigger: Trigger | None
    outcome: Outcome
    run_id: str | None
    candidates: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Remains:
    """All remnants, in the batch's order. `foreign_log`: the log is another batch's, and not used.

    `least` says how many triggers there were at least, `manifest` what they were made from.
    """

    remnants: tuple[Remnant, ...]
    least: int
    manifest: str | None
    foreign_log: bool

    @property
    def run_ids(self) -> int:
        """How many triggers have a run id."""
        return sum(remnant.run_id is not None for remnant in self.remnants)


@cache
def _columns(table: str) -> tuple[str, ...]:
    """A table's columns by name, in their order; rows of formats before have only the first."""
    with closing(sqlite3.connect(":memory:")) as sql:
        sql.executescript(schema.TABLES)
        return tuple(name for _, name, *_ in sql.execute(f"PRAGMA table_info({table})"))


@cache
def _lengths(table: str) -> range:
    """How many columns a row can have: those since the first format, or some more."""
    added = sum(step.count(f"ALTER TABLE {table} ADD") for step in schema.MIGRATIONS.values())
    return range(len(_columns(table)) - added, len(_columns(table)) + 1)


def _is_of(table: str, record: Record) -> bool:
    """Whether the record can be a row of that table, whose first column is its number."""
    return bool(record.row_id) and len(record.values) in _lengths(table)


def _named(table: str, record: Record) -> dict[str, Value]:
    return dict(zip(_columns(table), record.values, strict=False))


def remains_of(path: Path) -> Remains:
    """Read what can be read. Raises nothing for damage; nothing is written."""
    finds = _Finds()
    finds.take(pages_of(path, log_of(path)).records())
    foreign_log = len(finds.born) > 1
    if foreign_log:
        finds = _Finds()
        finds.take(pages_of(path, None).records())
    return finds.remains(foreign_log=foreign_log)


@dataclass(slots=True)
class _Finds:
    """What the records told so far, later ones overruling earlier ones, source by source."""

    born: dict[str, None] = field(default_factory=dict)  # what batches it was made for
    triggers: dict[int, Trigger] = field(default_factory=dict)
    outcomes: dict[int, str] = field(default_factory=dict)
    attempts: dict[int, tuple[int, str]] = field(default_factory=dict)  # whose, and its end
    indexed: dict[str, int] = field(default_factory=dict)  # whose key
    owners: dict[str, int] = field(default_factory=dict)  # whose run id: by the table of triggers,
    indexed_owners: dict[str, int] = field(default_factory=dict)  # by its index,
    answered: dict[str, int] = field(default_factory=dict)  # and by the attempts

    def take(self, records: Iterable[Record]) -> None:
        for record in records:
            values = record.values
            match values:
                case ("batch", str(text)) if record.row_id is None:
                    self.born[text] = None
                case (str(word), int(seq)) if record.row_id is None and seq > 0:
                    if KEY.fullmatch(word):
                        self.indexed[word] = seq
                    elif UUID_PATTERN.fullmatch(word):
                        self.indexed_owners[word] = seq
                case (None, str(key), *_) if _is_of("trigger", record) and KEY.fullmatch(key):
                    self._trigger(record)
                case (None, int(seq), _, str(end), *_) if _is_of("attempt", record):
                    self.attempts[record.row_id or 0] = (seq, end)
                    _own(self.answered, _named("attempt", record)["run_id"], seq)

    def _trigger(self, record: Record) -> None:
        row, seq = _named("trigger", record), record.row_id or 0
        outcome = row["outcome"]
        trigger = salvaged_trigger(tuple(row[name] for name in CELL))
        if trigger is not None and trigger.key == row["key"]:
            self.triggers[seq] = trigger
        if isinstance(outcome, str):
            self.outcomes[seq] = outcome
        _own(self.owners, row["run_id"], seq)

    def remains(self, *, foreign_log: bool) -> Remains:
        keys = {seq: trigger.key for seq, trigger in self.triggers.items()}
        placed = set(keys.values())
        for key, seq in self.indexed.items():
            if key not in placed:
                keys.setdefault(seq, key)
        runs = self._runs()
        in_doubt = {seq for seq, end in self.attempts.values() if end in ("open", "unknown")}
        return Remains(
            remnants=tuple(
                self._remnant(seq, keys.get(seq), runs[seq], seq in in_doubt)
                for seq in sorted({*keys, *runs})
            ),
            least=max(keys, default=len(runs)),
            manifest=_manifest(next(iter(self.born), None)),
            foreign_log=foreign_log,
        )

    def _runs(self) -> dict[int, list[str]]:
        """The run ids of each trigger, by most of the sources; where they part, by the attempts."""
        runs: dict[int, list[str]] = defaultdict(list)
        sources = (self.answered, self.owners, self.indexed_owners)
        for run_id in self.indexed_owners | self.owners | self.answered:
            told = Counter(source[run_id] for source in sources if run_id in source)
            runs[told.most_common(1)[0][0]].append(run_id)
        return runs

    def _remnant(self, seq: int, key: str | None, run_ids: list[str], in_doubt: bool) -> Remnant:
        outcome = Outcome.UNKNOWN
        if run_ids:
            outcome = Outcome.QUEUED
        elif self.outcomes.get(seq) in REFUSED and not in_doubt:
            outcome = Outcome(self.outcomes[seq])
        return Remnant(
            seq=seq,
            key=key,
            trigger=self.triggers.get(seq),
            outcome=outcome,
            run_id=run_ids[-1] if run_ids else None,
            candidates=tuple(run_ids[:-1]),
        )


def _own(owners: dict[str, int], run_id: Value, seq: int) -> None:
    if isinstance(run_id, str) and UUID_PATTERN.fullmatch(run_id):
        owners[run_id] = seq


def _manifest(born: str | None) -> str | None:
    try:
        return str(json.loads(born or "")["manifest"])
    except (ValueError, KeyError, TypeError):
        return None
