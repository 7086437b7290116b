"""The list of queued runs beside the journal, `data/runs.txt`, for the day the journal is damaged.

One line a run, appended after the commit that made the run durable:

    time, run id, key, test id, platform, mode, batch, check

separated by tabs, `-` for none. `batch` identifies the batch, `check` is the CRC-32 of the line
before it: a line that was torn, altered or written for another batch is recognised by itself. Of
two lines with one run id the later counts: an answer may name the owner of a run that another
trigger was thought to have.

The journal is the authority. No line is synced to the disk, and none that cannot be written stops
the batch: `complete` adds what is missing. But since a line is written after its commit, a run that
is listed here and not in the journal proves that the journal has lost commits.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import blake2b
from io import FileIO
from pathlib import Path
from sqlite3 import Row
from stat import S_ISREG
from zlib import crc32

from bulk.model import UUID_PATTERN, Mode, Platform

NAME = "runs.txt"
NONE = "-"
_UUID = UUID_PATTERN.pattern
LINE = re.compile(
    r"(?P<time>\S{1,40})"
    rf"\t(?P<run_id>{_UUID})\t(?P<key>k[0-9a-f]{{19}})\t(?P<test_id>{_UUID})"
    rf"\t(?P<platform>{'|'.join([*Platform, NONE])})\t(?P<mode>{'|'.join([*Mode, NONE])})"
    r"\t(?P<batch>[0-9a-f]{16})\t(?P<check>[0-9a-f]{8})",
    re.ASCII,
)
HEADER = re.compile(r"# batch (?P<batch>[0-9a-f]{16}) .*\t(?P<check>[0-9a-f]{8})", re.ASCII)
FIELDS = "time, run_id, key, test_id, platform, mode, batch, check"

Run = Row  # of `tables.SELECT_RUNS`


@dataclass(frozen=True, slots=True)
class RunLine:
    """A queued run: when the answer came (UTC, `-` if unknown), and the trigger that owns it."""

    time: str
    run_id: str
    key: str
    test_id: str
    platform: str | None
    mode: str | None


@dataclass(frozen=True, slots=True)
class ListedRuns:
    """A batch's lines by run id, in the order of the file.

    `broken` counts lines that cannot be what was written; `last_batch` is the batch that the last
    sound line names, None where there is none; `whole_lines`: nothing is torn off at the end.
    """

    runs: dict[str, RunLine]
    broken: int = 0
    last_batch: str | None = None
    whole_lines: bool = True


def runs_path(journal: Path) -> Path:
    """Where the list of a journal's runs is."""
    return journal.with_name(NAME)


def batch_id(created_with: str) -> str:
    """16 hexadecimal digits for a batch, from the text in which the journal says what it is."""
    return blake2b(created_with.encode("utf-8", "replace"), digest_size=8).hexdigest()


def read_runs(path: Path, batch: str | None) -> ListedRuns:
    """The lines of that batch; of the batch named last in the file where `batch` is None.

    Raises OSError where the file is there and cannot be read; where it is not there, it is empty.
    """
    return parse_runs(read_content(path), batch)


def read_content(path: Path) -> bytes:
    """All of the file; raises as `read_runs`."""
    if path.is_symlink() or (path.exists() and not path.is_file()):  # a pipe would wait for ever
        raise OSError("it is not a regular file; move it away")
    return path.read_bytes() if path.exists() else b""


def lost_journal(journal: Path) -> int:
    """How many runs are listed beside a journal that is gone; 0 if it is there, or never was."""
    with suppress(OSError):
        if not journal.exists():
            return len(read_runs(runs_path(journal), None).runs)
    return 0


def parse_runs(content: bytes, batch: str | None) -> ListedRuns:
    """As `read_runs`, from the file's content."""
    by_batch: dict[str, dict[str, RunLine]] = {}
    broken, last = 0, None
    for line in content.decode("ascii", "replace").split("\n"):
        text = line.removesuffix("\r")  # an editor may have added it
        found = _checked(LINE, text) or _checked(HEADER, text)
        if found is None:
            broken += bool(text)
            continue
        last = found["batch"]
        if found.re is LINE:
            runs = by_batch.setdefault(last, {})
            runs.pop(found["run_id"], None)  # the later one counts, and in its place
            runs[found["run_id"]] = RunLine(
                time=found["time"],
                run_id=found["run_id"],
                key=found["key"],
                test_id=found["test_id"],
                platform=_or_none(found["platform"]),
                mode=_or_none(found["mode"]),
            )
    return ListedRuns(
        runs=by_batch.get(batch or last or "", {}),
        broken=broken,
        last_batch=last,
        whole_lines=content.endswith(b"\n") or not content,
    )


class RunsFile:
    """Appends to a batch's list of runs; made with what the journal says the batch is.

    `in_place` says whether the journal still is at its path: its folder may have been moved, and
    another batch's may have taken its place. The file stays open from its first line on, so that
    later lines follow it.
    """

    def __init__(
        self, journal: Path, created_with: str, name: str, in_place: Callable[[], bool]
    ) -> None:
        self.path = runs_path(journal)
        self._batch = batch_id(created_with)
        self._name = name
        self._in_place = in_place
        self._file: FileIO | None = None
        self._before = b""  # what the next write begins with
        self._lacks_lines = True  # for all that is known
        self._failure: OSError | None = None

    @property
    def problem(self) -> str | None:
        """Why runs are missing from the file, in a sentence; None where none is."""
        if self._failure is None:
            return None
        reason = self._failure.strerror or str(self._failure)
        return (
            f"{self.path}: not complete ({reason}). The journal has all runs; as soon as the file "
            "can be written, the next resume or report adds those that are missing here"
        )

    def append(self, runs: Iterable[Run]) -> None:
        """Add a line for each run, in one write. Raises nothing for a file that cannot be written.

        No fsync: it would double the price of each commit, for lines that the journal has already.
        After a power failure `complete` adds what the disk did not get.
        """
        lines = b"".join(map(self._line, runs))
        if not lines:
            return
        try:
            self._write(lines)
        except OSError as failure:
            self._before = b"\n"  # half a line may be there
            self._lacks_lines = True
            self._failure = failure

    def complete(self, select: Callable[[], Iterable[Run]]) -> None:
        """Add what the file lacks of the batch's runs, as after a crash. `select` reads them, where
        that is needed; what it raises is raised, and nothing for the file, as in `append`.
        """
        if self._file is not None and not self._still_there(self._file):
            self.close()  # it was moved, removed or replaced meanwhile, with the lines in it
            self._lacks_lines = True
        if not self._lacks_lines:
            return
        try:
            listed = read_runs(self.path, self._batch)
        except OSError as failure:
            self._before = b"\n"
            self._failure = failure
            return
        self._failure, self._lacks_lines = None, False
        self._before = b"" if listed.whole_lines else b"\n"
        if listed.last_batch != self._batch:
            self._before += self._header()
        recorded = {run_id: line.key for run_id, line in listed.runs.items()}
        missing = [run for run in select() if recorded.get(run["run_id"]) != run["key"]]
        self.append(missing)
        if not missing and listed.last_batch not in (None, self._batch):
            self._append_header()

    def _still_there(self, file: FileIO) -> bool:
        try:
            return os.path.samestat(os.fstat(file.fileno()), self.path.lstat())
        except OSError:
            return False

    def close(self) -> None:
        """Let go of the file."""
        if self._file is not None:
            with suppress(OSError):
                self._file.close()
            self._file = None

    def _append_header(self) -> None:
        """The lines that are there are another batch's: say so before the first of ours comes."""
        try:
            self._write(b"")
        except OSError as failure:
            self._failure, self._lacks_lines = failure, True

    def _write(self, lines: bytes) -> None:
        if self._file is None:
            self._file = self._opened()
            if self._file is None:
                return
        content = self._before + lines
        if self._file.write(content) != len(content):
            raise OSError("only a part of it was written")
        self._before = b""

    def _opened(self) -> FileIO | None:
        """The file; None where the journal's folder is not there any more."""
        if not self._in_place():
            return None
        file = FileIO(self.path, "ab", opener=_owner_only)
        try:
            if not S_ISREG(os.fstat(file.fileno()).st_mode):
                raise OSError("it is not a regular file; move it away")
            if self._in_place():
                return file
        except BaseException:
            file.close()
            raise
        file.close()
        return None

    def _header(self) -> bytes:
        name = " ".join(self._name.split()).encode("ascii", "replace").decode()
        return _with_check(f"# batch {self._batch} {name}: {FIELDS}")

    def _line(self, run: Run) -> bytes:
        cell = (run["platform"] or NONE, run["mode"] or NONE)
        fields = (_time(run["finished_at"]), run["run_id"], run["key"], run["test_id"], *cell)
        return _with_check("\t".join((*fields, self._batch)))


def _owner_only(path: str, flags: int) -> int:
    """As the journal's file: readable by its owner only. Does not wait for a pipe's other end, nor
    follow a link, behind which there may be a file of somebody else's.
    """
    for name in ("O_NONBLOCK", "O_NOFOLLOW"):
        flags |= getattr(os, name, 0)
    try:
        return os.open(path, flags, 0o600)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise OSError("it is not a regular file; move it away") from error
        raise


def _with_check(text: str) -> bytes:
    line = f"{text}\t".encode()
    return line + b"%08x\n" % crc32(line)


def _checked(pattern: re.Pattern[str], text: str) -> re.Match[str] | None:
    found = pattern.fullmatch(text)
    if found is None or int(found["check"], 16) != crc32(text[:-8].encode()):
        return None
    return found


def _or_none(field: str) -> str | None:
    return None if field == NONE else field


def _time(unix_s: float | None) -> str:
    if unix_s is not None:
        with suppress(ValueError, OverflowError, OSError):  # a clock that is out of all bounds
            text = datetime.fromtimestamp(unix_s, UTC).isoformat(timespec="milliseconds")
            return text.replace("+00:00", "Z")
    return NONE
