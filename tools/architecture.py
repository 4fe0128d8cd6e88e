"""The structure of the package, read from its imports: the tables and the picture of docs/architecture.md.

    python tools/architecture.py            print the tables
    python tools/architecture.py --write    also put them into docs/architecture.md and draw docs/architecture/rooms.png

Which files a step passes through is traced: one step with the plain operations and every loss on. All the rest is read
from the source by its syntax tree, imports inside functions included.
"""

from __future__ import annotations

import argparse
import ast
import sys
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from types import FrameType
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src"
PACKAGE = SOURCE / "tagseg"
PAGE = ROOT / "docs" / "architecture.md"
BEGIN, END = "<!-- tables: tools/architecture.py -->", "<!-- end of tables -->"
ARROW = {"arrowstyle": "->", "color": "#7c8894", "lw": 1.0, "shrinkA": 14, "shrinkB": 24}
LONGEST_FILE, LONGEST_FUNCTION = 300, 60
"""Lines."""
MOST_STEP_FILES = 15
"""Files that one step may pass through."""


@cache
def files() -> dict[str, Path]:
    """Every module of the package by its dotted name."""
    return {name_of(path): path for path in sorted(PACKAGE.rglob("*.py"))}


def name_of(path: Path) -> str:
    """The dotted name of a file's module."""
    parts = path.relative_to(SOURCE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def imports_of(module: str) -> frozenset[str]:
    """The modules of the package that a module imports, wherever in it; those for type checkers are left out."""
    tree = ast.parse(files()[module].read_text(encoding="utf-8"))
    for_types = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    names: set[str] = set()
    for node in ast.walk(tree):
        if id(node) in for_types:
            continue
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return frozenset(name for name in names if name in files() and files()[name].name != "__init__.py") - {module}


def circle() -> list[str]:
    """Modules that import one another in a circle; empty if there is none."""
    try:
        TopologicalSorter({module: imports_of(module) for module in files()}).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def reachable(module: str) -> set[str]:
    """Every module that a module imports, directly or not."""
    reached: set[str] = set()
    waiting = [module]
    while waiting:
        for name in imports_of(waiting.pop()) - reached:
            reached.add(name)
            waiting.append(name)
    return reached


def trace_step() -> tuple[list[str], set[tuple[str, str]]]:
    """The files that one plain step passes through, in the order of first entry; and which calls into which."""
    sys.path.insert(0, str(ROOT))
    import torch
    from tests.golden_step import step_batch, step_losses, step_state

    from tagseg.fsr.step import PLAIN

    state, batch = step_state(torch.float32), step_batch()
    order: list[str] = []
    calls: set[tuple[str, str]] = set()

    def file_of(frame: FrameType | None) -> str | None:
        while frame is not None:  # the nearest frame of the package: PyTorch's own lie between
            if frame.f_code.co_filename.startswith(str(PACKAGE)):
                return name_of(Path(frame.f_code.co_filename))
            frame = frame.f_back
        return None

    def enter(frame: FrameType, event: str, _: Any) -> None:
        if event != "call" or not frame.f_code.co_filename.startswith(str(PACKAGE)):
            return
        module, caller = name_of(Path(frame.f_code.co_filename)), file_of(frame.f_back)
        if module not in order:
            order.append(module)
        if caller is not None and caller != module:
            calls.add((caller, module))

    sys.setprofile(enter)
    try:
        step_losses(state, batch, PLAIN)
    finally:
        sys.setprofile(None)
    return order, calls


def calls_from_below(calls: set[tuple[str, str]]) -> list[tuple[str, str]]:
    """Calls into a file that the caller does not import, directly or not."""
    return sorted((caller, module) for caller, module in calls if module not in reachable(caller))


def lengths() -> tuple[tuple[int, str], tuple[int, str]]:
    """The longest file and the longest function, with their lines."""
    longest_file = max((len(path.read_text(encoding="utf-8").splitlines()), name) for name, path in files().items())
    return longest_file, max(functions())


def functions() -> Iterator[tuple[int, str]]:
    """Lines and name of every function, signature and docstring included."""
    for module, path in files().items():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef):
                yield (node.end_lineno or 0) - node.lineno + 1, f"{module}.{node.name}"


def rooms() -> dict[str, set[str]]:
    """Which room imports which; a file beside the rooms is a room of its own."""
    arrows: dict[str, set[str]] = {}
    for module in files():
        room = room_of(module)
        arrows.setdefault(room, set()).update({room_of(name) for name in imports_of(module)} - {room})
    return {room: others for room, others in arrows.items() if room not in ("tagseg", "__main__")}


def room_of(module: str) -> str:
    """The room a module is in."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else parts[0]


def tables() -> str:
    """The tables of the page, in Markdown."""
    order, calls = trace_step()
    below = calls_from_below(calls)
    rows = "\n".join(f"| {number} | `{path_of(module)}` |" for number, module in enumerate(order, 1))
    (file_lines, file), (function_lines, function) = lengths()
    return f"""
One plain step passes through **{len(order)} files**, in this order; {len(below)} of them are called from below:

| | file |
| --- | --- |
{rows}

| | |
| --- | --- |
| import circles | {" → ".join(circle()) or "none"} |
| longest file | `{path_of(file)}`, {file_lines} lines (at most {LONGEST_FILE}) |
| longest function, docstring included | `{function}`, {function_lines} lines (at most {LONGEST_FUNCTION}) |
"""


def path_of(module: str) -> str:
    """A module's file, relative to the package."""
    return files()[module].relative_to(PACKAGE).as_posix()


def direct(arrows: dict[str, set[str]]) -> dict[str, set[str]]:
    """Arrows that no longer way implies (transitive reduction): enough to see who may import whom."""

    def below(room: str) -> set[str]:
        return arrows[room].union(*(below(other) for other in arrows[room]))

    return {
        room: {other for other in others if not any(other in below(third) for third in others - {other})}
        for room, others in arrows.items()
    }


def draw_rooms(path: Path) -> None:
    """Rooms as boxes, floor by floor: a room stands above everything it imports; arrows point downwards."""
    from matplotlib.figure import Figure

    arrows = direct(rooms())
    floor: dict[str, int] = {}
    for room in TopologicalSorter(arrows).static_order():
        floor[room] = 1 + max((floor[other] for other in arrows[room]), default=-1)
    levels: dict[int, list[str]] = {}
    for room, level in sorted(floor.items()):
        levels.setdefault(level, []).append(room)
    places = {
        room: ((index + 0.5) / len(row) + 0.12 * (level % 3 - 1) * (len(row) == 1), level)
        for level, row in levels.items()
        for index, room in enumerate(row)
    }
    figure = Figure(figsize=(8, 9), layout="constrained")
    axis = figure.subplots()
    for room, others in arrows.items():
        for other in others:
            axis.annotate(
                "",
                places[other],
                places[room],
                arrowprops={"arrowstyle": "->", "color": "#7c8894", "lw": 1.0, "shrinkA": 14, "shrinkB": 14},
            )
    for room, place in places.items():
        box = {"boxstyle": "round,pad=0.45", "fc": "#ffe2b8" if room == "fsr" else "#eef2f6", "ec": "#44505c"}
        axis.text(*place, room, ha="center", va="center", fontsize=11, bbox=box)
    axis.set_xlim(-0.05, 1.1)
    axis.set_ylim(-0.6, max(levels) + 0.6)
    axis.set_axis_off()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)


def main() -> None:
    """Print the tables; write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="put the tables into the page, draw the picture")
    arguments = parser.parse_args()
    made = tables()
    print(made)
    if arguments.write:
        text = PAGE.read_text(encoding="utf-8")
        before, after = text.split(BEGIN)[0], text.split(END)[1]
        PAGE.write_text(f"{before}{BEGIN}{made}{END}{after}", encoding="utf-8")
        draw_rooms(PAGE.parent / "architecture" / "rooms.png")


if __name__ == "__main__":
    main()
