"""The files of a user's task: the task file, the modules that it imports, and what else travels with them.

The modules are found by reading import statements, so that the driver and every worker import the same ones.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from tune_jobs.search_spaces import beside, own_imports
from tune_jobs.search_spaces.beside import Beside
from tune_jobs.search_spaces.own_imports import OwnModule, Place
from tune_jobs.search_spaces.protocol import TaskError


@dataclass(frozen=True)
class TaskFiles:
    """The contents of a task file and of what goes with it, by path below `root`.

    `root` is the folder of the task file, or the one above its package, or one above that if something from elsewhere
    goes with it. `modules` are the paths of the user's own modules that import statements reach, by dotted name.
    """

    root: Path
    name: str  # of the task file
    contents: Mapping[str, bytes]
    modules: Mapping[str, str] = field(default_factory=dict)
    package: str = ""  # that the task file lies in
    beside: Beside = field(default_factory=Beside)  # what was found there

    @classmethod
    def read(
        cls, file: Path, also: Sequence[Path] = (), content: Callable[[Path], bytes] = Path.read_bytes
    ) -> TaskFiles:
        """Read a task file and the modules that it imports and that these import: from its folder, from its package,
        and from `also`, which may lie anywhere. `content` reads one file.

        Raises:
            TaskError: a file is missing or cannot be read, or they are too many or too large.
        """
        beside.check_named(also)
        real = file.resolve()
        package, above = own_imports.package_of(real.parent)
        root = _common_folder(above, also)
        read = {real: _source(file, content, "; a task of your own is named FILE.py or FILE.py:NAME")}
        found: dict[str, OwnModule] = {}
        places = _places(real.parent, package, above, also)
        waiting = [OwnModule(f"{package}.{real.stem}".lstrip("."), real)]
        while waiting:
            module = waiting.pop()
            for other in own_imports.imported(read[module.file], module.package, places):
                if other.name not in found:
                    read[other.file] = read.get(other.file) or _source(other.file, content)
                    found[other.name] = other
                    waiting.append(other)
            _check_bounds(f"{file.name} imports", read.values(), "install what it imports as a package")
        modules = {name: _below(root, module.file) for name, module in found.items()}
        return cls(
            root, _below(root, real), {_below(root, path): text for path, text in read.items()}, modules, package
        )

    @classmethod
    def gather(cls, file: Path, also: Sequence[Path] = ()) -> TaskFiles:
        """Read what `read` reads and, within a bound, what else lies in the folder or package of the task file.

        All that `also` names is taken.

        Raises:
            TaskError: as `read`.
        """
        files = cls.read(file, also)
        named = {_below(files.root, path): beside.content(path) for path in beside.named_files(also)}
        contents = named | dict(files.contents)
        _check_bounds("--with names", contents.values(), "keep them where each machine finds them")
        rest = beside.look(files.folder, [files.root / path for path in contents])
        contents = {_below(files.root, path): text for path, text in beside.contents(rest.taken)} | contents
        return replace(files, contents=contents, beside=rest)

    @property
    def folder(self) -> Path:
        """The folder, or the package, that travels."""
        top = self.package.partition(".")[0]
        own = (self.root / self.name).parent
        return next(folder for folder in (own, *own.parents) if folder.name == top) if top else own

    @property
    def code(self) -> dict[str, bytes]:
        """The contents of the task file and of the modules that it imports."""
        return {path: self.contents[path] for path in (self.name, *self.modules.values())}

    def needed(self, also: Sequence[Path]) -> set[str]:
        """Return the paths of the code, and of what was named."""
        return {*self.code, *(_below(self.root, path) for path in beside.named_files(also))}

    @cached_property
    def digest(self) -> str:
        """16 hex digits that change with every content; those of the task file alone if nothing goes with it."""
        digest = hashlib.sha256(self.contents[self.name])
        for path, content in sorted(self.contents.items()):
            if path != self.name:
                digest.update(f"\0{path}\0{len(content)}\0".encode() + content)
        return digest.hexdigest()[:16]

    def words(self) -> str | None:
        """Return in one line what goes with the task file and what is left out; None if there is nothing else."""
        taken = [self.root / path for path in self.contents if path != self.name]
        return beside.words(Path(self.name).name, self.folder, taken, self.beside)


def _places(folder: Path, package: str, above: Path, also: Sequence[Path]) -> tuple[Place, ...]:
    places = [Place(folder)]
    if package:
        places.append(Place(above, package.partition(".")[0]))
    for path in also:
        places += [Place(path.parent, path.stem if path.suffix == ".py" else path.name), Place(path)]
    return tuple(places)


def _common_folder(folder: Path, also: Sequence[Path]) -> Path:
    return Path(os.path.commonpath([folder, *(path.parent for path in also)]))


def _below(root: Path, path: Path) -> str:
    return path.relative_to(root).as_posix()


def _source(file: Path, content: Callable[[Path], bytes], hint: str = "") -> bytes:
    """Read a file of Python."""
    try:
        source = content(file)
        importlib.util.decode_source(source)
    except FileNotFoundError:
        raise TaskError(f"no file {file}{hint}") from None
    except (OSError, UnicodeDecodeError, SyntaxError) as error:
        raise TaskError(f"{file} cannot be read: {error}") from None
    return source


def _check_bounds(what: str, contents: Collection[bytes], advice: str) -> None:
    if len(contents) > beside.MAX_FILES or sum(map(len, contents)) > beside.MAX_BYTES:
        raise TaskError(
            f"{what} more than can travel with a task ({beside.MAX_FILES} files of {beside.MAX_BYTES / 1e6:g} MB in "
            f"all): {advice}"
        )
