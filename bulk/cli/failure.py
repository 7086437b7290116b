"""How a command that fails says so: prose on stderr, and one JSON object on stdout for `--json`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

import click

from bulk.cli.streams import drop_unwritten
from bulk.errors import BulkError, DamagedError, DiskError, ManifestError, Problem
from bulk.exits import Exit

FORMAT = 1  # as the summary's: it changes whenever a key is removed or changes meaning


class ReaderGoneError(Exception):
    """Whoever reads stdout has ended. Instead of BrokenPipeError, at which click exits itself."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a command failed. `code` is a word for programs; `error` is what click shows itself."""

    code: str
    exit: int
    message: str
    problems: tuple[Problem, ...] = ()
    problems_total: int = 0
    error: click.ClickException | None = field(default=None, repr=False)

    def show(self, *, as_json: bool) -> None:
        """Print it. What stdout cannot take is dropped: the exit code says it as well."""
        if self.error is not None:
            self.error.show()
        elif self.message:
            click.echo(self.message, err=True)
        if as_json:
            with suppress(OSError):
                click.echo(json.dumps(self._content()))

    def _content(self) -> dict[str, object]:
        message = self.message if self.error is None else self.error.format_message()
        return {
            "format": FORMAT,
            "code": self.code,
            "exit_code": int(self.exit),
            "message": message.removeprefix("error: ").strip(),
            "problems": [_problem(problem) for problem in self.problems],
            "problems_total": self.problems_total,
        }


def _problem(problem: Problem) -> dict[str, object]:
    """A line or column of 0 is the whole file."""
    content = asdict(problem)
    content["message"] = content.pop("text")
    return content


def of_error(error: Exception) -> Failure:
    """The failure that an error is. Raises it if it is a bug of ours."""
    match error:
        case click.ClickException():
            return Failure("usage", error.exit_code, "", error=error)
        case ManifestError():
            text = f"error: {error}"
            return Failure(error.code, error.exit, text, error.problems, error.total)
        case DamagedError():
            from bulk.batch.salvage import salvaged

            return Failure(error.code, error.exit, f"error: {salvaged(error)}")
        case DiskError():
            text = f"error: {error}\n{_how_to_continue(error.journal)}"
            return Failure(error.code, error.exit, text)
        case BulkError():
            return Failure(error.code, error.exit, f"error: {error}")
        case BrokenPipeError() | ReaderGoneError():  # as with `| head`
            drop_unwritten()
            return Failure("output", Exit.FAILED, "")
        case OSError():  # the last resort: a disk or file failed where no code expects it
            drop_unwritten()
            place = error.filename or "the output"
            return Failure("storage", Exit.STORAGE, f"error: {place}: {error.strerror or error}")
        case _:
            raise error


def _how_to_continue(journal: Path) -> str:
    if not journal.exists():
        return "No batch was created and nothing was sent. Check the disk, then start again."
    from bulk.batch.folder import BatchFolder

    batch = BatchFolder(journal.parent.parent).cli_name
    return f"What was saved is kept. Check the disk, then continue: bulk-trigger resume {batch}"


def wants_json(arguments: Sequence[str]) -> bool:
    """Whether the output is to be JSON, also where the arguments could not be parsed."""
    options = arguments[: arguments.index("--")] if "--" in arguments else arguments
    return any(word.partition("=")[0] == "--json" for word in options)
