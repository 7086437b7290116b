"""How a soak says how it went."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Collection
from typing import Any


def tell(headline: str, counts: Counter[str], failed: Collection[Any]) -> int:
    """Print what happened, the most frequent first, and what failed. The exit code of that."""
    sys.stdout.write(f"{headline}\n")
    for name, number in counts.most_common():
        sys.stdout.write(f"  {number:>9,} {name}\n")
    sys.stdout.write(f"{len(failed)} failed {sorted(failed)}\n")
    return int(bool(failed))
