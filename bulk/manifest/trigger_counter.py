"""Counts the triggers a manifest expands to under a selection; must know no file and no format."""

from __future__ import annotations

from hashlib import blake2b

from bulk.manifest.expansion import Row, triggers_of
from bulk.manifest.findings import Findings, quoted
from bulk.manifest.selection import Selection, SelectionFilter, SelectionStep
from bulk.manifest.unmatched import UnmatchedValues
from bulk.model import SAMPLE_ID_PREFIX, Platform, Trigger

# A manifest with more is a mistake (one repeat too many), and counting it would take minutes.
TRIGGERS_MAX = 10_000_000
# The duplicate check keeps 60 bits of each key, the most that Python stores in 32 bytes. Among a
# million combinations, two different ones collide with a probability of 4e-7.
_KEY_DIGITS = 15


class TriggerCounter:
    """Counts the triggers of one manifest row by row, and reports duplicate combinations."""

    def __init__(self, selection: Selection, findings: Findings) -> None:
        self.rows = 0
        self.count = 0
        self.sample = False
        self._total = 0
        self._selection = selection
        self._filter = SelectionFilter(selection)
        self.unmatched = UnmatchedValues(selection)
        self._findings = findings
        self._platforms: dict[Platform | None, int] = {}
        self._dropped: dict[str, int] = {}
        self._key_sum = 0
        self._lines: dict[int, int] = {}

    def add(self, row: Row) -> bool:
        """Counts a row. False, after reporting it, if there are too many triggers to continue."""
        self.rows += 1
        self.unmatched.see(row)
        for trigger in triggers_of(row, self._selection.app_ids):
            self._total += 1
            key = trigger.key
            if trigger.repetition == row.repetitions.start:
                self._check_unique(trigger, int(key[1 : 1 + _KEY_DIGITS], 16))
            dropped_by = None if self._filter.keeps_all else self._filter.dropped_by(trigger)
            if dropped_by is None and self.count == self._selection.first:
                dropped_by = "--first"
            if dropped_by is not None:
                self._dropped[dropped_by] = self._dropped.get(dropped_by, 0) + 1
                continue
            self.count += 1
            self._key_sum += int(key[1:], 16)
            platform = trigger.platform
            self._platforms[platform] = self._platforms.get(platform, 0) + 1
            if trigger.test_id.startswith(SAMPLE_ID_PREFIX):
                self.sample = True
        if self._total > TRIGGERS_MAX:
            self._findings.add_problem(
                row.line, f"expands to more than {TRIGGERS_MAX:,} triggers with the rows before it"
            )
            return False
        return True

    def by_platform(self) -> tuple[tuple[Platform | None, int], ...]:
        """How many triggers each platform has, None last, without zeros."""
        order = (*Platform, None)
        return tuple((p, self._platforms[p]) for p in order if p in self._platforms)

    def steps(self) -> tuple[SelectionStep, ...]:
        """What each option kept and left out, in the order in which the options apply."""
        steps = []
        kept = self._total
        for option, values in self._selection.options():
            left_out = self._dropped.get(option, 0)
            kept -= left_out
            steps.append(SelectionStep(option, values, kept, left_out))
        return tuple(steps)

    def fingerprint(self) -> str:
        """Identifies the set of selected triggers, whatever their order."""
        text = f"{self.count}:{self._key_sum % 2**128}"
        return blake2b(text.encode(), digest_size=16).hexdigest()

    def why_empty(self) -> str:
        """Why there is nothing to trigger, as a problem of the manifest."""
        if self.rows == 0:
            return "has a header but no rows; there is nothing to trigger"
        steps = "; ".join(map(str, self.steps()))
        return f"nothing is selected: of {self._total} triggers, {steps}"

    def _check_unique(self, trigger: Trigger, key_bits: int) -> None:
        line = self._lines.get(key_bits)
        if line is None:
            self._lines[key_bits] = trigger.line
            return
        values = (trigger.platform, trigger.mode, trigger.device_model, trigger.app_id)
        words = ", ".join(
            [quoted(trigger.name or trigger.test_id), *(value for value in values if value)]
        )
        if line == trigger.line:
            text = f"this test's matrix produces the combination {words} twice; check its includes"
        else:
            text = (
                f"same combination as on line {line}: {words}; "
                "keep one of them, and set its repeat to run it more than once"
            )
        if any(platform is trigger.platform for platform, _ in self._selection.app_ids):
            text += " (with --app-id, combinations that differ only in their app are the same)"
        self._findings.add_problem(trigger.line, text)
