"""What bulk imports is declared, with lower bounds that are tried."""

from __future__ import annotations

import sys
import tomllib
from importlib.metadata import packages_distributions

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from tools.architecture import imports, modules
from tools.lowest import ROOT, declared, lowest

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
# Not imported: only bounds the version that httpx brings along.
BOUNDS_ALONE = {"httpcore"}
# Imported where it is there: the extra `socks` brings it.
OPTIONAL = {"socksio"}


def imported() -> set[str]:
    """The distributions of all packages that bulk imports."""
    tops = {name.partition(".")[0] for _, path in modules() for name in imports(path)}
    foreign = tops - sys.stdlib_module_names - {"bulk"}
    providers = packages_distributions()
    return {canonicalize_name(name) for top in foreign for name in providers[top]}


def test_what_is_imported_is_declared_and_nothing_else() -> None:
    names = {canonicalize_name(one.name) for one in declared() if one.marker is None}
    alone = {canonicalize_name(one.name) for one in declared()} & BOUNDS_ALONE
    assert names - alone == imported() - alone - OPTIONAL


def test_each_dependency_has_a_lower_bound_on_each_python_that_is_named() -> None:
    named = [
        text.rpartition(" ")[2] for text in PROJECT["classifiers"] if ":: Python :: 3." in text
    ]
    assert named[0] == PROJECT["requires-python"].removeprefix(">=")
    for python in named:
        versions = lowest(declared(), python)
        assert {canonicalize_name(one.name) for one in declared() if one.marker is None} <= set(
            versions
        )


@pytest.mark.parametrize(
    ("python", "version"), [("3.11", "1.26"), ("3.13", "2.1"), ("3.14", "2.3.2"), ("3.15", "2.3.2")]
)
def test_the_highest_of_the_lower_bounds_that_apply_counts(python: str, version: str) -> None:
    numpy = [
        Requirement(f"numpy>={bound}")
        for bound in ("2.3.2; python_version >= '3.14'", "1.26,<3", "2.1; python_version >= '3.13'")
    ]
    assert lowest(numpy, python) == {"numpy": Version(version)}


def test_a_dependency_without_a_lower_bound_is_pointed_out() -> None:
    with pytest.raises(ValueError, match="click<9 has no lower bound"):
        lowest([Requirement("click<9")], "3.11")
