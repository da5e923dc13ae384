"""Reads the house's own source: its files, rooms, imports and circles. Nothing is imported or run.

`python -m tests.support.house` prints the figures of the page on architecture.
"""

from __future__ import annotations

import ast
import functools
import statistics
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = "tune_jobs"
STOREYS = ("models", "search_spaces", PACKAGE)  # from the ground up; the first two lie at the top level

# The rooms of `tune_jobs`, from the roof to the ground. Imports run downwards only; rooms of one floor do not import
# each other.
FLOORS: tuple[tuple[str, ...], ...] = (
    ("__init__", "__main__"),
    ("api",),
    ("cli",),
    ("actions",),
    ("execution",),
    ("live", "reproduction"),
    ("search", "study_report", "tracking"),
    ("study", "exports", "prediction"),
    ("leaderboard", "training"),
    ("datasets", "records", "migrate"),
    ("ground",),
)
GROUND = (
    "process",
    "settings",
    "environment",
    "homes",
    "errors",
    "words",
    "files",
    "temporary",
    "decoding",
    "masking",
    "plain_yaml",
    "later_imports",
    "neutral_keras",
    "neutral_matplotlib",
)


def sources(root: Path = ROOT) -> list[str]:
    """Every Python file of the product, relative to the root, by the folder it lies in."""
    found = [path for storey in STOREYS for path in (root / storey).rglob("*.py")]  # does not follow links
    return sorted(path.relative_to(root).as_posix() for path in found)


def module_of(path: str) -> str:
    """`tune_jobs.models.mlp` for `models/mlp.py`."""
    parts = list(Path(path).with_suffix("").parts)
    parts = parts if parts[0] == PACKAGE else [PACKAGE, *parts]
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def room_of(path: str) -> str | None:
    """The room of a file of `tune_jobs`; None for the two lower storeys."""
    parts = Path(path).parts
    if parts[0] != PACKAGE:
        return None
    if len(parts) > 2:
        return parts[1]
    name = Path(parts[1]).stem
    return "ground" if name in GROUND else name


def floor_of(room: str) -> int | None:
    """Counted from the ground; None for a room that the plan does not have."""
    return next((n for n, rooms in enumerate(reversed(FLOORS)) if room in rooms), None)


@functools.cache
def known(root: Path = ROOT) -> Mapping[str, str]:
    """The files by the names of their modules."""
    return {module_of(path): path for path in sources(root)}


def imports(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Every module that is imported anywhere in a file, under TYPE_CHECKING too: the line, and the module or, of
    `from package import module`, that module."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield from ((node.lineno, name) for name in _named(node))
        elif isinstance(node, ast.Call) and called(node) in {"import_module", "__import__"}:
            yield from ((node.lineno, name) for name in literals(node))


def _named(node: ast.ImportFrom) -> Iterator[str]:
    assert node.module is not None
    for alias in node.names:
        whole = f"{node.module}.{alias.name}"
        yield whole if whole in known() else node.module


def called(node: ast.Call) -> str:
    function = node.func
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def literals(node: ast.Call) -> list[str]:
    return [arg.value for arg in node.args if isinstance(arg, ast.Constant) and isinstance(arg.value, str)]


def graph(files: Mapping[str, str]) -> dict[str, set[str]]:
    """What each file imports of the others; `files` are texts by their paths."""
    by_module = {module_of(path): path for path in files}
    found: dict[str, set[str]] = {path: set() for path in files}
    for path, text in files.items():
        for _, module in imports(ast.parse(text)):
            other = by_module.get(module)
            if other is not None and other != path:
                found[path].add(other)
    return found


def circles(arrows: Mapping[str, Iterable[str]]) -> list[list[str]]:
    """The groups of files that import each other, by Tarjan's algorithm (1972)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(node: str) -> None:
        index[node] = low[node] = len(index)
        stack.append(node)
        for other in sorted(arrows[node]):
            if other not in index:
                visit(other)
                low[node] = min(low[node], low[other])
            elif other in stack:
                low[node] = min(low[node], index[other])
        if low[node] == index[node]:
            group = [stack.pop()]
            while group[-1] != node:
                group.append(stack.pop())
            if len(group) > 1:
                found.append(sorted(group))

    for node in sorted(arrows):
        if node not in index:
            visit(node)
    return found


def texts(root: Path = ROOT) -> dict[str, str]:
    return {path: (root / path).read_text(encoding="utf-8") for path in sources(root)}


def longest_chain(arrows: Mapping[str, set[str]]) -> list[str]:
    """The longest way down through the rooms, each importing the next."""
    rooms: dict[str, set[str]] = {}
    for path, others in arrows.items():
        here = room_of(path) or Path(path).parts[0]
        there = {room_of(other) or Path(other).parts[0] for other in others}
        rooms.setdefault(here, set()).update(there - {here})

    @functools.cache
    def below(room: str) -> tuple[str, ...]:
        return max(((room, *below(other)) for other in rooms.get(room, ())), key=len, default=(room,))

    return list(max(map(below, rooms), key=len))


def function_lengths(files: Mapping[str, str]) -> list[int]:
    """Lines of each function, its decorators left out."""
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return [
        (node.end_lineno or node.lineno) - node.lineno + 1
        for text in files.values()
        for node in ast.walk(ast.parse(text))
        if isinstance(node, kinds)
    ]


def main() -> None:
    files = texts()
    arrows = graph(files)
    flat = [path for path in files if Path(path).parts[0] == PACKAGE and len(Path(path).parts) == 2]
    rooms = {room_of(path) for path in files} - {None}
    lengths = sorted(function_lengths(files))
    print(f"files {len(files)}, directly in {PACKAGE}/ {len(flat)}, rooms {len(rooms)}")
    print(f"circles {len(circles(arrows))}, arrows between files {sum(map(len, arrows.values()))}")
    chain = longest_chain(arrows)
    print(f"longest chain of rooms {len(chain)}: {' > '.join(chain)}")
    print(f"function length: median {statistics.median(lengths):g}, 90 % {lengths[int(len(lengths) * 0.9)]}")
    longest = max(files, key=lambda path: files[path].count("\n"))
    print(f"longest file {longest}, {files[longest].count(chr(10))} lines")


if __name__ == "__main__":
    sys.exit(main())
