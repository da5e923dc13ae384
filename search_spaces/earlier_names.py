"""Task files of earlier versions: they import our packages as `models` and `search_spaces`, and must keep working.

An import of an earlier name gives the module that has it today, the same object as under its own name. A user's own
module of such a name wins. `tune_jobs` itself never imports these names.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

PACKAGES = {  # each with the packages that have its modules today
    "models": ("tune_jobs.models",),
    "search_spaces": ("tune_jobs.search_spaces", "tune_jobs.search_spaces.tasks"),
}
_MOVED = {"search_spaces.domains": "tune_jobs.search_spaces", "search_spaces.conditions": "tune_jobs.search_spaces"}


def install() -> None:
    """Make the earlier names importable in this process."""
    if _finder not in sys.meta_path:
        sys.meta_path.insert(0, _finder)


def imported() -> set[str]:
    """Return the earlier names that stand for modules of ours in this process."""
    names = (name for name in sys.modules if name.partition(".")[0] in PACKAGES)
    return {name for name in names if sys.modules[name].__name__.startswith("tune_jobs.")}


class _EarlierNames(MetaPathFinder):
    """Finds what no other finder has. It stands first, because below our packages no other finder may be asked."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname.partition(".")[0] not in PACKAGES:
            return None
        today = _today(fullname)
        parent = sys.modules.get(fullname.rpartition(".")[0])
        if parent is None or not parent.__name__.startswith("tune_jobs."):
            others = (finder for finder in sys.meta_path if finder is not self)
            spec = next((spec for finder in others if (spec := finder.find_spec(fullname, path, target))), None)
            if spec is not None and (today is None or not _is_ours_or_empty(spec, fullname)):
                return spec
        return None if today is None else ModuleSpec(fullname, _SameModule(today))


class _SameModule(Loader):
    """Puts the module of another name in place of a new one."""

    def __init__(self, name: str) -> None:
        self._name = name

    def exec_module(self, module: ModuleType) -> None:
        sys.modules[module.__name__] = importlib.import_module(self._name)


_finder = _EarlierNames()


def _today(name: str) -> str | None:
    """Return the present name of a module, if it exists."""
    package, _, rest = name.partition(".")
    names = [_MOVED[name]] if name in _MOVED else [f"{today}.{rest}".rstrip(".") for today in PACKAGES[package]]
    return next((today for today in names if _exists(today)), None)


def _exists(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:  # its parent is not a package
        return False


def _is_ours_or_empty(spec: ModuleSpec, name: str) -> bool:
    """Return True for the folder of a checkout that lies on the path, and for a folder without an `__init__.py`."""
    ours = importlib.import_module(PACKAGES[name][0]).__path__ if name in PACKAGES else ()
    places = {Path(place).resolve() for place in spec.submodule_search_locations or ()}
    return spec.loader is None or not places.isdisjoint(Path(place).resolve() for place in ours)
