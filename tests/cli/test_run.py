"""`run`, `resume` and `report` as a user meets them: what is said, written, sent and returned."""

from __future__ import annotations

import csv
import json
import os
import re
import shlex
import signal
import sqlite3
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from xml.etree import ElementTree

import pytest

import bulk
from bulk.errors import OptionError
from bulk.journal import Journal
from tests.cli.terminal import (
    ENVIRONMENT,
    KEY,
    Said,
    Terminal,
    at_a_terminal,
    request,
    rows,
    sandbox,
    spawn,
    truth,
    wait_until_accepted,
    wait_until_asked,
    write_manifest,
)
from tests.processes import ROOT, Process, launcher

RELEASE = ROOT / "manifests" / "release.csv"
SLOW = "token-bucket 40/s burst 5; headers retry-after-fractional; latency 20ms"

pytestmark = pytest.mark.sockets


@pytest.fixture(scope="module")
def free() -> Iterator[str]:
    """The address of an unlimited sandbox."""
    with sandbox("none; latency 5ms") as base_url:
        yield base_url


def check_truth(batch: Path, base_url: str, total: int) -> None:
    """Each cell is in the report once, was accepted at most once, and its run is the server's."""
    report = rows(batch)
    accepted = truth(base_url)["accepted"]
    assert len({row["key"] for row in report}) == len(report) == total
    assert max(Counter(run["test_id"] for run in accepted).values()) == 1
    ours = {row["run_id"]: row["test_id"] for row in report if row["run_id"]}
    theirs = {run["run_id"]: run["test_id"] for run in accepted}
    assert ours.items() <= theirs.items()
    suspects = {row["test_id"] for row in report if row["outcome"] == "unknown"}
    assert {theirs[run_id] for run_id in theirs.keys() - ours.keys()} <= suspects


# --- the first minutes ---------------------------------------------------------------------------


def test_without_a_key_the_line_to_copy_is_shown(terminal: Terminal) -> None:
    said = terminal.call(RELEASE)
    assert said == Said(
        3,
        "",
        "error: no API key. Set TESTERARMY_API_KEY, or try it without one:\n"
        f"  bulk-trigger {RELEASE} --sandbox\n",
    )


def test_an_empty_variable_is_named_as_such(terminal: Terminal) -> None:
    said = terminal.call(RELEASE, TESTERARMY_API_KEY="")
    assert said.code == 3
    assert "TESTERARMY_API_KEY is set but empty" in said.err


@pytest.mark.skipif(os.name == "nt", reason="there are no named pipes of this kind there")
def test_a_file_that_can_be_read_but_once_holds_the_key(terminal: Terminal, free: str) -> None:
    """As the shell's `<(...)` makes one."""
    pipe = terminal.folder / "key"
    os.mkfifo(pipe)
    manifest = write_manifest(terminal.folder / "m.csv", 1)
    run = (manifest, "--base-url", free, "--api-key-file", pipe)
    process = spawn(*run, folder=terminal.folder)
    try:
        pipe.write_text(KEY, encoding="utf-8")
        _, err = process.communicate(timeout=30)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 0, err


def test_a_sample_is_refused_where_its_ids_cannot_exist(terminal: Terminal) -> None:
    said = terminal.call(RELEASE, "--base-url", "https://tester.army", **ENVIRONMENT)
    assert said.code == 2
    assert "is one of our samples" in said.err
    assert terminal.batches() == []


def test_the_sample_runs_against_the_sandbox(terminal: Terminal) -> None:
    said = terminal.call(RELEASE, "--sandbox")
    assert said.code == 0
    heading = said.err.splitlines()
    assert re.fullmatch(r"SANDBOX http://127\.0\.0\.1:\d+ \(nothing is billed\)", heading[0])
    assert heading[1] == f"{RELEASE}: 5 rows, 14 triggers (web 5, ios 6, android 3)"
    (batch,) = terminal.batches()
    ending = said.out.splitlines()
    assert re.fullmatch(r"All 14 triggered in \d\.\d s\. Test results not awaited\.", ending[1])
    assert ending[2] == "  queued 14   rejected 0   throttled 0   unknown 0   unsent 0"
    assert ending[-2:] == [
        f"Report  reports/{batch.name}/report.html",
        f"Table   reports/{batch.name}/report.csv",
    ]
    files = {str(path.relative_to(batch)) for path in batch.rglob("*") if path.is_file()}
    assert files == {
        "report.html",
        "report.csv",
        "data/journal.sqlite",
        "data/summary.json",
        "data/attempts.csv",
        "data/junit.xml",
        "data/runs.txt",
    }
    assert (terminal.folder / "reports" / "latest.txt").read_text() == f"{batch.name}\n"
    assert {row["outcome"] for row in rows(batch)} == {"queued"}
    assert ElementTree.parse(batch / "data" / "junit.xml").getroot().get("errors") == "0"


def test_json_is_all_that_stands_on_stdout(terminal: Terminal) -> None:
    said = terminal.call(RELEASE, "--sandbox", "none", "--json")
    summary = json.loads(said.out)
    assert summary["outcomes"]["queued"] == 14
    assert summary["sandbox"] is True
    assert "All 14 triggered" in said.err


def test_quiet_says_only_the_end(terminal: Terminal) -> None:
    said = terminal.call(RELEASE, "--sandbox", "none", "--quiet")
    assert said.err == ""
    assert "All 14 triggered" in said.out


def test_the_bill_is_named_before_the_first_send(terminal: Terminal, free: str) -> None:
    manifest = write_manifest(terminal.folder / "m.csv", 3)
    said = terminal.call(manifest, "--base-url", free, **ENVIRONMENT)
    assert said.code == 0
    assert f"3 triggers = 3 billed runs at {free}" in said.err


def test_github_is_told_counts_and_paths(terminal: Terminal) -> None:
    output, summary = terminal.folder / "output", terminal.folder / "summary.md"
    output.write_text("before=1\n")
    said = terminal.call(
        RELEASE,
        "--sandbox",
        "none",
        GITHUB_ACTIONS="true",
        GITHUB_OUTPUT=str(output),
        GITHUB_STEP_SUMMARY=str(summary),
    )
    assert said.code == 0
    outputs = dict(line.split("=", 1) for line in output.read_text().splitlines())
    (batch,) = terminal.batches()
    assert (outputs["before"], outputs["queued"], outputs["exit_code"]) == ("1", "14", "0")
    assert outputs["report"] == f"reports/{batch.name}/report.html"
    assert summary.read_text().startswith("## All 14 triggered\n")


@pytest.mark.skipif(sys.platform != "linux", reason="file names are text on other systems")
def test_github_is_told_a_path_that_is_no_text(terminal: Terminal) -> None:
    outputs = terminal.folder / "output"
    path = ("--output", os.fsdecode(b"caf\xe9"), "--batch", "b")
    github = {"GITHUB_ACTIONS": "true", "GITHUB_OUTPUT": str(outputs)}
    process = spawn(RELEASE, "--sandbox", "none", *path, folder=terminal.folder, **github)
    assert (process.communicate(timeout=60)[1].count("error"), process.returncode) == (0, 0)
    assert b"\nreport=caf\xe9/b/report.html\n" in outputs.read_bytes()


def test_the_python_api_does_the_same(terminal: Terminal, free: str) -> None:
    manifest = write_manifest(terminal.folder / "m.csv", 5)
    ended = bulk.trigger(manifest, api_key=KEY, base_url=free, output=terminal.folder / "out")
    assert (ended.summary.queued, ended.summary.exit_code) == (5, 0)
    assert len(rows(ended.folder)) == 5


# --- what goes wrong -----------------------------------------------------------------------------


def test_a_refused_key_ends_with_3_before_anything_is_made(terminal: Terminal) -> None:
    with sandbox(f"none; reject-key {KEY}") as base_url:
        said = terminal.call(RELEASE, "--base-url", base_url, TESTERARMY_API_KEY=f"{KEY}\n")
    assert said.code == 3
    assert "rejected the API key (HTTP 401); nothing was sent" in said.err
    assert terminal.batches() == []


def test_a_key_refused_by_a_server_without_a_preflight_ends_with_3_too(terminal: Terminal) -> None:
    with sandbox(f"none; legacy; reject-key {KEY}") as base_url:
        said = terminal.call(RELEASE, "--base-url", base_url, **ENVIRONMENT)
    assert said.code == 3
    assert "unsent 14" in said.out


@pytest.mark.parametrize(
    ("base_url", "code", "words"),
    [
        ("http://127.0.0.1:9", 4, "nothing answers at http://127.0.0.1:9"),
        ("http://127.0.0.1:9/api", 4, "nothing answers"),
        ("tester.army", 2, "is not an http(s) URL"),
        ("http://127.0.0.1:99999", 2, "--base-url"),
    ],
)
def test_a_wrong_address_says_so(terminal: Terminal, base_url: str, code: int, words: str) -> None:
    said = terminal.call(RELEASE, "--base-url", base_url, **ENVIRONMENT)
    assert (said.code, words in said.err) == (code, True)
    assert terminal.batches() == []


def test_an_address_that_is_no_api_rejects_all_and_says_what_to_check(
    terminal: Terminal, free: str
) -> None:
    said = terminal.call(RELEASE, "--base-url", f"{free}/another", **ENVIRONMENT)
    assert said.code == 1
    assert "14 http_404: The server knows no such test." in said.out
    assert "if every trigger fails like this, check --base-url" in said.out


def test_all_problems_of_a_manifest_are_told_at_once_and_nothing_is_sent(
    terminal: Terminal, free: str
) -> None:
    manifest = terminal.folder / "bad.csv"
    manifest.write_text("test_id,platform,mode\nx,iso,fast\n,web,slow\n")
    said = terminal.call("bad.csv", "--base-url", free, **ENVIRONMENT)
    assert said.code == 2
    assert said.err.count("bad.csv:2") == 2
    assert said.err.count("bad.csv:3") == 2
    assert '(did you mean "ios"?)' in said.err
    assert terminal.batches() == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--max-triggers", "13"], "14 triggers are more than --max-triggers 13"),
        (["--tags", "nothing"], "nothing"),
        (["--app-id", "ios"], "is not PLATFORM=UUID"),
        (["--app-id", "ios=x"], "is not a UUID"),
        (["--deadline", "soon"], "is not a duration"),
        (["--sandbox", "--batch", "../x"], "is not a batch name"),
        (["--sandbox", "leaky-boat 3/s"], "--sandbox"),
    ],
)
def test_an_option_that_cannot_be_carried_out_ends_with_2(
    terminal: Terminal, arguments: list[str], words: str
) -> None:
    said = terminal.call(RELEASE, *arguments, **ENVIRONMENT)
    assert (said.code, words in said.err) == (2, True)
    assert terminal.batches() == []


def test_an_output_that_is_a_file_ends_with_8_or_2(terminal: Terminal) -> None:
    (terminal.folder / "file").touch()
    assert terminal.call(RELEASE, "--sandbox", "--output", "file").code == 2
    said = terminal.call(RELEASE, "--sandbox", "--output", "file/below")
    assert said.code == 8
    assert "cannot be created" in said.err


def test_a_disk_that_fills_up_ends_with_8_and_loses_no_run(terminal: Terminal) -> None:
    manifest = write_manifest(terminal.folder / "m.csv", 400)
    with sandbox("none; latency 5ms") as base_url:
        # A limit on the size of files stands in for the full disk: 300 kB hold the triggers only.
        wanted = request(
            *(manifest, "--base-url", base_url),
            folder=terminal.folder,
            environment=ENVIRONMENT,
            file_bytes_max=300_000,
        )
        process = launcher().start(wanted)
        _, err = process.communicate(timeout=60)
        assert (process.returncode, "Traceback" in err) == (8, False), err
        (batch,) = terminal.batches()
        with Journal.open(batch / "data" / "journal.sqlite") as journal:
            recorded = journal.run_ids()
        handed_over = set(re.findall(r"trigger k\w+  run (\S+)", err))
        assert recorded | handed_over == {run["run_id"] for run in truth(base_url)["accepted"]}
        again = terminal.call("resume", **ENVIRONMENT)
        assert again.code == 0, again  # what was handed over is found at the server
        check_truth(batch, base_url, 400)


# --- interrupted, killed, continued --------------------------------------------------------------


def test_a_kill_in_mid_run_then_resume_sends_no_cell_twice_and_misses_none(
    terminal: Terminal,
) -> None:
    manifest = write_manifest(terminal.folder / "m.csv", 80)
    with sandbox(SLOW) as base_url:
        process = spawn(manifest, "--base-url", base_url, folder=terminal.folder, **ENVIRONMENT)
        wait_until_accepted(base_url, 25)
        process.kill()
        process.communicate()
        manifest.unlink()  # resume needs the journal alone
        (batch,) = terminal.batches()
        assert terminal.call("report", batch.name).code in (1, 7)
        assert not (batch / "data" / "journal.sqlite-wal").exists()
        said = terminal.call("resume", **ENVIRONMENT)
        assert said.code in (0, 7), said.err
        check_truth(batch, base_url, 80)
        assert {row["outcome"] for row in rows(batch)} <= {"queued", "unknown"}


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_drains_reports_and_leaves_the_rest_for_resume(
    terminal: Terminal, number: signal.Signals, code: int
) -> None:
    manifest = write_manifest(terminal.folder / "m.csv", 80)
    with sandbox(SLOW) as base_url:
        process = spawn(manifest, "--base-url", base_url, folder=terminal.folder, **ENVIRONMENT)
        wait_until_accepted(base_url, 10)
        process.send_signal(number)
        out, err = process.communicate(timeout=20)
        assert process.returncode == code, err
        assert "Stopping: waiting at most 5 s" in err
        assert "bulk-trigger resume" in out
        (batch,) = terminal.batches()
        unsent = Counter(row["outcome"] for row in rows(batch))
        assert set(unsent) == {"queued", "unsent"}
        check_truth(batch, base_url, 80)
        # The same command again points at the unfinished batch instead of billing it anew ...
        said = terminal.call(manifest, "--base-url", base_url, **ENVIRONMENT)
        assert said.code == 2
        assert f"batch {batch.name} of the same triggers is unfinished" in said.err
        assert f"bulk-trigger resume {batch.name}" in said.err
        # ... and resume ends it.
        assert terminal.call("resume", batch.name, **ENVIRONMENT).code == 0
        check_truth(batch, base_url, 80)
        assert len(terminal.batches()) == 1


def test_the_newest_batch_is_the_one_begun_last_whatever_became_of_it(terminal: Terminal) -> None:
    first = write_manifest(terminal.folder / "first.csv", 3)
    second = write_manifest(terminal.folder / "second.csv", 40, first=3)
    with sandbox(SLOW) as base_url:
        old = ("--base-url", base_url, "--batch", "old")
        assert terminal.call(first, *old, **ENVIRONMENT).code == 0
        new = ("--base-url", base_url, "--batch", "new")
        process = spawn(second, *new, folder=terminal.folder, **ENVIRONMENT)
        wait_until_accepted(base_url, 10)
        process.kill()
        process.communicate()
        assert terminal.call("report", "old").code == 0
        said = terminal.call("resume", "--on-unknown", "report", **ENVIRONMENT)
        assert said.code in (0, 7)
        assert "continuing batch new: " in said.err
        assert {row["outcome"] for row in rows(terminal.folder / "reports" / "new")} <= {
            "queued",
            "unknown",
        }


def test_a_batch_that_was_interrupted_just_before_its_end_is_green_when_called_again(
    terminal: Terminal,
) -> None:
    manifest = write_manifest(terminal.folder / "m.csv", 1)
    with sandbox("none; latency 1s") as base_url:
        run = (manifest, "--base-url", base_url, "--batch", "b")
        process = spawn(*run, folder=terminal.folder, **ENVIRONMENT)
        wait_until_accepted(base_url, 1)
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=20)
        assert (process.returncode, "All 1 triggered" in out) == (143, True), err
        again = terminal.call(*run, **ENVIRONMENT)
        assert (again.code, "Stopped" in again.out) == (0, False), again
        assert terminal.call("report", "b").code == 0
        assert len(truth(base_url)["accepted"]) == 1


def test_a_second_signal_leaves_at_once(terminal: Terminal) -> None:
    manifest = write_manifest(terminal.folder / "m.csv", 20)
    with sandbox("none; fault hang 100%") as base_url:
        process = spawn(
            *(manifest, "--base-url", base_url, "--drain-timeout", "300s"),
            folder=terminal.folder,
            **ENVIRONMENT,
        )
        assert process.stderr is not None
        while "billed runs" not in process.stderr.readline():
            pass
        (batch,) = terminal.batches()
        wait_until_asked(base_url, 5)
        process.send_signal(signal.SIGINT)
        while "Stopping" not in process.stderr.readline():
            pass
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Stopping" not in err, "it says so once"
    assert f"bulk-trigger resume {batch.name}" in err
    assert "Traceback" not in err
    with Journal.open(batch / "data" / "journal.sqlite") as journal:
        assert {result.outcome for result in journal.results()} == {"unknown", "unsent"}


def test_a_named_batch_is_continued_and_a_finished_one_sends_nothing(
    terminal: Terminal, free: str
) -> None:
    manifest = write_manifest(terminal.folder / "m.csv", 6)
    other = write_manifest(terminal.folder / "other.csv", 7)
    arguments = ("--base-url", free, "--batch", "nightly")
    first = terminal.call(manifest, *arguments, **ENVIRONMENT)
    before = len(truth(free)["accepted"])
    again = terminal.call(manifest, *arguments)
    assert (first.code, again.code) == (0, 0), "without a key as well: nobody is asked"
    assert "Batch nightly is finished: nothing is sent." in again.err
    assert len(truth(free)["accepted"]) == before
    (batch,) = terminal.batches()
    batch.rename(batch.with_name("renamed"))
    changed = terminal.call(other, "--base-url", free, "--batch", "renamed", **ENVIRONMENT)
    assert changed.code == 2
    assert "batch renamed has other triggers than" in changed.err
    another = terminal.call(
        manifest, "--base-url", "http://127.0.0.1:9", "--batch", "renamed", **ENVIRONMENT
    )
    assert another.code == 2
    assert f"batch renamed was run at {free}" in another.err


@pytest.mark.parametrize("by_its_name", [True, False])
def test_a_batch_of_an_embedded_sandbox_goes_on_at_another(
    terminal: Terminal, by_its_name: bool
) -> None:
    manifest = write_manifest(terminal.folder / "m.csv", 40)
    run = (manifest, "--sandbox", "token-bucket 20/s burst 10", "--batch", "b")
    assert terminal.call(*run, "--deadline", "0.5s").code == 11
    again = terminal.call(*run) if by_its_name else terminal.call("resume")
    assert again.code == 0, again
    (batch,) = terminal.batches()
    assert len({row["run_id"] for row in rows(batch)}) == 40


def test_a_killed_job_whose_folder_was_restored_elsewhere_goes_on_by_its_name(
    terminal: Terminal, tmp_path: Path
) -> None:
    manifest = write_manifest(terminal.folder / "m.csv", 60)
    with sandbox(SLOW) as base_url:
        arguments = (manifest, "--base-url", base_url, "--batch", "nightly")
        process = spawn(*arguments, folder=terminal.folder, **ENVIRONMENT)
        wait_until_accepted(base_url, 20)
        process.kill()
        process.communicate()
        bare = tmp_path / "bare-machine"
        (terminal.folder / "reports").rename(bare)
        again = (*arguments, "--output", bare, "--on-unknown", "report")
        said = terminal.call(*again, **ENVIRONMENT)
        assert said.code in (0, 7)
        assert "continuing batch nightly" in said.err
        check_truth(bare / "nightly", base_url, 60)


def test_two_processes_do_not_work_on_one_batch_nor_on_the_same_triggers(
    terminal: Terminal,
) -> None:
    manifest = write_manifest(terminal.folder / "m.csv", 200)
    with sandbox(SLOW) as base_url:
        process = spawn(manifest, "--base-url", base_url, folder=terminal.folder, **ENVIRONMENT)
        wait_until_accepted(base_url, 5)
        resumed = terminal.call("resume", terminal.batches()[0].name, **ENVIRONMENT)
        repeated = terminal.call(manifest, "--base-url", base_url, **ENVIRONMENT)
        process.kill()
        process.communicate()
    assert (resumed.code, "another bulk-trigger is at work" in resumed.err) == (2, True)
    assert (repeated.code, "another process is running batch" in repeated.err) == (2, True)
    assert len(terminal.batches()) == 1


def test_a_quota_ends_with_12_and_a_rate_that_outlasts_its_budget_with_11(
    terminal: Terminal,
) -> None:
    manifest = write_manifest(terminal.folder / "m.csv", 30)
    with sandbox("quota 10; latency 5ms") as base_url:
        quota = terminal.call(manifest, "--base-url", base_url, **ENVIRONMENT)
    with sandbox("token-bucket 1/s burst 5; headers retry-after") as base_url:
        arguments = (manifest, "--base-url", base_url, "--deadline", "1s")
        late = terminal.call(*arguments, **ENVIRONMENT)
        tried = terminal.call(*arguments, "--max-retries", "0", "--new", **ENVIRONMENT)
    assert (quota.code, "the account's quota is used up" in quota.out) == (12, True)
    assert (late.code, "Stopped: deadline" in late.out) == (11, True)
    assert tried.code == 11
    assert "--last-failed" in tried.out, "what a plain resume leaves is throttled"


def test_unknown_outcomes_end_with_7(terminal: Terminal) -> None:
    manifest = write_manifest(terminal.folder / "m.csv", 10)
    with sandbox("none; fault 500-queued first 2") as base_url:
        said = terminal.call(
            manifest, "--base-url", base_url, "--on-unknown", "report", **ENVIRONMENT
        )
        assert said.code == 7
        assert (
            "2 server_error: The server failed; the run may or may not have been queued" in said.out
        )
        assert len(truth(base_url)["accepted"]) == 10


def test_what_became_of_unknown_triggers_is_found_out(terminal: Terminal) -> None:
    manifest = write_manifest(terminal.folder / "m.csv", 10)
    with sandbox("none; fault 500-queued first 2") as base_url:
        options = ("--base-url", base_url, "--on-unknown", "report")
        assert terminal.call(manifest, *options, **ENVIRONMENT).code == 7
        asked = terminal.call("resume", "--reconcile-only", **ENVIRONMENT)
        assert asked.code == 0, asked
        assert "2 found, 0 never executed" in asked.err
        assert "2 runs were found at the server after the answer was lost." in asked.out
        (batch,) = terminal.batches()
        assert [row["origin"] for row in rows(batch)].count("adopted") == 2
        check_truth(batch, base_url, 10)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_what_was_under_way_as_a_process_was_cut_short_is_asked_for_and_not_counted_as_to_be_sent(
    terminal: Terminal, number: signal.Signals
) -> None:
    manifest = write_manifest(terminal.folder / "m.csv", 1)
    with sandbox("none; fault hang-queued first 1") as base_url:
        run = (manifest, "--base-url", base_url, "--drain-timeout", "0.1s")
        process = spawn(*run, folder=terminal.folder, **ENVIRONMENT)
        wait_until_accepted(base_url, 1)
        process.send_signal(number)
        process.communicate()
        (batch,) = terminal.batches()
        again = terminal.call(manifest, "--base-url", base_url, **ENVIRONMENT)
        assert again.code == 2, again
        assert f"batch {batch.name} of the same triggers is unfinished: 1 unknown. " in again.err
        left = terminal.call("resume", "--on-unknown", "report", **ENVIRONMENT)
        assert left.code == 7, "and not as the process before"
        assert "has nothing left to send, and its unknown triggers are not looked up." in left.err
        assert terminal.call(manifest, "--base-url", base_url, **ENVIRONMENT).code == 2, "as before"
        asked = terminal.call("resume", "--reconcile-only", **ENVIRONMENT)
        assert asked.code == 0, asked
        assert f"continuing batch {batch.name}: 1 unknown\n" in asked.err
        assert "1 found, 0 never executed" in asked.err
        check_truth(batch, base_url, 1)


SIGNALLED_AT_ITS_REPORTS = """
import os
put = os.replace
def put_signalled(source, target, **options):
    if str(target).endswith("report.csv"):
        for number in {signals}:
            os.kill(os.getpid(), number)
    put(source, target, **options)
os.replace = put_signalled
"""
SIGNALLED_AT_ITS_END = """
import atexit, os
atexit.register(lambda: [os.kill(os.getpid(), number) for number in {signals}])
"""


def spawn_signalled(
    terminal: Terminal, when: str, signals: Sequence[signal.Signals], *words: str | Path
) -> Process:
    """A process that gets these signals just then."""
    before = when.format(signals=[int(number) for number in signals])
    return launcher().start(
        request(*words, folder=terminal.folder, environment=ENVIRONMENT, before=before)
    )


@pytest.mark.parametrize("then", ["resume", "report"])
def test_a_batch_that_was_killed_before_its_reports_is_not_billed_again(
    terminal: Terminal, then: str
) -> None:
    manifest = write_manifest(terminal.folder / "m.csv", 5)
    with sandbox("none") as base_url:
        run = (manifest, "--base-url", base_url)
        killed = spawn_signalled(terminal, SIGNALLED_AT_ITS_REPORTS, [signal.SIGKILL], *run)
        killed.communicate(timeout=60)
        assert killed.returncode == -signal.SIGKILL
        (batch,) = terminal.batches()
        again = terminal.call(*run, **ENVIRONMENT)
        assert again.code == 2, again
        assert f"{batch.name} of the same triggers is unfinished: its reports to write" in again.err
        with pytest.raises(OptionError, match="unfinished"):
            bulk.trigger(
                manifest, api_key="k" * 20, base_url=base_url, output=terminal.folder / "reports"
            )
        assert terminal.call(then, batch.name, **ENVIRONMENT).code == 0
        check_truth(batch, base_url, 5)
        assert terminal.call(*run, **ENVIRONMENT).code == 0, (
            "reported how it went, one may want another"
        )
        assert len(terminal.batches()) == 2


def test_what_an_unfinished_batch_has_sent_is_not_billed_again_by_an_edited_manifest(
    terminal: Terminal,
) -> None:
    manifest = write_manifest(terminal.folder / "m.csv", 40)
    edited = write_manifest(terminal.folder / "edited.csv", 40, first=3)
    another = write_manifest(terminal.folder / "another.csv", 5, first=100)
    with sandbox(SLOW) as base_url:
        options = ("--base-url", base_url)
        first = (manifest, *options, "--batch", "first", "--rate", "20/s", "--deadline", "0.5s")
        assert terminal.call(*first, **ENVIRONMENT).code == 11
        sent = [row for row in rows(terminal.folder / "reports" / "first") if row["run_id"]]
        shared = len([row for row in sent if row["line"] not in ("2", "3", "4")])
        assert 0 < shared < len(sent) < 40
        before = truth(base_url)["counts"]["requests"]
        for named in ((), ("--batch", "second")):
            said = terminal.call(edited, *options, *named, **ENVIRONMENT)
            words = f"batch first is unfinished and has already sent {shared} of these 40 triggers"
            assert (said.code, words in said.err) == (2, True), said
        assert "Continue it: bulk-trigger resume first\n" in said.err
        reports = terminal.folder / "reports"
        with pytest.raises(OptionError, match=f"has already sent {shared} of these"):
            bulk.trigger(edited, api_key=KEY, base_url=base_url, output=reports)
        assert truth(base_url)["counts"]["requests"] == before
        assert len(terminal.batches()) == 1
        # What it has not sent is nobody's, nor is what is sent somewhere else.
        assert terminal.call(another, *options, **ENVIRONMENT).code == 0
        again = terminal.call(edited, *options, "--batch", "second", "--new", **ENVIRONMENT)
        assert again.code == 0
        # Whoever has asked for it once is not asked again: the newer batch has them.
        third = write_manifest(terminal.folder / "third.csv", 30, first=3)
        assert terminal.call(third, *options, **ENVIRONMENT).code == 0
        assert terminal.call(manifest, *options, **ENVIRONMENT).code == 2, "of the same triggers"
        assert terminal.call(manifest, *options, "--new", **ENVIRONMENT).code == 0
        assert terminal.call(manifest, *options, **ENVIRONMENT).code == 0
        assert terminal.call("resume", "first", **ENVIRONMENT).code == 0


def test_the_python_api_begins_another_batch_only_where_that_is_asked_for(
    terminal: Terminal,
) -> None:
    manifest = write_manifest(terminal.folder / "m.csv", 20)
    edited = write_manifest(terminal.folder / "edited.csv", 5, first=1)
    with sandbox(SLOW) as base_url:
        begin = partial(bulk.trigger, api_key=KEY, base_url=base_url)
        assert begin(manifest, batch="first", deadline_s=0.3).summary.exit_code == 11
        with pytest.raises(OptionError, match=r"bulk-trigger resume first.* with new=True"):
            begin(edited)
        with pytest.raises(OptionError, match=r"Continue it: batch='first', or .* with new=True"):
            begin(manifest)
        assert begin(edited, new=True).summary.queued == 5


@pytest.mark.skipif(os.name == "nt", reason="no pseudo-terminals there")
@pytest.mark.parametrize(
    ("first", "answers"),
    [
        (0, {"": "continue", "quit": "quit", "new": "new"}),
        (1, {"": "quit", "quit": "quit", "again": "new"}),
    ],
    ids=["same", "edited"],
)
def test_at_a_terminal_one_is_asked_what_to_do_beside_an_unfinished_batch(
    terminal: Terminal, first: int, answers: dict[str, str]
) -> None:
    manifest = write_manifest(terminal.folder / "m.csv", 20)
    asking = write_manifest(terminal.folder / "n.csv", 20, first)
    for answer, does in answers.items():
        output = terminal.folder / f"{does} {answer}"
        with sandbox(SLOW) as base_url:
            run = ("--base-url", base_url, "--output", output, "--quiet")
            short = ("--batch", "b", "--deadline", "0.3s")
            assert terminal.call(manifest, *run, *short, **ENVIRONMENT).code == 11
            before = len(truth(base_url)["accepted"])
            code, said = at_a_terminal(answer, asking, *run, folder=terminal.folder, **ENVIRONMENT)
            assert "is unfinished" in said
            assert code == (130 if does == "quit" else 0), said
            after = len(truth(base_url)["accepted"])
            assert after == {"quit": before, "continue": 20, "new": before + 20}[does]


def test_the_newer_of_two_batches_is_told_also_where_the_clock_was_set_back_between_them(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = write_manifest(terminal.folder / "m.csv", 40)
    with sandbox(SLOW) as base_url:
        run = (manifest, "--base-url", base_url)
        with monkeypatch.context() as patch:
            patch.setattr("time.time", lambda now=time.time: now() + 86_400)
            assert terminal.call(*run, "--batch", "first", **ENVIRONMENT).code == 0
        short = ("--batch", "second", "--deadline", "0.5s")
        assert terminal.call(*run, *short, **ENVIRONMENT).code == 11
        again = terminal.call(*run, **ENVIRONMENT)
        assert again.code == 2
        assert "batch second of the same triggers is unfinished" in again.err


def test_what_was_cancelled_may_be_sent_by_an_edited_manifest(terminal: Terminal) -> None:
    manifest = write_manifest(terminal.folder / "m.csv", 40)
    edited = write_manifest(terminal.folder / "edited.csv", 40, first=3)
    with sandbox(SLOW) as base_url:
        options = ("--base-url", base_url)
        first = (manifest, *options, "--batch", "first", "--deadline", "0.5s")
        assert terminal.call(*first, **ENVIRONMENT).code == 11
        assert terminal.call(edited, *options, **ENVIRONMENT).code == 2
        assert terminal.call("cancel", "first", **ENVIRONMENT).code == 0
        assert terminal.call(edited, *options, **ENVIRONMENT).code == 0


def test_a_finished_batch_whose_table_could_not_be_written_is_finished(
    terminal: Terminal, free: str
) -> None:
    manifest = write_manifest(terminal.folder / "m.csv", 5)
    (terminal.folder / "reports" / "b" / "report.csv").mkdir(parents=True)
    said = terminal.call(manifest, "--base-url", free, "--batch", "b", **ENVIRONMENT)
    assert (said.code, "report.csv: not written: Is a directory" in said.err) == (8, True)
    assert "Table" not in said.out
    assert terminal.call(manifest, "--base-url", free, **ENVIRONMENT).code == 0


@pytest.mark.parametrize("first", [0, 1], ids=["same", "edited"])
def test_a_batch_whose_triggers_cannot_be_read_stops_what_may_be_the_same(
    terminal: Terminal, free: str, first: int
) -> None:
    manifest = write_manifest(terminal.folder / "m.csv", 5)
    other = write_manifest(terminal.folder / "n.csv", 5, first)
    assert terminal.call(manifest, "--base-url", free, "--batch", "b", **ENVIRONMENT).code == 0
    journal = terminal.folder / "reports" / "b" / "data" / "journal.sqlite"
    with closing(sqlite3.connect(journal)) as sql:
        (page,) = sql.execute(
            "SELECT rootpage FROM sqlite_master WHERE name = 'trigger'"
        ).fetchone()
        (keys,) = sql.execute(
            "SELECT rootpage FROM sqlite_master WHERE name = 'sqlite_autoindex_trigger_1'"
        ).fetchone()
    content = bytearray(journal.read_bytes())
    for number in (page, keys):
        content[(number - 1) * 4096 : number * 4096] = bytes(4096)
    journal.write_bytes(content)
    said = terminal.call(other, "--base-url", free, **ENVIRONMENT)
    assert (said.code, "the journal is damaged" in said.err) == (8, True), said
    assert terminal.call(other, "--base-url", free, "--new", **ENVIRONMENT).code == 0


def test_a_batch_that_was_moved_leaves_the_reports_of_another_alone(terminal: Terminal) -> None:
    manifest = write_manifest(terminal.folder / "m.csv", 80)
    other = write_manifest(terminal.folder / "n.csv", 3, first=100)
    batch, moved = terminal.folder / "reports" / "b", terminal.folder / "reports" / "moved"
    with sandbox(SLOW) as base_url:
        run = ("--base-url", base_url, "--batch", "b")
        process = spawn(manifest, *run, folder=terminal.folder, **ENVIRONMENT)
        wait_until_accepted(base_url, 5)
        process.send_signal(signal.SIGSTOP)
        batch.rename(moved)
        assert terminal.call(other, *run, **ENVIRONMENT).code == 0
        process.send_signal(signal.SIGCONT)
        out, err = process.communicate(timeout=60)
        assert process.returncode == 8, err
        assert "moved, removed or replaced while this process worked with it" in out
        assert "no reports were written: the folder holds another batch now" in err
        assert len(rows(batch)) == 3
        assert terminal.call("resume", "b", **ENVIRONMENT).code == 0
        assert terminal.call("resume", "moved", **ENVIRONMENT).code == 0
        accepted = Counter(run["test_id"] for run in truth(base_url)["accepted"])
        assert (len(accepted), max(accepted.values())) == (83, 1)


def test_what_another_process_is_at_work_on_is_not_billed_again_by_another_manifest(
    terminal: Terminal,
) -> None:
    manifest = write_manifest(terminal.folder / "m.csv", 80)
    other = write_manifest(terminal.folder / "n.csv", 20, first=70)
    with sandbox(SLOW) as base_url:
        run = ("--base-url", base_url)
        process = spawn(manifest, *run, folder=terminal.folder, **ENVIRONMENT)
        wait_until_accepted(base_url, 5)
        said = terminal.call(other, *run, **ENVIRONMENT)
        process.communicate(timeout=60)
        assert process.returncode == 0
        (batch,) = terminal.batches()
        words = f"another process is running batch {batch.name}, which has 10 of these 20 triggers"
        assert (said.code, words in said.err) == (2, True), said
        check_truth(batch, base_url, 80)
        assert terminal.call(other, *run, **ENVIRONMENT).code == 0, "that one is finished"


@pytest.mark.parametrize(
    "when", [SIGNALLED_AT_ITS_REPORTS, SIGNALLED_AT_ITS_END], ids=["reports", "end"]
)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_that_comes_when_nothing_is_left_to_stop_changes_nothing(
    terminal: Terminal, free: str, number: signal.Signals, when: str
) -> None:
    manifest = write_manifest(terminal.folder / "m.csv", 5)
    run = (manifest, "--base-url", free, "--batch", "b", "--json")
    process = spawn_signalled(terminal, when, [number], *run)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, json.loads(out)["exit_code"]) == (0, 0), err
    assert ("Nothing is left to stop" in err) == (when == SIGNALLED_AT_ITS_REPORTS)
    batch = terminal.folder / "reports" / "b"
    assert json.loads((batch / "data" / "summary.json").read_text())["exit_code"] == 0
    for words in (["cancel", "b"], ["cancel", "b"], ["report", "b"], run):
        command = [*words, "--json"] if "--json" not in words else words
        process = spawn_signalled(terminal, when, [number], *command)
        out, err = process.communicate(timeout=60)
        assert (process.returncode, json.loads(out)["cancelled"]["yes"]) == (0, 5), err


def test_a_signal_at_the_reports_of_a_batch_that_was_stopped_lets_them_be_written(
    terminal: Terminal,
) -> None:
    manifest = write_manifest(terminal.folder / "m.csv", 80)
    with sandbox(SLOW) as base_url:
        run = (manifest, "--base-url", base_url, "--batch", "b", "--json")
        process = spawn_signalled(terminal, SIGNALLED_AT_ITS_REPORTS, [signal.SIGTERM], *run)
        wait_until_accepted(base_url, 10)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
        assert (process.returncode, json.loads(out)["exit_code"]) == (130, 130), err
        check_truth(terminal.folder / "reports" / "b", base_url, 80)


def test_a_second_signal_leaves_at_once_also_where_only_the_reports_are_left(
    terminal: Terminal, free: str
) -> None:
    manifest = write_manifest(terminal.folder / "m.csv", 5)
    run = (manifest, "--base-url", free, "--batch", "b")
    both = [signal.SIGINT, signal.SIGTERM]
    process = spawn_signalled(terminal, SIGNALLED_AT_ITS_REPORTS, both, *run)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (143, "")
    assert err.endswith("\nExited at once. Nothing is lost: bulk-trigger report b\n")
    assert terminal.call("report", "b").code == 0


@pytest.mark.parametrize("output", ["reports", "another place", "-x"])
def test_what_is_advised_can_be_pasted(terminal: Terminal, output: str) -> None:
    manifest = write_manifest(terminal.folder / "m.csv", 20)
    with sandbox(SLOW) as base_url:
        run = (manifest, "--base-url", base_url, "--output", output, "--deadline", "0.2s")
        said = terminal.call(*run, **ENVIRONMENT)
        assert said.code == 11
        refused = terminal.call(*run, **ENVIRONMENT)
        assert refused.code == 2
        pasted = [re.findall(r"bulk-trigger (resume .+)", text) for text in (said.out, refused.err)]
        assert pasted[0] == pasted[1]
        again = terminal.call(*shlex.split(pasted[0][0]), **ENVIRONMENT)
        assert again.code == 0, again
        check_truth(terminal.batches(output)[0], base_url, 20)


def test_reconciling_only_where_nothing_is_unknown_asks_nobody(terminal: Terminal) -> None:
    manifest = write_manifest(terminal.folder / "m.csv", 10)
    with sandbox(SLOW) as base_url:
        run = (manifest, "--base-url", base_url, "--batch", "b", "--deadline", "0.1s")
        assert terminal.call(*run, **ENVIRONMENT).code == 11
        before = truth(base_url)["counts"]["requests"]
        said = terminal.call("resume", "b", "--reconcile-only", **ENVIRONMENT)
        assert said.code == 11, "as the batch did"
        assert "Batch b has no unknown trigger: nothing is sent." in said.err
        assert truth(base_url)["counts"]["requests"] == before


@pytest.mark.parametrize("other", ["--on-unknown report", "--on-unknown resend", "--last-failed"])
def test_reconciling_only_contradicts_what_sends_and_what_does_not_ask(
    terminal: Terminal, other: str
) -> None:
    said = terminal.call("resume", "--reconcile-only", *other.split())
    assert said.code == 2
    assert "choose one" in said.err


def test_a_named_batch_that_has_nothing_to_send_says_what_it_goes_on_for(
    terminal: Terminal,
) -> None:
    manifest = write_manifest(terminal.folder / "m.csv", 10)
    with sandbox("none; fault 500-queued first 2") as base_url:
        run = (manifest, "--base-url", base_url, "--batch", "b")
        assert terminal.call(*run, "--on-unknown", "report", **ENVIRONMENT).code == 7
        said = terminal.call(*run, **ENVIRONMENT)
        assert said.code == 0, said
        assert "continuing batch b: 2 unknown" in said.err
        assert "billed" not in said.err


def test_what_was_never_executed_is_sent_again_and_only_then(terminal: Terminal) -> None:
    manifest = write_manifest(terminal.folder / "m.csv", 10)
    with sandbox("none; fault 500 first 2") as base_url:
        options = ("--base-url", base_url, "--on-unknown", "report")
        assert terminal.call(manifest, *options, **ENVIRONMENT).code == 7
        asked = terminal.call("resume", "--reconcile-only", **ENVIRONMENT)
        assert (asked.code, len(truth(base_url)["accepted"])) == (1, 8), asked
        said = terminal.call("resume", **ENVIRONMENT)
        assert said.code == 0, said
        (batch,) = terminal.batches()
        check_truth(batch, base_url, 10)


def test_an_older_server_without_a_list_leaves_them_unknown(terminal: Terminal) -> None:
    manifest = write_manifest(terminal.folder / "m.csv", 10)
    with sandbox("none; fault 500 first 2; legacy") as base_url:
        said = terminal.call(manifest, "--base-url", base_url, **ENVIRONMENT)
        assert said.code == 7
        assert "2 still unknown" in said.err
        (batch,) = terminal.batches()
        again = terminal.call("resume", **ENVIRONMENT)
        assert (again.code, again.err.count("in the server's list of runs")) == (7, 1), again
        why = {row["message"] for row in rows(batch) if row["outcome"] == "unknown"}
        assert all("the server has no list of runs (HTTP 404)" in one for one in why)


def test_resend_sends_also_what_stays_unknown_once_more(terminal: Terminal) -> None:
    manifest = write_manifest(terminal.folder / "m.csv", 10)
    with sandbox("none; fault 500-queued first 2; legacy") as base_url:
        options = ("--base-url", base_url, "--on-unknown", "resend")
        assert terminal.call(manifest, *options, **ENVIRONMENT).code == 0
        assert len(truth(base_url)["accepted"]) == 12  # as its help says


def test_last_failed_sends_what_was_rejected_as_further_attempts(terminal: Terminal) -> None:
    manifest = write_manifest(terminal.folder / "m.csv", 10)
    with manifest.open(encoding="utf-8") as file:
        wanted = [row["test_id"] for row in csv.DictReader(file)]
    with sandbox(f"none; unknown-tests {wanted[3]}") as base_url:
        assert terminal.call(manifest, "--base-url", base_url, **ENVIRONMENT).code == 1
        assert terminal.call("resume", **ENVIRONMENT).code == 1  # a rejection is for good
        said = terminal.call("resume", "--last-failed", **ENVIRONMENT)
        assert said.code == 1
        assert "1 trigger to send" in said.err
        (batch,) = terminal.batches()
        assert [row["attempts"] for row in rows(batch)].count("2") == 1


def test_a_run_that_another_batch_owns_is_not_adopted(terminal: Terminal) -> None:
    """The first batch's run of the same cell is seconds old: it would fit."""
    manifest = write_manifest(terminal.folder / "m.csv", 10)
    with sandbox("none; fault 500 every 15th") as base_url:
        assert terminal.call(manifest, "--base-url", base_url, **ENVIRONMENT).code == 0
        said = terminal.call(manifest, "--base-url", base_url, "--new", **ENVIRONMENT)
        assert said.code == 0, said
        assert "0 found, 1 never executed" in said.err
        owned = [row["run_id"] for batch in terminal.batches() for row in rows(batch)]
        assert len(set(owned)) == 20
        assert set(owned) == {run["run_id"] for run in truth(base_url)["accepted"]}


@pytest.mark.parametrize("command", ["resume", "report"])
def test_a_batch_that_is_not_there_ends_with_2(terminal: Terminal, command: str) -> None:
    assert terminal.call(command).code == 2
    assert "no such batch" in terminal.call(command, "nope").err


def test_a_report_can_be_run_again_as_a_manifest(terminal: Terminal, free: str) -> None:
    manifest = write_manifest(terminal.folder / "m.csv", 4)
    assert terminal.call(manifest, "--base-url", free, **ENVIRONMENT).code == 0
    (batch,) = terminal.batches()
    said = terminal.call(batch / "report.csv", "--dry-run")
    assert said.code == 0
    assert "4 triggers" in said.err
    assert "result columns" in said.err


def test_what_is_written_never_holds_the_key(terminal: Terminal) -> None:
    with sandbox("none; fault 500 20%; unknown-tests 00000000-0000-4000-8000-000000000001") as url:
        manifest = write_manifest(terminal.folder / "m.csv", 20)
        terminal.call(manifest, "--base-url", url, TESTERARMY_API_KEY=KEY)
    (batch,) = terminal.batches()
    for path in batch.rglob("*"):
        assert path.is_dir() or b"CANARY" not in path.read_bytes(), path
