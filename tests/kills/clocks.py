"""The clocks of a machine, for real processes: a test can set them, and put the machine to sleep.

The clocks of each process that is started with these `shifts` are shifted, also while it runs.
The wall clock can be set. The steady one stands still while the machine sleeps.
"""

from __future__ import annotations

import mmap
import struct
from pathlib import Path

WALL, STEADY = 0, 8  # bytes from the file's beginning


class Clocks:
    """Those of one machine; `path` is the file by which its processes learn of a shift."""

    def __init__(self, path: Path) -> None:
        path.write_bytes(bytes(16))
        self.path = path
        with path.open("r+b") as file:
            self._shifts = mmap.mmap(file.fileno(), 0)

    def set_by(self, seconds: float) -> None:
        """Somebody sets the wall clock, forwards or (where negative) back."""
        self._shift(WALL, seconds)

    def pass_by(self, seconds: float) -> None:
        """So much time passes at once, for both clocks."""
        self._shift(WALL, seconds)
        self._shift(STEADY, seconds)

    def wake(self, slept_s: float, stopped_s: float) -> None:
        """The machine wakes: its processes stood still for `stopped_s`, as if it were `slept_s`."""
        self._shift(WALL, slept_s - stopped_s)
        self._shift(STEADY, -stopped_s)

    def _shift(self, place: int, seconds: float) -> None:
        (now,) = struct.unpack_from("d", self._shifts, place)
        struct.pack_into("d", self._shifts, place, now + seconds)
