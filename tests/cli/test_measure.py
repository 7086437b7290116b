"""`bulk-trigger measure`, as a user calls it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.terminal import Terminal
from tests.processes import ROOT

MANIFEST = ROOT / "manifests" / "release.yaml"


def reports(batch: Path) -> dict[str, bytes]:
    """All files of a batch; of the journal, which is opened to be read, only that it is there."""
    files = {path.name: path for path in batch.rglob("*") if path.is_file()}
    return {
        name: b"" if path.suffix == ".sqlite" else path.read_bytes() for name, path in files.items()
    }


@pytest.mark.sockets
def test_it_reads_the_newest_batch_and_sends_nothing(terminal: Terminal) -> None:
    assert terminal.call(MANIFEST, "--sandbox", "token-bucket 5/s burst 10; latency 20ms").code == 0
    (batch,) = terminal.batches()
    before = reports(batch)
    said = terminal.call("measure")
    assert (said.code, said.err) == (0, "")
    first, limit, *_ = said.out.splitlines()
    assert first.startswith(f"{batch.name}: ")
    assert limit.startswith("Limit    ")
    assert "Evidence" in said.out
    assert reports(batch) == before


@pytest.mark.sockets
def test_json_is_all_that_goes_to_stdout(terminal: Terminal) -> None:
    assert terminal.call(MANIFEST, "--sandbox", "none; latency 5ms").code == 0
    content = json.loads(terminal.call("measure", terminal.batches()[0].name, "--json").out)
    assert (content["refused"], content["limit"]) == (0, None)


def test_a_batch_that_is_not_there_is_named(terminal: Terminal) -> None:
    said = terminal.call("measure", "nightly")
    assert said.code == 2
    assert "nightly" in said.err
