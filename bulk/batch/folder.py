"""The folders under `reports/`: their names, what is where, and files written whole or not at all.

reports/latest.txt                      the newest batch's name
reports/<batch>/report.html, report.csv for people
reports/<batch>/data/                   journal.sqlite and files for machines
"""

from __future__ import annotations

import os
import re
import shlex
import tempfile
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from bulk.errors import OptionError, StorageError

NAME_CHARACTERS_MAX = 100  # leaves room for the rest of a path where paths end at 260 characters
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+=-]*")
SLUG_CHARACTERS_MAX = 40
# Windows keeps these for devices, with any extension and in any case.
RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)
OUTPUT = Path("reports")  # where commands look for batches, unless --output says otherwise
LATEST = "latest.txt"
STALE_S = 600.0  # since a file was written to that was to take the place of another


@dataclass(frozen=True, slots=True)
class BatchFolder:
    """One batch's place on disk."""

    path: Path

    @property
    def name(self) -> str:
        """The batch's name."""
        return self.path.name

    @property
    def cli_name(self) -> str:
        """What commands call the batch, as a shell takes it: its name, where `find` looks for it by
        itself, else its path.
        """
        plain = self.path.parent == OUTPUT and NAME.fullmatch(self.name)
        return self.name if plain else _for_a_shell(str(self.path))

    @property
    def journal(self) -> Path:
        """Where the journal is."""
        return self.path / "data" / "journal.sqlite"

    @property
    def exists(self) -> bool:
        """Whether a journal is there; raises StorageError where one may not even look."""
        try:
            return self.journal.exists()
        except OSError as error:
            raise StorageError(
                f"{self.path}: the batch's folder cannot be read: {error.strerror or error}"
            ) from error

    def make(self) -> None:
        """Make the folder; raises StorageError where that cannot be done."""
        try:
            self.journal.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StorageError(
                f"{self.path}: the batch's folder cannot be made: {error.strerror or error}. "
                "Name another parent with --output"
            ) from error

    def unmake(self) -> None:
        """Remove the folder if nothing is in it, as where a batch could not be begun."""
        with suppress(OSError):
            self.journal.parent.rmdir()
            self.path.rmdir()


def _for_a_shell(path: str) -> str:
    """The path as it can be pasted, also where it could be an option or a name, or is no text."""
    path = f"./{path}" if path.startswith("-") or Path(path).name == path else path
    if path.isprintable():
        return shlex.quote(path)
    octal = "".join(f"\\{byte:03o}" for byte in os.fsencode(path))
    return f"$'{octal}'"


def new_name(manifest: str, wall: float, token: str) -> str:
    """A folder name from the manifest's name, the time and a random token: sorts by time."""
    slug = re.sub(r"[^A-Za-z0-9]+", "-", manifest).strip("-")[:SLUG_CHARACTERS_MAX] or "batch"
    return f"{datetime.fromtimestamp(wall, UTC):%Y%m%dT%H%M%SZ}-{slug}-{token}"


def check_name(name: str) -> str:
    """A batch name given by the user; raises OptionError where it is no safe folder name."""
    if (
        len(name) > NAME_CHARACTERS_MAX
        or not NAME.fullmatch(name)
        or RESERVED.fullmatch(name)
        or name.endswith(".")
    ):
        raise OptionError(
            f"--batch: {name!r} is no batch name: letters, digits and . _ + = - only, "
            f"at most {NAME_CHARACTERS_MAX}, beginning with a letter or digit"
        )
    return name


def find(output: Path, given: str | None) -> BatchFolder:
    """The batch the user means: a name under `output`, a folder, or the newest if none is given.

    What is no mere name is a folder's path first of all, as `called` gives it.

    Raises OptionError where there is no such batch.
    """
    if given is None:
        name = latest_name(output)
        if name is None:
            raise OptionError(
                f"{output}: there is no batch here yet; name one, or another --output"
            )
        return BatchFolder(output / name)
    folders = [BatchFolder(output / given), BatchFolder(Path(given))]
    for folder in folders if Path(given).name == given else reversed(folders):
        if folder.exists:
            return folder
    known = [folder.name for folder in newest(output, 5)]
    there = f"the newest here: {', '.join(known)}" if known else "there is none here"
    raise OptionError(f"{given}: no such batch under {output}; {there}")


def latest_name(output: Path) -> str | None:
    """The newest batch's name, by `latest.txt` or else by the folders' names; None if none."""
    with suppress(OSError, UnicodeDecodeError, StorageError):
        name = (output / LATEST).read_text("utf-8").strip()
        if name and BatchFolder(output / name).exists:
            return name
    return next((folder.name for folder in newest(output, 1)), None)


def newest(output: Path, most: int | None) -> list[BatchFolder]:
    """The batches under `output`, newest first; so many at most, or all."""
    try:
        folders = [BatchFolder(path) for path in output.iterdir()]
    except OSError:
        return []
    dated = []
    for folder in folders:
        with suppress(OSError):
            dated.append((folder.journal.stat().st_mtime, folder.name, folder))
    return [folder for *_, folder in sorted(dated, key=lambda row: row[:2], reverse=True)[:most]]


def note_latest(folder: BatchFolder) -> None:
    """Name the batch as the newest of its parent, if that can be written."""
    with suppress(OSError, StorageError):
        write_whole(folder.path.parent / LATEST, f"{folder.name}\n".encode())


def write_files(folder: BatchFolder, files: Iterable[tuple[str, bytes]]) -> list[str]:
    """Write report files, each whole or not at all; what went wrong, a sentence a file.

    A file that another program holds open (Excel does on Windows) does not keep the rest from
    being written.
    """
    problems = []
    for relative, content in files:
        path = folder.path / relative
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(path, content)
        except PermissionError as error:
            problems.append(
                f"{path}: not written ({error.strerror or error}). Where another program has it "
                "open, as Excel does on Windows, close it; else see who may write there. Then: "
                f"bulk-trigger report {folder.cli_name}"
            )
        except (OSError, StorageError) as error:
            problems.append(f"{path}: not written: {getattr(error, 'strerror', None) or error}")
    return problems


def write_whole(path: Path, content: bytes) -> None:
    """Put `content` at `path` so that a reader sees the old file or the new one, never half."""
    _sweep(path)
    descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if os.name != "nt":  # mkstemp's 0600 is for secrets; a report is to be read by others
            umask = os.umask(0)
            os.umask(umask)
            Path(temporary).chmod(0o666 & ~umask)
        Path(temporary).replace(path)
    except BaseException:
        with suppress(OSError):
            Path(temporary).unlink()
        raise


def _sweep(path: Path) -> None:
    """Remove what processes left that died as they wrote `path`."""
    for left in path.parent.glob(f".{path.name}.*"):
        with suppress(OSError):
            if time.time() - left.stat().st_mtime > STALE_S:
                left.unlink()
