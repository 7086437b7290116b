"""Runs the soak tests one after the other and writes what they print into docs/soak.md.

`python -m tools.soak` runs all of them, also after one has failed. `--write` then replaces the
tables of those that passed; `--only kills` runs those whose name contains a text.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "soak.md"
COMMANDS = (
    "tests.simulation.soak",
    "tests.simulation.planted",
    "tests.fuzz.soak",
    "pytest -q -n logical --dist worksteal -m 'hypothesis or seeds' --hypothesis-profile=soak",
    "tests.kills.soak --kills 200",
    "tests.kills.system_calls",
)
Row = tuple[str, str]


def main() -> None:
    """Run them; exit with 1 if one failed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--write", action="store_true", help="write the figures into docs/soak.md")
    parser.add_argument("--only", metavar="TEXT", default="", help="only those named so")
    given = parser.parse_args()
    failed = []
    for command in COMMANDS:
        if given.only not in command:
            continue
        print(f"== python -m {command}", flush=True)
        output, code = run(command)
        if code:
            failed.append(command)
        elif given.write:
            write(command, output, commit())
    for command in failed:
        print(f"failed: python -m {command}")
    sys.exit(bool(failed))


def run(command: str) -> tuple[list[str], int]:
    """The lines it prints, which are passed on as they come, and its exit code."""
    shell = f"{sys.executable} -m {command}"
    process = subprocess.Popen(shell, shell=True, cwd=ROOT, text=True, stdout=subprocess.PIPE)
    lines = []
    assert process.stdout is not None
    for line in process.stdout:
        print(line, end="", flush=True)
        lines.append(line.rstrip("\n"))
    return lines, process.wait()


def commit() -> str:
    """The commit that is checked out, in short."""
    done = ["git", "rev-parse", "--short", "HEAD"]
    return subprocess.run(done, cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()


def rows(output: list[str]) -> list[Row]:
    """What is counted, and how often, in the order of the output."""
    found: list[Row] = []
    for line in output:
        if headline := re.fullmatch(r"([\d,]+) (\w+) in (\d+) s", line):
            found += [(f"**{headline[2]}**", headline[1]), ("seconds", headline[3])]
        elif headline := re.fullmatch(r"seeds? (?:from )?\d+, (\d+) s", line):
            found.append(("seconds", headline[1]))
        elif count := re.fullmatch(r"\s+([\d,]+) (.+)", line):
            found.append((count[2], count[1]))
        elif end := re.fullmatch(r"(\d+) failed .*", line):
            found.append(("failed", end[1]))
        elif caught := re.fullmatch(r"(\w+): caught by world (\d+)", line):
            found.append((caught[1], caught[2]))
    return found


def write(command: str, output: list[str], measured_on: str) -> None:
    """Replace the table of that command; a table with explanations keeps them."""
    name = f"`python -m {command}`"
    text = PAGE.read_text("utf-8")
    begin = text.find(f"| {name} |")
    if begin < 0:  # pytest's own summary says it all
        return
    end = text.index("\n\n", begin)
    old = text[begin:end].split("\n")
    explained = {cells[1]: cells[2] for line in old[2:] if len(cells := cells_of(line)) > 4}
    if explained:
        lines = [f"| {name} | bug | caught by world, `{measured_on}` |", "|---|---|---:|"]
        lines += [f"| {word} | {explained[word]} | {count} |" for word, count in rows(output)]
    else:
        lines = [f"| {name} | `{measured_on}` |", "|---|---:|"]
        lines += [f"| {word} | {count} |" for word, count in rows(output)]
    PAGE.write_text(text[:begin] + "\n".join(lines) + text[end:], "utf-8")


def cells_of(line: str) -> list[str]:
    """A table row's cells; the first and the last are empty."""
    return [cell.strip() for cell in line.split("|")]


if __name__ == "__main__":
    main()
