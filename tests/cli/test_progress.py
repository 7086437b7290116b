"""What is shown while a batch runs."""

from __future__ import annotations

import io
from dataclasses import replace

from bulk.cli.progress import (
    PlainLines,
    RecentRate,
    TerminalBar,
    status_line,
)
from bulk.journal.tally import Tally
from bulk.pacing import LongWait, PaceView

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
    text = status_line(Tally(total=10, queued=5), asked, per_s=5.0, now=100.0)
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
