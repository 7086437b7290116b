"""Tries the lowest version of each dependency that pyproject.toml declares.

`python -m tools.lowest` makes an environment of them below `.venv`, which it keeps, and runs the
sample against the sandbox, a simulation and fast tests there. `--python` names another Python,
`--print` prints the versions alone. What the dependencies themselves depend on is the newest.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterable
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parent.parent
# What the tests import besides; of any version, because no user installs it.
FOR_US = ("test", "dev")  # extras of no use to users
TEST_TOOLS = (
    "hypothesis",
    "jsonschema",
    "packaging",
    "pytest",
    "pytest-trio",
    "pytest-xdist",
    "respx",
    "trustme",
    "xmlschema",
)
# Those that touch the interfaces of click, tqdm, httpx, pydantic, PyYAML, pandas, numpy and Jinja2;
# the runs use trio and h11.
TESTS = ("tests/cli", "tests/http", "tests/report", "tests/manifest", "tests/test_measure.py")
LEFT_OUT = (
    "--ignore=tests/report/test_in_browser.py",  # needs a browser
    # Of equal meaning, but pydantic words it in its own way in each version.
    "--deselect=tests/manifest/test_manifest_samples.py::test_the_committed_schema_is_current",
    # Of equal meaning, too: pandas prints what is missing in another word since version 3.
    "--deselect=tests/manifest/test_manifest_programs.py::"
    "test_the_files_are_those_that_are_made_here",
)
FAST = "not (sockets or processes or browser or nginx or long or seeds)"


def declared() -> list[Requirement]:
    """All dependencies of the package, those of extras for users among them."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    texts = list(project["dependencies"])
    for extra, further in project.get("optional-dependencies", {}).items():
        if extra not in FOR_US:
            texts += further
    return [Requirement(text) for text in texts]


def lowest(requirements: Iterable[Requirement], python: str) -> dict[str, Version]:
    """The lowest version of each by its name, for a Python such as `3.11`.

    Of several lower bounds the highest that applies counts. Raises ValueError for a dependency
    without one.
    """
    environment = {"python_version": python, "python_full_version": f"{python}.0"}
    found: dict[str, Version] = {}
    for requirement in requirements:
        if requirement.marker is not None and not requirement.marker.evaluate(environment):
            continue
        bounds = [
            one.version for one in requirement.specifier if one.operator in (">=", "==", "~=")
        ]
        if not bounds and not requirement.extras:
            raise ValueError(f"{requirement} has no lower bound")
        name = canonicalize_name(requirement.name)
        for bound in map(Version, bounds):
            found[name] = max(bound, found.get(name, bound))
    return found


def constraints(python: str) -> str:
    """The content of pip's constraints file for a Python such as `3.11`."""
    versions = lowest(declared(), python)
    return "".join(f"{name}=={version}\n" for name, version in sorted(versions.items()))


def main() -> None:
    """Install and run; exit with the code of what fails."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--python", default=sys.executable, help="the Python to try")
    parser.add_argument("--print", action="store_true", help="print the versions, install nothing")
    given = parser.parse_args()
    version = "import sys; print('%d.%d' % sys.version_info[:2])"
    asked = subprocess.run(
        [given.python, "-c", version], capture_output=True, check=True, text=True
    )
    number = asked.stdout.strip()
    text = constraints(number)
    if given.print:
        print(text, end="")
        return
    python = prepare(given.python, ROOT / ".venv" / f"lowest-{number}", text)
    with tempfile.TemporaryDirectory() as folder:
        command = [
            str(python),
            "-W",
            "error",
            "-m",
            "bulk",
            str(ROOT / "manifests" / "release.csv"),
        ]
        run([*command, "--sandbox", "--output", folder])
        run([*command, "--simulate", "fixed-window 5/2s", "--output", folder])
    # Warnings of old versions are no errors: they are those of the versions' own time.
    options = ["-q", "-n", "logical", "-W", "default", "-m", FAST, *LEFT_OUT]
    run([str(python), "-m", "pytest", *options, *TESTS])


def prepare(base: str, folder: Path, text: str) -> Path:
    """The environment's Python. It is made anew only if a version has changed."""
    python = folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    stamp = folder / "constraints.txt"
    wanted = text + "".join(f"# {tool}\n" for tool in TEST_TOOLS)
    if stamp.exists() and stamp.read_text("utf-8") == wanted:
        return python
    print(f"Setting up {folder.relative_to(ROOT)} (once) ...", flush=True)
    run([base, "-m", "venv", "--clear", str(folder)])
    partial = folder / "partial.txt"
    partial.write_text(wanted, "utf-8")
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    # Wheels only: a version that has none would be compiled, which no user should have to do.
    wheels = ["--only-binary", ":all:", "-c", str(partial)]
    run([*pip, *wheels, "-e", str(ROOT) + extras(), *TEST_TOOLS])
    partial.rename(stamp)
    return python


def extras() -> str:
    """All extras for users, as they follow a requirement."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    names = [name for name in project["optional-dependencies"] if name not in FOR_US]
    return f"[{','.join(names)}]" if names else ""


def run(command: list[str]) -> None:
    """Run it in the project's folder. Exits with its code if it fails."""
    print(" ".join(command), flush=True)
    code = subprocess.run(command, cwd=ROOT).returncode
    if code:
        sys.exit(code)


if __name__ == "__main__":
    main()
