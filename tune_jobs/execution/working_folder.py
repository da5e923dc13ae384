"""The working folder of a worker: one of its own in Ray's, never the one in which a command was typed.

TensorFlow looks below the working folder of a process that Ray has given another title for libraries of kernels, and
runs what it finds there (`LoadDynamicKernels`). So this has to be before it computes anything.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import ray


def enter_new(name: str) -> Path:
    """Make a folder that only this user may enter, change into it and return it."""
    folder = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=_parent()))
    os.chdir(folder)
    return folder


def leave() -> None:
    """Change into the folder of these folders."""
    os.chdir(_parent())


def _parent() -> Path:
    """Return a folder in Ray's own on this node, which lasts as long as the cluster."""
    context = ray.get_runtime_context()
    parent = Path(str(context.get_temp_dir()), str(context.get_session_name()), "trials")
    parent.mkdir(exist_ok=True)
    return parent
