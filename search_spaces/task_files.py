"""The files of a user's task: the task file and the Python files that it imports from its own folder.

They are found by reading import statements, without running anything, so that the driver and every worker import the
same modules. An import whose name is computed at run time is not seen.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.util
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from tune_jobs.search_spaces.installed import is_reserved
from tune_jobs.search_spaces.protocol import TaskError

MAX_FILES = 200
MAX_BYTES = 2_000_000  # they travel to every worker


@dataclass(frozen=True)
class TaskFiles:
    """The contents of a task file and of the modules that it imports from its folder, by path in that folder."""

    name: str  # of the task file
    contents: Mapping[str, bytes]

    @classmethod
    def read(cls, file: Path) -> TaskFiles:
        """Read a task file and, from its folder, the modules that it imports and those that they import.

        Raises:
            TaskError: a file is missing or cannot be read, or they are too many or too large.
        """
        real = file.resolve()
        contents = {real.name: _read(file, "; a task of your own is named FILE.py or FILE.py:NAME")}
        waiting = list(contents)
        while waiting:
            path = waiting.pop()
            for imported in _imported_files(contents[path], path, real.parent):
                if imported not in contents:
                    contents[imported] = _read(real.parent / imported)
                    _check_bounds(file, contents)
                    waiting.append(imported)
        return cls(real.name, contents)

    @property
    def digest(self) -> str:
        """16 hex digits that change with every content; those of the task file alone if it imports no other."""
        digest = hashlib.sha256(self.contents[self.name])
        for path, content in sorted(self.contents.items()):
            if path != self.name:
                digest.update(f"\0{path}\0{len(content)}\0".encode() + content)
        return digest.hexdigest()[:16]


def _read(file: Path, hint: str = "") -> bytes:
    try:
        content = file.read_bytes()
        importlib.util.decode_source(content)
    except FileNotFoundError:
        raise TaskError(f"no file {file}{hint}") from None
    except (OSError, UnicodeDecodeError, SyntaxError) as error:
        raise TaskError(f"{file} cannot be read: {error}") from None
    return content


def _check_bounds(file: Path, contents: Mapping[str, bytes]) -> None:
    size = sum(map(len, contents.values()))
    if len(contents) > MAX_FILES or size > MAX_BYTES:
        raise TaskError(
            f"{file.name} imports more of its folder than a task can bring along ({MAX_FILES} files of "
            f"{MAX_BYTES / 1e6:g} MB in all): install what it imports as a package"
        )


def _imported_files(content: bytes, path: str, folder: Path) -> Iterator[str]:
    """Yield the paths of the modules below the folder that one of its files imports."""
    try:
        tree = ast.parse(content)
    except (SyntaxError, ValueError):  # importing the file reports it, with its line
        return
    package = PurePosixPath(path).parent.parts
    for module in _imported_modules(tree, package):
        files = _files_of(module, folder)
        if files and not is_reserved(module.partition(".")[0], folder):
            yield from files


def _imported_modules(tree: ast.AST, package: tuple[str, ...]) -> Iterator[str]:
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


def _files_of(module: str, folder: Path) -> list[str]:
    """Return the files below the folder that an import of this module runs, packages first; none if it is elsewhere."""
    parts = module.split(".")
    if not all(part.isidentifier() or part == "*" for part in parts):
        return []
    files: list[str] = []
    place = PurePosixPath()
    for part in parts:
        if part == "*":
            return files + [f"{place}/{file.name}" for file in sorted((folder / place).glob("*.py"))]
        place /= part
        if (folder / place / "__init__.py").is_file():
            files.append(f"{place}/__init__.py")
        elif (folder / f"{place}.py").is_file():
            return [*files, f"{place}.py"] if place.parts == tuple(parts) else files
        elif not (folder / place).is_dir():
            return files  # what remains is a name inside the last package, or lies elsewhere
    return files
