"""What a process prints on: made such that a batch does not end because nobody can be told."""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path


def prepare() -> None:
    """Make both streams writable: stdout so far as it is there, stderr whatever becomes of it.

    A stream that was closed before we began, as for some services, leads nowhere. What stderr
    cannot take, as where it is a file on a full disk or a pipe whose reader has gone, is dropped.
    """
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            nowhere = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 for good
            setattr(sys, name, nowhere)
        stream = getattr(sys, name)
        if hasattr(stream, "reconfigure"):  # a legacy code page lacks letters; names keep theirs
            stream.reconfigure(errors="replace")
    told = sys.stderr
    buffer = getattr(told, "buffer", None)
    if type(getattr(buffer, "raw", buffer)) is io.FileIO:  # and no Windows console
        sys.stderr = io.TextIOWrapper(
            io.BufferedWriter(_Lossy(told.fileno(), "wb", closefd=False)),
            encoding=told.encoding,
            errors="replace",
            line_buffering=True,
        )


def drop_what_is_left() -> None:
    """Where stdout cannot take it: Python would try once more, and end with a code of its own."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


class _Lossy(io.FileIO):
    """A file that takes all that is written to it and drops what it cannot hold."""

    def write(self, content: bytes) -> int:  # type: ignore[override]
        """All of it was taken, whatever the disk or the reader says."""
        try:
            return super().write(content)
        except OSError:
            return len(content)
