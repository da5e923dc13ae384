"""Import TensorFlow in a command that people watch, without the messages that its libraries write."""

from __future__ import annotations

import importlib.util
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

from tune_jobs.settings import prepare_tensorflow


def start(cpus: float) -> None:
    """Import TensorFlow and prepare its devices for `cpus` threads; call it before the first op.

    Up to TensorFlow 2.21 its libraries write lines to stderr while they are loaded, whatever TF_CPP_MIN_LOG_LEVEL is.
    They are held back, and shown only if the import fails.
    """
    prepare_tensorflow()
    with _native_stderr_held_back():
        from tune_jobs.training import tensorflow_process

        tensorflow_process.prepare_devices(cpus)


@contextmanager
def prepared(cpus: float | None) -> Iterator[None]:
    """Prepare TensorFlow's devices as soon as code in the block imports it, before that code can use it.

    None is for a process that does not train: TensorFlow takes no more of a GPU than it needs, and every thread.
    """
    finder = _FindsTensorFlow(cpus)
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        if finder in sys.meta_path:
            sys.meta_path.remove(finder)


class _FindsTensorFlow(MetaPathFinder):
    """Finds TensorFlow as Python does, once, and has its devices prepared when it is imported."""

    def __init__(self, cpus: float | None) -> None:
        self._cpus = cpus

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != "tensorflow":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(fullname)
        if spec is not None and spec.loader is not None:
            spec.loader = _PreparingLoader(spec.loader, self._cpus)
        return spec


class _PreparingLoader(Loader):
    """Imports TensorFlow as its own loader does, then prepares its devices."""

    def __init__(self, loader: Loader, cpus: float | None) -> None:
        self._loader, self._cpus = loader, cpus

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        if module.__spec__ is not None:
            module.__spec__.loader = module.__loader__ = self._loader
        prepare_tensorflow()
        with _native_stderr_held_back():
            self._loader.exec_module(module)
            from tune_jobs.training import tensorflow_process

            tensorflow_process.limit_devices(self._cpus)


@contextmanager
def _native_stderr_held_back() -> Iterator[None]:
    """Hold back what is written to the descriptor of stderr in the block, and write it only if the block raises."""
    if sys.stderr is not None:
        sys.stderr.flush()
    stderr = os.dup(2)
    with tempfile.TemporaryFile() as messages:
        os.dup2(messages.fileno(), 2)
        try:
            yield
        except BaseException:
            messages.seek(0)
            os.write(stderr, messages.read())
            raise
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
