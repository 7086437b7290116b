"""Draws `bulk` from its imports: rooms, floors and arrows; writes them into docs/architecture.md.

A room is a folder or module directly below `bulk`. An arrow says that one room imports another; a
room stands one floor above the highest room it imports. `python -m tools.architecture` writes the
drawing; a test compares it with what the imports are now.
"""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "architecture.md"
BEGIN, END = "<!-- drawing: python -m tools.architecture -->\n", "<!-- end of drawing -->\n"
Arrows = dict[str, set[str]]


def modules() -> list[tuple[str, Path]]:
    """Each module's file and its dotted name below `bulk`; `__init__` bears its package's name."""
    found = []
    for path in sorted((ROOT / "bulk").rglob("*.py")):
        parts = path.relative_to(ROOT / "bulk").with_suffix("").parts
        if parts[-1] == "__init__" and len(parts) > 1:
            parts = parts[:-1]
        found.append((".".join(parts), path))
    return found


def imports(path: Path) -> set[str]:
    """All modules that a file imports, anywhere in it, except those for type checkers alone.

    `from bulk.http import client` counts as `bulk.http.client`, if there is such a module.
    """
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
            inner = {
                f"{node.module}.{alias.name}"
                for alias in node.names
                if node.module.partition(".")[0] == "bulk" and _is_module(node.module, alias.name)
            }
            names |= inner or {node.module}
    return names


def _is_module(package: str, name: str) -> bool:
    place = ROOT.joinpath(*package.split("."), name)
    return place.is_dir() or place.with_suffix(".py").exists()


def room_of(module: str) -> str:
    """The room of a module's dotted name, which begins with `bulk`."""
    return module.split(".")[1]


def arrows() -> Arrows:
    """For each room the rooms it imports."""
    found: Arrows = {}
    for name, path in modules():
        room = name.partition(".")[0]
        # `bulk` itself gives the version and nothing else.
        targets = {room_of(other) for other in imports(path) if other.startswith("bulk.")}
        found.setdefault(room, set()).update(targets - {room})
    return found


def floors(found: Arrows) -> list[list[str]]:
    """The rooms by floor, the lowest first. Raises ValueError where rooms import in a circle."""
    placed: dict[str, int] = {}
    waiting = dict(found)
    while waiting:
        ready = [room for room, targets in waiting.items() if targets <= placed.keys()]
        if not ready:
            raise ValueError(f"these rooms import each other in a circle: {sorted(waiting)}")
        for room in ready:
            placed[room] = max((placed[t] + 1 for t in waiting.pop(room)), default=0)
    height = max(placed.values()) + 1
    return [sorted(room for room in placed if placed[room] == floor) for floor in range(height)]


def drawing() -> str:
    """The drawing: a line a room, floor by floor from the top, with the rooms it imports."""
    found = arrows()
    levels = floors(found)
    total = sum(map(len, found.values()))
    width = max(map(len, found))
    lines = [f"{len(found)} rooms, {total} arrows, {len(levels)} floors", ""]
    for number, rooms in reversed(list(enumerate(levels))):
        for place, room in enumerate(rooms):
            floor = f"{number}" if place == 0 else " "
            targets = " ".join(sorted(found[room])) or "-"
            lines.append(f"{floor:>2}  {room:<{width}}  -> {targets}")
    return "\n".join(["```text", *lines, "```"]) + "\n"


def main() -> None:
    """Write the drawing into the page."""
    text = PAGE.read_text("utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text(before + BEGIN + drawing() + END + after, "utf-8")


if __name__ == "__main__":
    main()
