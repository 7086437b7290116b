"""Python runs this as it starts, where it is found: it shifts the clocks that all else imports.

By how much stands in a file that `tests/kills/clocks.py` writes, once `shift_by` names it.
"""

import mmap
import struct
import time
from collections.abc import Callable
from pathlib import Path

_shifts: bytes | mmap.mmap = bytes(16)


def shift_by(path: Path) -> None:
    """Shift the clocks by what stands in the file, and by what will."""
    global _shifts
    with path.open("rb") as file:
        _shifts = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


def _shifted(clock: Callable[[], float], place: int) -> Callable[[], float]:
    return lambda: clock() + struct.unpack_from("d", _shifts, place)[0]


time.time = _shifted(time.time, 0)
time.monotonic = _shifted(time.monotonic, 8)
time.perf_counter = _shifted(time.perf_counter, 8)
