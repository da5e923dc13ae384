"""Names of Keras in a task and its space: a misspelt optimizer, schedule, loss or metric is found before a trial.

One among the options of a parameter, as in `optimizer=Choice("adam", "admo")`, would fail each trial that gets it.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from typing import Any

from tune_jobs.models import keras_optimizers, optimizers, schedules
from tune_jobs.models.keras_names import LOSSES, METRICS, OF_COMPILE
from tune_jobs.models.label_encodings import metric_names
from tune_jobs.search_spaces.narrowing import open_all
from tune_jobs.search_spaces.one_factor import AnySpace, OneFactor
from tune_jobs.search_spaces.protocol import TaskError
from tune_jobs.search_spaces.scalars import Choice, Value
from tune_jobs.search_spaces.task import Task

_OF_OPTIMIZERS = {
    "optimizer": (*optimizers.OPTIMIZERS, *keras_optimizers.OPTIMIZERS),
    "schedule": (*schedules.SCHEDULES, *keras_optimizers.SCHEDULES),
}


def check(task: Task) -> None:
    """Check the names of Keras that a task names, in its fields and in its space.

    Raises:
        TaskError: Keras has nothing of that name; with the nearest ones.
    """
    if task.build is None:
        return
    for kind, value in _named(task):
        known: Collection[str] = {"loss": LOSSES, "metric": METRICS | OF_COMPILE}.get(kind) or _OF_OPTIMIZERS[kind]
        is_known = value in known or (kind in _OF_OPTIMIZERS and value.lower() in map(str.lower, known))
        if not is_known:
            nearest = difflib.get_close_matches(value, known, n=3, cutoff=0.5)
            hint = f"; near it: {', '.join(nearest)}" if nearest else ""
            raise TaskError(f"task {task.name!r}: there is no {kind} named {value!r}{hint}")


def _named(task: Task) -> Iterator[tuple[str, str]]:
    """Yield the names with their kinds: "loss", "metric", "optimizer" or "schedule"."""
    for kind, nest in (("loss", task.loss), ("metric", task.metrics)):
        yield from ((kind, name) for name in _parts(nest) if isinstance(name, str))
    kinds = ("optimizer", "schedule", *(("loss",) if task.encoding is None else ()))
    for kind in set(kinds) - task.taken_elsewhere:
        yield from ((kind, value) for value in values_of(task.space, kind) if isinstance(value, str))


def values_of(space: AnySpace, name: str) -> Iterator[Value]:
    """Yield the options that a space has for a parameter, of all its choices."""
    if isinstance(space, OneFactor):
        yield from (point[name] for point in space.points().values() if name in point)
        return
    for question in open_all(space).questions():
        if question.name == name and isinstance(question.domain, Choice):
            yield from question.domain.options


def declared_metrics(task: Task) -> frozenset[str]:
    """Return the metrics that a task says it has, as far as that is known without Keras: without `val_` before them.

    Its model may have more: of its own steps, or of callbacks.
    """
    of_encoding: tuple[str, ...] | None = ()
    with suppress(Exception):  # a function of the task's own makes it
        of_encoding = metric_names(task.encoding_of(task.baseline))
    return frozenset({"loss", *(of_encoding or ()), *filter(None, map(_metric_name, _parts(task.metrics)))})


def _parts(nest: Any) -> Iterator[Any]:
    if isinstance(nest, Mapping | list | tuple):
        for part in nest.values() if isinstance(nest, Mapping) else nest:
            yield from _parts(part)
    else:
        yield nest


def _metric_name(metric: Any) -> str | None:
    name = metric if isinstance(metric, str) else getattr(metric, "name", getattr(metric, "__name__", None))
    return name if isinstance(name, str) else None
