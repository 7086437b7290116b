"""The bytes of a manifest: what kind of file, which encoding, its digest; knows no columns.

A file is surveyed once from end to end before it is read, as one odd byte in its last line decides
how its first is read.
"""

from __future__ import annotations

import codecs
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import BinaryIO

from bulk.errors import ManifestError, Problem
from bulk.manifest.findings import Findings

CSV_SUFFIXES = (".csv", ".tsv", ".txt", "")
YAML_SUFFIXES = (".yaml", ".yml")
_SPREADSHEET_SUFFIXES = (".xlsx", ".xlsm", ".xlsb", ".xls", ".ods", ".numbers")
_SPREADSHEET_SIGNATURES = (b"PK\x03\x04", b"PK\x05\x06", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1")
_CHUNK_BYTES = 1 << 20
_HEAD_LENGTH = 1 << 16  # enough for any header row, to see how its columns are separated
_SPREADSHEET_ADVICE = (
    "is a spreadsheet, and only CSV or YAML can be read. In Excel: File > Save As > "
    '"CSV UTF-8 (Comma delimited) (*.csv)". In LibreOffice: File > Save As > "Text CSV" with the '
    "character set UTF-8. In Numbers: File > Export To > CSV"
)
_SAVE_AS_UTF8 = 'save it as "CSV UTF-8"'


@dataclass(frozen=True, slots=True)
class Survey:
    """What is known of a file's bytes. `head` is the beginning of its text."""

    digest: str
    encoding: str
    head: str


class _BadByteError(Exception):
    def __init__(self, line: int, byte: int) -> None:
        self.line = line
        self.byte = byte


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """The file, open for reading bytes. Raises ManifestError where it cannot be read."""
    try:
        # Asked first: opening a named pipe waits for a writer, and a pipe cannot be read twice.
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            raise _whole(path, "is a folder; name the manifest file in it")
        if not stat.S_ISREG(mode):
            raise _whole(path, "is no regular file; a manifest is read twice, so save it first")
        with path.open("rb") as handle:
            yield handle
    except FileNotFoundError as exc:
        raise _whole(path, "there is no such file") from exc
    except PermissionError as exc:
        raise _whole(path, "may not be read: permission denied") from exc
    except (OSError, ValueError) as exc:  # ValueError: a NUL in the path
        raise _whole(path, f"cannot be read: {getattr(exc, 'strerror', None) or exc}") from exc


def survey(path: Path, handle: BinaryIO, findings: Findings) -> Survey | None:
    """Finds out how the text is encoded. None, with the problem told, where it is no text."""
    first = handle.read(8)
    if path.suffix.lower() in _SPREADSHEET_SUFFIXES or first.startswith(_SPREADSHEET_SIGNATURES):
        findings.problem(0, _SPREADSHEET_ADVICE)
        return None
    if path.suffix.lower() not in CSV_SUFFIXES + YAML_SUFFIXES:
        findings.problem(
            0, f'"{path.suffix}" is neither CSV (.csv, .tsv, .txt) nor YAML (.yaml, .yml)'
        )
        return None
    if not first:
        findings.problem(0, "is empty")
        return None
    digest = _digest(handle)
    failures: list[_BadByteError] = []
    for encoding in _candidates(first):
        try:
            head, nul_line = _scan(handle, encoding)
        except _BadByteError as bad:
            failures.append(bad)
            continue
        if nul_line:
            findings.problem(
                nul_line,
                f"holds a NUL byte, which no text does; {_SAVE_AS_UTF8} (or the file is damaged)",
            )
            return None
        if failures:
            findings.note(
                f"read as Windows-1252, as line {failures[0].line} is not UTF-8; check the "
                f"accents in names, or {_SAVE_AS_UTF8}"
            )
        return Survey(digest, encoding, head)
    findings.problem(failures[-1].line, _undecodable(failures[-1], encoding))
    return None


def _digest(handle: BinaryIO) -> str:
    handle.seek(0)
    digest = blake2b(digest_size=16)
    while chunk := handle.read(_CHUNK_BYTES):
        digest.update(chunk)
    return digest.hexdigest()


def _candidates(first: bytes) -> tuple[str, ...]:
    if first.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):
        return ("utf-32",)
    if first.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return ("utf-16",)
    if first.startswith(codecs.BOM_UTF8):
        return ("utf-8-sig",)
    return ("utf-8", "cp1252")


def _scan(handle: BinaryIO, encoding: str) -> tuple[str, int]:
    """The head of the text and the line of its first NUL (0: none). Raises _BadByteError."""
    handle.seek(0)
    decoder = codecs.getincrementaldecoder(encoding)()
    head, line, nul_line = "", 1, 0
    while True:
        chunk = handle.read(_CHUNK_BYTES)
        try:
            text = decoder.decode(chunk, final=not chunk)
        except UnicodeDecodeError as exc:
            good = exc.object[: exc.start]
            # In UTF-16 and -32 a line end is no single byte, so the line is not told there.
            bad_line = line + good.count(b"\n") if "8" in encoding or "cp" in encoding else 0
            raise _BadByteError(bad_line, exc.object[exc.start]) from exc
        if len(head) < _HEAD_LENGTH:
            head += text[: _HEAD_LENGTH - len(head)]
        if not nul_line and "\0" in text:
            nul_line = line + text.count("\n", 0, text.index("\0"))
        line += text.count("\n")
        if not chunk:
            handle.seek(0)
            return head, nul_line


def _undecodable(bad: _BadByteError, encoding: str) -> str:
    if encoding == "cp1252":
        return f"the byte 0x{bad.byte:02x} is neither UTF-8 nor Windows-1252; {_SAVE_AS_UTF8}"
    name = encoding.removesuffix("-sig").upper()
    return f"begins as {name}, but the byte 0x{bad.byte:02x} is not; {_SAVE_AS_UTF8}"


def _whole(path: Path, text: str) -> ManifestError:
    return ManifestError([Problem(str(path), 0, 0, text)])
