"""The `sandbox` command: its options, its output, its shutdown."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import urllib.request

import pytest
from click.testing import CliRunner

from bulk.cli.sandbox import command

LAUNCH = "from bulk.cli.sandbox import command; command()"


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["token-buket 10/s"], 'did you mean "token-bucket"'),
        (["none", "--fault", "hang"], "say when"),
        (["none", "--spec", "quota 5"], "the spec is given twice"),
        (["none; seed 1", "--seed", "2"], "a second seed clause"),
        (["--port", "70000"], "70000"),
        (["--base", "elsewhere"], "elsewhere"),
        (["none", "--host", "203.0.113.7"], "cannot listen on 203.0.113.7"),
    ],
)
@pytest.mark.sockets
def test_a_mistake_is_reported_with_exit_code_2(arguments: list[str], reason: str) -> None:
    result = CliRunner().invoke(command, arguments)
    assert result.exit_code == 2
    assert reason in result.output
    assert "Traceback" not in result.output


@pytest.mark.parametrize("option", ["-h", "--help"])
def test_help_shows_the_spec_language(option: str) -> None:
    result = CliRunner().invoke(command, [option])
    assert result.exit_code == 0
    for word in ("token-bucket 10/s", "draft-current", "reset-after", "--key-required"):
        assert word in result.output


@pytest.mark.processes
def test_help_imports_nothing_but_click() -> None:
    code = (
        "import sys; from bulk.cli.sandbox import command\n"
        "command(['-h'], standalone_mode=False)\n"
        "assert not {'trio', 'httpx', 'h11', 'bulk.sandbox'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


@pytest.mark.sockets
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_prints_its_address_serves_and_prints_its_counts(
    number: signal.Signals,
) -> None:
    arguments = ["--latency", "1ms", "--fault", "500 first 1", "--key-required", "hush"]
    with subprocess.Popen(
        [sys.executable, "-c", LAUNCH, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        first = process.stdout.readline()
        found = re.fullmatch(r"SANDBOX (http://127\.0\.0\.1:\d+) \(nothing is billed\)\n", first)
        assert found
        spec = process.stdout.readline()
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(f"{found[1]}/sandbox/truth?summary=1") as answer:
            assert json.load(answer)["counts"]["accepted"] == 0
        process.send_signal(number)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 0
    assert spec == (
        "token-bucket 5/s burst 10; headers retry-after; latency 1ms; fault 500 first 1; key ***\n"
    )
    assert errors.startswith("accepted 0, ")
    assert "Traceback" not in errors
