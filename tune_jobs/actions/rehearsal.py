"""Refuse a new study whose task names what nobody has: Keras' names, metrics as objectives, params that nothing takes.

Names are known without Keras. For what only the model can say, a process of its own rehearses the task; it takes
seconds, and is not asked where the task says enough.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Sequence

from tune_jobs.datasets import AnyTrainingData, TrainingData
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


def check(
    task: Task,
    space: AnySpace,
    further: Sequence[Objective],
    data: AnyTrainingData | None,
    source: Callable[[], TaskSource],
    say: Say,
) -> None:
    """Check the names in a task, as a new study trains it.

    Raises:
        TaskError: there is no optimizer, loss or metric of a name, no metric that an objective names, or the builder
            compiles its model itself and the space has parameters for that.
    """
    known_names.check(task)
    if task.build is None or not isinstance(data, TrainingData):
        return
    doubtful = _doubtful(task, (task.objective, *further))
    unused = _unused_if_compiled(task, space)
    if not doubtful and not unused:
        return
    say("looking at a model of the task …")
    rehearsed = rehearsing.rehearse(source(), task, data)
    if rehearsed is not None:
        _refuse(task, rehearsed, doubtful, unused)


def _doubtful(task: Task, objectives: Sequence[Objective]) -> list[str]:
    """Return the metrics of objectives that the task does not say it has. What the catalogue declares is there."""
    if task.build.__module__.startswith("tune_jobs.") and tuple(objectives) == task.objectives:
        return []
    declared = known_names.declared_metrics(task) | {*MEASURED}
    return [aim.metric for aim in objectives if aim.metric.removeprefix("val_") not in declared]


def _unused_if_compiled(task: Task, space: AnySpace) -> list[str]:
    """Return the parameters that nobody would take if the builder compiled its model; none if its code never does."""
    names = [name for name in space.names() if name not in task.taken_elsewhere and name not in _OF_TRAINING]
    module = sys.modules.get(task.build.__module__)
    if not names or module is None or module.__name__.startswith("tune_jobs."):
        return []
    try:
        return names if "compile(" in inspect.getsource(module) else []
    except (OSError, TypeError):
        return []


def _refuse(task: Task, rehearsed: Rehearsal, doubtful: Sequence[str], unused: Sequence[str]) -> None:
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
