"""The sandbox judges the rest of the project, so it must not use it; and it is cheap to import."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import bulk.sandbox

ALLOWED = {"bulk.sandbox", "h11", "httpx", "trio", *sys.stdlib_module_names}
MODULES = sorted(Path(bulk.sandbox.__file__).parent.glob("*.py"))


@pytest.mark.parametrize("module", MODULES, ids=[path.stem for path in MODULES])
def test_a_module_imports_nothing_from_the_rest(module: Path) -> None:
    names: set[str] = set()
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0
            names.add(node.module or "")
    roots = {
        "bulk.sandbox" if name.startswith("bulk.sandbox") else name.partition(".")[0]
        for name in names
    }
    assert roots <= ALLOWED


def test_only_the_transport_uses_httpx_and_only_the_server_uses_h11() -> None:
    users = {
        library: [path.stem for path in MODULES if f"import {library}\n" in path.read_text("utf-8")]
        for library in ("httpx", "h11")
    }
    assert users == {"httpx": ["transport"], "h11": ["server"]}


@pytest.mark.processes
def test_importing_the_package_loads_no_library() -> None:
    code = (
        "import sys, bulk.sandbox as s; s.DEFAULT_SPEC; s.parse_spec(s.DEFAULT_SPEC)\n"
        "assert not {'trio', 'httpx', 'h11'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_all_public_names_exist() -> None:
    for name in bulk.sandbox.__all__:
        assert getattr(bulk.sandbox, name) is not None
    with pytest.raises(AttributeError, match="nothing"):
        _ = bulk.sandbox.nothing
