"""A journal of three triggers, in its first session."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bulk.journal import Journal
from tests.virtual import a_batch, some_triggers


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.sqlite"


@pytest.fixture
def journal(path: Path) -> Iterator[Journal]:
    with Journal.create(path, a_batch(), some_triggers(3)) as journal:
        journal.begin_session(1.0)
        yield journal
