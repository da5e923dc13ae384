"""Keras, imported when it is first used.

Importing it brings TensorFlow, 5 to 16 s of CPU: a command that only reads a task must not wait for that. Everything
in `models` says `from tune_jobs.models.lazy_keras import keras` and then writes Keras as usual.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import keras
else:

    class _LazyKeras:
        def __getattr__(self, name: str) -> Any:
            return getattr(importlib.import_module("keras"), name)

    keras = _LazyKeras()

__all__ = ["keras"]
