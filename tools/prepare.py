"""Makes `.venv` and installs the project into it; repeats nothing that is done already.

Runs on any Python 3, so that it can say in one sentence what is missing. Used by the Makefile:
`python3 tools/prepare.py run` for running, `... test` for the checks as well.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
BIN = VENV / ("Scripts" if os.name == "nt" else "bin")
OLDEST = (3, 11)
NEWER = ("python3.14", "python3.13", "python3.12", "python3.11")


def main() -> None:
    extra = {"run": "", "test": "[test]"}.get(sys.argv[1] if len(sys.argv) == 2 else "")
    if extra is None:
        sys.exit("usage: prepare.py run|test")
    stamp = VENV / (".ready" + extra.strip("[]"))
    enough = {stamp, VENV / ".readytest"}  # what the tests need includes what a run needs
    newest = max((path.stat().st_mtime for path in enough if path.exists()), default=0.0)
    if newest >= (ROOT / "pyproject.toml").stat().st_mtime:
        return
    uv = shutil.which("uv")
    python = "" if uv else new_enough_python()
    print("Setting up .venv (once) ...", flush=True)
    if not (BIN / "python").exists() and not (BIN / "python.exe").exists():
        if uv:
            run([uv, "venv", "--quiet", "--python", ">=3.11", str(VENV)])
        else:
            make_venv(python)
    target = "-e" + str(ROOT) + extra
    if uv:
        run([uv, "pip", "install", "--quiet", "--python", str(BIN / "python"), target])
    else:
        options = ["--quiet", "--disable-pip-version-check"]
        run([str(BIN / "python"), "-m", "pip", "install", *options, target])
    stamp.touch()


def new_enough_python() -> str:
    if sys.version_info >= OLDEST:
        return sys.executable
    for name in NEWER:
        found = shutil.which(name)
        if found:
            return found
    version = ".".join(str(part) for part in sys.version_info[:3])
    sys.exit(
        "error: bulk-trigger needs Python 3.11 or newer and this is Python " + version + "; "
        "install a newer one, or name it: make PYTHON=/path/to/python3.12"
    )


def make_venv(python: str) -> None:
    found = subprocess.run([python, "-c", "import venv, ensurepip"], stderr=subprocess.DEVNULL)
    if found.returncode:
        sys.exit(
            "error: this Python has no venv module, which Debian and Ubuntu keep in a package of "
            "its own; install it with: sudo apt install python3-venv"
        )
    run([python, "-m", "venv", str(VENV)])


def run(command: "list[str]") -> None:
    done = subprocess.run(command)
    if done.returncode:
        shown = " ".join(command)
        sys.exit("error: this failed, and its words above say why: " + shown)


if __name__ == "__main__":
    main()
