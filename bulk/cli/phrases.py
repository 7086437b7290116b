"""Sentences that more than one command says."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bulk.manifest import Manifest


def count_of(number: int, noun: str) -> str:
    """`1 row`, `5 rows`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def left_words(to_send: int, to_ask: int) -> str:
    """What a batch still needs: `5 triggers to send, 3 unknown`; if nothing else, its reports."""
    parts = [f"{count_of(to_send, 'trigger')} to send"] if to_send else []
    parts += [f"{to_ask:,} unknown"] if to_ask else []
    return ", ".join(parts) or "its reports to write"


def expansion_line(manifest: Manifest) -> str:
    """`manifests/release.csv: 5 rows, 14 triggers (web 5, ios 6, android 3)`."""
    unit = "test" if manifest.path.suffix.lower() in (".yaml", ".yml") else "row"
    platforms = ", ".join(f"{name or 'unset'} {count}" for name, count in manifest.by_platform)
    return (
        f"{manifest.path}: {count_of(manifest.rows, unit)}, "
        f"{count_of(manifest.count, 'trigger')} ({platforms})"
    )


def on_one_line(text: str) -> str:
    """A text of others for a terminal: no line ends, and nothing that moves its cursor."""
    return "".join(char if char.isprintable() else " " for char in text)
