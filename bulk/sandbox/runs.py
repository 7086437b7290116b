"""The runs that exist and how they progress over time. Knows no request, limit or fault."""

from __future__ import annotations

import json
from bisect import bisect_left, insort
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from bulk.sandbox.config import RunSettings
from bulk.sandbox.trigger_body import TriggerBody

# The sandbox has one project. Its id looks like those of our sample manifests.
PROJECT_ID = "5a3b1e00-0000-4000-8000-000000000000"
STATUSES = ("queued", "running", "completed", "failed", "cancelled")


@dataclass(slots=True)
class Run:
    """One run. `number` counts triggers from 0; all instants are Unix times."""

    number: int
    run_id: str
    test_id: str
    body: TriggerBody
    created_at_s: float
    cancelled_at_s: float | None = None


class Runs:
    """All runs: by id, by test, and in order of creation."""

    def __init__(self, settings: RunSettings) -> None:
        self._settings = settings
        self._by_id: dict[str, Run] = {}
        self._ordered: list[Run] = []
        self._by_test: dict[str, list[Run]] = {}

    def add(self, run: Run) -> None:
        """Store a run. A queue may add runs that start later than one with a higher number."""
        self._by_id[run.run_id] = run
        insort(self._ordered, run, key=_order)
        insort(self._by_test.setdefault(run.test_id, []), run, key=_order)

    @property
    def test_ids(self) -> list[str]:
        """The tests that were triggered, in order of their first run."""
        return list(self._by_test)

    def find(self, run_id: str, unix_s: float) -> Run | None:
        """Return the run with this id, or None if it does not exist yet at `unix_s`."""
        run = self._by_id.get(run_id.lower())
        return run if run is not None and run.created_at_s <= unix_s else None

    def newest_first(
        self, unix_s: float, *, test_id: str | None = None, before: int | None = None
    ) -> Iterator[Run]:
        """Yield the runs that exist at `unix_s`, newest first.

        `test_id`: only this test's. `before`: only those older than the run with this number.
        """
        runs = self._ordered if test_id is None else self._by_test.get(test_id, [])
        end = bisect_left(runs, unix_s, key=lambda run: run.created_at_s)
        while end < len(runs) and runs[end].created_at_s <= unix_s:
            end += 1
        if before is not None:
            last = self._numbered(before)
            if last is not None:
                end = min(end, bisect_left(runs, _order(last), key=_order))
        for index in range(end - 1, -1, -1):
            yield runs[index]

    def _numbered(self, number: int) -> Run | None:
        # A run is almost always at the index of its number; only a queue moves it.
        if number < len(self._ordered) and self._ordered[number].number == number:
            return self._ordered[number]
        return next((run for run in self._ordered if run.number == number), None)

    def status(self, run: Run, unix_s: float) -> str:
        """Return the run's status at `unix_s`, one of STATUSES."""
        if run.cancelled_at_s is not None:
            return "cancelled"
        age_s = unix_s - run.created_at_s
        if age_s < self._settings.queued_s:
            return "queued"
        if age_s < self._settings.queued_s + self._settings.running_s:
            return "running"
        return "failed" if _fixed_draw(run) < self._settings.broken else "completed"

    def is_over(self, run: Run, unix_s: float) -> bool:
        """Whether the run's status is final."""
        return self.status(run, unix_s) in ("completed", "failed", "cancelled")

    def to_json(self, run: Run, unix_s: float) -> str:
        """Return the run as the API shows it at `unix_s`."""
        status = self.status(run, unix_s)
        started_at_s = run.created_at_s + self._settings.queued_s
        ended_at_s = run.cancelled_at_s
        if ended_at_s is None and status in ("completed", "failed"):
            ended_at_s = started_at_s + self._settings.running_s
        started = status != "queued" and (ended_at_s is None or ended_at_s > started_at_s)
        failed = _fixed_draw(run) < self._settings.broken + self._settings.failed
        output: dict[str, object] = {
            "featureName": f"Test {run.test_id}",
            "result": "FAILED" if failed else "PASS",
            "description": "The sandbox ran nothing; this result is made up.",
            "issues": [],
            "screenshots": [],
        }
        error = {
            "code": "runner_error",
            "message": "The sandbox's runner broke, as its spec demands.",
        }
        duration_s = ended_at_s - started_at_s if started and ended_at_s is not None else None
        page = {
            "id": run.run_id,
            "type": "test",
            "status": status,
            "platform": run.body.platform or "web",
            "deviceModel": run.body.device_model,
            "source": "api",
            "projectId": PROJECT_ID,
            "input": {"appId": run.body.app_id, "projectEnvironmentId": run.body.environment_id},
            "output": output if status == "completed" else None,
            "error": error if status == "failed" else None,
            "durationMs": None if duration_s is None else round(duration_s * 1000),
            "testId": run.test_id,
            "executionMode": run.body.mode,
            "autoRetryCount": 0,
            "createdAt": rfc3339(run.created_at_s),
            "startedAt": rfc3339(started_at_s) if started else None,
            "completedAt": None if ended_at_s is None else rfc3339(ended_at_s),
        }
        return json.dumps(page)


def rfc3339(unix_s: float) -> str:
    """Return a Unix time as the API writes it: UTC, to the millisecond."""
    text = datetime.fromtimestamp(unix_s, UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


def _order(run: Run) -> tuple[float, int]:
    return run.created_at_s, run.number


def _fixed_draw(run: Run) -> float:
    """Return a number from 0 to 1 that depends only on the run's id; it decides the result."""
    return int(run.run_id[:8], 16) / 2**32
