"""Keras, imported when it is first used.

Keras imports TensorFlow, which takes 5 to 16 s of CPU; a command that only reads a task must not wait for that. Every
module of `models` begins with `from tune_jobs.models.lazy_keras import keras` and then uses Keras as usual.
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
