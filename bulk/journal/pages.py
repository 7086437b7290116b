"""Reads records out of the pages of a SQLite file or its log, one by one, past any damage.

SQLite itself gives up a table where a page above its rows is broken, and its `.recover` is no part
of Python's. The format is fixed for good: https://sqlite.org/fileformat2.html. Knows nothing of our
tables.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

Value = None | int | float | str | bytes

MAGIC = b"SQLite format 3\0"
LOG_MAGICS = (0x377F0682, 0x377F0683)
LOG_HEADER_BYTES = 32
FRAME_HEADER_BYTES = 24
PAGE_BYTES = 4096  # SQLite's own choice, where no header can tell
PAGE_SIZES = {1 << power for power in range(9, 17)}
FIRST_PAGE_AT = 100  # of the first page, the file's header comes before
TABLE_LEAF, INDEX_LEAF, INDEX_INNER = 13, 10, 2  # the kinds of page with records in them
RECORD_BYTES_MAX = 10_000_000  # none of ours comes near; a broken size would
NUMBER_BYTES = {1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8}


@dataclass(frozen=True, slots=True)
class Record:
    """A row of a table, or of an index, which has no row id of its own."""

    row_id: int | None
    values: tuple[Value, ...]


@dataclass(slots=True)
class Pages:
    """The pages in the order in which they were written, and each number's newest content."""

    page_bytes: int
    written: list[tuple[int, bytes]] = field(default_factory=list)
    newest: dict[int, bytes] = field(default_factory=dict)

    def add(self, number: int, content: bytes) -> None:
        """One more page; of a page cut short, the rest reads as zeros."""
        content = content.ljust(self.page_bytes, b"\0")
        self.written.append((number, content))
        self.newest[number] = content

    def records(self) -> Iterator[Record]:
        """All that is a whole record, older ones first; broken ones are left out."""
        for number, content in self.written:
            yield from _records(number, content, self.newest)


def pages_of(file: Path, log: Path | None) -> Pages:
    """What can be read of the file, and behind it of its log. Raises nothing for damage."""
    head, log_head = _read(file, 0, FIRST_PAGE_AT), b""
    if log is not None:
        log_head = _read(log, 0, LOG_HEADER_BYTES)
    pages = Pages(_page_bytes(head, log_head))
    older, newer = _frames(log, log_head, pages.page_bytes)
    for number, content in older:  # of a log used before: in the file since then
        pages.add(number, content)
    for at in range(0, _size(file), pages.page_bytes):
        pages.add(at // pages.page_bytes + 1, _read(file, at, pages.page_bytes))
    for number, content in newer:
        pages.add(number, content)
    return pages


def _page_bytes(head: bytes, log_head: bytes) -> int:
    if head.startswith(MAGIC) and len(head) >= 18:
        (told,) = struct.unpack_from(">H", head, 16)
        if (told if told != 1 else 65_536) in PAGE_SIZES:  # 64 KiB does not fit into two bytes
            return int(told if told != 1 else 65_536)
    if len(log_head) == LOG_HEADER_BYTES:
        magic, _, told = struct.unpack_from(">III", log_head)
        if magic in LOG_MAGICS and told in PAGE_SIZES:
            return int(told)
    return PAGE_BYTES


Frames = list[tuple[int, bytes]]


def _frames(log: Path | None, head: bytes, page_bytes: int) -> tuple[Frames, Frames]:
    """The log's pages: left over from before it was begun anew, and since."""
    older: Frames = []
    newer: Frames = []
    if log is None:
        return older, newer
    salts = head[16:24]
    for at in range(LOG_HEADER_BYTES, _size(log), FRAME_HEADER_BYTES + page_bytes):
        frame = _read(log, at, FRAME_HEADER_BYTES + page_bytes)
        if len(frame) > FRAME_HEADER_BYTES:
            (number,) = struct.unpack_from(">I", frame)
            since = newer if frame[8:16] == salts else older
            since.append((number, frame[FRAME_HEADER_BYTES:]))
    return older, newer


def _size(path: Path) -> int:
    try:
        return path.stat().st_size if path.is_file() else 0
    except OSError:
        return 0


def _read(path: Path, at: int, size: int) -> bytes:
    """As much of it as the disk gives."""
    try:
        with path.open("rb") as file:
            file.seek(at)
            return file.read(size)
    except OSError:
        return b""


# --- a page's records ----------------------------------------------------------------------------


def _records(number: int, page: bytes, newest: dict[int, bytes]) -> Iterator[Record]:
    start = FIRST_PAGE_AT if number == 1 else 0
    kind = page[start]
    if kind not in (TABLE_LEAF, INDEX_LEAF, INDEX_INNER):
        return
    (count,) = struct.unpack_from(">H", page, start + 3)
    pointers = start + (12 if kind == INDEX_INNER else 8)
    last = 0
    for place in range(pointers, min(pointers + 2 * count, len(page) - 1), 2):
        (at,) = struct.unpack_from(">H", page, place)
        try:
            record = _cell(page, at, kind, newest)
        except (IndexError, ValueError, struct.error):
            continue
        if record.row_id is None or record.row_id > last:  # row ids rise; one that falls is broken
            last = record.row_id or 0
            yield record


def _cell(page: bytes, at: int, kind: int, newest: dict[int, bytes]) -> Record:
    """The record of a cell. Raises IndexError, ValueError or struct.error where it is broken."""
    if kind == INDEX_INNER:
        at += 4  # the page below
    size, at = _varint(page, at)
    row_id = None
    if kind == TABLE_LEAF:
        row_id, at = _varint(page, at)
    if not 0 < size <= RECORD_BYTES_MAX:
        raise ValueError(f"a record of {size} bytes")
    here = _bytes_here(size, len(page), table=kind == TABLE_LEAF)
    content = page[at : at + here]
    if here < size:
        content += _overflow(page, at + here, size - here, newest)
    if len(content) < size:
        raise ValueError("a record cut short")
    return Record(row_id, tuple(_values(content)))


def _bytes_here(size: int, page_bytes: int, *, table: bool) -> int:
    """How many of a record's bytes are on its own page, as the format lays down."""
    most = page_bytes - 35 if table else (page_bytes - 12) * 64 // 255 - 23
    if size <= most:
        return size
    least = (page_bytes - 12) * 32 // 255 - 23
    here = least + (size - least) % (page_bytes - 4)
    return here if here <= most else least


def _overflow(page: bytes, at: int, size: int, newest: dict[int, bytes]) -> bytes:
    """The rest of a record, from the pages that it runs over."""
    content = b""
    (number,) = struct.unpack_from(">I", page, at)
    while len(content) < size and number in newest:
        (following,) = struct.unpack_from(">I", newest[number])
        content += newest[number][4:]
        number = following
    return content[:size]


def _values(content: bytes) -> Iterator[Value]:
    head_bytes, at = _varint(content, 0)
    if not at <= head_bytes <= len(content):
        raise ValueError("a record's head is longer than the record")
    kinds = []
    while at < head_bytes:
        kind, at = _varint(content, at)
        kinds.append(kind)
    at = head_bytes
    for kind in kinds:
        if kind >= 12:
            size = (kind - 12) // 2
        elif kind in (0, 8, 9):  # nothing, and the numbers 0 and 1
            size = 0
        else:
            size = 8 if kind == 7 else NUMBER_BYTES.get(kind, len(content))
        raw = content[at : at + size]
        if len(raw) < size:
            raise ValueError("a value cut short")
        yield _value(kind, raw)
        at += size


def _value(kind: int, raw: bytes) -> Value:
    if kind >= 12:
        return raw.decode() if kind % 2 else raw
    if kind == 7:
        (number,) = struct.unpack(">d", raw)
        return float(number)
    if kind in (8, 9):
        return kind - 8
    return int.from_bytes(raw, signed=True) if kind else None


def _varint(content: bytes, at: int) -> tuple[int, int]:
    """A number of one to nine bytes, and where the next thing begins."""
    number = 0
    for place in range(at, at + 8):
        number = number << 7 | content[place] & 0x7F
        if content[place] < 0x80:
            return number, place + 1
    return number << 8 | content[at + 8], at + 9
