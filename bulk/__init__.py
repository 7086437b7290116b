"""bulk-trigger: every saved test of a release manifest, triggered once, at the API's own pace.

    ended = bulk.trigger("manifests/release.csv", api_key=key)
    ended.summary.queued, ended.folder

Importing this costs nothing: what `trigger` needs is loaded when it is called.
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
    on_unknown: OnUnknown = "reconcile",
) -> BatchResult:
    """Trigger every test of a manifest and write its reports, as `bulk-trigger MANIFEST` does.

    `batch` names the batch and continues it if it exists; a finished one sends nothing. `new`:
    begin another one also beside an unfinished batch that has sent some of the same triggers.
    `on_unknown`: what becomes of lost answers, see docs/guarantees.md. Nothing is printed and
    nobody is asked. No signal is caught: after a KeyboardInterrupt, name the batch to continue it.
    Raises `bulk.errors.BulkError` for what the caller can mend; what the server did is in the
    result.
    """
    from bulk.api import trigger as carry_out

    return carry_out(
        Path(manifest),
        api_key=api_key,
        base_url=base_url,
        output=Path(output),
        batch=batch,
        new=new,
        max_concurrency=max_concurrency,
        max_retries=max_retries,
        deadline_s=deadline_s,
        on_unknown=on_unknown,
    )
