"""Code that TensorFlow generates, as modules of this process alone.

AutoGraph writes it to a file among the temporary ones and imports that. Python would look for it in compiled form in
the folder `__pycache__` beside the file, and leave it there: in /tmp another user may have made that folder.
"""

from __future__ import annotations

import functools
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from tensorflow.python.autograph.pyct import loader

_lock = threading.Lock()  # the settings are those of all threads


def keep_private() -> None:
    """Have AutoGraph neither read nor write compiled code from now on. A second call does nothing."""
    if not hasattr(loader.load_source, "__wrapped__"):
        loader.load_source = _privately(loader.load_source)


def _privately(load: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(load)
    def load_source(*arguments: Any, **options: Any) -> Any:
        with _lock, _without_compiled_files():
            return load(*arguments, **options)

    return load_source


@contextmanager
def _without_compiled_files() -> Iterator[None]:
    """Have Python find no compiled module in the block: a file that is no folder has none."""
    before = sys.pycache_prefix, sys.dont_write_bytecode
    sys.pycache_prefix, sys.dont_write_bytecode = os.devnull, True
    try:
        yield
    finally:
        sys.pycache_prefix, sys.dont_write_bytecode = before
