"""`cancel` and `--on-interrupt cancel` as a user meets them, against servers on sockets."""

from __future__ import annotations

import json
import signal
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.cli.terminal import (
    ENVIRONMENT,
    KEY,
    Terminal,
    rows,
    sandbox,
    spawn,
    truth,
    wait_until_accepted,
    write_manifest,
)
from tests.processes import wait_until

pytestmark = pytest.mark.sockets

SLOW = "token-bucket 40/s burst 5; headers retry-after-fractional; latency 20ms"


@pytest.fixture(scope="module")
def free() -> Iterator[str]:
    """The address of an unlimited sandbox, whose runs take long."""
    with sandbox("none; latency 5ms") as base_url:
        yield base_url


def cancelled_at(base_url: str) -> set[str]:
    """The runs that the server says are cancelled."""
    found: set[str] = set()
    cursor = ""
    while True:
        request = urllib.request.Request(
            f"{base_url}/v1/runs?limit=100&status=cancelled{cursor}",
            headers={"Authorization": f"Bearer {KEY}"},
        )
        try:
            with urllib.request.urlopen(request) as answer:
                page = json.load(answer)
        except urllib.error.HTTPError as refusal:  # where reading is limited, too
            if refusal.code != 429:
                raise
            time.sleep(0.1)
            continue
        found |= {run["id"] for run in page["runs"]}
        if page["nextCursor"] is None:
            return found
        cursor = f"&cursor={page['nextCursor']}"


def triggered(terminal: Terminal, base_url: str, count: int, *options: str) -> Path:
    """A batch of that many triggers, sent; its folder."""
    manifest = write_manifest(terminal.folder / "m.csv", count)
    terminal.call(manifest, "--base-url", base_url, *options, **ENVIRONMENT)
    return terminal.batches()[-1]


def words(batch: Path) -> Counter[str]:
    """How often which word stands in the column."""
    return Counter(row["cancelled"] for row in rows(batch))


def test_all_queued_runs_are_cancelled_and_a_second_time_nobody_is_asked(
    terminal: Terminal, free: str
) -> None:
    batch = triggered(terminal, free, 40)
    said = terminal.call("cancel", batch.name, **ENVIRONMENT)
    assert said.code == 0, said
    assert f"cancelling 40 runs at {free}" in said.err
    assert (
        "Of 40 queued runs, 40 cancelled, 0 had ended. A cancelled run may still be billed."
        in said.out
    )
    assert words(batch) == {"yes": 40}
    assert {row["run_id"] for row in rows(batch)} <= cancelled_at(free)
    summary = json.loads((batch / "data" / "summary.json").read_text("utf-8"))
    assert summary["cancelled"]["yes"] == 40
    assert (summary["outcomes"]["queued"], summary["exit_code"]) == (40, 0)
    assert "Of 40 queued runs, 40 cancelled" in (batch / "report.html").read_text("utf-8")
    asked = truth(free)["counts"]["requests"]
    again = terminal.call("cancel", batch.name)  # not even a key is needed
    assert (again.code, truth(free)["counts"]["requests"]) == (0, asked)
    assert "has no run left to cancel: nothing is sent" in again.err
    assert words(batch) == {"yes": 40}
    assert terminal.call("report", batch.name).code == 0


def test_runs_that_had_ended_are_told_apart(terminal: Terminal) -> None:
    with sandbox("none; latency 5ms; runs queued 0s running 0.001s") as base_url:
        batch = triggered(terminal, base_url, 5)
        said = terminal.call("cancel", batch.name, "--json", **ENVIRONMENT)
        assert cancelled_at(base_url) == set()
    assert said.code == 0, said
    assert json.loads(said.out)["cancelled"] == {
        "yes": 0,
        "had_ended": 5,
        "not_found": 0,
        "refused": 0,
        "unclear": 0,
    }
    assert "Of 5 queued runs, 0 cancelled, 5 had ended" in said.err
    assert words(batch) == {"had ended": 5}


def test_an_unfinished_batch_keeps_its_unsent_triggers_and_names_the_unknown_ones(
    terminal: Terminal,
) -> None:
    with sandbox("quota 12; fault 500-queued first 2; latency 5ms") as base_url:
        batch = triggered(terminal, base_url, 30, "--on-unknown", "report")
        said = terminal.call("cancel", batch.name, **ENVIRONMENT)
        assert said.code == 7, said
        assert "Of 10 queued runs, 10 cancelled" in said.out
        assert "18 unsent: only bulk-trigger resume sends them." in said.out
        junit = ElementTree.parse(batch / "data" / "junit.xml")
        unknown = junit.findall(".//error[@type='server_error']/..")
        names = "; ".join(case.get("name") or "" for case in unknown)
        assert names.startswith("Test ")
        assert f"2 unknown, whose runs may be running and were not cancelled: {names}\n" in said.out
        assert f"bulk-trigger resume {batch.name} --reconcile-only" in said.out
        assert len(truth(base_url)["accepted"]) == 12
        assert len(cancelled_at(base_url)) == 10
        asked = terminal.call("resume", batch.name, "--reconcile-only", **ENVIRONMENT)
        assert "2 found" in asked.err
        again = terminal.call("cancel", batch.name, **ENVIRONMENT)
        assert again.code == 0, again
        assert "cancelling 2 runs at" in again.err
        assert len(cancelled_at(base_url)) == 12
        assert Counter(row["outcome"] for row in rows(batch)) == {"queued": 12, "unsent": 18}
        assert words(batch) == {"yes": 12, "": 18}


def test_an_older_server_is_named_once_and_asked_no_more(terminal: Terminal) -> None:
    with sandbox("none; legacy; latency 5ms") as base_url:
        batch = triggered(terminal, base_url, 60)
        asked = truth(base_url)["counts"]["requests"]
        said = terminal.call("cancel", batch.name, "--max-concurrency", "4", **ENVIRONMENT)
        assert said.code == 1, said
        assert said.err.count("the server cannot cancel runs (HTTP 404)") == 1
        assert "Of 60 queued runs, none was cancelled." in said.out
        assert "bulk-trigger cancel" not in said.out, "it would come to the same"
        # Two of the preflight, four cancels at once, and two to tell an old server from a lost run.
        assert truth(base_url)["counts"]["requests"] - asked <= 8
    assert words(batch) == {"": 60}


def test_a_server_that_knows_none_of_the_runs_is_no_older_one_and_the_right_one_is_asked_again(
    terminal: Terminal, free: str
) -> None:
    batch = triggered(terminal, free, 6)
    with sandbox("none; latency 5ms") as other:
        said = terminal.call("cancel", batch.name, "--base-url", other, **ENVIRONMENT)
    assert said.code == 1, said
    assert "0 had ended, 6 not (6 not found at the server)" in said.out
    assert f"For the rest: bulk-trigger cancel {batch.name}" in said.out
    assert words(batch) == {"not found": 6}
    again = terminal.call("cancel", batch.name, **ENVIRONMENT)
    assert (again.code, words(batch)) == (0, {"yes": 6})


def test_what_has_nothing_to_cancel_is_refused_and_says_why(terminal: Terminal) -> None:
    manifest = write_manifest(terminal.folder / "m.csv", 2)
    terminal.call(manifest, "--sandbox", "none", "--batch", "boxed")
    terminal.call(manifest, "--simulate", "none", "--batch", "virtual")
    for batch, why in (("boxed", "an embedded sandbox"), ("virtual", "is a simulation")):
        said = terminal.call("cancel", batch, **ENVIRONMENT)
        assert (said.code, why in said.err) == (2, True), said
    assert terminal.call("cancel").code == 2
    assert "no such batch" in terminal.call("cancel", "nope", **ENVIRONMENT).err


def test_a_key_that_is_missing_or_refused_ends_with_3(terminal: Terminal) -> None:
    with sandbox(f"none; key {KEY}; latency 5ms") as base_url:
        batch = triggered(terminal, base_url, 3)
        missing = terminal.call("cancel", batch.name)
        refused = terminal.call("cancel", batch.name, TESTERARMY_API_KEY="sk_other_CANARY")
        assert (missing.code, "no API key" in missing.err) == (3, True)
        assert (refused.code, "rejected the API key" in refused.err) == (3, True)
        assert terminal.call("cancel", batch.name, **ENVIRONMENT).code == 0


def test_ctrl_c_stops_cancelling_and_the_rest_is_cancelled_the_next_time(
    terminal: Terminal,
) -> None:
    with sandbox(f"{SLOW}; scope all") as base_url:
        batch = triggered(terminal, base_url, 80)
        process = spawn("cancel", batch.name, folder=terminal.folder, **ENVIRONMENT)
        # Asking is limited as well, and must leave something for the command.
        wait_until(lambda: len(cancelled_at(base_url)) >= 10, "ten cancels", every_s=0.5)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)
        assert process.returncode == 130, err
        assert "Traceback" not in err
        assert f"For the rest: bulk-trigger cancel {batch.name}" in out
        noted = words(batch)["yes"]
        assert 10 <= noted < 80
        assert noted == len(cancelled_at(base_url))
        assert terminal.call("cancel", batch.name, **ENVIRONMENT).code == 0
        assert (words(batch), len(cancelled_at(base_url))) == ({"yes": 80}, 80)


def test_a_killed_batch_is_cancelled_as_it_lies_there_and_can_still_be_resumed(
    terminal: Terminal,
) -> None:
    manifest = write_manifest(terminal.folder / "m.csv", 80)
    with sandbox(f"{SLOW}; fault hang every 10th") as base_url:
        process = spawn(manifest, "--base-url", base_url, folder=terminal.folder, **ENVIRONMENT)
        wait_until_accepted(base_url, 15)  # each that hangs keeps one of a few from being sent
        process.kill()
        process.communicate()
        (batch,) = terminal.batches()
        said = terminal.call("cancel", batch.name, **ENVIRONMENT)
        assert said.code == 7, said  # what hung may have been executed, for all we know
        before = Counter(row["outcome"] for row in rows(batch))
        assert before["unknown"] >= 1
        assert len(truth(base_url)["accepted"]) < 80
        assert words(batch)["yes"] == before["queued"] == len(cancelled_at(base_url))
        options = ("--timeout", "1s", "--on-unknown", "report")
        terminal.call("resume", batch.name, *options, **ENVIRONMENT)
        after = Counter(row["outcome"] for row in rows(batch))
        assert after["queued"] > before["queued"]
        assert words(batch) == {"yes": before["queued"], "": 80 - before["queued"]}


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_on_interrupt_cancel_leaves_nothing_running(
    terminal: Terminal, number: signal.Signals, code: int
) -> None:
    manifest = write_manifest(terminal.folder / "m.csv", 80)
    arguments = ("--on-interrupt", "cancel")
    with sandbox(SLOW) as base_url:
        process = spawn(
            manifest, "--base-url", base_url, *arguments, folder=terminal.folder, **ENVIRONMENT
        )
        wait_until_accepted(base_url, 15)
        process.send_signal(number)
        out, err = process.communicate(timeout=20)
        assert process.returncode == code, err
        assert "Stopping: cancelling what was queued" in err
        accepted = {run["run_id"] for run in truth(base_url)["accepted"]}
        assert 15 <= len(accepted) < 80
        assert cancelled_at(base_url) == accepted
    assert f"Of {len(accepted)} queued runs, {len(accepted)} cancelled, 0 had ended" in out
    (batch,) = terminal.batches()
    assert words(batch) == {"yes": len(accepted), "": 80 - len(accepted)}


def test_cancelling_begins_at_once_although_triggers_hang_and_a_second_signal_leaves(
    terminal: Terminal,
) -> None:
    manifest = write_manifest(terminal.folder / "m.csv", 40)
    arguments = ("--on-interrupt", "cancel", "--drain-timeout", "60s", "--max-concurrency", "8")
    with sandbox("none; latency 5ms; fault hang every 2nd") as base_url:
        process = spawn(
            manifest, "--base-url", base_url, *arguments, folder=terminal.folder, **ENVIRONMENT
        )
        wait_until_accepted(base_url, 4)  # and as many hang
        process.send_signal(signal.SIGTERM)
        wait_until(lambda: len(cancelled_at(base_url)) == len(answered(base_url)) > 0, "cancelling")
        assert process.poll() is None  # what hangs is still waited for
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=60)
    (batch,) = terminal.batches()
    assert process.returncode == 143
    assert f"To cancel what was queued: bulk-trigger cancel {batch.name}" in err


def answered(base_url: str) -> set[str]:
    """The runs that the server made and named."""
    return {run["run_id"] for run in truth(base_url)["accepted"] if run["fault"] is None}
