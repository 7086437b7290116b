"""How much memory this process has ever had."""

from __future__ import annotations

import sys


def memory_peak() -> int:
    """Bytes; 0 on Windows, which keeps no such count where the standard library finds it."""
    if sys.platform == "win32":
        return 0
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
