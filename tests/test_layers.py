"""The house is as it was drawn: a module imports only from its own layer and those below it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from bulk.cli import COMMANDS
from tools.architecture import BEGIN, END, PAGE, drawing, imports, modules

ROOT = Path(__file__).parent.parent
# A module belongs where its longest prefix stands: two rooms have a pure half and one at the edge
# or in the shell.
LAYERS: dict[int, set[str]] = {
    0: {"exits", "errors", "model", "durations"},
    1: {
        *("manifest", "pacing", "measure", "report"),
        *("http", "http.answers", "http.error_words", "http.rate_limit_headers", "http.api_key"),
        "http.variables",
        *("reconcile", "reconcile.run_page", "reconcile.listing", "reconcile.likeness"),
        *("reconcile.server_clock", "reconcile.rules", "reconcile.surplus"),
    },
    2: {
        *("http.address", "http.bodies", "http.client", "http.preflight", "journal"),
        *("http.proxies", "http.trust"),
    },
    3: {
        *("dispatch", "batch"),
        *("reconcile.claims", "reconcile.reconciler", "reconcile.run_lister"),
    },
    4: {"cli", "api", "__main__", "__init__"},
}
LAYER_OF = {name: layer for layer, names in LAYERS.items() for name in names}
SANDBOX = "sandbox"
KNOWS_THE_SANDBOX = {"cli", "batch.virtual"}
# What each place may import from outside Python.
FOREIGN: dict[str, set[str]] = {
    "manifest": {"pydantic", "yaml"},
    "report": {"pandas", "numpy", "jinja2", "markupsafe"},
    "measure": {"numpy"},
    "http.address": {"httpx"},
    "http.bodies": {"httpx"},
    "http.client": {"httpx", "trio"},
    "http.preflight": {"trio"},
    "http.proxies": {"httpx", "socksio"},
    "http.rate_limit_headers": {"http_sf"},
    "http.trust": {"certifi", "truststore"},
    "journal": {"trio"},
    "dispatch": {"trio"},
    "reconcile.reconciler": {"trio"},
    "reconcile.run_lister": {"trio"},
    "batch": {"trio"},
    "cli": {"click", "trio"},
    "cli.progress": {"tqdm"},
    "sandbox": {"trio", "h11", "httpx"},
    "api": {"trio"},
}
IMPURE = {"time", "socket", "subprocess", "sqlite3", "threading", "signal", "trio", "httpx"}
SEES_FILES = {"manifest", "http.api_key"}  # each reads the one file it is handed


def placed(module: str, places: set[str] | dict[str, set[str]] | dict[str, int]) -> str | None:
    """The longest prefix of a module's name that is among `places`."""
    parts = module.split(".")
    prefixes = (".".join(parts[:end]) for end in range(len(parts), 0, -1))
    return next((prefix for prefix in prefixes if prefix in places), None)


def layer_of(module: str) -> int:
    place = placed(module, LAYER_OF)
    assert place is not None, f"{module} has no layer"
    # A mixed room's own name stands for its docstring alone: a new module in it needs a place.
    assert place == module or place not in ("http", "reconcile"), f"{module} has no layer"
    return LAYER_OF[place]


OURS = [(name, path) for name, path in modules() if placed(name, {SANDBOX}) is None]


@pytest.mark.parametrize(("module", "path"), modules(), ids=lambda value: str(value)[-30:])
def test_a_module_imports_only_from_its_layer_and_below(module: str, path: Path) -> None:
    for name in imports(path):
        top, _, other = name.partition(".")
        if top == "bulk" and other:
            if placed(module, {SANDBOX}):
                assert placed(other, {SANDBOX}), f"{path} imports {name}: the judge knows no other"
            elif placed(other, {SANDBOX}):
                assert placed(module, KNOWS_THE_SANDBOX), f"{path} imports {name}"
            else:
                assert layer_of(other) <= layer_of(module), f"{path} imports {name}"
                both_edges = layer_of(other) == layer_of(module) == 2
                same_room = other.partition(".")[0] == module.partition(".")[0]
                assert not both_edges or same_room, f"{path} imports {name}: edges do not meet"
        elif top != "bulk" and top not in sys.stdlib_module_names:
            allowed = placed(module, FOREIGN)
            assert allowed, f"{path} imports {name}"
            assert top in FOREIGN[allowed], f"{path} imports {name}"


@pytest.mark.parametrize(("module", "path"), OURS, ids=lambda value: str(value)[-30:])
def test_the_lower_layers_know_no_clock_no_socket_and_no_process(module: str, path: Path) -> None:
    if layer_of(module) > 1:
        return
    assert not imports(path) & IMPURE
    if placed(module, SEES_FILES) is None:
        text = path.read_text("utf-8")
        assert "open(" not in text
        assert ".read_text(" not in text


def test_each_place_on_the_plan_exists() -> None:
    names = {name for name, _ in modules()}
    assert set(LAYER_OF) <= names
    assert set(FOREIGN) <= names


def test_no_two_modules_share_a_name() -> None:
    """Except a command's module, which bears the command's name, and a room's main module."""
    names = [name.split(".") for name, _ in modules()]
    leaves = [
        leaf
        for *rooms, leaf in names
        if rooms and rooms != [leaf] and not (rooms == ["cli"] and leaf in COMMANDS)
    ]
    rooms = {name for name, *rest in names if not rest}
    twice = {leaf for leaf in leaves if leaves.count(leaf) > 1 or leaf in rooms}
    assert twice <= {"windows"}  # of pacing and measure, which will be rewritten together


def test_the_drawing_is_what_the_imports_are() -> None:
    """`python -m tools.architecture` draws it anew."""
    drawn = PAGE.read_text("utf-8").partition(BEGIN)[2].partition(END)[0]
    assert drawn == drawing()


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["run", "--help"], ["-h"]])
@pytest.mark.processes
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
