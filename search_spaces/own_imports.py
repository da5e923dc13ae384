"""Which modules of a user's own a file imports, found by reading its import statements, without running anything.

An import whose name is computed at run time is not seen.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tune_jobs.search_spaces.installed import is_reserved


@dataclass(frozen=True)
class Place:
    """A folder whose modules a task may import by their own names; with `only`, no other than this one."""

    folder: Path
    only: str | None = None

    def modules_of(self, name: str) -> list[OwnModule]:
        """Return the modules here that an import of a dotted name runs, packages first."""
        top = name.partition(".")[0]
        found = _modules_of(name, self.folder) if self.only in (None, top) else []
        return [] if not found or is_reserved(top, self.folder) else found


@dataclass(frozen=True)
class OwnModule:
    """A module of the user's own: its dotted name and its file."""

    name: str
    file: Path

    @property
    def package(self) -> str:
        """The package that a relative import in this module starts from."""
        return self.name if self.file.name == "__init__.py" else self.name.rpartition(".")[0]


def package_of(folder: Path) -> tuple[str, Path]:
    """Return the dotted name of the package that a folder is, with the folder above it; an empty name if it is none."""
    parts: list[str] = []
    above = folder
    while above.name.isidentifier() and (above / "__init__.py").is_file():
        parts, above = [above.name, *parts], above.parent
    if not parts or is_reserved(parts[0], above):
        return "", folder
    return ".".join(parts), above


def imported(content: bytes, package: str, places: tuple[Place, ...]) -> Iterator[OwnModule]:
    """Yield the modules of these places that a file with this content imports; it lies in a package, or in none."""
    try:
        tree = ast.parse(content)
    except (SyntaxError, ValueError):  # importing the file reports it, with its line
        return
    for name in _names(tree, tuple(package.split(".")) if package else ()):
        yield from next(filter(None, (place.modules_of(name) for place in places)), [])


def _names(tree: ast.AST, package: tuple[str, ...]) -> Iterator[str]:
    """Yield the dotted name of each module that a file may import; `a.*` for all modules of a package."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else ()
            origin = ".".join((*above, *([node.module] if node.module else [])))
            if node.level <= len(package) and origin:
                yield origin
                yield from (f"{origin}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and _is_import_module(node.func):
            yield from (arg.value for arg in node.args if isinstance(arg, ast.Constant) and isinstance(arg.value, str))


def _is_import_module(function: ast.expr) -> bool:
    name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", None)
    return name in ("import_module", "__import__")


def _modules_of(name: str, folder: Path) -> list[OwnModule]:
    """Return the modules below the folder that an import of this name runs, packages first; none if it is elsewhere."""
    parts = name.split(".")
    if not all(part.isidentifier() or part == "*" for part in parts):
        return []
    found: list[OwnModule] = []
    for depth, part in enumerate(parts, start=1):
        place, dotted = folder.joinpath(*parts[:depth]), ".".join(parts[:depth])
        if part == "*":
            return found + _modules_in(place.parent, ".".join(parts[: depth - 1]))
        if (place / "__init__.py").is_file():
            found.append(OwnModule(dotted, place / "__init__.py"))
        elif (file := place.with_name(f"{part}.py")).is_file():
            return [*found, OwnModule(dotted, file)] if depth == len(parts) else found
        elif not place.is_dir():
            return found  # what remains is a name inside the last package, or lies elsewhere
    return found


def _modules_in(package: Path, name: str) -> list[OwnModule]:
    files = [file for file in sorted(package.glob("*.py")) if file.name != "__init__.py"]
    return [OwnModule(f"{name}.{file.stem}", file) for file in files]
