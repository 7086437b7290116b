"""Reads hostile manifests as `--dry-run` does, and says what it should not have done."""

from __future__ import annotations

import io
import re
import time
import traceback
from collections import Counter
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

from bulk.cli import group
from bulk.errors import PROBLEMS_SHOWN_MAX, BulkError
from bulk.manifest import Manifest, read_manifest
from tests.fuzz.manifests import make_manifest
from tests.fuzz.measuring import memory_peak

CPU_S_MAX = 5.0  # fifty times what the largest of these takes; a shared machine is slow at times
MEMORY_BYTES_MAX = 400 << 20  # above what the process had before
SHOWN_TRIGGERS_MAX = 20_000  # a dry run of more only takes long
LINE_CHARACTERS_MAX = 600  # of an error: a place, and a sentence or two
# A manifest must not send a terminal anything but text.
_CONTROL = re.compile("[\0-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029]")


def manifest_problems(seed: int, folder: Path) -> tuple[Counter[str], list[str]]:
    """How the manifest of this number was read, and what is wrong with that."""
    name, content = make_manifest(seed)
    path = folder / name
    path.write_bytes(content)
    before, began = memory_peak(), time.process_time()
    ends: Counter[str] = Counter()
    try:
        found = _read(path, ends)
    except Exception:
        found = [traceback.format_exc()]
    finally:
        path.unlink()
    took = time.process_time() - began
    if took > CPU_S_MAX:
        found.append(f"took {took:.1f} s")
    if memory_peak() - before > MEMORY_BYTES_MAX:
        found.append(f"took {(memory_peak() - before) >> 20} MiB")
    return ends, found


def _read(path: Path, ends: Counter[str]) -> list[str]:
    try:
        manifest = read_manifest(path)
    except BulkError as error:
        ends["refused"] += 1
        return _bad_words(path, str(error))
    ends["read"] += 1
    if manifest.count > SHOWN_TRIGGERS_MAX:
        return []
    return _dry_run(manifest)


def _bad_words(path: Path, text: str) -> list[str]:
    """What is wrong with an error's text: it has to say where, and what, on a line each."""
    found = []
    lines = text.split("\n")
    if len(lines) > PROBLEMS_SHOWN_MAX + 1:
        found.append(f"{len(lines)} lines")
    for line in lines:
        if not re.fullmatch(r"\.\.\. and \d+ more problems", line) and not re.match(
            re.escape(str(path)) + r"(:\d+(:\d+)?)?: ..", line
        ):
            found.append(f"says not where or not what: {line!r}")
        if len(line) > LINE_CHARACTERS_MAX + len(str(path)):
            found.append(f"a line of {len(line)} characters: {line[:100]!r}")
        if _CONTROL.search(line):
            found.append(f"control characters: {line!r}")
    return found


def _dry_run(manifest: Manifest) -> list[str]:
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = group.main([str(manifest.path), "--dry-run"], "bulk-trigger", standalone_mode=False)
    found = [] if not code else [f"exit {code}"]
    lines = out.getvalue().split("\n")
    if len(lines) != manifest.count + 1:
        found.append(f"{len(lines) - 1} lines for {manifest.count} triggers")
    for text in (out.getvalue(), err.getvalue()):
        if _CONTROL.search(text):
            found.append("control characters in what is shown")
    keys = Counter(trigger.key for trigger in manifest.triggers())
    if keys.total() != manifest.count or len(keys) != manifest.count:
        found.append(f"{len(keys)} different triggers of {keys.total()}, not {manifest.count}")
    return found
