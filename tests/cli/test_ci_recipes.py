"""The recipes for CI: read, and their shell steps run as a runner does, with its signals."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cli.terminal import (
    ENVIRONMENT,
    Terminal,
    rows,
    sandbox,
    truth,
    wait_until_accepted,
    write_manifest,
)
from tests.processes import ROOT, clean_environment

RECIPES = ROOT / "docs" / "ci"
USAGE = (ROOT / "docs" / "usage.md").read_text("utf-8")
SLOW = "token-bucket 20/s burst 5"
COUNT = 60
RUN_ID = "4711"

pytestmark = [
    pytest.mark.sockets,
    pytest.mark.skipif(os.name == "nt", reason="the recipes are for Linux runners"),
]


def recipe(name: str) -> dict[str, Any]:
    content = yaml.safe_load((RECIPES / name).read_text("utf-8"))
    assert isinstance(content, dict)
    return content


@pytest.mark.parametrize("path", sorted(RECIPES.glob("*.yml")), ids=lambda path: path.name)
def test_the_docs_show_the_recipe_that_is_tested(path: Path) -> None:
    assert f"```yaml\n{path.read_text('utf-8')}```\n" in USAGE


# --- GitHub --------------------------------------------------------------------------------------


class GitHubJob:
    """Attempts of the recipe's job, each on a new machine, with a cache between them."""

    def __init__(self, folder: Path, base_url: str) -> None:
        (job,) = recipe("github.yml")["jobs"].values()
        self.steps: dict[str, dict[str, Any]] = {
            step["name"]: step for step in job["steps"] if "name" in step
        }
        self._folder, self._base_url = folder, base_url
        self._caches: dict[str, Path] = {}
        self._attempt = 0
        self.machine = folder

    def begin(self) -> None:
        """A new attempt, on a machine with nothing but the manifest and what is restored."""
        self._attempt += 1
        self.machine = self._folder / f"machine-{self._attempt}"
        self.machine.mkdir()
        write_manifest(self.machine / "release.csv", COUNT)
        inputs = self._inputs("Restore the batch")
        wanted = [inputs["key"], *inputs["restore-keys"].split()]
        saved = [name for name in self._caches if any(name.startswith(key) for key in wanted)]
        if saved:
            shutil.copytree(self._caches[saved[-1]], self.machine / inputs["path"])

    def save(self) -> None:
        """The step that saves. What has been saved cannot be overwritten."""
        inputs = self._inputs("Save the batch")
        assert inputs["key"] not in self._caches
        copy = self._folder / f"cache-{self._attempt}"
        shutil.copytree(self.machine / inputs["path"], copy)
        self._caches[inputs["key"]] = copy

    def start(self, name: str) -> subprocess.Popen[bytes]:
        """A step with `run`, started as the runner does it: the default shell of such a step."""
        step = self.steps[name]
        assert set(step) <= {"name", "if", "env", "run"}
        script = self.machine / "step.sh"
        script.write_text(self.expanded(step["run"]))
        return start(["bash", "-e", str(script)], self.machine, self._base_url)

    def expanded(self, text: str) -> str:
        """A text with the values of its expressions."""
        values = {"github.run_id": RUN_ID, "github.run_attempt": str(self._attempt)}
        return re.sub(r"\$\{\{ (.+?) \}\}", lambda found: values[found[1]], text)

    def _inputs(self, name: str) -> dict[str, str]:
        return {name: self.expanded(value) for name, value in self.steps[name]["with"].items()}


def start(
    words: list[str], folder: Path, base_url: str, **variables: str
) -> subprocess.Popen[bytes]:
    """A runner's shell, in a group of its own, where `bulk-trigger` is found."""
    programs = folder / "bin"
    programs.mkdir(exist_ok=True)
    command = programs / "bulk-trigger"
    command.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m bulk "$@"\n')
    command.chmod(0o755)
    environment = {
        "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
        "TESTERARMY_BASE_URL": base_url,
        **ENVIRONMENT,
        **variables,
    }
    return subprocess.Popen(
        words,
        cwd=folder,
        env=clean_environment(environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def accepted_once(base_url: str) -> bool:
    """Whether every trigger was accepted, and none twice."""
    accepted = Counter(run["test_id"] for run in truth(base_url)["accepted"])
    return (len(accepted), max(accepted.values())) == (COUNT, 1)


def test_the_batch_is_restored_before_and_saved_after_whatever_came_of_it(tmp_path: Path) -> None:
    steps = GitHubJob(tmp_path, "").steps
    names = list(steps)
    restore, save = steps["Restore the batch"], steps["Save the batch"]
    order = ["Restore the batch", "Trigger the tests", "Cancel the runs", "Save the batch"]
    assert names == [*order, "Keep the reports"]
    assert restore["uses"].startswith("actions/cache/restore@")
    assert save["uses"].startswith("actions/cache/save@")
    assert [steps[name].get("if") for name in names] == [
        None,
        None,
        "cancelled()",
        "always()",
        "always()",
    ]
    assert restore["with"]["path"] == save["with"]["path"]
    assert restore["with"]["key"] == save["with"]["key"]
    # An attempt's key is its own, and begins with what all attempts of the run have in common.
    assert save["with"]["key"] == restore["with"]["restore-keys"] + "${{ github.run_attempt }}"
    # An artifact cannot be overwritten either.
    assert "${{ github.run_attempt }}" in steps["Keep the reports"]["with"]["name"]


@pytest.mark.parametrize("cancels", [True, False])
def test_a_job_of_github_that_was_cancelled_and_run_again_bills_nothing_twice(
    tmp_path: Path, cancels: bool
) -> None:
    with sandbox(SLOW) as base_url:
        job = GitHubJob(tmp_path, base_url)
        job.begin()
        step = job.start("Trigger the tests")
        wait_until_accepted(base_url, 15)
        step.send_signal(signal.SIGINT)  # to the shell alone
        assert step.wait(timeout=7.5) == 130, "before the runner sends SIGTERM"
        batch = job.machine / "reports" / f"release-{RUN_ID}"
        assert len(rows(batch)) == COUNT
        if cancels:
            assert job.start("Cancel the runs").wait(timeout=60) == 0
            assert {row["cancelled"] for row in rows(batch) if row["run_id"]} <= {
                "yes",
                "had ended",
            }
        job.save()
        job.begin()
        assert job.start("Trigger the tests").wait(timeout=60) == 0
        assert accepted_once(base_url)
        job.save()
        job.begin()  # a job that succeeded can be run again, too
        assert job.start("Trigger the tests").wait(timeout=60) == 0
        assert accepted_once(base_url)


def test_a_job_of_github_that_was_killed_and_run_again_bills_nothing_twice(tmp_path: Path) -> None:
    """Also if the requests in flight outlast both signals: the runner then kills all."""
    with sandbox(SLOW) as base_url:
        job = GitHubJob(tmp_path, base_url)
        job.begin()
        step = job.start("Trigger the tests")
        wait_until_accepted(base_url, 15)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
            os.killpg(step.pid, number) if number is signal.SIGKILL else step.send_signal(number)
        step.wait(timeout=20)
        job.save()
        job.begin()
        assert job.start("Trigger the tests").wait(timeout=120) == 0
        assert accepted_once(base_url)


# --- GitLab --------------------------------------------------------------------------------------


def test_the_cache_of_gitlab_is_that_of_the_pipeline_and_always_saved() -> None:
    (job,) = recipe("gitlab.yml").values()
    cache, artifacts = job["cache"], job["artifacts"]
    assert (cache["key"], cache["when"]) == ("release-$CI_PIPELINE_ID", "always")
    assert "policy" not in cache, "the default restores and saves"
    assert artifacts["when"] == "always"
    (kept,) = artifacts["paths"]
    assert kept.startswith(cache["paths"][0])
    assert artifacts["reports"]["junit"].startswith(kept)
    minutes = [
        int(text.removesuffix("m"))
        for text in (job["variables"]["RUNNER_SCRIPT_TIMEOUT"], job["timeout"])
    ]
    assert minutes[0] < minutes[1]


def test_a_job_of_gitlab_that_was_cancelled_and_retried_bills_nothing_twice(
    tmp_path: Path,
) -> None:
    """The runner wraps a script so, and sends SIGTERM to the shell's process group."""
    (job,) = recipe("gitlab.yml").values()
    lines = shlex.quote("\n".join(job["script"]))
    script = f"set -eo pipefail\nset +o noclobber\n: | eval {lines}\nexit 0\n"
    write_manifest(tmp_path / "release.csv", COUNT)
    batch = tmp_path / "reports" / f"release-{RUN_ID}"
    with sandbox(SLOW) as base_url:
        words = ["bash", "-c", script]
        shell = start(words, tmp_path, base_url, CI_PIPELINE_ID=RUN_ID)
        wait_until_accepted(base_url, 15)
        os.killpg(shell.pid, signal.SIGTERM)
        shell.wait(timeout=20)
        wait_for(batch / "report.csv")
        again = start(words, tmp_path, base_url, CI_PIPELINE_ID=RUN_ID)
        code = again.wait(timeout=60)
        if code == 2:  # the first one, which the group's signal stopped as well, had not yet left
            code = start(words, tmp_path, base_url, CI_PIPELINE_ID=RUN_ID).wait(timeout=60)
        assert code == 0
        assert accepted_once(base_url)
    assert (batch / "data" / "junit.xml").exists()


def wait_for(file: Path) -> None:
    """Return when the file exists; fail after twenty seconds."""
    for _ in range(400):
        if file.exists():
            return
        time.sleep(0.05)
    pytest.fail(f"{file.name} was not written")


# --- with and without exec -----------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_shell_passes_a_signal_on_only_if_the_command_took_its_place(
    terminal: Terminal, number: signal.Signals
) -> None:
    """Without `exec`, the docs say, the batch goes on: after SIGTERM without its shell."""
    write_manifest(terminal.folder / "m.csv", COUNT)
    script = terminal.folder / "s.sh"
    words = ["bash", "-eo", "pipefail", str(script)]
    for prefix, batch in (("exec ", "with"), ("", "without")):
        script.write_text(f"{prefix}bulk-trigger m.csv --batch {batch}\necho done\n")
        with sandbox(SLOW) as base_url:
            shell = start(words, terminal.folder, base_url)
            wait_until_accepted(base_url, 15)
            shell.send_signal(number)
            code = shell.wait(timeout=20)
            wait_for(terminal.folder / "reports" / batch / "report.csv")
            queued = {row["outcome"] for row in rows(terminal.folder / "reports" / batch)}
        if prefix:
            assert (code, queued) == (128 + number, {"queued", "unsent"})
        else:
            ended = {signal.SIGINT: 0, signal.SIGTERM: -signal.SIGTERM}
            assert (code, queued) == (ended[number], {"queued"})
