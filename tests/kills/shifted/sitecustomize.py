"""Python runs this as it starts, where it is found: it shifts the clocks that all else imports.

By how much stands in the file that `SHIFTED_CLOCKS` names; `tests/kills/clocks.py` writes it.
"""

import mmap
import os
import struct
import time
from collections.abc import Callable
from pathlib import Path


def _shifted(clock: Callable[[], float], shifts: mmap.mmap, place: int) -> Callable[[], float]:
    return lambda: clock() + struct.unpack_from("d", shifts, place)[0]


if _name := os.environ.get("SHIFTED_CLOCKS"):
    with Path(_name).open("rb") as _file:
        _shifts = mmap.mmap(_file.fileno(), 0, access=mmap.ACCESS_READ)
    time.time = _shifted(time.time, _shifts, 0)
    time.monotonic = _shifted(time.monotonic, _shifts, 8)
    time.perf_counter = _shifted(time.perf_counter, _shifts, 8)
