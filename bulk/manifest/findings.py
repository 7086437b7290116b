"""The problems and notes of one manifest, and how they quote values; must know no file format."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches

from bulk.errors import PROBLEMS_SHOWN_MAX, ManifestError, Problem
from bulk.manifest.caseless import fold

QUOTED_LENGTH_MAX = 60  # a longer value drowns the message around it
_SIMILARITY_MIN = 0.65  # "iso" (0.67) suggests "ios"; "windows" (0.6) suggests nothing


@dataclass(slots=True)
class Findings:
    """Collects the problems and notes of one file. Keeps the first problems, counts the rest."""

    file: str
    problems: list[Problem] = field(default_factory=list)
    problem_count: int = 0
    notes: list[str] = field(default_factory=list)

    def add_problem(self, line: int, text: str, column: int = 0) -> None:
        """Adds what makes the file unusable. `line` and `column` count from 1; 0 means none."""
        self.problem_count += 1
        if len(self.problems) < PROBLEMS_SHOWN_MAX:
            self.problems.append(Problem(self.file, line, column, text))

    def add_note(self, text: str) -> None:
        """Adds, once, what the user should know but what does not make the file unusable."""
        if text not in self.notes:
            self.notes.append(text)

    def error(self) -> ManifestError:
        """All problems as one error, in the order of the file."""
        ordered = sorted(self.problems, key=lambda problem: (problem.line, problem.column))
        return ManifestError(ordered, self.problem_count)

    def check(self) -> None:
        """Raises ManifestError if there is any problem."""
        if self.problem_count:
            raise self.error()


def quoted(value: object) -> str:
    """A value for a message: in double quotes, on one line, of bounded length."""
    text = value if isinstance(value, str) else "a list or mapping"
    if len(text) > QUOTED_LENGTH_MAX:
        text = text[: QUOTED_LENGTH_MAX - 1] + "…"
    return '"' + "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text) + '"'


def did_you_mean(text: str, known: Sequence[str]) -> str:
    """` (did you mean "ios"?)`, or an empty string if no known word is similar."""
    by_fold = {fold(word): word for word in known}
    similar = get_close_matches(fold(text.strip()), by_fold, n=1, cutoff=_SIMILARITY_MIN)
    return f" (did you mean {quoted(by_fold[similar[0]])}?)" if similar else ""


def either(words: Sequence[str]) -> str:
    """The words as alternatives: `web, ios or android`."""
    return " or ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else words[0]
