"""Import TensorFlow without the messages that its libraries write: ours here, that of a task's file wherever it stands.

Up to TensorFlow 2.21 its libraries write lines to stderr while they are loaded, whatever TF_CPP_MIN_LOG_LEVEL is. They
are held back, and shown only if the import fails. A user who sets that variable to 0, 1 or 2 sees all of them.
"""

from __future__ import annotations

import functools
import importlib.util
import logging
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import TYPE_CHECKING, Any

from tune_jobs.environment import prepare_tensorflow, tensorflow_is_quiet

if TYPE_CHECKING:
    from tune_jobs.datasets import AnyTrainingData

_Around = Callable[[], AbstractContextManager[None]]


def start(cpus: float, gpu_share: float | None = None, *, portable: bool = False) -> None:
    """Import TensorFlow and prepare its devices for `cpus` threads and a share of a GPU; call it before the first op.

    Without a share it gets the whole GPU; with 2 or more, as many GPUs together. A `portable` process computes on a CPU
    with instructions that other processors have too.
    """
    prepare_tensorflow(portable=portable)
    with _native_stderr_held_back():
        from tune_jobs.training import tensorflow_process

        tensorflow_process.prepare_devices(cpus, gpu_share)


def check_room(data: AnyTrainingData | None, gpu_share: float | None = None) -> None:
    """Check, once TensorFlow has started, that data which are to stay on the device fit there. Raises DataError."""
    from tune_jobs.training import tensorflow_process

    tensorflow_process.check_room(data, gpu_share)


def preload() -> None:
    """Import what a process that trains imports, and touch no device, so that the process can be forked.

    Raises:
        RuntimeError: if TensorFlow has set up its devices.
    """
    prepare_tensorflow()
    with _native_stderr_held_back():
        from tune_jobs.training import tensorflow_process, trial  # noqa: F401

        tensorflow_process.check_unused()


@contextmanager
def quiet() -> Iterator[None]:
    """Keep TensorFlow's messages from the terminal for the block, whoever imports it there."""
    if not tensorflow_is_quiet():
        yield
        return
    logger = logging.getLogger("tensorflow")
    logger.addFilter(_is_error)
    try:
        with _imported_within(_native_stderr_held_back):
            yield
    finally:
        logger.removeFilter(_is_error)


def hush() -> None:
    """Do as `quiet` until this process ends."""
    if tensorflow_is_quiet():
        sys.meta_path.insert(0, _Finder(_native_stderr_held_back))
        logging.getLogger("tensorflow").addFilter(_is_error)


def _is_error(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.ERROR


@contextmanager
def prepared(cpus: float | None) -> Iterator[None]:
    """Prepare TensorFlow's devices as soon as code in the block imports it, before that code can use it.

    None is for a process that does not train: TensorFlow takes no more of a GPU than it needs, and every thread.
    """
    with _imported_within(functools.partial(_limited_devices, cpus)):
        yield


@contextmanager
def _limited_devices(cpus: float | None) -> Iterator[None]:
    """Limit the devices of the TensorFlow that the block imports."""
    prepare_tensorflow()
    with _native_stderr_held_back():
        yield
        from tune_jobs.training import tensorflow_process

        tensorflow_process.limit_devices(cpus)


@contextmanager
def _imported_within(around: _Around) -> Iterator[None]:
    """Import TensorFlow within `around`, if code in the block imports it."""
    finder = _Finder(around)
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)


class _Finder:
    """Finds TensorFlow as Python does, and has Python import it within a context."""

    def __init__(self, around: _Around) -> None:
        self._around = around
        self._is_asked = False  # by itself

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name != "tensorflow" or self._is_asked:
            return None
        self._is_asked = True
        try:
            spec = importlib.util.find_spec(name)
        finally:
            self._is_asked = False
        if spec is not None and spec.loader is not None:
            loader: Any = spec.loader
            loader.exec_module = self._within(loader.exec_module)
        return spec

    def _within(self, execute: Callable[[ModuleType], None]) -> Callable[[ModuleType], None]:
        def exec_module(module: ModuleType) -> None:
            with self._around():
                execute(module)

        return exec_module


@contextmanager
def _native_stderr_held_back() -> Iterator[None]:
    """Hold back what is written to the descriptor of stderr in the block, and write it only if the block raises."""
    if not tensorflow_is_quiet():
        yield
        return
    import tempfile  # takes a moment, which a command without TensorFlow does not have

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
