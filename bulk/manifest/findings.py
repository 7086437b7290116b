"""What is found wrong or worth saying while one manifest is read; knows no format."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches

from bulk.errors import PROBLEMS_SHOWN_MAX, ManifestError, Problem

SHOWN_LENGTH_MAX = 60  # a longer value drowns the message around it
_CLOSE = 0.65  # "iso" (0.67) finds "ios"; "windows" (0.6) is no slip for it


@dataclass(slots=True)
class Findings:
    """Collects the problems and notes of one file. Keeps the first problems, counts the rest."""

    file: str
    problems: list[Problem] = field(default_factory=list)
    problem_count: int = 0
    notes: list[str] = field(default_factory=list)

    def problem(self, line: int, text: str, column: int = 0) -> None:
        """Something that keeps the file from being used. `line` and `column` from 1, 0 = none."""
        self.problem_count += 1
        if len(self.problems) < PROBLEMS_SHOWN_MAX:
            self.problems.append(Problem(self.file, line, column, text))

    def note(self, text: str) -> None:
        """Something the user should know, but which keeps nothing from being sent."""
        if text not in self.notes:
            self.notes.append(text)

    def error(self) -> ManifestError:
        """All problems as one error, in the file's order."""
        ordered = sorted(self.problems, key=lambda problem: (problem.line, problem.column))
        return ManifestError(ordered, self.problem_count)

    def check(self) -> None:
        """Raises ManifestError where there is any problem."""
        if self.problem_count:
            raise self.error()


def shown(value: object) -> str:
    """A value as a message quotes it: on one line, not too long, in double quotes."""
    text = value if isinstance(value, str) else "a list or mapping"
    if len(text) > SHOWN_LENGTH_MAX:
        text = text[: SHOWN_LENGTH_MAX - 1] + "…"
    return '"' + "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text) + '"'


def did_you_mean(text: str, known: Sequence[str]) -> str:
    """` (did you mean "ios"?)`, or nothing where no known word is near."""
    near = get_close_matches(text.strip().lower(), known, n=1, cutoff=_CLOSE)
    return f' (did you mean "{near[0]}"?)' if near else ""


def either(words: Sequence[str]) -> str:
    """The words as a person lists them: `web, ios or android`."""
    return " or ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else words[0]
