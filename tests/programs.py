"""Programs that some tests need and a machine may lack: found, or the test is skipped and says so.

With BULK_TRIGGER_REQUIRE_TOOLS=1, as in CI, what is missing fails instead.
"""

from __future__ import annotations

import os
import shutil

import pytest


def require_program(*names: str) -> str:
    """The path of the first of `names` that is installed."""
    path = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"])
    for name in names:
        found = shutil.which(name, path=path)
        if found:
            return found
    reason = f"none of {', '.join(names)} is installed"
    if os.environ.get("BULK_TRIGGER_REQUIRE_TOOLS") == "1":
        pytest.fail(reason)
    pytest.skip(reason)
