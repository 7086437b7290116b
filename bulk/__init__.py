"""bulk-trigger: triggers every saved test of a release manifest once, at the API's own pace.

    result = bulk.trigger("manifests/release.csv", api_key=key)
    result.summary.queued, result.folder

Importing this package is cheap: what `trigger` needs is imported when it is called.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bulk.api import BatchResult
    from bulk.model import OnUnknown

__all__ = ["__version__", "trigger"]
__version__ = "0.1.0"


def trigger(
    manifest: str | Path,
    *,
    api_key: str,
    base_url: str = "https://tester.army",
    output: str | Path = "reports",
    batch: str | None = None,
    new: bool = False,
    max_concurrency: int = 32,
    max_retries: int = 20,
    deadline_s: float | None = None,
    max_wait_s: float | None = None,
    on_unknown: OnUnknown = "reconcile",
) -> BatchResult:
    """Trigger every test of a manifest and write the reports, as `bulk-trigger MANIFEST` does.

    `batch` names the batch, or continues it if it exists; a finished batch sends nothing. `new`:
    start a new batch even if an unfinished one has sent some of the same triggers. `deadline_s`:
    stop sending after that many seconds. `max_wait_s`: stop if a single wait for the API would be
    longer. `on_unknown`: what to do if an answer is lost, see
    docs/guarantees.md.

    Nothing is printed, and there are no prompts. Signals are left alone: after a KeyboardInterrupt,
    continue the batch by its name.
    It blocks until the batch has ended. In a trio task, call it with `trio.to_thread.run_sync`.
    Raises `bulk.errors.BulkError` for anything the caller can fix; its messages use the names of
    the command's options, which are those of the arguments. What the server answered is in the
    result.
    """
    from bulk.api import trigger as run_trigger

    return run_trigger(
        Path(manifest),
        api_key=api_key,
        base_url=base_url,
        output=Path(output),
        batch=batch,
        new=new,
        max_concurrency=max_concurrency,
        max_retries=max_retries,
        deadline_s=deadline_s,
        max_wait_s=max_wait_s,
        on_unknown=on_unknown,
    )
