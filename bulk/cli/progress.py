"""Shows the progress of a batch: a bar on a terminal, otherwise a line every few seconds.

The only module that knows tqdm. It writes to the stream it is given, which is never stdout. Nothing
that goes wrong here may end a batch.
"""

from __future__ import annotations

import math
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from threading import RLock
from typing import Any, TextIO

from bulk.durations import describe_duration
from bulk.journal.tally import Tally
from bulk.pacing import PaceView


@contextmanager
def _without_defaults_of_tqdm() -> Iterator[None]:
    """Hide the variables named TQDM_*: they would change our bar, or end the import."""
    ours = {name: os.environ[name] for name in list(os.environ) if name.startswith("TQDM_")}
    for name in ours:
        del os.environ[name]
    try:
        yield
    finally:
        os.environ.update(ours)


with _without_defaults_of_tqdm():  # tqdm reads them once, as it is imported
    from tqdm import tqdm
# The lock that tqdm makes otherwise is one between processes, and starts one on some systems.
tqdm.set_lock(RLock())

LINE_S = 15.0  # often enough to show life, seldom enough not to flood a CI log
RATE_SPAN_S = 30.0  # the rate is an average over this time, so that a pause does not make it jump
COLUMNS_ASSUMED = 80  # if a terminal does not report its width
BAR_FORMAT = "{n_fmt}/{total_fmt} [{bar:10}] {desc}"


class RecentRate:
    """Triggers per second over the last `RATE_SPAN_S` seconds, or since the start."""

    def __init__(self) -> None:
        self._marks: list[tuple[float, int]] = []

    def per_s(self, done: int, now: float) -> float:
        """The rate at `now`, an instant in seconds, with `done` triggers by then.

        A trigger that is to be sent again is no longer done. It counts again when it is.
        """
        self._marks = [(at, min(before, done)) for at, before in self._marks]
        if not self._marks or now - self._marks[-1][0] >= RATE_SPAN_S / 30:
            self._marks.append((now, done))
        while len(self._marks) > 2 and self._marks[1][0] <= now - RATE_SPAN_S:
            self._marks.pop(0)
        since, before = self._marks[0]
        return (done - before) / (now - since) if now > since else 0.0


def status_line(tally: Tally, view: PaceView, per_s: float, now: float) -> str:
    """The text next to the bar: rate, requests in flight, throttles, pause, time left."""
    parts = [f"{per_s:.1f}/s", f"in flight {view.in_flight}", f"throttled {view.throttles}"]
    failed = tally.rejected + tally.throttled + tally.unknown + tally.unsent
    if failed:
        parts.append(f"failed {failed}")
    if view.apart:
        one = view.apart == 1
        parts.append(
            "1 test at its own limit" if one else f"{view.apart} tests at their own limits"
        )
    paused_s = 0.0 if view.paused_until is None else view.paused_until - now
    if paused_s > 0 and tally.done < tally.total:
        parts.append(_describe_pause(paused_s, view, now))
    if per_s > 0 and tally.done < tally.total:
        eta_s = max((tally.total - tally.done) / per_s, math.ceil(paused_s))
        parts.append(f"ETA {_hours_minutes_seconds(eta_s)}")
    return ", ".join(parts)


def _describe_pause(paused_s: float, view: PaceView, now: float) -> str:
    """`paused 30 s`, or what the server asked for, since when, and when it is asked again."""
    if view.long_wait is None:
        return f"paused {math.ceil(paused_s)} s"
    asked, ago = view.long_wait.asked_s, now - view.long_wait.since
    return (
        f"asked {_hours_minutes_seconds(ago)} ago to wait {describe_duration(asked)}, "
        f"next try in {_hours_minutes_seconds(math.ceil(paused_s))}"
    )


def _hours_minutes_seconds(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


class TerminalBar:
    """A tqdm bar, redrawn in place. Call `close` at the end."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._bar: tqdm[Any] | None = None
        self._rate = RecentRate()
        tqdm.monitor_interval = 0  # without a thread of its own: dispatch redraws often enough

    def show(self, tally: Tally, view: PaceView, now: float) -> None:
        """See `bulk.dispatch.ProgressLine`."""
        if self._bar is None:
            self._bar = tqdm(
                total=tally.total,
                initial=tally.done,
                bar_format=BAR_FORMAT,
                ascii=" #",
                file=self._stream,
                mininterval=0,
                ncols=COLUMNS_ASSUMED,
                nrows=24,  # any number: tqdm hides bars below the last row, and there is only one
            )
        # tqdm's own check shows nothing on a terminal that does not report its width. It takes a
        # width of 0 for none at all.
        self._bar.ncols = max(shutil.get_terminal_size((COLUMNS_ASSUMED, 24)).columns - 1, 1)
        self._bar.n = tally.done
        status = status_line(tally, view, self._rate.per_s(tally.done, now), now)
        self._bar.set_description_str(status, refresh=False)
        self._bar.refresh()

    def say(self, line: str) -> None:
        """Write a line above the bar."""
        if self._bar is None:
            self._stream.write(f"{line}\n")
        else:
            self._bar.clear()
            self._stream.write(f"{line}\n")
            self._bar.refresh()

    def close(self) -> None:
        """Leave the bar as it is and begin a new line."""
        if self._bar is not None:
            self._bar.close()


class PlainLines:
    """A line every `LINE_S` seconds, for logs. `write` takes a line without its line end."""

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write
        self._rate = RecentRate()
        self._next_at: float | None = None

    def show(self, tally: Tally, view: PaceView, now: float) -> None:
        """See `bulk.dispatch.ProgressLine`."""
        per_s = self._rate.per_s(tally.done, now)
        if self._next_at is None:
            self._next_at = now + LINE_S
        if now >= self._next_at:
            self._next_at = now + LINE_S
            self._write(f"{tally.done}/{tally.total}  {status_line(tally, view, per_s, now)}")

    def say(self, line: str) -> None:
        """Write a line at once."""
        self._write(line)

    def close(self) -> None:
        """Do nothing: every line is complete."""


class SafeProgress:
    """Progress that stops if showing it fails, with whatever error: the batch continues.

    `say` writes a line without `shown`. It is called as soon as that has failed.
    """

    def __init__(self, shown: TerminalBar | PlainLines, say: Callable[[str], None]) -> None:
        self._shown: TerminalBar | PlainLines | None = shown
        self._say = say

    def show(self, tally: Tally, view: PaceView, now: float) -> None:
        """See `bulk.dispatch.ProgressLine`."""
        self._try(lambda shown: shown.show(tally, view, now))

    def say(self, line: str) -> None:
        """Write a line, above the bar if there is one."""
        if not self._try(lambda shown: shown.say(line)):
            with suppress(Exception):
                self._say(line)

    def close(self) -> None:
        """Leave what is shown as it is."""
        self._try(lambda shown: shown.close())

    def _try(self, call: Callable[[TerminalBar | PlainLines], None]) -> bool:
        """Whether it could be shown."""
        if self._shown is None:
            return False
        try:
            call(self._shown)
        except Exception:  # of a foreign library, a terminal, a codec
            self._shown = None
            return False
        return True
