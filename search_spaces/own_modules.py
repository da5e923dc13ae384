"""The import of a user's task file and of the modules beside it, from the contents that were read, not from the path.

The modules have their usual names, so that an import statement anywhere in them finds them, also one that runs later,
inside a function. If two tasks have modules of one name, the name means that of the task that was imported last.
"""

from __future__ import annotations

import hashlib
import importlib.util
import sys
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.abc import InspectLoader, MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import CodeType, ModuleType

from tune_jobs.search_spaces import dtype_policies, earlier_names
from tune_jobs.search_spaces.function_names import TASK_MODULE
from tune_jobs.search_spaces.protocol import TaskError
from tune_jobs.search_spaces.task_files import TaskFiles


def import_task(files: TaskFiles, folder: Path) -> ModuleType:
    """Import a task file below this root, once for the same contents, under a module name that nothing else has.

    Raises:
        TaskError: the import fails; with the line of the task file.
    """
    path = folder / files.name
    content = files.contents[files.name]
    name = f"{TASK_MODULE}{hashlib.sha256(f'{path}:'.encode() + content).hexdigest()[:16]}"
    name = f"{files.package}.{name}".lstrip(".")
    earlier_names.install()
    is_new = _finder.offer(files, folder)
    if name in sys.modules and not is_new:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path, loader=_ContentLoader(path, content))
    assert spec is not None  # the file ends on .py
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # before it runs: dataclasses look their own module up
    try:
        with dtype_policies.noted(module):
            spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise TaskError(_what_happened(path, error)) from error
    return module


class _ContentLoader(InspectLoader):
    """Runs the contents of a file. No bytecode is cached, which would outlive an edit made within the same second."""

    def __init__(self, path: Path, content: bytes) -> None:
        self._path, self._content = path, content

    def get_source(self, fullname: str) -> str:
        return importlib.util.decode_source(self._content)

    def get_code(self, fullname: str) -> CodeType:
        return compile(self._content, self._path, "exec", dont_inherit=True)


@dataclass(frozen=True)
class _Module:
    path: Path  # of the file, or of the folder of a package without `__init__.py`
    content: bytes | None

    def spec(self, name: str) -> ModuleSpec | None:
        if self.content is None:
            namespace = ModuleSpec(name, None, is_package=True)
            namespace.submodule_search_locations = [str(self.path)]
            return namespace
        is_package = self.path.name == "__init__.py"
        spec = importlib.util.spec_from_file_location(
            name,
            self.path,
            loader=_ContentLoader(self.path, self.content),
            submodule_search_locations=[str(self.path.parent)] if is_package else None,
        )
        if spec is not None and not is_package and name in earlier_names.PACKAGES:
            spec.submodule_search_locations = []  # so that `import models.mlp` is looked for, and finds ours
        return spec


class _OwnModules(MetaPathFinder):
    """Finds the modules beside the tasks that were imported in this process."""

    def __init__(self) -> None:
        self._modules: dict[str, _Module] = {}

    def offer(self, files: TaskFiles, folder: Path) -> bool:
        """Offer the modules of a task instead of others of their names; return True if they are new or were edited."""
        if self in sys.meta_path:
            sys.meta_path.remove(self)
        sys.meta_path.insert(0, self)
        modules = _modules(files, folder)
        is_new = any(self._modules.get(name) != module for name, module in modules.items())
        for name in self._outdated(modules, folder, is_new=is_new):
            self._modules.pop(name, None)
            sys.modules.pop(name, None)
        self._modules |= modules
        return is_new

    def _outdated(self, modules: Mapping[str, _Module], folder: Path, *, is_new: bool) -> set[str]:
        """Return the names of imported modules that mean something else from now on."""
        names = earlier_names.imported()
        names |= {name for name, module in self._modules.items() if _is_earlier(name) and modules.get(name) != module}
        if is_new:
            names |= {name for name in modules if name in self._modules or _is_below(folder, sys.modules.get(name))}
            names |= {name for name, module in self._modules.items() if module.path.is_relative_to(folder)}
        return names

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        module = self._modules.get(fullname)
        return None if module is None else module.spec(fullname)


_finder = _OwnModules()


def _modules(files: TaskFiles, folder: Path) -> dict[str, _Module]:
    """Return the modules that a task file imports by name, with the packages that they lie in."""
    modules: dict[str, _Module] = {}
    for name, path in files.modules.items():
        file = folder / path
        modules[name] = _Module(file, files.contents[path])
        place = file.parent if file.name == "__init__.py" else file.with_suffix("")
        for depth in range(name.count("."), 0, -1):
            place = place.parent
            modules.setdefault(".".join(name.split(".")[:depth]), _Module(place, None))
    return modules


def _is_earlier(name: str) -> bool:
    return name.partition(".")[0] in earlier_names.PACKAGES


def _is_below(folder: Path, module: ModuleType | None) -> bool:
    file = getattr(module, "__file__", None)
    return isinstance(file, str) and Path(file).is_relative_to(folder)


def _what_happened(path: Path, error: BaseException) -> str:
    """Return where in the user's file what went wrong, in one line: `own.py, line 3: NameError: name 'x' is …`."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
    line = error.lineno if isinstance(error, SyntaxError) and error.filename == str(path) else (lines or [None])[-1]
    where = path.name if line is None else f"{path.name}, line {line}"
    message = _shortened(" ".join((error.msg if isinstance(error, SyntaxError) else str(error)).split()))
    if isinstance(error, ValueError) and type(error).__module__.startswith("tune_jobs.search_spaces."):
        return f"{where}: {message}"
    return f"{where}: {type(error).__name__}{': ' * bool(message)}{message}"


def _shortened(message: str) -> str:
    """Return a message without its middle if it is long: it may show an array."""
    return message if len(message) <= 500 else f"{message[:350]} … {message[-100:]}"
