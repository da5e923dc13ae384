"""Keras as it is out of the box, whatever the user's `keras.json` and variables say: scores must not depend on them.

Keras reads them while it is imported. What it took from there is put back at the end of the import, before a
task's own code can use it. A task may still choose other settings in its code.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from tune_jobs import later_imports
from tune_jobs.errors import SettingsError

SETTINGS = {  # of `keras.config`
    "floatx": "float32",
    "epsilon": 1e-7,
    "image_data_format": "channels_last",
    "max_epochs": None,  # of `fit` in a training loop of the task's own
    "max_steps_per_epoch": None,
}


def install() -> None:
    """Have Keras imported without the user's settings, from now on in this process."""
    if _finder not in sys.meta_path:
        sys.meta_path.insert(0, _finder)


class _KerasFinder(MetaPathFinder):
    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != "keras":
            return None
        others = (finder for finder in sys.meta_path if finder is not self)
        spec = next((spec for finder in others if (spec := finder.find_spec(fullname, path, target))), None)
        if spec is not None and spec.loader is not None:
            spec.loader = _NeutralLoader(spec.loader)
        return spec


class _NeutralLoader(Loader):
    """Loads Keras as its own loader does, and then resets its settings."""

    def __init__(self, loader: Loader) -> None:
        self._loader = loader

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        try:
            with later_imports.at_first_use(), later_imports.without_collections():
                self._loader.exec_module(module)
        except ValueError as error:  # a setting that does not exist
            raise SettingsError(f"Keras refuses its settings, keras.json or variables KERAS_…: {error}") from error
        module.__loader__ = self._loader
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        config = getattr(module, "config", None)
        if config is not None:  # else it is a module of the user's, of that name
            for name, value in SETTINGS.items():
                getattr(config, f"set_{name}")(value)


def other_settings(config: Any) -> str | None:
    """Return in words what `keras.config` has instead of `SETTINGS`; None if it has them."""
    found = {name: getattr(config, name)() for name in SETTINGS}
    other = [f"{name} {value}" for name, value in found.items() if value != SETTINGS[name]]
    return ", ".join(other) or None


_finder = _KerasFinder()
