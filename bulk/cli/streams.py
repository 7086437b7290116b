"""The process's standard streams: a batch must not end because nothing can be printed."""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path


def prepare() -> None:
    """Make stdout and stderr writable, and let no write to stderr fail.

    A stream that was closed before the process began, as for some services, is replaced by the
    null device, also below Python: otherwise a socket or file would take its descriptor, and be
    sent what is meant for stderr. What stderr cannot take, because the disk is full or the pipe's
    reader is gone, is dropped.
    """
    _fill_descriptors()
    if sys.stdin is None:
        sys.stdin = Path(os.devnull).open(encoding="utf-8")  # noqa: SIM115 it stays open
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            nowhere = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 it stays open
            setattr(sys, name, nowhere)
        stream = getattr(sys, name)
        if hasattr(stream, "reconfigure"):  # a legacy code page lacks characters
            stream.reconfigure(errors="replace")
    stderr = sys.stderr
    buffer = getattr(stderr, "buffer", None)
    if type(getattr(buffer, "raw", buffer)) is io.FileIO:  # not a Windows console
        sys.stderr = io.TextIOWrapper(
            io.BufferedWriter(_Lossy(stderr.fileno(), "wb", closefd=False)),
            encoding=stderr.encoding,
            errors="replace",
            line_buffering=True,
        )


def _fill_descriptors() -> None:
    """Open the null device for each of the three that is closed: always the lowest one is taken."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)


def drop_unwritten() -> None:
    """Drop what stdout cannot take. At exit Python would try again and set its own exit code."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


class _Lossy(io.FileIO):
    """A file that accepts every write and drops what it cannot write."""

    def write(self, content: bytes) -> int:  # type: ignore[override]
        """Report that all of it was written, even if the disk or the reader did not take it."""
        try:
            return super().write(content)
        except OSError:
            return len(content)
