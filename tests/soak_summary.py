"""Prints how a soak ended."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Collection
from typing import Any


def print_summary(headline: str, counts: Counter[str], failed: Collection[Any]) -> int:
    """Print how often what happened, the most frequent first, and what failed.

    Returns the process's exit code.
    """
    sys.stdout.write(f"{headline}\n")
    for name, number in counts.most_common():
        sys.stdout.write(f"  {number:>9,} {name}\n")
    sys.stdout.write(f"{len(failed)} failed {sorted(failed)}\n")
    return int(bool(failed))
