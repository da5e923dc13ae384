"""Rehearse a new study in a process of its own, on the CPU, before Ray starts. This one keeps no TensorFlow.

    python -P -m tune_jobs.execution.rehearsing FOLDER

is that process: it reads what is rehearsed from the folder, and writes what came of it there.
"""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from tune_jobs import temporary
from tune_jobs.datasets import TrainingData
from tune_jobs.decoding import ContentError, decode_json
from tune_jobs.environment import with_variables
from tune_jobs.execution.task_source import TaskSource
from tune_jobs.search_spaces.protocol import Objective, Protocol
from tune_jobs.search_spaces.task import Task
from tune_jobs.training import tensorflow_start
from tune_jobs.training.rehearsal import Rehearsal

_GIVEN, _ANSWER = "given.pickle", "answer.json"
_PATIENCE_S = 120.0
_NO_GPUS = {"CUDA_VISIBLE_DEVICES": "", "HIP_VISIBLE_DEVICES": ""}


@dataclass(frozen=True)
class _Given:
    source: TaskSource
    protocol: Protocol
    objective: Objective
    data: TrainingData  # a few rows


def rehearse(source: TaskSource, task: Task, data: TrainingData) -> Rehearsal | None:
    """Return how a model of the task's baseline is on a few rows of its data; None if that cannot be told."""
    from tune_jobs.training.rehearsal import few_rows

    given = _Given(source, task.protocol, task.objective, few_rows(data))
    with temporary.folder() as folder, with_variables(_NO_GPUS):
        (folder / _GIVEN).write_bytes(pickle.dumps(given))
        command = [sys.executable, "-P", "-m", __name__, str(folder)]
        quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        try:
            subprocess.run(command, timeout=_PATIENCE_S, check=True, **quiet)  # type: ignore[call-overload]
            return decode_json(Rehearsal, (folder / _ANSWER).read_bytes(), "a rehearsal")
        except (OSError, subprocess.SubprocessError, ContentError):
            return None


def _answer(folder: Path) -> None:
    given: _Given = pickle.loads((folder / _GIVEN).read_bytes())
    os.chdir(folder)  # as a trial, it works in a folder of its own: its callbacks may write files
    tensorflow_start.start(1)
    task = replace(given.source.load(), protocol=given.protocol, objective=given.objective)
    from tune_jobs.training import rehearsal

    (folder / _ANSWER).write_text(json.dumps(asdict(rehearsal.rehearse(task, given.data))))


if __name__ == "__main__":
    _answer(Path(sys.argv[1]))
