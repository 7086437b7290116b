"""What reconciliation writes into the journal, and what other batches' journals claim."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import pytest

from bulk.batch.folder import BatchFolder
from bulk.batch.other_batches import other_claims
from bulk.journal import (
    AttemptEnded,
    Intent,
    Journal,
    Reconciled,
    SentAgain,
    Surplus,
    tables,
)
from bulk.model import (
    Found,
    Instant,
    Missing,
    Origin,
    Outcome,
    Platform,
    ServerTime,
    Trigger,
    Undecided,
)
from bulk.reconcile.claims import Claims, claims_of
from bulk.reconcile.run_page import ListedRun
from tests.journal.formats import bring_down
from tests.virtual import a_batch, some_triggers

RUN, OTHER = (str(UUID(int=(4 << 76) + (8 << 60) + number)) for number in (1, 2))


def lose(journal: Journal, seq: int, attempt_id: int, *, at: float = 10.0) -> None:
    """An attempt whose answer never came."""
    journal.write([Intent(attempt_id, seq, 1, at, at)])
    journal.write([ended(attempt_id, seq, Outcome.UNKNOWN, failure_code="read_timeout", at=at)])


def ended(
    attempt_id: int, seq: int, outcome: Outcome, *, at: float = 10.0, **changes: object
) -> AttemptEnded:
    fields: dict[str, object] = {
        "attempt_id": attempt_id,
        "seq": seq,
        "end": outcome,
        "outcome": outcome,
        "sent_at": at,
        "received_at": at + 2.0,
        "wait_ms": 0.0,
        "latency_ms": 2_000.0,
        "in_flight": 1,
        "message": "No answer.",
        "steady_at": at,
    }
    return AttemptEnded(**(fields | changes))  # type: ignore[arg-type]


def test_a_run_that_was_found_is_its_triggers(journal: Journal) -> None:
    lose(journal, 1, 1)
    journal.write([Reconciled(Found(1, RUN, by_count=False), 99.0)])
    result = next(journal.results())
    assert (result.outcome, result.run_id, result.origin) == (Outcome.QUEUED, RUN, Origin.ADOPTED)
    assert (result.failure_code, result.finished_at) == (None, 99.0)
    assert journal.run_ids() == {RUN}
    assert journal.run_ids(found=False) == set()
    assert journal.lost() == []


def test_what_is_absent_is_pending_again_with_its_attempts_counted(journal: Journal) -> None:
    lose(journal, 2, 1)
    journal.write([Reconciled(Missing(2), 99.0)])
    assert [(one.seq, one.attempts) for one in journal.pending(0, 9)] == [(1, 0), (2, 1), (3, 0)]
    assert [attempt.end for attempt in journal.attempts()] == ["absent"]


def test_what_is_undecided_names_its_candidates_and_why(journal: Journal) -> None:
    lose(journal, 1, 1)
    journal.write([Reconciled(Undecided(1, (RUN, OTHER), "2 runs could be of it"), 99.0)])
    result = next(journal.results())
    assert result.outcome is Outcome.UNKNOWN
    assert result.candidates == (RUN, OTHER)
    assert result.message == "No answer; 2 runs could be of it"
    (lost,) = journal.lost()
    assert lost.seq == 1


def test_an_answer_outranks_what_was_found(journal: Journal) -> None:
    lose(journal, 1, 1)
    journal.write([Reconciled(Found(1, RUN, by_count=False), 99.0)])
    journal.write([Intent(2, 2, 1, 20.0, 20.0)])
    journal.write([ended(2, 2, Outcome.QUEUED, run_id=RUN, http_status=202)])
    first, second, _ = journal.results()
    assert (first.outcome, first.run_id) == (Outcome.UNKNOWN, None)
    assert (second.outcome, second.run_id, second.origin) == (Outcome.QUEUED, RUN, Origin.ANSWER)


def test_nothing_is_reconciled_that_is_not_unknown(journal: Journal) -> None:
    journal.write([Intent(1, 1, 1, 10.0, 10.0)])
    journal.write([ended(1, 1, Outcome.QUEUED, run_id=RUN, http_status=202)])
    journal.write(
        [
            Reconciled(Missing(1), 99.0),
            Reconciled(Found(1, OTHER, by_count=False), 99.0),
            Reconciled(Undecided(1, (OTHER,), "no"), 99.0),
            SentAgain(1),
        ]
    )
    result = next(journal.results())
    assert (result.outcome, result.run_id, result.candidates) == (Outcome.QUEUED, RUN, ())


def test_surplus_runs_are_reported_until_they_have_an_owner(journal: Journal) -> None:
    lose(journal, 1, 1)
    test_id = some_triggers(1)[0].test_id
    journal.write([Surplus(RUN, test_id, 5.0), Surplus(OTHER, test_id, 6.0)])
    assert journal.facts().surplus == (RUN, OTHER)
    journal.write([Reconciled(Found(1, RUN, by_count=False), 99.0)])
    assert journal.facts().surplus == (OTHER,)


def test_the_history_has_the_times_of_each_attempt_by_both_clocks(journal: Journal) -> None:
    journal.note_server_time(ServerTime(Instant(5.0, 50.0), Instant(5.1, 50.1), 1_005.0))
    lose(journal, 1, 1, at=10.0)
    journal.write([Intent(2, 2, 1, 20.0, 20.0)])
    headers = (("date", "Thu, 01 Jan 1970 00:16:40 GMT"),)
    journal.write([ended(2, 2, Outcome.QUEUED, at=20.0, run_id=RUN, headers=headers)])
    history = journal.history()
    assert {stamp.server for stamp in history.clock_samples} == {1_000.0, 1_005.0}
    assert {stamp.session for stamp in history.clock_samples} == {journal.session}
    (answered,) = history.answered
    assert answered.cell.key == some_triggers(2)[1].key
    assert answered.attempt.received == Instant(22.0, 22.0)
    assert history.first is not None
    assert history.first.sent == Instant(10.0, 10.0)


def a_run(trigger: Trigger, created_at: float) -> ListedRun:
    return ListedRun(
        run_id=str(UUID(int=(4 << 76) + (8 << 60) + 5)),
        test_id=trigger.test_id,
        platform=trigger.platform,
        created_at=created_at,
    )


def test_a_batch_that_is_worked_on_claims_all_runs_of_its_tests(path: Path) -> None:
    *triggers, foreign = some_triggers(4)
    with Journal.create(path, a_batch(), triggers) as journal:
        journal.begin_session(1.0)
        claims = claims_of(path, 0.0)
    runs = [(a_run(trigger, 9e9), trigger.test_id) for trigger in triggers]
    assert all(claims.may_own(run, test_id) for run, test_id in runs)
    assert not claims.may_own(a_run(foreign, 9e9), foreign.test_id)


def test_a_closed_batch_claims_its_runs_and_those_of_its_lost_attempts(path: Path) -> None:
    """By the server's clock: ours was set back by an hour since then."""
    lost_one, queued_one = triggers = some_triggers(2)
    headers = (("date", "Thu, 01 Jan 1970 01:01:40 GMT"),)  # 3,600 s ahead of us
    with Journal.create(path, a_batch(), triggers) as journal:
        journal.begin_session(1.0)
        lose(journal, 1, 1, at=100.0)
        journal.write([Intent(2, 2, 1, 100.0, 100.0)])
        journal.write([ended(2, 2, Outcome.QUEUED, at=100.0, run_id=RUN, headers=headers)])
    claims = claims_of(path, 0.0)
    assert claims.run_ids == {RUN}
    assert claims.may_own(a_run(lost_one, 3_700.0), lost_one.test_id)
    assert not claims.may_own(a_run(lost_one, 100.0), lost_one.test_id)
    assert not claims.may_own(a_run(queued_one, 3_700.0), queued_one.test_id)
    other = replace(lost_one, platform=Platform.ANDROID)
    assert not claims.may_own(a_run(other, 3_700.0), lost_one.test_id)


def test_a_batch_whose_process_died_claims_what_it_may_still_have_sent(path: Path) -> None:
    (trigger,) = some_triggers(1)
    with Journal.create(path, a_batch(), [trigger]) as journal:
        journal.begin_session(1.0)
        journal.write([Intent(1, 1, 1, 100.0, 100.0)])
    assert claims_of(path, 0.0).may_own(a_run(trigger, 9e9), trigger.test_id)


def test_a_batch_that_cannot_be_read_claims_all_that_it_may_have_made(path: Path) -> None:
    Journal.create(path, a_batch(), some_triggers(3)).close()
    path.write_bytes(path.read_bytes()[:5_000])
    os.utime(path, (300.0, 300.0))
    assert claims_of(path, 200.0) == Claims(all_busy=True)
    assert claims_of(path, 301.0) == Claims()  # it was not written to since


@pytest.mark.parametrize("version", tables.MIGRATIONS)
def test_a_closed_batch_of_an_earlier_format_claims_its_runs(path: Path, version: int) -> None:
    (trigger,) = some_triggers(1)
    with Journal.create(path, a_batch(), [trigger]) as journal:
        journal.begin_session(1.0)
        journal.write([Intent(1, 1, 1, 100.0, 100.0)])
        journal.write([ended(1, 1, Outcome.QUEUED, at=100.0, run_id=RUN)])
    with closing(sqlite3.connect(path)) as sql:
        bring_down(sql, version)
        sql.commit()
    assert claims_of(path, 0.0).run_ids == {RUN}


def test_a_batch_beside_ours_that_cannot_be_read_counts_as_well(path: Path) -> None:
    ours, other = (BatchFolder(path.parent / name) for name in ("ours", "other"))
    for folder in (ours, other):
        folder.make()
        Journal.create(folder.journal, a_batch(), some_triggers(3)).close()
    assert other_claims(ours, 200.0) == Claims()
    other.journal.write_bytes(other.journal.read_bytes()[:200])
    os.utime(other.journal, (300.0, 300.0))
    assert other_claims(ours, 200.0) == Claims(all_busy=True)
    assert other_claims(ours, 301.0) == Claims()


FORMAT_1 = """
PRAGMA application_id = 1112830513;
PRAGMA user_version = 1;
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE trigger (
  seq INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE,
  test_id TEXT NOT NULL, platform TEXT, mode TEXT, device_model TEXT,
  app_id TEXT, environment_id TEXT, repetition INTEGER NOT NULL,
  name TEXT NOT NULL, tags TEXT NOT NULL, line INTEGER NOT NULL, own TEXT NOT NULL,
  outcome TEXT CHECK (outcome IN ('queued', 'rejected', 'throttled', 'unknown', 'unsent')),
  failure_code TEXT, run_id TEXT, http_status INTEGER, error TEXT, message TEXT, finished_at REAL,
  CHECK ((outcome = 'queued') = (run_id IS NOT NULL) OR outcome IS NULL)
);
CREATE UNIQUE INDEX one_owner_a_run ON trigger (run_id) WHERE run_id IS NOT NULL;
CREATE TABLE attempt (
  id INTEGER PRIMARY KEY, seq INTEGER NOT NULL REFERENCES trigger, number INTEGER NOT NULL,
  end TEXT NOT NULL DEFAULT 'open'
    CHECK (end IN ('open', 'queued', 'rejected', 'throttled', 'unknown', 'unsent')),
  sent_at REAL NOT NULL, received_at REAL,
  wait_ms REAL NOT NULL DEFAULT 0, latency_ms REAL, in_flight INTEGER NOT NULL DEFAULT 1,
  http_status INTEGER, failure_code TEXT, run_id TEXT, error TEXT, message TEXT,
  headers TEXT NOT NULL DEFAULT '[]'
);
CREATE TABLE session (
  id INTEGER PRIMARY KEY, started_at REAL NOT NULL, elapsed_s REAL, stop TEXT, stop_detail TEXT
);
"""


def test_a_journal_of_the_first_format_is_migrated_and_continues(path: Path) -> None:
    with Journal.create(path, a_batch(), some_triggers(2)) as journal:
        born = journal.batch
    new = path.with_name("new.sqlite")
    path.rename(new)
    with closing(sqlite3.connect(path)) as old:
        old.executescript(FORMAT_1)
        old.execute("ATTACH ? AS new", (str(new),))
        old.execute("INSERT INTO meta SELECT * FROM new.meta")
        columns = ", ".join(
            name for _, name, *_ in old.execute("PRAGMA main.table_info(trigger)").fetchall()
        )
        old.execute(f"INSERT INTO main.trigger ({columns}) SELECT {columns} FROM new.trigger")
        old.execute("INSERT INTO attempt (id, seq, number, sent_at) VALUES (1, 1, 1, 10.0)")
        old.commit()
    with Journal.open(path) as journal:
        assert journal.batch == born
        journal.begin_session(50.0)
        (lost,) = journal.lost()
        assert lost.attempts[0].sent == Instant(10.0)
        journal.write([Reconciled(Found(1, RUN, by_count=True), 99.0)])
        assert next(journal.results()).origin is Origin.BY_COUNT
    with Journal.open(path) as journal:
        assert journal.counts() == {Outcome.QUEUED: 1, None: 1}
