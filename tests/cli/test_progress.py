"""What is shown while a batch runs."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from bulk.cli.progress import (
    PlainLines,
    RecentRate,
    SafeProgress,
    TerminalBar,
    status_line,
)
from bulk.journal.tally import Tally
from bulk.pacing import LongWait, PaceView
from tests.cli.terminal import at_a_terminal, write_manifest
from tests.processes import clean_environment

VIEW = PaceView(in_flight=3, concurrency=4.0, throttles=2, epochs=1, paused_until=None)
PAUSED = PaceView(in_flight=0, concurrency=4.0, throttles=2, epochs=1, paused_until=107.6)


def test_the_words_say_rate_flight_throttles_failures_pause_and_time_left() -> None:
    tally = Tally(total=100, queued=50)
    assert status_line(tally, VIEW, 5.0, 100.0) == "5.0/s, in flight 3, throttled 2, ETA 0:10"
    some_failed = Tally(total=10_000, queued=50, rejected=1, unknown=2)
    assert status_line(some_failed, PAUSED, 0.5, 100.0) == (
        "0.5/s, in flight 0, throttled 2, failed 3, paused 8 s, ETA 5:31:34"
    )
    one, two = replace(VIEW, apart=1), replace(VIEW, apart=2)
    assert "throttled 2, 1 test at its own limit, ETA" in status_line(tally, one, 5.0, 100.0)
    assert "throttled 2, 2 tests at their own limits, ETA" in status_line(tally, two, 5.0, 100.0)
    done = Tally(total=1, queued=1)
    assert status_line(done, PAUSED, 0.0, 100.0) == "0.0/s, in flight 0, throttled 2"


def test_a_wait_that_is_cut_short_says_what_was_asked_for_and_since_when() -> None:
    asked = replace(PAUSED, paused_until=1_000.0, long_wait=LongWait(since=85.0, asked_s=86_400.0))
    text = status_line(Tally(total=10, queued=5), asked, per_s=5.0, now=100.2)
    assert "asked 0:15 ago to wait 24 h, next try in 15:00" in text
    assert text.endswith("ETA 15:00"), "it is never shorter than the pause"


def test_the_rate_is_that_of_the_last_half_minute() -> None:
    rate = RecentRate()
    shown = [rate.per_s(done, now) for now, done in [(0, 0), (10, 100), (40, 100), (80, 500)]]
    assert shown == [0.0, 10.0, 0.0, 10.0]


def test_what_is_to_be_sent_again_does_not_make_the_rate_negative() -> None:
    rate = RecentRate()
    shown = [rate.per_s(done, now) for now, done in [(0, 0), (10, 50), (15, 44), (20, 48)]]
    assert shown == [0.0, 5.0, 44 / 15, 2.4]
    resumed = RecentRate()
    assert [resumed.per_s(done, now) for now, done in [(0, 60), (10, 59), (20, 60)]] == [0, 0, 0.05]


def test_a_terminal_gets_a_bar_in_place() -> None:
    stream = io.StringIO()
    bar = TerminalBar(stream)
    bar.show(Tally(total=14), VIEW, 0.0)
    bar.show(Tally(total=14, queued=14), VIEW, 2.8)
    bar.close()
    last = stream.getvalue().rstrip().split("\r")[-1]
    assert last == "14/14 [##########] 5.0/s, in flight 3, throttled 2"


def test_a_log_gets_a_plain_line_now_and_then() -> None:
    lines: list[str] = []
    plain = PlainLines(lines.append)
    for second in range(46):
        plain.show(Tally(total=100, queued=second), VIEW, float(second))
    assert lines[0] == "15/100  1.0/s, in flight 3, throttled 2, ETA 1:25"
    assert len(lines) == 3
    assert not any(control in "".join(lines) for control in "\r\n\x1b")


class Broken(io.StringIO):
    """A stream that takes a few writes and then fails with an error."""

    def __init__(self, error: Exception, writes: int) -> None:
        super().__init__()
        self.error, self.writes = error, writes

    def write(self, text: str) -> int:
        self.writes -= 1
        if self.writes < 0:
            raise self.error
        return super().write(text)


@pytest.mark.parametrize("writes", [0, 1, 3])
@pytest.mark.parametrize(
    "error",
    [OSError(5, "gone"), ValueError("closed"), UnicodeEncodeError("ascii", "\xb7", 0, 1, "?")],
)
def test_progress_that_cannot_be_shown_stops_and_lines_are_still_said(
    error: Exception, writes: int
) -> None:
    said: list[str] = []
    progress = SafeProgress(TerminalBar(Broken(error, writes)), said.append)
    for second in range(5):
        progress.show(Tally(total=14, queued=second), VIEW, float(second))
    progress.say("note")
    progress.close()
    assert said == ["note"]


def test_nothing_that_cannot_be_said_ends_a_batch() -> None:
    def broken(line: str) -> None:
        raise OSError(line)

    progress = SafeProgress(PlainLines(broken), broken)
    progress.say("note")
    progress.show(Tally(total=1), VIEW, 0.0)
    progress.show(Tally(total=1), VIEW, 60.0)
    progress.close()


@pytest.mark.sockets
@pytest.mark.skipif(os.name == "nt", reason="needs a pseudo-terminal")
@pytest.mark.parametrize(
    "environment",
    [
        {"COLUMNS": "0"},
        {"COLUMNS": "1"},
        {"COLUMNS": "-3"},
        {"COLUMNS": "wide", "LINES": "-1"},
        {"COLUMNS": "999999999"},
        {"TERM": "dumb"},
        {"TERM": ""},
    ],
    ids=str,
)
def test_a_batch_runs_at_any_terminal(tmp_path: Path, environment: dict[str, str]) -> None:
    manifest = write_manifest(tmp_path / "m.csv", 3)
    code, said = at_a_terminal("", manifest, "--sandbox", "none", folder=tmp_path, **environment)
    assert code == 0, said


@pytest.mark.processes
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("TQDM_MININTERVAL", "5s"),
        ("TQDM_NCOLS", "wide"),
        ("TQDM_DISABLE", "1"),
        ("TQDM_TOTAL", "x"),
        ("TQDM_POSITION", "7"),
        ("TQDM_FILE", "x"),
    ],
)
def test_no_variable_of_tqdm_changes_the_bar(name: str, value: str) -> None:
    """tqdm reads them when it is imported, so Python starts anew; others keep theirs."""
    code = (
        "import io, os\n"
        "from bulk.cli.progress import TerminalBar\n"
        "from tests.cli.test_progress import VIEW, Tally\n"
        "bar = TerminalBar(stream := io.StringIO())\n"
        "bar.show(Tally(total=14, queued=7), VIEW, 0.0)\n"
        "print(stream.getvalue())\n"
        f"assert os.environ[{name!r}] == {value!r}\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=clean_environment({name: value}),
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "7/14 [#####     ] 0.0/s" in done.stdout
