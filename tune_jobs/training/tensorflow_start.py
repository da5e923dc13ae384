"""Import TensorFlow in a command that people watch, without the messages that its libraries write."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

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
