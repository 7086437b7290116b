"""Whether a manifest can be read, its encoding and its digest; must know no column and no key.

The whole file is inspected before any of it is parsed, because one byte in its last line can
decide how its first line is decoded.
"""

from __future__ import annotations

import codecs
import re
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
_YAML_KEY = re.compile(r"""["']?[\w-]+["']?\s*:(\s|$)""")
# gzip, bzip2, xz and zstd, which pandas writes by a file's suffix. (Zip is how workbooks begin.)
_COMPRESSED_SIGNATURES = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd")
_CHUNK_BYTES = 1 << 20
_HEAD_LENGTH = 1 << 16  # contains any header row, which shows how the columns are separated
_SPREADSHEET_ADVICE = (
    "is a spreadsheet; only CSV and YAML files can be read. In Excel: File > Save As > "
    '"CSV UTF-8 (Comma delimited) (*.csv)". In LibreOffice: File > Save As > "Text CSV" with the '
    "character set UTF-8. In Numbers: File > Export To > CSV"
)
_NAMES = {"cp1252": "Windows-1252", "cp850": "MS-DOS (code page 850)", "mac_roman": "Mac Roman"}
_LINE_END = re.compile(rb"\r\n|[\r\n]")
_DOS_LETTER = re.compile(
    rb"[A-Za-z][\x81\x82\x84\x88\x8d\x8f\x90]|[\x81\x90][A-Za-z]|[A-Za-z][\x87\x89][A-Za-z]"
)
_SAVE_AS_UTF8 = 'save the file as UTF-8 (in Excel: "CSV UTF-8")'


@dataclass(frozen=True, slots=True)
class TextFile:
    """The digest of a file's bytes, the name of its encoding, and the first part of its text.

    `is_yaml`: by its suffix or, without one, by its text.
    """

    digest: str
    encoding: str
    head: str
    is_yaml: bool


class _BadByteError(Exception):
    def __init__(self, line: int, byte: int) -> None:
        self.line = line
        self.byte = byte


def title_of(path: Path) -> str:
    """What messages call the manifest."""
    return "<stdin>" if str(path) == "-" else str(path)


@contextmanager
def open_bytes(path: Path, copy: BinaryIO | None = None) -> Iterator[BinaryIO]:
    """Opens the file, or its open copy, for reading bytes from the start.

    Raises ManifestError if it cannot be read.
    """
    if copy is not None:
        copy.seek(0)
        yield copy
        return
    try:
        # Checked first: opening a named pipe waits for a writer, and a pipe cannot be read twice.
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            raise _unreadable(path, "is a folder; name the manifest file in it")
        if not stat.S_ISREG(mode):
            raise _unreadable(
                path, "is not a regular file; a manifest is read twice, so save it to a file first"
            )
        with path.open("rb") as handle:
            yield handle
    except FileNotFoundError as exc:
        raise _unreadable(path, "no such file") from exc
    except PermissionError as exc:
        raise _unreadable(path, "cannot be read: permission denied") from exc
    except (OSError, ValueError) as exc:  # ValueError: a NUL in the path
        raise _unreadable(path, f"cannot be read: {getattr(exc, 'strerror', None) or exc}") from exc


def inspect_text(path: Path, handle: BinaryIO, findings: Findings) -> TextFile | None:
    """Detects the encoding. None if the file is not text, after reporting the problem."""
    first = handle.read(8)
    if path.suffix.lower() in _SPREADSHEET_SUFFIXES or first.startswith(_SPREADSHEET_SIGNATURES):
        findings.add_problem(0, _SPREADSHEET_ADVICE)
        return None
    if first.startswith(_COMPRESSED_SIGNATURES):
        findings.add_problem(0, "is compressed; unpack it, and name the file in it")
        return None
    if path.suffix.lower() not in CSV_SUFFIXES + YAML_SUFFIXES:
        findings.add_problem(
            0, f'"{path.suffix}" is neither CSV (.csv, .tsv, .txt) nor YAML (.yaml, .yml)'
        )
        return None
    if not first:
        findings.add_problem(0, "is empty")
        return None
    digest = _digest(handle)
    failures: list[_BadByteError] = []
    candidates = [_marked_encoding(first) or "utf-8"]
    for encoding in candidates:
        try:
            head, nul_line = _decode(handle, encoding)
        except _BadByteError as bad:
            failures.append(bad)
            if encoding == "utf-8":
                candidates.append(_legacy_encoding(handle))
            continue
        if nul_line:
            findings.add_problem(
                nul_line,
                "contains a NUL byte, which plain text never has; "
                f"{_SAVE_AS_UTF8}, or restore it if it is damaged",
            )
            return None
        if failures:
            findings.add_note(
                f"read as {_NAMES[encoding]} because line {failures[0].line} is not valid UTF-8; "
                f"check the accents in names, or {_SAVE_AS_UTF8}"
            )
        suffix = path.suffix.lower()
        is_yaml = suffix in YAML_SUFFIXES or (not suffix and _looks_like_yaml(head))
        return TextFile(digest, encoding, head, is_yaml)
    findings.add_problem(failures[-1].line, _undecodable(failures[-1], encoding))
    return None


def _looks_like_yaml(head: str) -> bool:
    """Whether a text begins as a mapping does. A header row never does: it has no `key: value`."""
    lines = (line.strip() for line in head.lstrip("\ufeff").splitlines())
    first = next((line for line in lines if line and not line.startswith(("#", "---", "%"))), "")
    return first.startswith("{") or bool(_YAML_KEY.match(first))


def _digest(handle: BinaryIO) -> str:
    handle.seek(0)
    digest = blake2b(digest_size=16)
    while chunk := handle.read(_CHUNK_BYTES):
        digest.update(chunk)
    return digest.hexdigest()


def _marked_encoding(first: bytes) -> str | None:
    """The encoding that a byte order mark states."""
    if first.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):
        return "utf-32"
    if first.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    return "utf-8-sig" if first.startswith(codecs.BOM_UTF8) else None


def _legacy_encoding(handle: BinaryIO) -> str:
    """The most likely encoding of a file that is not UTF-8, by what spreadsheets write.

    Line ends of classic Mac OS come with its encoding. Text of MS-DOS has bytes right after a
    letter that are its accented letters, and that in Windows-1252 are opening quotes, other signs
    that stand in no word, or nothing.
    """
    handle.seek(0)
    line_end = None
    has_dos_letters = False
    before = b""
    while chunk := handle.read(_CHUNK_BYTES):
        part = before + chunk
        line_end = line_end or _LINE_END.search(part)
        has_dos_letters = has_dos_letters or bool(_DOS_LETTER.search(part))
        before = chunk[-2:]
    if line_end and line_end[0] == b"\r":
        return "mac_roman"
    return "cp850" if has_dos_letters else "cp1252"


def _decode(handle: BinaryIO, encoding: str) -> tuple[str, int]:
    """The head of the text and the line of its first NUL (0: none). Raises _BadByteError."""
    handle.seek(0)
    decoder = codecs.getincrementaldecoder(encoding)()
    head, line, nul_line = "", 1, 0
    while True:
        chunk = handle.read(_CHUNK_BYTES)
        try:
            text = decoder.decode(chunk, final=not chunk)
        except UnicodeDecodeError as exc:
            valid = exc.object[: exc.start]
            # A line end is more than one byte in UTF-16 and UTF-32, so the line stays unknown.
            lines = valid.count(b"\n") or valid.count(b"\r")
            bad_line = line + lines if "8" in encoding or "cp" in encoding else 0
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
        return (
            f"the byte 0x{bad.byte:02x} is valid in neither UTF-8 nor Windows-1252; {_SAVE_AS_UTF8}"
        )
    name = encoding.removesuffix("-sig").upper()
    return (
        f"the byte 0x{bad.byte:02x} is not valid {name}, although the file has a {name} "
        f"byte order mark; {_SAVE_AS_UTF8}"
    )


def _unreadable(path: Path, text: str) -> ManifestError:
    return ManifestError([Problem(str(path), 0, 0, text)])
