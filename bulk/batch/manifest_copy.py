"""Copies a manifest that can be read only once, such as stdin, so that it can be read again.

A manifest is read several times: it is checked to its end before its first trigger is written. The
copy has no name on disk, so nothing is left behind however the process ends; a batch keeps a copy
of it in its folder.
"""

from __future__ import annotations

import os
import stat
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from bulk.batch.folder import BatchFolder
from bulk.errors import ManifestError, OptionError, Problem, StorageError
from bulk.manifest import Manifest, title_of

STDIN_NAMES = frozenset(("-", "/dev/stdin", "/dev/fd/0", "/proc/self/fd/0"))
# Some millions of rows. What is larger is a mistake (`yes | ...`), and would fill the disk.
COPY_BYTES_MAX = 256 << 20
_CHUNK_BYTES = 1 << 20


def is_stdin(path: Path) -> bool:
    """Whether the path stands for the process's standard input."""
    return str(path) in STDIN_NAMES


@contextmanager
def readable_again(path: Path) -> Iterator[BinaryIO | None]:
    """A copy of a manifest that can be read only once, until the end of the block; else None.

    Reads stdin, a named pipe or a character device to its end. Raises ManifestError if stdin is
    closed, a terminal or empty, or if there is too much or it cannot be read; StorageError if the
    copy cannot be written.
    """
    source = _opened(path)
    if source is None:
        yield None
        return
    try:
        copy = tempfile.TemporaryFile()  # noqa: SIM115 closed below
    except OSError as exc:
        raise _no_copy(path, exc) from exc
    with copy:
        try:
            _copy(path, source, copy)
        finally:
            if not is_stdin(path):
                source.close()
        yield copy


def keep(manifest: Manifest, folder: BatchFolder) -> Path:
    """Write the copy into the batch's folder; the path to name the manifest by from now on.

    A manifest that is a file stays where it is. Raises StorageError.
    """
    if manifest.copy is None:
        return manifest.path
    path = folder.manifest_copies[1 if manifest.is_yaml else 0]
    try:
        with path.open("wb") as out:
            manifest.copy.seek(0)
            while chunk := manifest.copy.read(_CHUNK_BYTES):
                out.write(chunk)
            out.flush()
            os.fsync(out.fileno())
    except OSError as exc:
        raise StorageError(
            f"{path}: the manifest cannot be kept: {exc.strerror or exc}. "
            "Name another folder for batches with --output"
        ) from exc
    return path


def _opened(path: Path) -> BinaryIO | None:
    """What can be read only once, open; None for anything else, or if it is not there."""
    if is_stdin(path):
        if sys.stdin is None or sys.stdin.closed:
            raise _problem(path, "is closed; pipe a manifest in, or name a file")
        if sys.stdin.isatty():
            raise _is_a_terminal(path)
        return sys.stdin.buffer
    try:
        mode = path.stat().st_mode
        if not (stat.S_ISFIFO(mode) or stat.S_ISCHR(mode)):
            return None
        source = path.open("rb")
    except (OSError, ValueError):
        return None  # who reads the manifest says why it cannot be read
    if source.isatty():
        source.close()
        raise _is_a_terminal(path)
    return source


def _copy(path: Path, source: BinaryIO, copy: BinaryIO) -> None:
    size = 0
    while True:
        try:
            chunk = source.read(_CHUNK_BYTES)
        except OSError as exc:
            raise _problem(path, f"cannot be read: {exc.strerror or exc}") from exc
        if not chunk:
            break
        size += len(chunk)
        if size > COPY_BYTES_MAX:
            raise _problem(
                path,
                f"more than {COPY_BYTES_MAX >> 20} MiB; save so large a manifest to a file, "
                "and name the file",
            )
        try:
            copy.write(chunk)
        except OSError as exc:
            raise _no_copy(path, exc) from exc
    if not size:
        raise _problem(path, "is empty; does what writes it print anything?")
    try:
        copy.flush()
    except OSError as exc:
        raise _no_copy(path, exc) from exc


def check_one_reader(manifest: Path, api_key_file: Path | None) -> None:
    """Raise OptionError if manifest and API key are to be read from the same stdin."""
    if api_key_file is not None and is_stdin(manifest) and str(api_key_file) in STDIN_NAMES - {"-"}:
        raise OptionError(
            "--api-key-file: stdin is the manifest already; set TESTERARMY_API_KEY, or name a file"
        )


def _is_a_terminal(path: Path) -> ManifestError:
    command = f"... | bulk-trigger {path}"
    return _problem(path, f"is a terminal; pipe a manifest in ({command}), or name a file")


def _no_copy(path: Path, exc: OSError) -> StorageError:
    return StorageError(
        f"{title_of(path)}: cannot be copied to {tempfile.gettempdir()}: {exc.strerror or exc}. "
        "Save the manifest to a file and name that, or set TMPDIR"
    )


def _problem(path: Path, text: str) -> ManifestError:
    return ManifestError([Problem(title_of(path), 0, 0, text)])
