"""Matplotlib without a `matplotlibrc` of the working folder, which anybody may have put there: other plots, an error or
a pipe that is waited for. Keras imports Matplotlib too.

Matplotlib looks there first while it is imported, and no variable says otherwise.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

TYPE_CHECKING = False  # as in `typing`, which takes a moment to import
if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType


def install() -> None:
    """Have Matplotlib imported from a folder in which only root writes, from now on in this process."""
    if _finder not in sys.meta_path:
        sys.meta_path.insert(0, _finder)


class _Finder:
    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != "matplotlib":
            return None
        others = (finder for finder in sys.meta_path if finder is not self)
        spec = next((spec for finder in others if (spec := finder.find_spec(fullname, path, target))), None)
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def execute_elsewhere(module: ModuleType) -> None:
                with _elsewhere():
                    execute(module)

            spec.loader.exec_module = execute_elsewhere  # type: ignore[method-assign]
        return spec


_finder = _Finder()


@contextmanager
def _elsewhere() -> Iterator[None]:
    """Be in the root folder during the block."""
    here = os.open(".", os.O_PATH)  # which may have no name any more, and need not be readable
    try:
        os.chdir("/")
        yield
    finally:
        os.fchdir(here)
        os.close(here)
