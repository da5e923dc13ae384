"""TensorFlow, imported by a command that people watch: its devices set, its start-up messages kept back."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from tune_jobs.settings import prepare_tensorflow


def start(cpus: float) -> None:
    """Imports TensorFlow and prepares its devices (`training.prepare_devices`); call it before the first op.

    Up to TensorFlow 2.21 its libraries write lines to stderr while they are loaded, whatever TF_CPP_MIN_LOG_LEVEL
    says. They are kept back, and shown if the import fails.
    """
    prepare_tensorflow()
    with _native_stderr_kept_back():
        from tune_jobs.training import compiled

        compiled.prepare_devices(cpus)


@contextmanager
def _native_stderr_kept_back() -> Iterator[None]:
    """What is written to the descriptor of stderr in the block appears if the block raises."""
    if sys.stderr is not None:
        sys.stderr.flush()
    stderr = os.dup(2)
    with tempfile.TemporaryFile() as kept:
        os.dup2(kept.fileno(), 2)
        try:
            yield
        except BaseException:
            kept.seek(0)
            os.write(stderr, kept.read())
            raise
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
