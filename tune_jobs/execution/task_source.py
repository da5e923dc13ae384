"""A task on its way to another machine, where the user's files need not exist: to a worker, or to a cluster.

A task of the catalogue travels as its name, that of a file with its files, and one made in Python by value.
"""

from __future__ import annotations

import atexit
import functools
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tune_jobs import files
from tune_jobs.search_spaces import catalog
from tune_jobs.search_spaces.python_tasks import is_made_in_python
from tune_jobs.search_spaces.task import Task
from tune_jobs.search_spaces.task_files import TaskFiles
from tune_jobs.settings import end_safe_path, prepare_keras


@dataclass(frozen=True)
class TaskSource:
    """What a worker needs to have a task: its name in the catalogue, the files that define it, or itself, pickled."""

    reference: str
    attribute: str | None = None
    files: TaskFiles | None = None
    pickled: bytes | None = None  # of a task made in Python

    @classmethod
    def of(cls, reference: str) -> TaskSource:
        """Return the source of a task that exists in this process or on this machine.

        Raises:
            TaskError: a file of the task cannot be read, or a task made in Python cannot be pickled.
        """
        if is_made_in_python(reference):
            from tune_jobs.execution.pickled_task import pickle_task

            return cls(reference, pickled=pickle_task(catalog.find(reference)))
        file, attribute = catalog.split(reference)
        return cls(reference) if file is None else cls(reference, attribute, TaskFiles.read(file))

    def load(self) -> Task:
        """Return the task. Its files are kept in a folder of this process, so that tracebacks can show their lines.

        The user's code runs in this process from now on, and may start others.

        Raises:
            TaskError: the task cannot be imported here.
        """
        end_safe_path()
        prepare_keras()
        if self.pickled is not None:
            from tune_jobs.execution.pickled_task import unpickle_task

            return unpickle_task(self.pickled)
        if self.files is None:
            return catalog.find(self.reference)
        return catalog.load(self.files, self.attribute, keep(self.files, _private_folder()).parent)


def keep(task_files: TaskFiles, folder: Path) -> Path:
    """Write a task's files under `folder`, for their owner alone; return where the task file is.

    Raises:
        UserError: a file cannot be written.
    """
    path = folder / task_files.digest / task_files.name
    if path.exists():  # it is written last
        return path
    for name in sorted(task_files.contents, key=task_files.name.__eq__):
        (path.parent / name).parent.mkdir(parents=True, exist_ok=True)
        files.write_bytes(path.parent / name, task_files.contents[name], mode=0o600)
    return path


@functools.cache
def _private_folder() -> Path:
    """Return a folder that only this user can read and write. It exists as long as this process."""
    folder = Path(tempfile.mkdtemp(prefix="tune-jobs-task-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder
