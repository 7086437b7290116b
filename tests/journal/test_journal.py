"""The journal keeps what was written, for one process at a time, through crashes and full disks."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import NoReturn

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from bulk.errors import StorageError
from bulk.journal import (
    AttemptEnded,
    BatchInUseError,
    CancelAsked,
    Entry,
    GroupCommit,
    Intent,
    Journal,
    QueuedRun,
    Withdrawn,
    in_thread,
    peek_batch,
    tables,
)
from bulk.journal.connection import connect
from bulk.journal.network_fs import (
    Mount,
    innermost_mount,
    parse_linux_mounts,
    parse_macos_mounts,
    untrusted,
)
from bulk.journal.records import checked_trigger, trigger_parameters
from bulk.journal.wal import wal_path
from bulk.model import CANCEL_SETTLED, Cancelled, FailureCode, Outcome, StopCode, Trigger
from tests.journal.formats import bring_down
from tests.virtual import a_batch, some_triggers

RUN = "0b9c3a54-5d3c-4a8e-9a53-0d6a6a1f0c11"


def ended(attempt_id: int, seq: int, outcome: Outcome | None, **changes: object) -> AttemptEnded:
    fields: dict[str, object] = {
        "end": outcome or Outcome.THROTTLED,
        "sent_at": 10.0,
        "received_at": 10.5,
        "wait_ms": 100.0,
        "latency_ms": 500.0,
        "in_flight": 2,
        "run_id": RUN if outcome is Outcome.QUEUED else None,
        "failure_code": None if outcome is Outcome.QUEUED else "rate_limited",
        "http_status": 202 if outcome is Outcome.QUEUED else 429,
    }
    return AttemptEnded(attempt_id=attempt_id, seq=seq, outcome=outcome, **(fields | changes))  # type: ignore[arg-type]


def test_all_triggers_are_there_before_the_first_send(journal: Journal) -> None:
    assert [pending.trigger for pending in journal.pending(0, 10)] == some_triggers(3)
    assert [pending.seq for pending in journal.pending(1, 1)] == [2]
    assert journal.counts() == {None: 3}
    assert [result.outcome for result in journal.results()] == [Outcome.UNSENT] * 3


@pytest.mark.parametrize(
    ("stop", "came"), [(None, True), (StopCode.INTERRUPTED, False), (StopCode.DEADLINE, False)]
)
def test_whether_the_last_process_ended_by_itself(
    path: Path, stop: StopCode | None, came: bool
) -> None:
    with Journal.create(path, a_batch(), some_triggers(1)) as journal:
        assert not journal.ended_by_itself()
        journal.begin_session(10.0)
        assert not journal.ended_by_itself(), "it may still be killed"
        journal.end_session(1.0, stop, "")
        assert journal.ended_by_itself() == came
        journal.begin_session(20.0)
        assert not journal.ended_by_itself()


def test_whether_what_is_unknown_was_reconciliation_due(path: Path) -> None:
    with Journal.create(path, a_batch(), some_triggers(1)) as journal:
        assert not journal.reconciliation_due(), "nothing was sent yet"
        for stop, reconcile_s, left in (
            (None, 0.0, False),
            (StopCode.TERMINATED, 0.0, True),
            (None, 0.0, True),
            (StopCode.INTERRUPTED, 0.5, True),
            (None, 0.5, False),
            (None, 0.0, False),
        ):
            journal.begin_session(10.0)
            assert journal.reconciliation_due(), "it may still be killed"
            journal.end_session(1.0, stop, "", reconcile_s=reconcile_s)
            assert journal.reconciliation_due() == left


def test_whether_reports_were_written_since_the_last_process_worked_on_it(path: Path) -> None:
    with Journal.create(path, a_batch(), some_triggers(1)) as journal:
        for at in (10.0, 20.0):
            journal.begin_session(at)
            journal.end_session(1.0, None, "")
            assert not journal.reported(), "it may still be killed"
            journal.note_reported(at + 1)
            assert journal.reported()


def test_an_attempt_left_open_is_unknown_also_before_the_next_session(journal: Journal) -> None:
    journal.write([Intent(1, 1, 1, 9.9), Intent(2, 2, 1, 9.9), Withdrawn(2)])
    for _ in range(2):
        assert journal.counts() == {Outcome.UNKNOWN: 1, None: 2}
        assert next(journal.results()).message == "the process ended before the answer was recorded"
        journal.begin_session(20.0)


def test_what_a_batch_is_born_with_comes_back(path: Path) -> None:
    batch = a_batch(
        settings=(("deadline_s", "None"), ("fail_fast", "False")),
        notes=("a note",),
        own_columns=("owner", "risk"),
        sandbox="none",
    )
    with Journal.create(path, batch, some_triggers(1)) as journal:
        assert journal.batch == batch
        assert peek_batch(path) == batch, "also while another has it open"
    assert peek_batch(path.with_name("none")) is None


def test_attempts_add_up_to_a_result(journal: Journal) -> None:
    journal.write([Intent(1, 1, 1, 9.9), Intent(2, 2, 1, 9.9)])
    journal.write([ended(1, 1, None), Intent(3, 1, 2, 11.0), Withdrawn(2)])
    journal.write([ended(3, 1, Outcome.QUEUED, sent_at=11.0, received_at=11.25, latency_ms=250.0)])
    first, second, _ = journal.results()
    assert (first.outcome, first.run_id, first.attempts, first.throttles) == (
        Outcome.QUEUED,
        RUN,
        2,
        1,
    )
    assert (first.wait_ms, first.latency_ms, first.total_ms) == (200.0, 250.0, 950.0)
    assert (first.first_sent_at, first.finished_at) == (10.0, 11.25)
    assert (second.outcome, second.attempts) == (Outcome.UNSENT, 0)
    assert [(attempt.number, attempt.end) for attempt in journal.attempts()] == [
        (1, "throttled"),
        (2, "queued"),
    ]
    assert journal.run_ids() == {RUN}
    assert journal.next_attempt_id() == 4


def test_a_run_id_has_one_owner(journal: Journal) -> None:
    journal.write([Intent(1, 1, 1, 9.9), Intent(2, 2, 1, 9.9), ended(1, 1, Outcome.QUEUED)])
    with pytest.raises(StorageError, match="UNIQUE"):
        journal.write([ended(2, 2, Outcome.QUEUED)])
    assert journal.counts() == {Outcome.UNKNOWN: 1, None: 1, Outcome.QUEUED: 1}


def test_entries_are_written_all_or_none(journal: Journal) -> None:
    with pytest.raises(StorageError):
        journal.write([Intent(1, 1, 1, 9.9), Intent(1, 2, 1, 9.9)])
    assert list(journal.attempts()) == []


def test_an_intent_without_an_end_is_unknown_and_never_pending_again(path: Path) -> None:
    with Journal.create(path, a_batch(), some_triggers(3)) as journal:
        journal.begin_session(1.0)
        journal.write([Intent(1, 1, 1, 9.9), Intent(2, 2, 1, 9.9), ended(2, 2, None)])
        journal.write([Intent(3, 2, 2, 12.0)])
    with Journal.open(path) as journal:
        before = [(result.outcome, result.failure_code) for result in journal.results()]
        journal.begin_session(2.0)
        after = [(result.outcome, result.failure_code) for result in journal.results()]
        unknown = (Outcome.UNKNOWN, FailureCode.INTERRUPTED)
        assert before == after == [unknown, unknown, (Outcome.UNSENT, FailureCode.INTERRUPTED)]
        assert [pending.seq for pending in journal.pending(0, 10)] == [3]


def test_what_was_never_executed_is_pending_again_in_the_next_session(path: Path) -> None:
    with Journal.create(path, a_batch(), some_triggers(2)) as journal:
        journal.begin_session(1.0)
        journal.write([Intent(1, 1, 1, 9.9)])
        journal.write([ended(1, 1, Outcome.UNSENT, failure_code="auth", http_status=401)])
        journal.end_session(2.5, StopCode.AUTH, "the server said no")
        assert [result.failure_code for result in journal.results()] == ["auth", "auth"]
        facts = journal.facts()
        assert (facts.stop, facts.stop_detail, facts.elapsed_s) == (
            StopCode.AUTH,
            "the server said no",
            2.5,
        )
    with Journal.open(path) as journal:
        journal.begin_session(2.0)
        assert [pending.seq for pending in journal.pending(0, 10)] == [1, 2]
        journal.end_session(1.5, None, "")
        assert (journal.facts().stop, journal.facts().elapsed_s) == (None, 4.0)


def test_a_process_that_died_worked_at_least_until_its_last_answer(path: Path) -> None:
    with Journal.create(path, a_batch(), some_triggers(2)) as journal:
        journal.begin_session(100.0)
        journal.write([Intent(1, 1, 1, 103.0)])
        journal.write([ended(1, 1, Outcome.QUEUED, sent_at=103.0, received_at=103.5)])
    with Journal.open(path) as journal:
        journal.begin_session(500.0)
        journal.end_session(2.0, None, "", reconcile_s=1.5)
        facts = journal.facts()
        assert (facts.elapsed_s, facts.reconcile_s) == (3.5 + 2.0, 1.5)


def test_the_end_of_a_session_is_reported_even_if_the_disk_could_not_take_it(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A report that knows nothing of the full disk would end with the wrong exit code."""

    def on_a_full_disk() -> None:
        raise StorageError("database or disk is full")

    with Journal.create(path, a_batch(), some_triggers(2)) as journal:
        journal.begin_session(1.0)
        journal.end_session(1.5, None, "")
        journal.begin_session(2.0)
        assert journal.facts().elapsed_s == 1.5
        monkeypatch.setattr(journal, "commit", on_a_full_disk)
        with pytest.raises(StorageError):
            journal.end_session(2.5, StopCode.STORAGE, "the disk is full")
        facts = journal.facts()
        assert (facts.stop, facts.stop_detail) == (StopCode.STORAGE, "the disk is full")
        assert facts.elapsed_s == 4.0
        codes = {result.failure_code for result in journal.results()}
        assert codes == {FailureCode.STORAGE}


def test_a_clean_end_leaves_one_file_that_only_its_owner_reads(path: Path) -> None:
    with Journal.create(path, a_batch(), some_triggers(3)) as journal:
        journal.begin_session(1.0)
        assert (path.parent / "journal.sqlite-wal").exists()
        (path.parent / "journal.sqlite-shm").write_bytes(b"")  # of a reader that was killed
    assert [file.name for file in path.parent.iterdir()] == ["journal.sqlite"]
    if os.name != "nt":
        assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("finished", [True, False])
@pytest.mark.parametrize("version", tables.MIGRATIONS)
def test_a_journal_of_a_format_before_becomes_like_a_new_one(
    path: Path, tmp_path: Path, version: int, finished: bool
) -> None:
    with Journal.create(path, a_batch(), some_triggers(1)) as journal:
        journal.begin_session(0.0)
        if finished:
            journal.end_session(1.0, None, "", reconcile_s=0.5)
        if finished and version > 3:
            journal.note_reported(2.0)
    with closing(sqlite3.connect(path)) as sql:
        bring_down(sql, version)
        sql.commit()
    with Journal.open(path) as journal:
        assert journal.reported() == finished, "as far as that is known"
        assert journal.facts().reconcile_s == (0.5 if finished and version > 2 else 0.0)
        journal.begin_session(1.0)
        journal.write([Intent(1, 1, 1, 10.0), ended(1, 1, Outcome.QUEUED)])
        journal.write([CancelAsked(1, RUN, Cancelled.YES)])
        assert [result.cancelled for result in journal.results()] == [Cancelled.YES]
    new = tmp_path / "new.sqlite"
    Journal.create(new, a_batch(), some_triggers(1)).close()
    assert _columns(path) == _columns(new)


def _columns(path: Path) -> dict[str, set[tuple[object, ...]]]:
    """Each table's columns with their types and defaults, whatever their order."""
    with closing(sqlite3.connect(path)) as sql:
        tables = [
            name for (name,) in sql.execute("SELECT name FROM sqlite_master WHERE type='table'")
        ]
        return {
            table: {row[1:] for row in sql.execute(f"PRAGMA table_info({table})")}
            for table in tables
        }


def test_a_run_is_asked_about_until_nothing_is_left_to_cancel(journal: Journal) -> None:
    journal.write([Intent(1, 1, 1, 10.0), ended(1, 1, Outcome.QUEUED)])
    assert journal.uncancelled() == [QueuedRun(1, RUN)]
    for word in Cancelled:
        journal.write([CancelAsked(1, RUN, word)])
        left = [] if word in CANCEL_SETTLED else [QueuedRun(1, RUN)]
        assert journal.uncancelled() == left
    journal.write([CancelAsked(2, RUN, Cancelled.YES)])  # not that trigger's run
    assert [result.cancelled for result in journal.results()] == [Cancelled.UNCLEAR, None, None]


@pytest.mark.skipif(os.name == "nt", reason="an open file cannot be moved there")
@pytest.mark.parametrize("gone", ["moved", "removed", "copied"])
def test_a_batch_that_took_the_place_of_a_moved_one_is_left_alone(
    tmp_path: Path, gone: str
) -> None:
    folder, another = tmp_path / "data", tmp_path / "another"
    folder.mkdir()
    path = folder / "journal.sqlite"
    mine = Journal.create(path, a_batch(name="mine"), some_triggers(3))
    mine.begin_session(1.0)
    mine.write([Intent(1, 1, 1, 10.0), ended(1, 1, Outcome.QUEUED)])
    if gone == "removed":
        shutil.rmtree(folder)
    else:
        folder.rename(another)
    if gone == "copied":
        shutil.copytree(another, folder)
    else:
        folder.mkdir()
        other = Journal.create(path, a_batch(name="other"), some_triggers(3))
        other.begin_session(1.0)
        other.write([Intent(1, 1, 1, 10.0), ended(1, 1, Outcome.QUEUED)])
    log = path.with_name(path.name + "-wal").read_bytes()
    with pytest.raises(StorageError, match="moved, removed or replaced"):
        mine.write([Intent(2, 2, 1, 11.0)])
    assert mine.displaced
    mine.close()
    assert path.with_name(path.name + "-wal").read_bytes() == log
    if gone != "copied":
        other.close()
    if gone != "removed":
        with Journal.open(another / path.name) as moved:
            assert moved.counts() == {Outcome.QUEUED: 1, None: 2}
    with Journal.open(path) as there:
        assert there.batch.name == ("mine" if gone == "copied" else "other")
        assert there.counts() == {Outcome.QUEUED: 1, None: 2}


@pytest.mark.processes
def test_a_second_process_cannot_open_it_and_a_dead_one_does_not_keep_it_locked(path: Path) -> None:
    Journal.create(path, a_batch(), some_triggers(3)).close()
    holder = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import sys; from pathlib import Path; from bulk.journal import Journal, Intent\n"
            "journal = Journal.open(Path(sys.argv[1])); journal.begin_session(1.0)\n"
            "journal.write([Intent(1, 1, 1, 5.0)])\n"
            "print('open', flush=True); sys.stdin.read()",
            str(path),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"open\n"
        with pytest.raises(BatchInUseError, match="another bulk-trigger is at work on this batch"):
            Journal.open(path)
        holder.kill()
    with Journal.open(path) as journal:
        assert [attempt.end for attempt in journal.attempts()] == ["open"]


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda path: path.unlink(), "there is no journal here"),
        (lambda path: path.write_bytes(b"rubbish" * 1000), "file is not a database"),
        (lambda path: path.write_bytes(path.read_bytes()[:5000]), "malformed"),
        (lambda path: _pragma(path, "user_version = 99"), "the journal's format is 99"),
        (lambda path: _pragma(path, "application_id = 1"), "is not a bulk-trigger journal"),
    ],
)
def test_a_spoilt_journal_is_a_clear_error(path: Path, spoil, why: str) -> None:  # type: ignore[no-untyped-def]
    Journal.create(path, a_batch(), some_triggers(100)).close()
    spoil(path)
    with pytest.raises(StorageError, match=why) as caught, Journal.open(path) as journal:
        list(journal.results())
    assert str(path) in str(caught.value)


def _pragma(path: Path, assignment: str) -> None:
    connection = sqlite3.connect(path)
    connection.execute(f"PRAGMA {assignment}")
    connection.close()


def test_a_process_that_reads_for_a_moment_does_not_keep_another_from_opening(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Journal.create(path, a_batch(), some_triggers(3)).close()
    with closing(sqlite3.connect(path)) as looking:
        looking.execute("BEGIN")
        looking.execute("SELECT * FROM meta").fetchall()
        waits = []

        def look_away(seconds: float) -> None:
            waits.append(seconds)
            looking.rollback()

        monkeypatch.setattr("bulk.journal.connection.time.sleep", look_away)
        Journal.open(path).close()
        assert len(waits) == 1


@pytest.mark.parametrize("at", ["the first write", 0, 1, 400])
def test_of_two_processes_that_create_one_journal_the_slower_gets_an_error(
    path: Path, monkeypatch: pytest.MonkeyPatch, at: int | str
) -> None:
    """The faster one removes the file that the slower one is writing, even an empty one."""
    faster = []

    def overtake(now: int | str) -> None:
        if now == at:
            with monkeypatch.context() as patch:
                patch.setattr("bulk.journal.create.connect", connect)
                faster.append(Journal.create(path, a_batch(), some_triggers(3)))

    def slowly(new: Path) -> sqlite3.Connection:
        opened = connect(new)
        overtake("the first write")
        return opened

    def triggers() -> Iterator[Trigger]:
        for number, trigger in enumerate(some_triggers(401)):
            overtake(number)
            yield trigger

    monkeypatch.setattr("bulk.journal.create.connect", slowly)
    with pytest.raises(BatchInUseError, match=r"another bulk-trigger is at work"):
        Journal.create(path, a_batch(), triggers())
    faster[0].close()
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]
    with Journal.open(path) as journal:
        assert len(list(journal.results())) == 3


def test_a_batch_whose_triggers_cannot_be_read_leaves_nothing_behind(path: Path) -> None:
    def broken() -> Iterator[Trigger]:
        yield from some_triggers(2)
        raise StorageError("the manifest was changed")

    with pytest.raises(StorageError, match="changed"):
        Journal.create(path, a_batch(), broken())
    assert list(path.parent.iterdir()) == []


def test_a_folder_that_is_not_there_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="No such file"):
        Journal.create(tmp_path / "none" / "journal.sqlite", a_batch(), [])


def test_a_copy_taken_at_any_instant_opens_as_after_a_crash(path: Path, tmp_path: Path) -> None:
    with Journal.create(path, a_batch(), some_triggers(3)) as journal:
        journal.begin_session(1.0)
        entries: list[Entry] = [Intent(1, 1, 1, 9.9), ended(1, 1, Outcome.QUEUED)]
        for step, entry in enumerate(entries):
            journal.write([entry])
            copy = tmp_path / f"crash-{step}"
            shutil.copytree(path.parent, copy, ignore=shutil.ignore_patterns("crash-*"))
    outcomes = []
    for step in range(2):
        with Journal.open(tmp_path / f"crash-{step}" / path.name) as journal:
            outcomes.append(next(journal.results()).outcome)
    assert outcomes == [Outcome.UNKNOWN, Outcome.QUEUED]


async def test_entries_that_come_together_are_committed_together(path: Path) -> None:
    with Journal.create(path, a_batch(), some_triggers(50)) as journal:
        journal.begin_session(1.0)
        groups: list[int] = []
        stage = journal.stage

        def counted(entries: Iterable[Entry]) -> None:
            groups.append(len(list(entries)))
            stage(entries)

        journal.stage = counted  # type: ignore[method-assign]
        commit = GroupCommit(journal, in_thread)
        async with trio.open_nursery() as nursery:
            for number in range(1, 51):
                nursery.start_soon(commit.record, Intent(number, number, 1, 9.9))
        assert sum(groups) == 50
        assert len(groups) <= 3
        assert len(list(journal.attempts())) == 50


async def test_a_commit_that_fails_fails_for_all_entries_of_its_group_and_for_no_other(
    path: Path,
) -> None:
    with Journal.create(path, a_batch(), some_triggers(5)) as journal:
        journal.begin_session(1.0)
        commit = GroupCommit(journal, in_thread)
        failed = []

        async def record(number: int) -> None:
            try:
                await commit.record(Intent(1, number, 1, 9.9))
            except StorageError:
                failed.append(number)

        async with trio.open_nursery() as nursery:
            for number in (1, 2, 3):
                nursery.start_soon(record, number)
        assert len(failed) >= 2, "three attempts of one id cannot all be written"
        await commit.record(Intent(7, 4, 1, 9.9))
        assert 7 in [journal.next_attempt_id() - 1]


async def test_the_log_of_a_long_batch_is_begun_anew_again_and_again(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bulk.journal.store.LOGGED_MAX", 5)
    sizes = []
    with Journal.create(path, a_batch(), some_triggers(100)) as journal:
        journal.begin_session(1.0)
        commit = GroupCommit(journal, in_thread)
        for number in range(1, 101):
            await commit.record(Intent(number, number, 1, 9.9))
            sizes.append(wal_path(path).stat().st_size)
    assert max(sizes[10:]) == max(sizes[:10])


async def test_what_was_staged_is_forgotten_where_its_commit_does_not_come(path: Path) -> None:
    """As after a Ctrl-C, or if no thread can be started: the next entries are written."""

    async def no_thread(_: Callable[[], object], /) -> NoReturn:
        raise KeyboardInterrupt

    with Journal.create(path, a_batch(), some_triggers(5)) as journal:
        journal.begin_session(1.0)
        with pytest.raises(KeyboardInterrupt):
            await GroupCommit(journal, no_thread).record(Intent(1, 1, 1, 9.9))
        await GroupCommit(journal, in_thread).record(Intent(2, 2, 1, 9.9))
        assert [attempt.number for attempt in journal.attempts()] == [1]
        assert journal.next_attempt_id() == 3


@given(
    name=st.text(),
    tags=st.lists(st.text()),
    own=st.lists(st.tuples(st.text(), st.text())),
)
def test_any_name_tag_and_column_comes_back_as_it_was(
    name: str, tags: list[str], own: list[tuple[str, str]]
) -> None:
    (plain,) = some_triggers(1)
    trigger = Trigger(plain.test_id, name=name, tags=tuple(tags), own=tuple(own), line=3)
    parameters = trigger_parameters(trigger)
    assert checked_trigger(parameters) == trigger
    json.loads(parameters["own"])


@pytest.mark.parametrize(
    ("folder", "kind"),
    [
        ("/home/ana/reports", "ext4"),
        ("/mnt/share/reports", "cifs"),
        ("/mnt/shared", "ext4"),
        ("/mnt/a b/x", "nfs4"),
        ("/mnt/a\tb\nc/x", "ceph"),
        ("/over", "nfs"),
    ],
)
def test_the_innermost_and_latest_mount_counts(folder: str, kind: str) -> None:
    mounts = parse_linux_mounts(
        "/dev/sda1 / ext4 rw 0 0\n//srv/x /mnt/share cifs rw 0 0\nsrv:/ /mnt/a\\040b nfs4 rw 0 0\n"
        "x /mnt/a\\011b\\012c ceph rw 0 0\n"
        "/dev/sdb /over ext4 rw 0 0\nsrv:/o /over nfs rw 0 0\nbroken\n"
    )
    found = innermost_mount(Path(folder), mounts)
    assert found is not None
    assert found.kind == kind


@pytest.mark.parametrize(
    ("mount", "named"),
    [
        ("/dev/sda1 / ext4 rw 0 0", None),
        ("overlay / overlay rw,lowerdir=/a 0 0", None),
        ("tmpfs /tmp tmpfs rw 0 0", None),
        ("new / a-file-system-of-2030 rw 0 0", None),
        ("srv:/x /x nfs4 rw,vers=4.2 0 0", "a network file system (nfs4)"),
        ("//srv/x /x cifs rw 0 0", "a network file system (cifs)"),
        ("mon:/ /x ceph rw 0 0", "a network file system (ceph)"),
        ("fs /x gpfs rw 0 0", "a network file system (gpfs)"),
        # object stores, remote folders and cluster file systems, whatever they are called
        ("bucket /x fuse.gcsfuse rw 0 0", "a FUSE file system (fuse.gcsfuse)"),
        ("gdrive: /x fuse.rclone rw 0 0", "a FUSE file system (fuse.rclone)"),
        ("s3fs /x fuse.s3fs rw 0 0", "a FUSE file system (fuse.s3fs)"),
        ("mountpoint-s3 /x fuse rw 0 0", "a FUSE file system (fuse)"),
        ("JuiceFS:x /x fuse.juicefs rw 0 0", "a FUSE file system (fuse.juicefs)"),
        ("blobfuse2 /x fuse rw 0 0", "a FUSE file system (fuse)"),
        ("ana@srv:/ /x fuse.sshfs rw 0 0", "a FUSE file system (fuse.sshfs)"),
        ("srv:/v /x fuse.glusterfs rw 0 0", "a FUSE file system (fuse.glusterfs)"),
        ("x /x fuse.a-store-of-2030 rw 0 0", "a FUSE file system (fuse.a-store-of-2030)"),
        # the machine's own disks by way of FUSE
        ("/dev/sdb1 /x fuseblk rw 0 0", None),
        ("/dev/sdb1 /x fuseblk.exfat rw 0 0", None),
        ("gocryptfs /x fuse.gocryptfs rw 0 0", None),
        ("a:b /x fuse.mergerfs rw 0 0", None),
        ("fuse-overlayfs / fuse.fuse-overlayfs rw 0 0", None),
        # folders that a host shares with its virtual machine
        ("C:\\134 /mnt/c 9p rw,aname=drvfs;path=C:\\,cache=mmap,trans=fd,rfd=8 0 0", None),
        ("drvfs /mnt/c 9p rw,trans=virtio,aname=drvfs 0 0", None),
        ("none /x 9p rw,trans=tcp,port=564 0 0", "a network file system (9p)"),
        ("srv /x 9p rw,aname=trans=fd 0 0", "a network file system (9p)"),
        ("srv /x 9p rw,trans=rdma 0 0", "a network file system (9p)"),
        ("virtiofs0 /x virtiofs rw 0 0", None),
        ("/run/host_mark/Users /x fakeowner rw 0 0", None),
        ("grpcfuse /x fuse.grpcfuse rw 0 0", None),
        ("share /x vboxsf rw 0 0", None),
    ],
)
def test_a_file_system_is_trusted_where_locks_and_syncs_are_the_machines_own(
    mount: str, named: str | None
) -> None:
    (parsed,) = parse_linux_mounts(mount)
    assert untrusted(parsed) == named


def test_the_mounts_of_macos_have_a_format_of_their_own() -> None:
    text = "/dev/disk3s1 on / (apfs, sealed, local)\n//ana@srv/x on /Volumes/x (1) (smbfs, nodev)\n"
    local, share = parse_macos_mounts(text)
    assert local == Mount("/", "apfs", "sealed,local")
    assert share == Mount("/Volumes/x (1)", "smbfs", "nodev")
    assert (untrusted(local), untrusted(share)) == (None, "a network file system (smbfs)")
    assert untrusted(Mount("/Volumes/x", "macfuse")) == "a FUSE file system (macfuse)"


def test_a_network_folder_is_refused_with_the_reason(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bulk.journal.create.network_file_system", lambda folder: "a disk of clay")
    with pytest.raises(StorageError, match=r"is on a disk of clay, .*twice.*lose.*--output"):
        Journal.create(path, a_batch(), [])
