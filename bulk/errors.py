"""The errors that a user can fix; knows nothing of the rest.

A `BulkError` is raised for wrong input or a broken environment; its text says where, what, and what
to do. The server's answers are not errors but data (`bulk.model.Outcome`). Our own bugs are never a
`BulkError`: they crash.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bulk.exits import Exit

PROBLEMS_SHOWN_MAX = 100  # a few screenfuls; the rest is only counted


class BulkError(Exception):
    """The base of all errors that a user can fix.

    `exit` is the process's exit code; `code` is a word for programs, in the output of `--json`.
    """

    exit = Exit.USAGE
    code = "usage"


class OptionError(BulkError):
    """An option, or a combination of options, that is not possible."""


class UnfinishedError(OptionError):
    """A new batch would send what an unfinished one has sent, or is going to send."""

    code = "unfinished"


class AuthError(BulkError):
    """There is no usable API key, or the server rejected it. Not raised for a test's own 404."""

    exit = Exit.AUTH
    code = "auth"


class UnreachableError(BulkError):
    """Nothing answers at the base URL. Not raised once a trigger has been sent."""

    exit = Exit.UNREACHABLE
    code = "unreachable"


class StorageError(BulkError):
    """The batch's folder or journal cannot be read or written."""

    exit = Exit.STORAGE
    code = "storage"


class DiskError(StorageError):
    """The disk is full, or reads or writes of a journal fail. What was durable is not lost."""

    def __init__(self, journal: Path, what: str) -> None:
        self.journal = journal
        super().__init__(f"{journal}: the journal failed: {what}")


class DamagedError(StorageError):
    """A journal lacks what was written to it, or contains what never was."""

    code = "damaged"

    def __init__(self, journal: Path, what: str) -> None:
        self.journal = journal
        super().__init__(f"{journal}: the journal is damaged: {what}")


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with a file. `line` and `column` count from 1; 0 means "the whole file"."""

    file: str
    line: int
    column: int
    text: str

    def __str__(self) -> str:
        place = self.file
        if self.line:
            place += f":{self.line}"
            if self.column:
                place += f":{self.column}"
        return f"{place}: {self.text}"


class ManifestError(BulkError):
    """A manifest cannot be used. Carries the first problems found and how many there are in all."""

    code = "manifest"

    def __init__(self, problems: Sequence[Problem], total: int | None = None) -> None:
        self.problems = tuple(problems[:PROBLEMS_SHOWN_MAX])
        self.total = len(problems) if total is None else total
        super().__init__(str(self))

    def __str__(self) -> str:
        lines = [str(problem) for problem in self.problems]
        if self.total > len(lines):
            lines.append(f"... and {self.total - len(lines)} more problems")
        return "\n".join(lines)
