"""What a task may bring in place of a network: a training loop, or any function of params."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from tune_jobs.search_spaces.declarations import is_known, why_not_called
from tune_jobs.search_spaces.scalars import Params

GIVEN_TO_RUN = ("seed", "checkpoint", "artifacts")  # to a function that takes them by these names


class Rows(typing.Protocol):
    """A part of a data set: inputs, labels and perhaps weights, each `(N, ...)`, or a mapping or tuple of such."""

    @property
    def x(self) -> Any: ...
    @property
    def labels(self) -> Any: ...
    @property
    def weights(self) -> Any: ...


class TrainingData(typing.Protocol):
    """The data that a task's own training loop gets; the test split is not among them."""

    @property
    def train(self) -> Rows: ...
    @property
    def validation(self) -> Rows: ...


class TrainFunction(typing.Protocol):
    """A task's own training loop: a generator of the metrics of each epoch."""

    def __call__(
        self, params: Params, data: TrainingData, *, seed: int, epochs: int
    ) -> Iterator[Mapping[str, float]]: ...


RunFunction = Callable[..., Any]
"""Any function of params. It returns a number or a mapping of metrics, or yields one for each step.

It is given what it takes by name: `seed`, a whole number; `checkpoint`, a folder in which it finds what it left there
at its last step before it was interrupted; `artifacts`, a folder whose files are kept.
"""


def why_no_train(train: TrainFunction) -> str | None:
    """Return what is wrong with a training loop; None if it fits."""
    wrong = why_not_called(train, {}, None, seed=0, epochs=1)
    return f"needs to take (params, data, *, seed, epochs): {wrong}" if wrong else None


def why_no_run(run: RunFunction) -> str | None:
    """Return what is wrong with a function that is to be run; None if it fits."""
    wrong = why_not_called(run, {}, **dict.fromkeys(taken_by_run(run)))
    return f"needs to take (params) and no more than {', '.join(GIVEN_TO_RUN)} beside it: {wrong}" if wrong else None


def taken_by_run(run: RunFunction) -> tuple[str, ...]:
    """Return which of `GIVEN_TO_RUN` a function takes by name."""
    kinds = (inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    parameters = inspect.signature(run).parameters if is_known(run) else {}
    return tuple(name for name in GIVEN_TO_RUN if name in parameters and parameters[name].kind in kinds)
