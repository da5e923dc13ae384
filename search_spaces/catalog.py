"""The catalogue of tasks, and how a reference becomes a task: a name in the catalogue, or a user's own file."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType

from tune_jobs.search_spaces import dtype_policies, own_files, task_code
from tune_jobs.search_spaces.own_modules import import_task
from tune_jobs.search_spaces.protocol import TaskError
from tune_jobs.search_spaces.python_tasks import is_made_in_python, recall, remember
from tune_jobs.search_spaces.spelling import near
from tune_jobs.search_spaces.task import Task
from tune_jobs.search_spaces.task_files import TaskFiles
from tune_jobs.search_spaces.tasks.cifar10 import CIFAR10_CNN, CIFAR10_MLP
from tune_jobs.search_spaces.tasks.clock import CLOCK_ENCODINGS, CLOCK_ENCODINGS_UPRIGHT, CLOCK_FINAL, CLOCK_QUICK
from tune_jobs.search_spaces.tasks.digits import DIGITS_CNN, DIGITS_MLP
from tune_jobs.search_spaces.tasks.fashion_mnist import (
    FASHION_MNIST_CNN,
    FASHION_MNIST_CNN_LAYERS,
    FASHION_MNIST_CNN_OPEN,
    FASHION_MNIST_MLP,
    FASHION_MNIST_MLP_DROPOUT,
    FASHION_MNIST_MLP_LAYERS,
    FASHION_MNIST_MLP_OPEN,
)
from tune_jobs.search_spaces.tasks.generative import (
    BUTTERFLIES_GAN,
    BUTTERFLIES_VAE,
    FASHION_MNIST_CAE,
    FASHION_MNIST_GAN,
    FASHION_MNIST_VAE,
    FASHION_MNIST_VAE_BETA,
    GENERATIVE_QUICK,
    MNIST_CAE,
    MNIST_GAN,
    MNIST_VAE,
    MNIST_VAE_BETA,
)
from tune_jobs.search_spaces.tasks.mnist import MNIST_CNN, MNIST_MLP
from tune_jobs.search_spaces.tasks.mnist_factors import MNIST_CNN_FACTORS, MNIST_MLP_FACTORS
from tune_jobs.search_spaces.tasks.permuted import (
    PERMUTED_FASHION_MNIST_CNN,
    PERMUTED_FASHION_MNIST_MLP,
    PERMUTED_MNIST_CNN,
    PERMUTED_MNIST_MLP,
)

GROUPS: Mapping[str, tuple[Task, ...]] = {
    "to try things on": (DIGITS_MLP, DIGITS_CNN),
    "MNIST": (MNIST_MLP, MNIST_CNN, MNIST_MLP_FACTORS, MNIST_CNN_FACTORS),
    "Fashion-MNIST, perceptrons": (
        FASHION_MNIST_MLP_LAYERS,
        FASHION_MNIST_MLP,
        FASHION_MNIST_MLP_DROPOUT,
        FASHION_MNIST_MLP_OPEN,
    ),
    "Fashion-MNIST, convolutions": (FASHION_MNIST_CNN_LAYERS, FASHION_MNIST_CNN, FASHION_MNIST_CNN_OPEN),
    "CIFAR-10": (CIFAR10_MLP, CIFAR10_CNN),
    "telling the time": (CLOCK_QUICK, CLOCK_ENCODINGS, CLOCK_ENCODINGS_UPRIGHT, CLOCK_FINAL),
    "permuted pixels": (
        PERMUTED_MNIST_MLP,
        PERMUTED_MNIST_CNN,
        PERMUTED_FASHION_MNIST_MLP,
        PERMUTED_FASHION_MNIST_CNN,
    ),
    "making pictures": (
        GENERATIVE_QUICK,
        MNIST_CAE,
        MNIST_VAE,
        MNIST_VAE_BETA,
        MNIST_GAN,
        FASHION_MNIST_CAE,
        FASHION_MNIST_VAE,
        FASHION_MNIST_VAE_BETA,
        FASHION_MNIST_GAN,
        BUTTERFLIES_VAE,
        BUTTERFLIES_GAN,
    ),
}
TASKS: tuple[Task, ...] = tuple(task for tasks in GROUPS.values() for task in tasks)


def find(reference: str, also: Sequence[Path] = ()) -> Task:
    """Return the task of a reference: a name in the catalogue, `FILE.py:NAME`, or `FILE.py` with one task in it.

    A task file may import what lies beside it, and what `also` names.

    Raises:
        TaskError: there is no such task, or the file cannot be read or imported; in one line.
    """
    file, attribute = split(reference)
    if file is None and also:
        raise TaskError(f"{also[0]} can go with a task file, FILE.py:NAME, and not with {reference}: leave out --with")
    if file is None and is_made_in_python(reference):
        return recall(reference, repr(reference))
    if file is None:
        return _named(reference)
    files = TaskFiles.read(file, also)
    return load(files, attribute, files.root)


def find_said(reference: str, said_by: str, also: Sequence[Path] = ()) -> Task:
    """Return the task of a reference that `said_by` contains, which may come from anybody.

    A task file is Python and runs when it is imported. So it is refused if another user can write it, a file that it
    imports or one of their folders, or if it has no task in it. What runs is what was looked at.

    Raises:
        TaskError: as `find`, or a file is refused.
    """
    file, attribute = split(reference)
    if file is None and is_made_in_python(reference):
        return recall(reference, said_by)
    if file is None:
        return find(reference, also)
    if not file.exists():
        raise TaskError(
            f"{said_by} names the task file {file}, which is not there: put it back, or go on from its new place with "
            "`tune-jobs launch FILE.py --study NAME`"
        )
    files = TaskFiles.read(file, also, functools.partial(_own_content, said_by=said_by))
    if not re.search(rb"search_spaces|\bTask\b", files.contents[files.name]):
        raise TaskError(f"{said_by} names {file}, which has no task in it: it is not run")
    return load(files, attribute, files.root)


def _own_content(file: Path, said_by: str) -> bytes:
    try:
        return own_files.read(file)
    except own_files.OtherWriterError as error:
        raise TaskError(
            f"{said_by} names the task file {file}, {error}: it is Python, and not run. "
            "Look at it, and make it yours alone"
        ) from None


def reference_of(task: Task) -> str:
    """Return a reference under which `find` finds the task, in this process at least."""
    return task.name if any(task is known for known in TASKS) else remember(task)


def split(reference: str) -> tuple[Path | None, str | None]:
    """Return the file and the attribute that a reference names, if it names a file; `~` is the home folder."""
    if reference.endswith(".py"):
        return Path(reference).expanduser(), None
    file, _, attribute = reference.rpartition(":")
    return (Path(file).expanduser(), attribute) if file.endswith(".py") else (None, None)


def lasting(reference: str) -> str:
    """Return the reference in a form that is found from any folder."""
    file, attribute = split(reference)
    if file is None:
        return reference
    return str(file.resolve()) if attribute is None else f"{file.resolve()}:{attribute}"


def code_digest(reference: str, also: Sequence[Path] = ()) -> str | None:
    """Return a digest of the code of a task's file and of what it imports beside it; None for a task without a file."""
    file, _ = split(reference)
    return None if file is None else task_code.digest(TaskFiles.read(file, also))


def load(files: TaskFiles, attribute: str | None, folder: Path) -> Task:
    """Return the task in some files, whose root is this folder.

    Raises:
        TaskError: the task file cannot be imported or has no such task; in one line.
    """
    module, file = import_task(files, folder), Path(files.name).name
    return dtype_policies.taken_over(_task_in(module, attribute, file), module, file)


def _task_in(module: ModuleType, attribute: str | None, file: str) -> Task:
    tasks: dict[str, Task] = {name: value for name, value in vars(module).items() if _is_own_task(value)}
    if attribute is not None:
        value: object = getattr(module, attribute, None)
        if isinstance(value, Task):
            return value
        problem = f"is no Task but {type(value).__name__}" if hasattr(module, attribute) else "is not in it"
        raise TaskError(f"{file}: {attribute!r} {problem}; its tasks: {', '.join(tasks) or 'none'}")
    if not tasks:
        raise TaskError(f"{file} has no Task at its top level")
    if len({id(task) for task in tasks.values()}) > 1:
        raise TaskError(f"{file} has several tasks, {', '.join(tasks)}: name one, as {file}:{next(iter(tasks))}")
    return next(iter(tasks.values()))


def _named(name: str) -> Task:
    for task in TASKS:
        if task.name == name:
            return task
    raise TaskError(f"no task named {name!r}{near(name, (task.name for task in TASKS))}. `tune-jobs tasks` lists all")


def _is_own_task(value: object) -> bool:
    """Return True for a task that the file itself declares, not for one of the catalogue that it imports."""
    return isinstance(value, Task) and all(value is not task for task in TASKS)
