"""Makes foreign text safe to show beside our own: one line, and no reach beyond its own end.

Unicode's direction controls can reorder what follows a text. The rules here are those of the
Unicode bidirectional algorithm (UAX 9): what stands between an isolate's start and its end cannot
reorder anything outside, as long as the text neither opens nor closes an isolate too many.
"""

from __future__ import annotations

import re
import unicodedata

ISOLATE, ISOLATE_END = "\u2068", "\u2069"
_ISOLATES = re.compile("[\u2066-\u2069]")
_LINE_ENDS = re.compile("[\t-\r\x1c-\x1f\x85\u2028\u2029]+")
# Control characters, lone surrogates and non-characters; XML 1.0 can hold none of the first two.
_NOT_SHOWN = re.compile("[\0-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")
# Classes of characters that run from right to left or that change the direction.
_TURNING = frozenset(
    ("R", "AL", "AN", "LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI")
)


def one_line(text: str) -> str:
    """The text on one line, without spaces around it; what has no shape of its own is U+FFFD."""
    return _NOT_SHOWN.sub("\ufffd", _LINE_ENDS.sub(" ", text)).strip()


def cut(text: str, characters_max: int) -> str:
    """The text, cut in its middle if it is too long: names often differ at their end."""
    if len(text) <= characters_max:
        return text
    tail_length = characters_max // 2
    head, tail = text[: characters_max - tail_length - 1], text[-tail_length:]
    while tail and unicodedata.combining(tail[0]):  # it would land on the ellipsis
        tail = tail[1:]
    return f"{head}…{tail}"


def balanced(text: str) -> str:
    """The text without the starts and ends of isolates that have no counterpart in it."""
    if text.isascii() or not _ISOLATES.search(text):
        return text
    dropped: list[int] = []
    opened: list[int] = []
    for match in _ISOLATES.finditer(text):
        if match[0] != ISOLATE_END:
            opened.append(match.start())
        elif opened:
            opened.pop()
        else:
            dropped.append(match.start())
    unmatched = {*dropped, *opened}
    return "".join(char for place, char in enumerate(text) if place not in unmatched)


def isolated(text: str) -> str:
    """The text, in an isolate if it has anything that could reorder its surroundings.

    This is for plain text; on a page, `<bdi>` around `balanced` text does the same.
    """
    if text.isascii() or _TURNING.isdisjoint(map(unicodedata.bidirectional, text)):
        return text
    return f"{ISOLATE}{balanced(text)}{ISOLATE_END}"


class _Unseen(dict[int, int | None]):
    """For `str.translate`: None for a code point that leaves no mark on a page, else itself."""

    def __missing__(self, code: int) -> int | None:
        char = chr(code)
        unseen = unicodedata.category(char) in ("Cc", "Cf", "Cs") or code in _FILLERS
        self[code] = None if unseen else code
        return self[code]


# Unicode's ignorable code points that are not of category Cf, and what stands for a lost character.
_FILLERS = frozenset(
    (
        *(0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x2065, 0x3164, 0xFFA0),
        *(*range(0x180B, 0x1810), *range(0xFE00, 0xFE10), *range(0xE0000, 0xE1000)),
        *(*range(0xFFF0, 0xFFF9), 0xFFFD),
    )
)
_UNSEEN = _Unseen()
_BLANKS = {0x2800: " "}  # an empty braille cell


def look(text: str) -> str:
    """What a reader sees of the text: equal for texts that can hardly be told apart by eye.

    Unicode's compatibility forms, invisible characters and the number of spaces make no difference.
    """
    if not text.isascii():
        seen = unicodedata.normalize("NFKC", text).translate(_UNSEEN).translate(_BLANKS)
        text = unicodedata.normalize("NFKC", seen)  # letter and accent may have been kept apart
    elif not text.isprintable():
        text = text.translate(_UNSEEN)
    return " ".join(text.split())
