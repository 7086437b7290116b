"""The house is as it was drawn: a module imports only from layers below it."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LAYERS: dict[int, set[str]] = {
    0: {"exits", "errors", "model"},
    1: {
        *("manifest", "answers", "signals", "pacing", "measure", "reconcile"),
        *("report", "tally", "secret"),
    },
    2: {"client", "journal", "progress", "folder"},
    3: {"dispatch", "preflight", "recovery", "job", "beside", "batch", "salvage"},
    4: {"cli", "api", "virtual", "__main__", "__init__"},
}
LAYER_OF = {name: layer for layer, names in LAYERS.items() for name in names}
# What each pure or low part may use of the outside; `*` stands for the rest of its layer.
FOREIGN: dict[str, set[str]] = {
    "manifest": {"pydantic", "pydantic_core", "yaml"},
    "report": {"pandas", "numpy", "jinja2", "markupsafe"},
    "measure": {"numpy"},
    "client": {"httpx", "trio"},
    "journal": {"trio"},
    "progress": {"tqdm"},
    "dispatch": {"trio"},
    "preflight": {"trio"},
    "recovery": {"trio"},
    "job": {"trio"},
    "cli": {"click", "trio"},
    "sandbox": {"trio", "h11", "httpx"},
    "api": {"trio"},
    "virtual": {"trio"},
}
IMPURE = {"time", "socket", "subprocess", "sqlite3", "threading", "signal", "trio", "httpx"}
SEES_FILES = {"manifest", "secret"}  # each reads the one file it is handed


def modules() -> list[tuple[str, Path]]:
    """Each module's room (the first name below `bulk`) and file."""
    found = []
    for path in sorted((ROOT / "bulk").rglob("*.py")):
        parts = path.relative_to(ROOT / "bulk").with_suffix("").parts
        found.append((parts[0], path))
    return found


def imports(path: Path) -> set[str]:
    """All modules that a file imports, anywhere in it, but for those only for type checkers."""
    tree = ast.parse(path.read_text("utf-8"))
    hidden = {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for inner in ast.walk(node)
    }
    names = set()
    for node in ast.walk(tree):
        if node in hidden:
            continue
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: relative import"
            assert node.module
            names.add(node.module)
            if node.module == "bulk":
                names |= {f"bulk.{alias.name}" for alias in node.names}
    return names


@pytest.mark.parametrize(("room", "path"), modules(), ids=lambda value: str(value)[-30:])
def test_a_module_imports_only_from_its_layer_and_below(room: str, path: Path) -> None:
    for name in imports(path):
        top, _, rest = name.partition(".")
        other = rest.partition(".")[0]
        if top == "bulk" and other and other not in ("__version__", "batches"):
            if room == "sandbox":
                assert other == "sandbox", f"{path} imports {name}: the judge knows only itself"
            elif other == "sandbox":
                assert LAYER_OF[room] == 4, f"{path} imports {name}: only faces know the sandbox"
            else:
                assert LAYER_OF[other] <= LAYER_OF[room], f"{path} imports {name}"
                same = LAYER_OF[other] == LAYER_OF[room] == 2
                assert not same or other == room, f"{path} imports {name}: edges do not meet"
        elif top != "bulk" and top not in sys.stdlib_module_names:
            assert top in FOREIGN.get(room, set()), f"{path} imports {name}"


@pytest.mark.parametrize(("room", "path"), modules(), ids=lambda value: str(value)[-30:])
def test_the_lower_layers_know_no_clock_no_socket_and_no_process(room: str, path: Path) -> None:
    if LAYER_OF.get(room, 9) > 1:
        return
    assert not imports(path) & IMPURE
    if room not in SEES_FILES:
        text = path.read_text("utf-8")
        assert "open(" not in text
        assert ".read_text(" not in text


def test_every_room_is_on_the_plan() -> None:
    assert {room for room, _ in modules()} == set(LAYER_OF) | {"sandbox"}


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["run", "--help"], ["-h"]])
def test_help_imports_nothing_but_click(arguments: list[str]) -> None:
    code = (
        "import sys\nsys.argv[1:] = " + repr(arguments) + "\n"
        "from bulk.cli import main\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert end.code == 0, end.code\n"
        "heavy = {'trio', 'httpx', 'pandas', 'pydantic', 'tqdm', 'yaml', 'jinja2', 'sqlite3'}\n"
        "print('heavy:', sorted(heavy & set(sys.modules)), file=sys.stderr)\n"
        "ours = sorted(name for name in sys.modules if name.startswith('bulk.'))\n"
        "print('ours:', ours, file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert "heavy: []" in done.stderr


def test_the_runtime_does_not_pull_in_rich() -> None:
    """httpx imports rich, when it is installed, only for its command line; we never ask for it."""
    text = (ROOT / "pyproject.toml").read_text("utf-8")
    dependencies = text.partition("dependencies = [")[2].partition("]")[0]
    assert "rich" not in dependencies
