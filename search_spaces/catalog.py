"""The tasks there are, and how a reference becomes one: a name of the catalogue, or a user's own file."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
import stat
import sys
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

from tune_jobs.search_spaces.protocol import TaskError
from tune_jobs.search_spaces.python_tasks import is_made_in_python, recall, remember
from tune_jobs.search_spaces.spelling import near
from tune_jobs.search_spaces.task import Task
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
}
TASKS: tuple[Task, ...] = tuple(task for tasks in GROUPS.values() for task in tasks)


def find(reference: str) -> Task:
    """The task of a name in the catalogue, of `FILE.py:NAME`, or of `FILE.py` with one task in it.

    Raises:
        TaskError: there is none, or the file cannot be read or imported; in one line.
    """
    file, attribute = split(reference)
    if file is None and is_made_in_python(reference):
        return recall(reference, repr(reference))
    if file is None:
        return _named(reference)
    try:
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise TaskError(f"no file {file}; a task of your own is named FILE.py or FILE.py:NAME") from None
    except (OSError, UnicodeDecodeError) as error:
        raise TaskError(f"{file} cannot be read: {error}") from None
    return _task_of(_imported(file.resolve(), text), file.name, attribute)


def find_said(reference: str, said_by: str) -> Task:
    """The task of a reference that nobody typed: it stands in `said_by`, which may come from anybody. A task's file is
    Python and runs when it is read; one that is not ours, or is no task's, is not.

    Raises:
        TaskError: as `find`; or the file may be another user's, or has no task in it.
    """
    file, _ = split(reference)
    if file is None and is_made_in_python(reference):
        return recall(reference, said_by)
    if file is not None and file.is_file():
        found = file.stat()
        if found.st_uid not in (0, os.getuid()) or found.st_mode & stat.S_IWOTH:
            raise TaskError(
                f"{said_by} names the task file {file}, which another user can write: it is Python, and not run. "
                "Look at it, and make it yours alone"
            )
        if not re.search(rb"search_spaces|\bTask\b", file.read_bytes()):
            raise TaskError(f"{said_by} names {file}, which has no task in it: it is not run")
    return find(reference)


def reference_of(task: Task) -> str:
    """Return a reference under which `find` finds the task, in this process at least."""
    return task.name if any(task is known for known in TASKS) else remember(task)


def split(reference: str) -> tuple[Path | None, str | None]:
    """The file and the attribute that a reference names, if it names a file; `~` is the home folder."""
    if reference.endswith(".py"):
        return Path(reference).expanduser(), None
    file, _, attribute = reference.rpartition(":")
    return (Path(file).expanduser(), attribute) if file.endswith(".py") else (None, None)


def load_text(path: Path, text: str, attribute: str | None) -> Task:
    """Return the task in a text that lies in the file `path`.

    Raises:
        TaskError: the text cannot be imported or has no such task; in one line.
    """
    return _task_of(_imported(path.resolve(), text), path.name, attribute)


def _named(name: str) -> Task:
    for task in TASKS:
        if task.name == name:
            return task
    raise TaskError(f"no task named {name!r}{near(name, (task.name for task in TASKS))}. `tune-jobs tasks` lists all")


def _imported(path: Path, text: str) -> ModuleType:
    """The module of a file, imported once for each text, under a name that no other module has.

    The text is compiled here and not by the import system, whose cached bytecode would outlive an edit made within
    the same second.
    """
    name = f"task_file_{hashlib.sha256(f'{path}:{text}'.encode()).hexdigest()[:16]}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None  # the file ends on .py
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # before it runs: dataclasses look their own module up
    try:
        with _importable(path.parent):
            exec(compile(text, str(path), "exec"), module.__dict__)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise TaskError(_what_happened(path, error)) from error
    return module


@contextmanager
def _importable(folder: Path) -> Iterator[None]:
    """Files beside a task's own can be imported by it while it is."""
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))


def _what_happened(path: Path, error: BaseException) -> str:
    """`own.py, line 3: NameError: name 'Spcae' is not defined`: where in the user's file, and what, in one line."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
    line = error.lineno if isinstance(error, SyntaxError) and error.filename == str(path) else (lines or [None])[-1]
    where = path.name if line is None else f"{path.name}, line {line}"
    message = " ".join((error.msg if isinstance(error, SyntaxError) else str(error)).split())
    if isinstance(error, ValueError) and type(error).__module__.startswith("tune_jobs.search_spaces."):
        return f"{where}: {message}"
    return f"{where}: {type(error).__name__}{': ' * bool(message)}{message}"


def _task_of(module: ModuleType, file_name: str, attribute: str | None) -> Task:
    tasks: dict[str, Task] = {name: found for name, found in vars(module).items() if _is_own_task(found)}
    if attribute is not None:
        named: object = getattr(module, attribute, None)
        if isinstance(named, Task):
            return named
        came = f"is no Task but {type(named).__name__}" if hasattr(module, attribute) else "is not in it"
        raise TaskError(f"{file_name}: {attribute!r} {came}; its tasks: {', '.join(tasks) or 'none'}")
    if not tasks:
        raise TaskError(f"{file_name} has no Task at its top level")
    if len({id(task) for task in tasks.values()}) > 1:
        raise TaskError(
            f"{file_name} has several tasks, {', '.join(tasks)}: name one, as {file_name}:{next(iter(tasks))}"
        )
    return next(iter(tasks.values()))


def _is_own_task(found: object) -> bool:
    """A task of the catalogue that a file imports, to start from, is not the file's own."""
    return isinstance(found, Task) and all(found is not task for task in TASKS)
