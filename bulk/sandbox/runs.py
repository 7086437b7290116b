"""Owns the runs that exist and how they get on in time; knows no request, limit or fault."""

from __future__ import annotations

import json
from bisect import bisect_left, insort
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from bulk.sandbox.config import RunPace
from bulk.sandbox.trigger_body import TriggerBody

# The sandbox has one project; its id has the shape of our samples' ids.
PROJECT_ID = "5a3b1e00-0000-4000-8000-000000000000"
STATUSES = ("queued", "running", "completed", "failed", "cancelled")


@dataclass(slots=True)
class Run:
    """One run. All instants are seconds on the sandbox's wall clock."""

    number: int
    run_id: str
    test_id: str
    body: TriggerBody
    created_at_s: float
    cancelled_at_s: float | None = None


class Runs:
    """All runs, by id, by test and in the order they were created."""

    def __init__(self, pace: RunPace) -> None:
        self._pace = pace
        self._by_id: dict[str, Run] = {}
        self._ordered: list[Run] = []
        self._by_test: dict[str, list[Run]] = {}

    def add(self, run: Run) -> None:
        """Keeps a run. A queueing limiter may hand in runs that begin later than a newer one."""
        self._by_id[run.run_id] = run
        insort(self._ordered, run, key=_order)
        insort(self._by_test.setdefault(run.test_id, []), run, key=_order)

    @property
    def test_ids(self) -> list[str]:
        """The tests that were ever triggered, in the order of their first run."""
        return list(self._by_test)

    def find(self, run_id: str, wall_s: float) -> Run | None:
        """The run of this id, if it exists already."""
        run = self._by_id.get(run_id.lower())
        return run if run is not None and run.created_at_s <= wall_s else None

    def newest_first(
        self, wall_s: float, *, test_id: str | None = None, before: int | None = None
    ) -> Iterator[Run]:
        """The runs that exist at an instant, from the newest or from before the run `before`."""
        runs = self._ordered if test_id is None else self._by_test.get(test_id, [])
        end = bisect_left(runs, wall_s, key=lambda run: run.created_at_s)
        while end < len(runs) and runs[end].created_at_s <= wall_s:
            end += 1
        if before is not None:
            last = self._numbered(before)
            if last is not None:
                end = min(end, bisect_left(runs, _order(last), key=_order))
        for index in range(end - 1, -1, -1):
            yield runs[index]

    def _numbered(self, number: int) -> Run | None:
        # Almost always the run is at its own number; only queueing limiters move it.
        if number < len(self._ordered) and self._ordered[number].number == number:
            return self._ordered[number]
        return next((run for run in self._ordered if run.number == number), None)

    def status(self, run: Run, wall_s: float) -> str:
        """How far the run has got, one of STATUSES."""
        if run.cancelled_at_s is not None:
            return "cancelled"
        age_s = wall_s - run.created_at_s
        if age_s < self._pace.queued_s:
            return "queued"
        if age_s < self._pace.queued_s + self._pace.running_s:
            return "running"
        return "failed" if _fortune(run) < self._pace.broken else "completed"

    def is_over(self, run: Run, wall_s: float) -> bool:
        """Whether the run's status is final."""
        return self.status(run, wall_s) in ("completed", "failed", "cancelled")

    def page(self, run: Run, wall_s: float) -> str:
        """The run as the API shows it, in JSON."""
        status = self.status(run, wall_s)
        started_at_s = run.created_at_s + self._pace.queued_s
        ended_at_s = run.cancelled_at_s
        if ended_at_s is None and status in ("completed", "failed"):
            ended_at_s = started_at_s + self._pace.running_s
        started = status != "queued" and (ended_at_s is None or ended_at_s > started_at_s)
        failed = _fortune(run) < self._pace.broken + self._pace.failed
        output: dict[str, object] = {
            "featureName": f"Test {run.test_id}",
            "result": "FAILED" if failed else "PASS",
            "description": "The sandbox ran nothing; it made this result up.",
            "issues": [],
            "screenshots": [],
        }
        error = {
            "code": "runner_error",
            "message": "The sandbox's runner broke, as it was told to.",
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


def rfc3339(wall_s: float) -> str:
    """An instant as the API writes it, UTC to the millisecond."""
    text = datetime.fromtimestamp(wall_s, UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


def _order(run: Run) -> tuple[float, int]:
    return run.created_at_s, run.number


def _fortune(run: Run) -> float:
    """From 0 to 1, fixed by the run's id: what becomes of it depends on nothing else."""
    return int(run.run_id[:8], 16) / 2**32
