"""What `bulk.trigger` does: runs a batch for a program, without a terminal."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random

import trio

from bulk.batch import choosing
from bulk.batch.folder import BatchFolder
from bulk.batch.manifest_copy import readable_again
from bulk.batch.other_batches import UnfinishedBatch, other_claims
from bulk.batch.running import (
    BatchSettings,
    RunContext,
    live_client,
    run_batch,
    write_reports,
)
from bulk.batch.salvage import saving
from bulk.errors import OptionError, UnfinishedError
from bulk.http.address import check_base_url
from bulk.http.api_key import ApiKey
from bulk.journal import Journal
from bulk.manifest import read_manifest
from bulk.model import OnUnknown
from bulk.report import Summary


@dataclass(frozen=True, slots=True)
class BatchResult:
    """How a batch ended, and the folder of its reports.

    `problems` are messages about report files that could not be written. `unsaved` are pairs of a
    trigger's key and a run id that could not be saved in the journal.
    """

    folder: Path
    summary: Summary
    problems: tuple[str, ...] = ()
    unsaved: tuple[tuple[str, str], ...] = ()


@saving()
def trigger(
    manifest: Path,
    *,
    api_key: str,
    base_url: str,
    output: Path,
    batch: str | None,
    new: bool,
    max_concurrency: int,
    max_retries: int,
    deadline_s: float | None,
    max_wait_s: float | None,
    on_unknown: OnUnknown,
) -> BatchResult:
    """See `bulk.trigger`."""
    _check_no_loop()
    key = ApiKey(api_key, "api_key")
    base_url = check_base_url(base_url)
    with readable_again(manifest) as copy:
        checked = read_manifest(manifest, copy=copy)
        settings = BatchSettings(
            concurrency_max=max_concurrency,
            retries_max=max_retries,
            deadline_s=deadline_s,
            wait_max_s=max_wait_s,
            on_unknown=on_unknown,
        )

        def create(choice: choosing.NewBatchChoice, live_base_url: str) -> Journal:
            return choosing.create(choice, checked, live_base_url, settings, None)

        folder = choosing.folder_for(checked, output, batch)
        choice = choosing.choose(folder, checked, base_url, on_unknown, new=new)
        match choice:
            case choosing.UnfinishedFound(unfinished):
                raise UnfinishedError(f"{unfinished}. {_advice(unfinished)}")
            case choosing.FinishedBatch():
                with Journal.open(folder.journal) as journal:
                    journal.note_finished(time.time())
                    return _result(journal, folder)
            case choosing.ContinueBatch():
                return trio.run(
                    _run, folder, base_url, key, settings, lambda _: Journal.open(folder.journal)
                )
            case choosing.NewBatchChoice():
                return trio.run(_run, folder, base_url, key, settings, partial(create, choice))


def _check_no_loop() -> None:
    """Raise OptionError in a trio task: `trio.run` cannot be nested."""
    try:
        trio.lowlevel.current_task()
    except RuntimeError:
        return
    raise OptionError(
        "bulk.trigger runs a trio event loop of its own; in a trio task, call it in a thread: "
        "await trio.to_thread.run_sync(...)"
    )


def _advice(unfinished: UnfinishedBatch) -> str:
    """What the caller can do about an unfinished batch."""
    proceed = f"Continue it: bulk-trigger resume {unfinished.folder.cli_name}"
    if unfinished.in_use:
        proceed = "Wait for it"
    elif unfinished.same:
        proceed = f"Continue it: batch={unfinished.folder.name!r}"
    return f"{proceed}, or start another batch with new=True"


async def _run(
    folder: BatchFolder,
    base_url: str,
    key: ApiKey,
    settings: BatchSettings,
    open_journal: Callable[[str], Journal],
) -> BatchResult:
    """Run the batch. `open_journal` takes the base URL under which the API answers."""
    async with live_client(base_url, key, settings) as client:
        with open_journal(client.base_url) as journal:
            context = RunContext(random=Random(), other_claims=partial(other_claims, folder))
            end = await run_batch(journal, client, settings, context)
            return _result(journal, folder, end.unsaved)


def _result(
    journal: Journal, folder: BatchFolder, unsaved: tuple[tuple[str, str], ...] = ()
) -> BatchResult:
    """Write the reports and say how the batch ended."""
    reported = write_reports(journal, folder, time.time())
    return BatchResult(folder.path, reported.summary, reported.problems, unsaved)
