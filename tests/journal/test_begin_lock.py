"""One process at a time begins a batch in a folder."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bulk.journal import BatchInUseError
from bulk.journal.begin_lock import FILE, begin_lock

HOLDS = """
import sys, time
from pathlib import Path
from bulk.journal.begin_lock import begin_lock
with begin_lock(Path(sys.argv[1])):
    print("has it", flush=True)
    time.sleep(60)
"""


@pytest.mark.processes
def test_one_waits_for_the_other_but_not_for_ever_and_not_for_the_dead(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = subprocess.Popen(
        [sys.executable, "-c", HOLDS, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert other.stdout is not None
        other.stdout.readline()
        monkeypatch.setattr("bulk.journal.begin_lock.WAIT_S", 0.1)
        with pytest.raises(BatchInUseError, match="beginning a batch here"), begin_lock(tmp_path):
            pass
    finally:
        other.kill()
        other.communicate()
    for _ in range(2):
        with begin_lock(tmp_path):
            pass
    assert [path.name for path in tmp_path.iterdir()] == [FILE]


@pytest.mark.skipif(os.name == "nt", reason="no such rights there")
def test_all_users_who_may_write_to_the_folder_may_take_the_lock(tmp_path: Path) -> None:
    tmp_path.chmod(0o770)
    with begin_lock(tmp_path):
        assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o660
