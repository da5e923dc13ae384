"""Refuse a new study whose task names what nobody has, or asks for what no trial could do.

Names are known without Keras. For what only the model can say, a process of its own rehearses the task; it takes
seconds, and is not asked where the task says enough.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress

from tune_jobs.datasets import AnyTrainingData, TrainingData, nests
from tune_jobs.execution import rehearsing
from tune_jobs.execution.task_source import TaskSource
from tune_jobs.records.objectives import MEASURED
from tune_jobs.search_spaces import known_names
from tune_jobs.search_spaces.one_factor import AnySpace
from tune_jobs.search_spaces.protocol import Objective, TaskError
from tune_jobs.search_spaces.spelling import near
from tune_jobs.search_spaces.task import Task
from tune_jobs.training.rehearsal import Rehearsal
from tune_jobs.words import Say

_OF_TRAINING = ("batch_size",)  # taken whoever compiles
_COMPILES = re.compile(r"(?<!\bre)\.compile\(")
_OWN_LOOP = re.compile(r"def (fit|make_train_function|make_test_function)\b")


def check(
    task: Task,
    space: AnySpace,
    further: Sequence[Objective],
    data: AnyTrainingData | None,
    source: Callable[[], TaskSource],
    say: Say,
) -> None:
    """Check the names in a task, as a new study trains it, and what only its model can say.

    Raises:
        TaskError: there is no optimizer, loss or metric of a name, no metric that an objective names; or the builder
            compiles its model itself and the space has parameters for that; or no trial could be trained, for its
            callbacks, its model's class, its loss or its labels.
    """
    known_names.check(task)
    if task.build is None or not isinstance(data, TrainingData):
        return
    code = _code(task, source)
    doubtful = _doubtful(task, (task.objective, *further))
    unused = _unused_if_compiled(task, space, code)
    if not (doubtful or unused or _may_be_refused(task, data, code)):
        return
    say("looking at a model of the task …")
    rehearsed = rehearsing.rehearse(source(), task, data)
    if rehearsed is not None:
        _refuse(task, rehearsed, doubtful, unused)


def _code(task: Task, source: Callable[[], TaskSource]) -> str:
    """Return the code of a task of the user's and of the modules beside it; none of a task of the catalogue."""
    files = source().files
    if files is not None:
        return "\n".join(content.decode(errors="replace") for content in files.code.values())
    if task.build.__module__.startswith("tune_jobs."):
        return ""
    for part in (sys.modules.get(task.build.__module__), task.build):  # of a task made in Python
        with suppress(OSError, TypeError):
            return inspect.getsource(part)  # type: ignore[arg-type]
    return ""


def _doubtful(task: Task, objectives: Sequence[Objective]) -> list[str]:
    """Return the metrics of objectives that the task does not say it has. What the catalogue declares is there."""
    if task.build.__module__.startswith("tune_jobs.") and tuple(objectives) == task.objectives:
        return []
    declared = known_names.declared_metrics(task) | {*MEASURED}
    return [aim.metric for aim in objectives if aim.metric.removeprefix("val_") not in declared]


def _unused_if_compiled(task: Task, space: AnySpace, code: str) -> list[str]:
    """Return the parameters that nobody would take if the builder compiled its model; none if its code never does."""
    names = [name for name in space.names() if name not in task.taken_elsewhere and name not in _OF_TRAINING]
    return names if _COMPILES.search(code) else []


def _may_be_refused(task: Task, data: TrainingData, code: str) -> bool:
    """Return whether it may be that no trial could be trained, as far as the task and its code tell."""
    if task.callbacks is not None or _OWN_LOOP.search(code):
        return True
    if task.encoding is not None:
        return False
    has_loss = task.loss is not None or "loss" in task.space.names()
    if has_loss == bool(_COMPILES.search(code)):
        return True
    is_sparse = "sparse" in f"{code} {task.loss}".lower()
    return is_sparse and any(array.dtype.kind in "iu" for array in nests.arrays(data.train.labels))


def _refuse(task: Task, rehearsed: Rehearsal, doubtful: Sequence[str], unused: Sequence[str]) -> None:
    if rehearsed.refusal is not None:
        raise TaskError(f"task {task.name!r}: {rehearsed.refusal}")
    if rehearsed.compiles_itself and unused:
        is_are = "is" if len(unused) == 1 else "are"
        raise TaskError(
            f"task {task.name!r}: its build compiles the model, so that nobody takes {', '.join(unused)}, which "
            f"{is_are} in the space: let build take {'it' if len(unused) == 1 else 'them'}, or leave compiling out"
        )
    missing = [name for name in doubtful if name not in rehearsed.metrics]
    if rehearsed.metrics and missing:
        raise TaskError(
            f"task {task.name!r}: no metric is named {missing[0]!r}{near(missing[0], rehearsed.metrics)}; an epoch has "
            f"{', '.join(rehearsed.metrics)}"
        )
