"""What a manifest amounts to under a selection, counted row by row; knows no file and no format."""

from __future__ import annotations

from hashlib import blake2b

from bulk.manifest.findings import Findings, shown
from bulk.manifest.rows import Row, triggers_of
from bulk.manifest.selection import Drop, Selection, Sieve
from bulk.model import SAMPLE_ID_PREFIX, Platform, Trigger

# Beyond this a manifest is a slip (a repeat too many), and counting it would take minutes.
TRIGGERS_MAX = 10_000_000
# The duplicate check keeps 60 bits of each key, the most that Python holds in 32 bytes. Among a
# million cells, two different ones collide with a probability of 4e-7.
_MARK_DIGITS = 15


class Tally:
    """Counts the triggers of one reading and finds the cells that stand twice."""

    def __init__(self, selection: Selection, findings: Findings) -> None:
        self.rows = 0
        self.count = 0
        self.sample = False
        self._total = 0
        self._selection = selection
        self._sieve = Sieve(selection)
        self._findings = findings
        self._platforms: dict[Platform | None, int] = {}
        self._dropped: dict[str, int] = {}
        self._key_sum = 0
        self._lines: dict[int, int] = {}

    def add(self, row: Row) -> bool:
        """Counts a row. False where reading on makes no sense; the problem has been told."""
        self.rows += 1
        for trigger in triggers_of(row, self._selection.app_ids):
            self._total += 1
            key = trigger.key
            if trigger.repetition == row.repetitions.start:
                self._once(trigger, int(key[1 : 1 + _MARK_DIGITS], 16))
            dropper = None if self._sieve.open else self._sieve.dropped_by(trigger)
            if dropper is None and self.count == self._selection.first:
                dropper = "--first"
            if dropper is not None:
                self._dropped[dropper] = self._dropped.get(dropper, 0) + 1
                continue
            self.count += 1
            self._key_sum += int(key[1:], 16)
            platform = trigger.platform
            self._platforms[platform] = self._platforms.get(platform, 0) + 1
            if trigger.test_id.startswith(SAMPLE_ID_PREFIX):
                self.sample = True
        if self._total > TRIGGERS_MAX:
            self._findings.problem(
                row.line, f"makes more than {TRIGGERS_MAX:,} triggers with the rows before it"
            )
            return False
        return True

    def by_platform(self) -> tuple[tuple[Platform | None, int], ...]:
        """How many triggers each platform has, None last, without zeros."""
        order = (*Platform, None)
        return tuple((p, self._platforms[p]) for p in order if p in self._platforms)

    def drops(self) -> tuple[Drop, ...]:
        """What each option of the selection dropped, in the order they are applied."""
        selection = self._selection
        given = (
            ("--platform", selection.platforms),
            ("--mode", selection.modes),
            ("--test", selection.tests),
            ("--tags", selection.tags),
            ("--exclude-tags", selection.exclude_tags),
            ("--first", selection.first),
        )
        return tuple(Drop(name, self._dropped.get(name, 0)) for name, value in given if value)

    def fingerprint(self) -> str:
        """The same for the same set of selected triggers, in whatever order they stand."""
        text = f"{self.count}:{self._key_sum % 2**128}"
        return blake2b(text.encode(), digest_size=16).hexdigest()

    def emptiness(self) -> str:
        """Why there is nothing to trigger."""
        if self.rows == 0:
            return "holds a header and no rows; there is nothing to trigger"
        drops = ", ".join(f"{drop.option} dropped {drop.count}" for drop in self.drops())
        return f"nothing is selected of {self._total} triggers: {drops}"

    def _once(self, trigger: Trigger, mark: int) -> None:
        line = self._lines.get(mark)
        if line is None:
            self._lines[mark] = trigger.line
            return
        cell = (trigger.platform, trigger.mode, trigger.device_model, trigger.app_id)
        words = ", ".join(
            [shown(trigger.name or trigger.test_id), *(part for part in cell if part)]
        )
        if line == trigger.line:
            text = f"this test's matrix makes the cell {words} twice; see what it includes"
        else:
            text = (
                f"the same cell as on line {line}: {words}; keep one of them, "
                "with a repeat if it is to run more than once"
            )
        if any(platform is trigger.platform for platform, _ in self._selection.app_ids):
            text += " (with --app-id, cells that differ only in their app are the same)"
        self._findings.problem(trigger.line, text)
