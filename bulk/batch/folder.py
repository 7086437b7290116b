"""The folders under `reports/`: names, paths, and files that are written whole or not at all.

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
# Windows keeps these for devices, with any extension and in any case; `latest.txt` is ours.
RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?|latest\.txt", re.IGNORECASE)
OUTPUT = Path("reports")  # where commands look for batches, unless --output says otherwise
LATEST = "latest.txt"
STALE_S = 600.0  # the age of a temporary file whose process must have died


@dataclass(frozen=True, slots=True)
class BatchFolder:
    """Where a batch is on disk. The folder need not exist."""

    path: Path

    @property
    def name(self) -> str:
        """The batch's name."""
        return self.path.name

    @property
    def cli_name(self) -> str:
        """The batch as a command's argument, quoted for a shell: its name if `find` finds it by
        that under the default output folder, else its path.
        """
        plain = self.path.parent == OUTPUT and NAME.fullmatch(self.name)
        return self.name if plain else _shell_quoted(str(self.path))

    @property
    def journal(self) -> Path:
        """The journal's path."""
        return self.path / "data" / "journal.sqlite"

    @property
    def manifest_copies(self) -> tuple[Path, Path]:
        """Where a manifest is kept that could be read only once: as CSV, as YAML."""
        return self.path / "data" / "manifest.csv", self.path / "data" / "manifest.yaml"

    @property
    def exists(self) -> bool:
        """Whether a journal is there, or was there, as the list of its runs proves.

        Raises StorageError if the folder cannot be read.
        """
        from bulk.journal import lost_journal  # not needed for --help

        try:
            return self.journal.exists() or bool(lost_journal(self.journal))
        except OSError as error:
            raise StorageError(
                f"{self.path}: the batch's folder cannot be read: {error.strerror or error}"
            ) from error

    def make(self) -> None:
        """Create the folder. Raises StorageError if that fails."""
        try:
            self.journal.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StorageError(
                f"{self.path}: the batch's folder cannot be created: {error.strerror or error}. "
                "Name another folder for batches with --output"
            ) from error

    def unmake(self) -> None:
        """Remove the folder if nothing but a kept manifest is in it, as after a batch could not be
        created.
        """
        for copy in self.manifest_copies:
            with suppress(OSError):
                copy.unlink()
        with suppress(OSError):
            self.journal.parent.rmdir()
            self.path.rmdir()


def _shell_quoted(path: str) -> str:
    """The path, ready to paste, even if it looks like an option or a name, or is not text."""
    path = f"./{path}" if path.startswith("-") or Path(path).name == path else path
    if path.isprintable():
        return shlex.quote(path)
    octal = "".join(f"\\{byte:03o}" for byte in os.fsencode(path))
    return f"$'{octal}'"


def new_name(manifest: str, unix_s: float, token: str) -> str:
    """A folder name from the manifest's name, the time and a random token. Names sort by time."""
    slug = re.sub(r"[^A-Za-z0-9]+", "-", manifest).strip("-")[:SLUG_CHARACTERS_MAX] or "batch"
    return f"{datetime.fromtimestamp(unix_s, UTC):%Y%m%dT%H%M%SZ}-{slug}-{token}"


def check_name(name: str) -> str:
    """Return a name that the user gave. Raises OptionError if it is not a safe folder name."""
    if RESERVED.fullmatch(name):
        raise OptionError(f"--batch: the name {name!r} is reserved; choose another one")
    if len(name) > NAME_CHARACTERS_MAX or not NAME.fullmatch(name) or name.endswith("."):
        raise OptionError(
            f"--batch: {name!r} is not a batch name: use at most {NAME_CHARACTERS_MAX} letters, "
            "digits and . _ + = - and begin with a letter or digit; it must not end with a dot"
        )
    return name


def find(output: Path, given: str | None) -> BatchFolder:
    """The batch that the user means: a name under `output`, a folder, or the newest for None.

    Anything but a plain name is first looked up as a path, because `cli_name` may give one.
    Raises OptionError if there is no such batch.
    """
    if given is None:
        name = latest_name(output)
        if name is None:
            raise OptionError(
                f"{output}: there is no batch here yet; name a batch, or another --output"
            )
        return BatchFolder(output / name)
    folders = [BatchFolder(output / given), BatchFolder(Path(given))]
    for folder in folders if Path(given).name == given else reversed(folders):
        if folder.exists:
            return folder
    known = [folder.name for folder in newest_batches(output, 5)]
    others = f"the newest here: {', '.join(known)}" if known else "there are no batches"
    raise OptionError(f"{given}: no such batch under {output}; {others}")


def latest_name(output: Path) -> str | None:
    """The newest batch's name: from `latest.txt`, else by modification time. None if none."""
    with suppress(OSError, UnicodeDecodeError, StorageError):
        name = (output / LATEST).read_text("utf-8").strip()
        if name and BatchFolder(output / name).exists:
            return name
    return next((folder.name for folder in newest_batches(output, 1)), None)


def newest_batches(output: Path, count_max: int | None = None) -> list[BatchFolder]:
    """The batches under `output`, the last written first; all of them without `count_max`."""
    from bulk.journal import lost_journal, runs_path  # not needed for --help

    try:
        folders = [BatchFolder(path) for path in output.iterdir()]
    except OSError:
        return []
    dated = []
    for folder in folders:
        with suppress(OSError):
            lost = lost_journal(folder.journal)
            written = (runs_path(folder.journal) if lost else folder.journal).stat().st_mtime
            dated.append((written, folder.name, folder))
    dated.sort(key=lambda row: row[:2], reverse=True)
    return [folder for *_, folder in dated[:count_max]]


def note_latest(folder: BatchFolder) -> None:
    """Note in `latest.txt` that the batch is the newest, if that file can be written."""
    with suppress(OSError, StorageError):
        write_whole(folder.path.parent / LATEST, f"{folder.name}\n".encode())


def write_files(folder: BatchFolder, files: Iterable[tuple[str, bytes]]) -> list[str]:
    """Write report files, each whole or not at all. Return a message for each that failed.

    If another program holds a file open, as Excel does on Windows, the rest is still written.
    """
    problems = []
    for relative, content in files:
        path = folder.path / relative
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(path, content)
        except PermissionError as error:
            problems.append(
                f"{path}: not written ({error.strerror or error}). If another program has it "
                "open, as Excel does on Windows, close it; else check its permissions. Then: "
                f"bulk-trigger report {folder.cli_name}"
            )
        except (OSError, StorageError) as error:
            problems.append(f"{path}: not written: {getattr(error, 'strerror', None) or error}")
    return problems


def write_whole(path: Path, content: bytes) -> None:
    """Write `content` to `path` so that a reader sees the old file or the new one, never half."""
    _remove_stale(path)
    descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if os.name != "nt":  # mkstemp's 0600 is for secrets; others must be able to read a report
            umask = os.umask(0)
            os.umask(umask)
            Path(temporary).chmod(0o666 & ~umask)
        Path(temporary).replace(path)
    except BaseException:
        with suppress(OSError):
            Path(temporary).unlink()
        raise


def _remove_stale(path: Path) -> None:
    """Remove temporary files of processes that died while they wrote `path`."""
    for left in path.parent.glob(f".{path.name}.*"):
        with suppress(OSError):
            if time.time() - left.stat().st_mtime > STALE_S:
                left.unlink()
