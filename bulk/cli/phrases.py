"""Phrases that more than one command prints."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bulk.batch.choosing import RemainingWork
    from bulk.manifest import Manifest


def count_of(number: int, noun: str) -> str:
    """`1 row`, `5 rows`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def describe_remaining(remaining: RemainingWork) -> str:
    """What a batch still needs: `5 triggers to send, 3 unknown`, or `its reports to write`."""
    parts = [f"{count_of(remaining.to_send, 'trigger')} to send"] if remaining.to_send else []
    parts += [f"{remaining.to_reconcile:,} unknown"] if remaining.to_reconcile else []
    return ", ".join(parts) or "its reports to write"


def expansion_line(manifest: Manifest) -> str:
    """`manifests/release.csv: 5 rows, 14 triggers (web 5, ios 6, android 3)`."""
    unit = "test" if manifest.is_yaml else "row"
    platforms = ", ".join(f"{name or 'unset'} {count}" for name, count in manifest.by_platform)
    return (
        f"{manifest.title}: {count_of(manifest.rows, unit)}, "
        f"{count_of(manifest.count, 'trigger')} ({platforms})"
    )


def on_one_line(text: str) -> str:
    """Untrusted text for a terminal: without line ends, and with nothing that moves the cursor."""
    return "".join(char if char.isprintable() else " " for char in text)
