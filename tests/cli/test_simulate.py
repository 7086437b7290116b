"""`run --simulate` as a user meets it: what it foretells, how it is marked, what it refuses."""

from __future__ import annotations

import csv
import json
import re
import shutil
import signal
import time
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from bulk.batch.folder import newest_batches
from bulk.batch.other_batches import find_unfinished
from bulk.errors import OptionError
from bulk.http.address import DEFAULT_BASE_URL
from bulk.journal import Journal
from bulk.manifest import read_manifest
from tests.cli.terminal import ENVIRONMENT, KEY, Said, Terminal, rows, spawn, write_manifest
from tests.processes import ROOT, wait_until

RELEASE = ROOT / "manifests" / "release.csv"
BUCKET = "token-bucket 10/s burst 20; headers retry-after; latency 80ms jitter 10ms; seed 7"
STRAY = "00000000-0000-4000-8000-000000000001"


def summary_of(batch: Path) -> Any:
    return json.loads((batch / "data" / "summary.json").read_text("utf-8"))


# --- what it says --------------------------------------------------------------------------------


def test_it_says_how_long_the_release_would_take_and_needs_no_key(terminal: Terminal) -> None:
    manifest = write_manifest(terminal.folder / "m.csv", 100)
    said = terminal.call(manifest, "--simulate", BUCKET, "--rate", "8/s")
    assert said.code == 0
    assert said.err.splitlines() == [
        "SIMULATION token-bucket 10/s burst 20; headers retry-after; "
        "latency 80ms jitter 10ms; seed 7 (nothing is sent)",
        f"{manifest}: 100 rows, 100 triggers (web 100)",
    ]
    (batch,) = terminal.batches()
    assert said.out.splitlines()[1:4] == [
        "Would take 12.5 s: 100 triggers, 0 429s.",  # 99 spans of 125 ms, and an answer
        "Simulated: nothing was sent; run ids are made up.",
        "  queued 100   rejected 0   throttled 0   unknown 0   unsent 0",
    ]
    assert f"Report  reports/{batch.name}/report.html" in said.out


def test_the_same_seed_gives_the_same_figures_and_another_does_not(terminal: Terminal) -> None:
    manifest = write_manifest(terminal.folder / "m.csv", 120)
    summaries = []
    for spec in (BUCKET, BUCKET, BUCKET.replace("seed 7", "seed 8")):
        summary = json.loads(terminal.call(manifest, "--simulate", spec, "--json").out)
        summaries.append([summary[name] for name in ("elapsed_s", "throttles", "latency_ms")])
    assert summaries[0] == summaries[1] != summaries[2]
    assert summaries[0][0] == pytest.approx(10.0, rel=0.2)  # 100 beyond the burst, at 10/s


def test_json_is_all_that_stands_on_stdout_and_says_that_it_is_simulated(
    terminal: Terminal,
) -> None:
    said = terminal.call(RELEASE, "--simulate", "none", "--json")
    assert json.loads(said.out)["simulated"] is True
    assert "Would take" in said.err


def test_a_latency_that_is_not_given_is_assumed_and_said(terminal: Terminal) -> None:
    note = "note: no latency is given; 60ms jitter 15ms is assumed"
    assert note in terminal.call(RELEASE, "--simulate", "token-bucket 5/s burst 10;").err
    (batch,) = terminal.batches()
    assert summary_of(batch)["settings"]["--simulate"].endswith("latency 60ms jitter 15ms")
    assert note not in terminal.call(RELEASE, "--simulate", "none; latency 0ms").err


def test_where_the_api_lies_makes_no_difference(terminal: Terminal) -> None:
    assert terminal.call(RELEASE, "--simulate", "none; base api").code == 0


def test_address_and_key_of_the_real_run_may_stand_there_and_are_not_used(
    terminal: Terminal,
) -> None:
    arguments = (RELEASE, "--simulate", "none", "--base-url", "http://127.0.0.1:9")
    said = terminal.call(*arguments, "--api-key-file", "missing", **ENVIRONMENT)
    assert said.code == 0


def test_a_real_key_in_the_spec_is_written_nowhere(terminal: Terminal) -> None:
    said = terminal.call(RELEASE, "--simulate", f"none; key {KEY}")
    assert said.code == 3  # the model lets only that key in, and a simulation has its own
    (batch,) = terminal.batches()
    for path in batch.rglob("*"):
        assert path.is_dir() or b"CANARY" not in path.read_bytes(), path


def test_the_output_in_the_usage_is_the_real_one(terminal: Terminal) -> None:
    """Its figures may change with the pace; its lines may not."""
    usage = (ROOT / "docs" / "usage.md").read_text("utf-8")
    section = usage.partition("## How long will it take?")[2]
    (block,) = re.findall(r"```console\n\$ (.*?)```", section.partition("\n## ")[0], re.DOTALL)
    command, *shown = block.rstrip("\n").split("\n")
    words = re.fullmatch(r'bulk-trigger (\S+) --simulate "(.*)"', command)
    assert words is not None
    shutil.copytree(ROOT / "manifests", terminal.folder / "manifests")
    said = terminal.call(words[1], "--simulate", words[2])

    def in_general(line: str) -> str:
        line = re.sub(r"\d{8}T\d{6}Z-simulated-release-[0-9a-f]{4}", "BATCH", line)
        line = re.sub(r"429s (\d+ \(.*\)|0)", "429s N", line)
        return re.sub(r"\d+ 429s?( \(\S+ %\))?|[\d.]+(?= s\b| ms)", "N", line)

    printed = said.err.splitlines() + said.out.splitlines()
    assert [in_general(line) for line in printed] == [in_general(line) for line in shown]


# --- what it foretells ---------------------------------------------------------------------------


def test_a_deadline_that_is_too_short_ends_as_the_real_run_would(terminal: Terminal) -> None:
    manifest = write_manifest(terminal.folder / "m.csv", 50)
    spec = "token-bucket 1/s burst 5; headers retry-after"
    said = terminal.call(manifest, "--simulate", spec, "--deadline", "5s")
    assert said.code == 11
    assert re.search(r"Would end after \d\.\d s: \d+ of 50 triggers queued, ", said.out)
    assert "Stopped: deadline" in said.out
    assert "In a real run: To send what is left: bulk-trigger resume BATCH" in said.out


@pytest.mark.parametrize(
    ("spec", "arguments", "code"),
    [
        ("quota 5", (), 12),
        (f"none; unknown-tests {STRAY}", (), 1),
        (f"none; unknown-tests {STRAY}", ("--fail-fast", "--max-concurrency", "1"), 1),
        ("none; fault 500-queued first 1", ("--on-unknown", "report"), 7),
        ("none; fault hang first 1", ("--timeout", "5m", "--on-unknown", "report"), 7),
    ],
)
def test_it_ends_with_the_exit_code_of_a_real_run(
    terminal: Terminal, spec: str, arguments: tuple[str, ...], code: int
) -> None:
    manifest = write_manifest(terminal.folder / "m.csv", 20)
    said = terminal.call(manifest, "--simulate", spec, *arguments)
    assert said.code == code, said
    (batch,) = terminal.batches()
    summary = summary_of(batch)
    assert summary["exit_code"] == code
    if "--timeout" in arguments:
        assert summary["elapsed_s"] >= 300
    if "--fail-fast" in arguments:
        assert (summary["stop"], summary["outcomes"]["queued"]) == ("fail_fast", 1)


@pytest.mark.parametrize(
    ("spec", "code"), [("quota 5; refusal-body empty", 12), ("token-bucket 1/m burst 5", 0)]
)
def test_many_minutes_of_waiting_take_seconds(terminal: Terminal, spec: str, code: int) -> None:
    manifest = write_manifest(terminal.folder / "m.csv", 20)
    began = time.monotonic()
    said = terminal.call(manifest, "--simulate", spec)
    assert said.code == code, said
    assert summary_of(terminal.batches()[0])["elapsed_s"] > 600
    assert time.monotonic() - began < 30


@pytest.mark.sockets
def test_it_takes_as_long_as_the_sandbox_really_does(terminal: Terminal) -> None:
    """A busy machine makes the real run longer, and nothing makes it shorter."""
    manifest = write_manifest(terminal.folder / "m.csv", 150)
    spec = "token-bucket 15/s burst 20; headers retry-after; latency 60ms jitter 15ms"
    simulated = json.loads(terminal.call(manifest, "--simulate", spec, "--json").out)
    real = json.loads(terminal.call(manifest, "--sandbox", spec, "--json").out)
    assert (simulated["outcomes"], simulated["exit_code"]) == (real["outcomes"], real["exit_code"])
    longer_s = real["elapsed_s"] - simulated["elapsed_s"]
    assert -0.05 * real["elapsed_s"] - 0.3 <= longer_s <= 0.5 * real["elapsed_s"]


# --- how it is marked ----------------------------------------------------------------------------


def test_each_file_says_that_it_is_simulated(terminal: Terminal) -> None:
    output, step = terminal.folder / "output", terminal.folder / "summary.md"
    terminal.call(
        RELEASE,
        "--simulate",
        "none",
        GITHUB_ACTIONS="true",
        GITHUB_OUTPUT=str(output),
        GITHUB_STEP_SUMMARY=str(step),
    )
    (batch,) = terminal.batches()
    assert re.fullmatch(r"\d{8}T\d{6}Z-simulated-release-[0-9a-f]{4}", batch.name)
    assert (summary_of(batch)["simulated"], summary_of(batch)["sandbox"]) == (True, True)
    page = (batch / "report.html").read_text("utf-8")
    assert "Simulated: no real test was triggered and nothing was billed." in page
    assert "run ids are made up" in page
    assert "All 14 would be triggered</h1>" in page
    assert "All 14 triggered" not in page
    ids = [row["run_id"] for row in rows(batch)]
    with (batch / "data" / "attempts.csv").open(encoding="utf-8-sig", newline="") as file:
        ids += [row["run_id"] for row in csv.DictReader(file)]
    suite = ElementTree.parse(batch / "data" / "junit.xml").getroot()
    properties = [value.attrib for value in suite.iter("property")]
    ids += [value["value"] for value in properties if value["name"] == "run_id"]
    assert len(ids) == 3 * 14
    assert all(run_id.startswith("simulated-") for run_id in ids)
    assert ids[0] in page
    assert suite[0].attrib["name"].startswith("simulated ")
    assert "simulated=true\n" in output.read_text()
    assert step.read_text().startswith(
        "## All 14 would be triggered\n\n**Simulated: nothing was sent.**\n"
    )


def test_report_and_measure_say_it_too(terminal: Terminal) -> None:
    terminal.call(RELEASE, "--simulate", "none")
    (batch,) = terminal.batches()
    (batch / "report.html").unlink()
    assert "Would take" in terminal.call("report").out
    assert "Simulated: no real test" in (batch / "report.html").read_text("utf-8")
    assert "this batch is a simulation" in terminal.call("measure").err


# --- what it refuses -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--simulate", "none", "--sandbox"], "--simulate and --sandbox cannot be used together"),
        (["--simulate", "none", "--dry-run"], "--simulate and --dry-run cannot be used together"),
        (["--simulate"], "requires an argument"),
        (["--simulate", ""], "--simulate: the spec is empty"),
        (["--simulate", "leaky-boat 3/s"], '--simulate: clause: "leaky-boat" is not one of'),
        (["--simulate", "none", "--batch", "../x"], "is not a batch name"),
        (["--simulate", "none", "--max-triggers", "13"], "more than --max-triggers 13"),
    ],
)
def test_what_cannot_be_simulated_ends_with_2(
    terminal: Terminal, arguments: list[str], words: str
) -> None:
    said = terminal.call(RELEASE, *arguments)
    assert (said.code, words in said.err) == (2, True), said
    assert terminal.batches() == []


def a_simulation_cut_by_its_deadline(terminal: Terminal) -> Path:
    """A simulated batch named `plan` that has triggers left; its manifest."""
    manifest = write_manifest(terminal.folder / "m.csv", 50)
    arguments = ("--simulate", "token-bucket 1/s burst 5", "--deadline", "5s", "--batch", "plan")
    assert terminal.call(manifest, *arguments).code == 11
    return manifest


def test_a_simulation_is_never_continued(terminal: Terminal) -> None:
    manifest = a_simulation_cut_by_its_deadline(terminal)

    def refused(said: Said, words: str) -> None:
        assert (said.code, words in said.err) == (2, True), said

    simulated = "batch plan is a simulation, which sent nothing"
    refused(terminal.call("resume", **ENVIRONMENT), f"{simulated}: there is nothing to resume")
    refused(terminal.call("resume", "plan"), simulated)
    refused(terminal.call(manifest, "--batch", "plan", **ENVIRONMENT), simulated)
    refused(terminal.call(manifest, "--batch", "plan", "--sandbox"), simulated)
    refused(
        terminal.call(manifest, "--batch", "plan", "--simulate", "none"),
        "batch plan exists already, and a simulation is always a new batch",
    )
    import bulk

    with pytest.raises(OptionError, match=simulated):
        bulk.trigger(manifest, api_key=KEY, base_url=DEFAULT_BASE_URL, batch="plan")


def test_an_unfinished_simulation_is_not_offered_to_a_real_run(terminal: Terminal) -> None:
    manifest = read_manifest(a_simulation_cut_by_its_deadline(terminal))
    output = terminal.folder / "reports"
    with Journal.open(output / "plan" / "data" / "journal.sqlite") as journal:
        born = journal.batch
    assert (born.simulated, born.fingerprint) == (True, manifest.fingerprint)
    for base_url in (DEFAULT_BASE_URL, born.base_url):
        assert find_unfinished(manifest, newest_batches(output), base_url) is None


def wait_until_written(terminal: Terminal, least: int) -> None:
    """Return when so many bytes of a journal's log are written."""

    def written() -> bool:
        logs = (terminal.folder / "reports").glob("*/data/*-wal")
        return any(log.stat().st_size >= least for log in logs)

    wait_until(written, f"a log of {least} bytes")


@pytest.mark.sockets
def test_an_interrupt_ends_it_and_leaves_nothing(terminal: Terminal) -> None:
    manifest = write_manifest(terminal.folder / "m.csv", 20_000)
    process = spawn(manifest, "--simulate", "none", folder=terminal.folder)
    assert process.stderr is not None
    while "20000 triggers" not in process.stderr.readline():
        pass
    wait_until_written(terminal, 100_000)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out, err.strip()) == (130, "", "interrupted")
    assert terminal.batches() == []
