"""What `bulk.trigger` does: a batch from a program, without a terminal."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random

import trio

from bulk.batch import choosing as batches
from bulk.batch.batch_runner import to_reconcile
from bulk.batch.folder import BatchFolder
from bulk.batch.other_batches import batches_in, claims_of_others, unfinished
from bulk.batch.running import (
    BatchSettings,
    Reported,
    RunContext,
    live_client,
    run_batch,
    write_reports,
)
from bulk.batch.salvage import saving
from bulk.errors import OptionError
from bulk.http.address import check_base_url, is_loopback
from bulk.http.api_key import ApiKey
from bulk.journal import Journal
from bulk.journal.tally import Tally
from bulk.manifest import read_manifest
from bulk.model import OnUnknown
from bulk.report import Summary


@dataclass(frozen=True, slots=True)
class BatchResult:
    """How a batch ended, and where its reports are.

    `problems` are report files that could not be written. `unsaved` are run ids that the journal
    could not take, each with its trigger's key.
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
    on_unknown: OnUnknown,
) -> BatchResult:
    """See `bulk.trigger`."""
    key = ApiKey(api_key, "api_key")
    base_url = check_base_url(base_url)
    checked = read_manifest(manifest)
    if checked.sample and not is_loopback(base_url):
        raise OptionError(f"{manifest} is one of our samples: its test ids exist nowhere else")
    settings = BatchSettings(
        concurrency_max=max_concurrency,
        retries_max=max_retries,
        deadline_s=deadline_s,
        on_unknown=on_unknown,
    )
    folder = batches.folder_for(checked, output, batch)
    if folder.exists:
        with Journal.open(folder.journal) as journal:
            batches.check_same(folder.name, journal.batch, checked, base_url)
            tally = Tally.of(journal.counts())
        if not tally.left + to_reconcile(tally, on_unknown):
            with Journal.open(folder.journal) as journal:
                journal.note_finished(time.time())
                return _ended(folder, write_reports(journal, folder, time.time()))
        return _run(folder, base_url, key, settings, lambda _: Journal.open(folder.journal))
    known = None if new else batches_in(output)
    found = unfinished(checked, known or (), base_url)
    if found is not None:
        go_on = f"Go on with it: bulk-trigger resume {found.folder.cli_name}"
        if found.same:
            go_on = "Name it to continue it"
        if found.at_work:
            go_on = "Wait for it"
        raise OptionError(f"{found}. {go_on}, or begin another batch with new=True")

    def create(live_base_url: str) -> Journal:
        return batches.create(folder, checked, live_base_url, settings, None, known=known)

    return _run(folder, base_url, key, settings, create)


def _run(
    folder: BatchFolder,
    base_url: str,
    key: ApiKey,
    settings: BatchSettings,
    open_journal: Callable[[str], Journal],
) -> BatchResult:
    return trio.run(_work, folder, base_url, key, settings, open_journal)


async def _work(
    folder: BatchFolder,
    base_url: str,
    key: ApiKey,
    settings: BatchSettings,
    open_journal: Callable[[str], Journal],
) -> BatchResult:
    async with live_client(base_url, key, settings) as client:
        with open_journal(client.base_url) as journal:
            around = RunContext(random=Random(), other_claims=partial(claims_of_others, folder))
            end = await run_batch(journal, client, settings, around)
            return _ended(folder, write_reports(journal, folder, time.time()), end.unsaved)


def _ended(
    folder: BatchFolder, reported: Reported, unsaved: tuple[tuple[str, str], ...] = ()
) -> BatchResult:
    return BatchResult(folder.path, reported.summary, reported.problems, unsaved)
