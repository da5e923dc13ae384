"""Modules that Keras imports and training does not use: imported at their first use, which saves each process a second.

Keras looks for Matplotlib to draw images, and for scikit-learn, which imports SciPy's statistics. Python's own
`LazyLoader` does not do here: TensorFlow asks every module for its file when it compiles a function, and that would be
a use.
"""

from __future__ import annotations

import gc
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

_NAMES = ("matplotlib.pyplot", "scipy.stats")
_turn = threading.RLock()  # two threads may use a module at once


@contextmanager
def at_first_use() -> Iterator[None]:
    """Have these modules, if they are imported in the block, do their own imports when somebody uses them."""
    finder = _Finder()
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)


@contextmanager
def without_collections() -> Iterator[None]:
    """Look for no garbage in the block, in which modules are imported or a study is read.

    They make hundreds of thousands of objects that stay. To walk through them again and again takes a fifth of the
    time.
    """
    is_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if is_enabled:
            gc.enable()


class _Finder(MetaPathFinder):
    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname not in _NAMES:
            return None
        others = (finder for finder in sys.meta_path if finder is not self)
        spec = next((spec for finder in others if (spec := finder.find_spec(fullname, path, target))), None)
        if spec is not None and spec.loader is not None:
            spec.loader = _LaterLoader(spec.loader)
        return spec


class _LaterLoader(Loader):
    """Leaves it to a module's first use to execute it."""

    def __init__(self, loader: Loader) -> None:
        self.loader = loader

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self.loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        vars(module).pop("__path__", None)  # so that an import of what is in a package is a use of it
        module.__class__ = _LaterModule


class _LaterModule(ModuleType):
    """A module that is executed when it is asked for what it does not have yet."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name not in ("__all__", "__path__"):  # asked by who looks through all modules
            raise AttributeError(name)
        with _turn:
            if self.__spec__ is not None and isinstance(self.__spec__.loader, _LaterLoader):
                _execute(self, self.__spec__)
        if name in vars(self):
            return vars(self)[name]
        raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")


def _execute(module: ModuleType, spec: ModuleSpec) -> None:
    later = spec.loader
    assert isinstance(later, _LaterLoader)
    spec.loader = module.__loader__ = later.loader
    if spec.submodule_search_locations is not None:
        module.__path__ = spec.submodule_search_locations
    try:
        later.loader.exec_module(module)
    except BaseException:
        spec.loader = module.__loader__ = later
        raise
    module.__class__ = ModuleType
