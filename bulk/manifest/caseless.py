"""The one form in which texts are compared; must know no file and no meaning of a text.

Two texts are the same if Unicode calls them a canonical caseless match (section 3.13, D145): case
does not count, nor whether an accent is part of its letter or a character of its own. macOS and
some keyboards write the one, most programs the other, and nobody sees the difference.
"""

from __future__ import annotations

from unicodedata import normalize


def fold(text: str) -> str:
    """The text in the form to compare by. It is never written anywhere.

    Composed at the end, which changes nothing about what is equal: so `?` in a glob and a letter in
    its brackets stand for what a reader sees as one letter.
    """
    if text.isascii():
        return text.lower()
    return normalize("NFC", normalize("NFD", text).casefold())
