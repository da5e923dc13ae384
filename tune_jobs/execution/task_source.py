"""A task on its way to another machine, where the user's files need not exist: to a worker, or to a cluster.

A task of the catalogue travels as its name, that of a file with its files, and one made in Python by value.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tune_jobs import files, temporary
from tune_jobs.environment import end_safe_path, prepare_keras
from tune_jobs.search_spaces import catalog
from tune_jobs.search_spaces.python_tasks import is_made_in_python
from tune_jobs.search_spaces.task import Task
from tune_jobs.search_spaces.task_files import TaskFiles
from tune_jobs.words import Say


@dataclass(frozen=True)
class TaskSource:
    """What a worker needs to have a task: its name in the catalogue, the files that define it, or itself, pickled."""

    reference: str
    attribute: str | None = None
    files: TaskFiles | None = None
    pickled: bytes | None = None  # of a task made in Python

    @classmethod
    def of(cls, reference: str, also: Sequence[Path] = ()) -> TaskSource:
        """Return the source of a task that exists in this process or on this machine; `also` goes with its file.

        Raises:
            TaskError: a file of the task cannot be read, or a task made in Python cannot be pickled.
        """
        if is_made_in_python(reference):
            from tune_jobs.execution.pickled_task import pickle_task

            return cls(reference, pickled=pickle_task(catalog.find(reference)))
        file, attribute = catalog.split(reference)
        return cls(reference) if file is None else cls(reference, attribute, TaskFiles.gather(file, also))

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
        return catalog.load(self.files, self.attribute, _arrived(self.files))

    def say_what_travels(self, study: str, say: Say) -> None:
        """Say in one line which files go to a study's workers, and which do not, if there is more than the task's."""
        words = None if self.files is None else self.files.words()
        if words is not None:
            say(f"study {study}: {words}")


def keep(task_files: TaskFiles, folder: Path, *, durable: bool = True) -> Path:
    """Write a task's files under `folder`, for their owner alone; return the root in which they are now.

    Raises:
        UserError: a file cannot be written.
    """
    root = folder / task_files.digest
    if (root / task_files.name).exists():  # it is written last
        return root
    for name in sorted(task_files.contents, key=task_files.name.__eq__):
        files.make_folder((root / name).parent)
        files.write_bytes(root / name, task_files.contents[name], durable=durable, mode=0o600)
    return root


@functools.cache
def _private_folder() -> Path:
    return temporary.make()


def _arrived(task_files: TaskFiles) -> Path:
    """Write files that came to this process; return their root. What was too large to come is read where it lies, if
    this machine has it."""
    root = keep(task_files, _private_folder(), durable=False)
    for path in task_files.beside.linked:
        link = root / path.relative_to(task_files.root)
        if path.exists() and not link.exists():
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(path)
    return root
