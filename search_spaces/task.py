"""What a sweep is about: a task, which is a value that is checked when it is made.

A task names its data, its model family with the label encoding, its space, its objective and its training protocol.
Running it is left to `tune_jobs`.
"""

from __future__ import annotations

import functools
import hashlib
import inspect
import json
import re
import typing
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from tune_jobs.models import optimizers
from tune_jobs.search_spaces import encoding_settings, function_names
from tune_jobs.search_spaces.declarations import (
    is_known,
    plain_params,
    why_no_encoding,
    why_no_loader,
    why_no_params,
    why_not_called,
)
from tune_jobs.search_spaces.function_names import qualified
from tune_jobs.search_spaces.narrowing import open_all
from tune_jobs.search_spaces.one_factor import AnySpace, OneFactor
from tune_jobs.search_spaces.protocol import Objective, Protocol, TaskError, is_count
from tune_jobs.search_spaces.scalars import Params, SpaceError, Value, plain
from tune_jobs.search_spaces.space import Space
from tune_jobs.search_spaces.spelling import near

if TYPE_CHECKING:
    import keras
    import numpy as np

    from tune_jobs.models.label_encodings import LabelEncoding

    Arrays = tuple[np.ndarray, np.ndarray]  # images, labels


@dataclass(frozen=True)
class Reported:
    """A figure that a report prints for one configuration, for comparison with ours.

    A configuration that was transferred from another task has no `params`; `place` is its place on the leaderboard of
    that task's study.

    Raises:
        TaskError: both `params` and `place` are given, or neither.
    """

    table: str
    setting: str
    value: float
    params: Params | None = field(hash=False)
    metric: str = "test_accuracy"
    place: int | None = None

    def __post_init__(self) -> None:
        if (self.params is None) == (self.place is None):
            raise TaskError(f"Reported needs params or a place in another task; got {self.params!r} and {self.place!r}")
        for name in ("table", "setting", "metric"):
            if not isinstance(getattr(self, name), str):
                raise TaskError(f"Reported needs its {name} as a text; got {getattr(self, name)!r}")
        for name in ("value", "place"):
            object.__setattr__(self, name, plain(getattr(self, name)))
        if isinstance(self.value, bool) or not isinstance(self.value, int | float):
            raise TaskError(f"Reported needs its value as a number; got {self.value!r}")
        if self.params is None and not is_count(self.place):
            raise TaskError(f"Reported needs its place as a whole number of 1 or more; got {self.place!r}")
        if self.params is not None:
            if wrong := why_no_params(self.params):
                raise TaskError(f"Reported: params {wrong}")
            object.__setattr__(self, "params", plain_params(self.params))


EncodingBuilder = Callable[..., "LabelEncoding"]
Builder = Callable[..., "keras.Model"]
DataSource = Callable[[], "tuple[Arrays, Arrays]"]


class Images(typing.Protocol):
    """A part of a data set: images `(N, H, W, C)` and labels `(N, ...)`."""

    @property
    def x(self) -> np.ndarray: ...
    @property
    def labels(self) -> np.ndarray: ...


class TrainingData(typing.Protocol):
    """The data that a task's own training loop gets; the test split is not among them."""

    @property
    def train(self) -> Images: ...
    @property
    def validation(self) -> Images: ...


class TrainFunction(typing.Protocol):
    """A task's own training loop: a generator of the metrics of each epoch."""

    def __call__(
        self, params: Params, data: TrainingData, *, seed: int, epochs: int
    ) -> Iterator[Mapping[str, float]]: ...


@dataclass(frozen=True)
class Routed:
    """Params divided among the builder, the encoding, the optimizer and the training loop."""

    builder: dict[str, Value]
    encoding: dict[str, Value]
    optimizer: dict[str, Value]
    batch_size: int


@dataclass(frozen=True)
class Task:
    """The declaration of a sweep.

    Args:
        name: letters a-z, digits and hyphens.
        summary: a few words for the list of tasks.
        dataset: a name that `tune_jobs.datasets` knows, or a function that returns `((x, y), (x_test, y_test))`, as
            those of `keras.datasets` do.
        space: what may vary.
        objective: the metric that decides.
        protocol: how every trial is trained.
        baseline: the configuration to beat. It may use values that the space holds Fixed.
        build: a function that returns a Keras model; it takes `input_shape`, `head` and parameters of the space.
        encoding: how a label becomes a target; or a function of parameters that returns the encoding.
        train: a training loop of the task's own, instead of `build` and `encoding`.
        source: where the task comes from, such as a report and its table.
        assumptions: what was decided here because the source leaves it open.
        reported: the figures that the source prints.

    A parameter of the space goes to the builder if that takes it, else to the encoding's function, else to the
    optimizer; `batch_size` goes to training.

    Raises:
        TaskError: the declaration contains a mistake that would otherwise show only in a trial.
    """

    name: str
    summary: str
    dataset: str | DataSource
    space: AnySpace
    objective: Objective
    protocol: Protocol
    baseline: Params = field(hash=False)
    build: Builder | None = None
    encoding: LabelEncoding | EncodingBuilder | None = None
    train: TrainFunction | None = None
    source: str = ""
    assumptions: str = ""
    reported: tuple[Reported, ...] = ()

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not re.fullmatch("[a-z0-9][a-z0-9-]*", self.name):
            raise TaskError(f"a task needs a name of a-z, 0-9 and hyphens, like 'mnist-mlp'; got {self.name!r}")
        self._check_types()
        object.__setattr__(self, "baseline", plain_params(self.baseline))
        object.__setattr__(self, "reported", tuple(self.reported))
        if self.train is not None:
            self._check_train(self.train)
        else:
            self._check_build()
        wrong = open_all(self.space).why_not(self.baseline)
        if wrong:
            raise TaskError(f"task {self.name!r}: the baseline does not belong to the space: {wrong}")
        for reported in self.reported:
            wrong = None if reported.params is None else open_all(self.space).why_not(reported.params)
            if wrong:
                raise self._error(f"what is reported as {reported.setting!r} does not belong to the space: {wrong}")
        if self.train is None:
            self.route(self.baseline)

    def _check_types(self) -> None:
        kinds: dict[str, tuple[type, ...]] = {
            "summary": (str,),
            "space": (Space, OneFactor),
            "objective": (Objective,),
            "protocol": (Protocol,),
            "source": (str,),
            "assumptions": (str,),
            "reported": (tuple, list),
        }
        for name, allowed in kinds.items():
            if not isinstance(getattr(self, name), allowed):
                needed = " or ".join(kind.__name__ for kind in allowed)
                raise self._error(f"{name} has to be of type {needed}; got {getattr(self, name)!r}")
        for name, wrong in (("dataset", why_no_loader(self.dataset)), ("baseline", why_no_params(self.baseline))):
            if wrong:
                raise self._error(f"{name} {wrong}")
        for reported in self.reported:
            if not isinstance(reported, Reported):
                raise self._error(f"reported needs values of type Reported; got {reported!r}")
        self._check_functions()

    def _check_functions(self) -> None:
        for name in ("build", "train"):
            function = getattr(self, name)
            if function is not None and not (callable(function) and is_known(function)):
                raise self._error(f"{name} needs a function; got {function!r}")
        if (self.build is None) == (self.train is None):
            given = "neither" if self.build is None else "both"
            raise self._error(f"needs either build (with an encoding) or train; got {given}")
        if (self.build is None) != (self.encoding is None):
            raise self._error("needs an encoding with build, and none with train")
        is_made = callable(self.encoding) and is_known(self.encoding)
        if self.encoding is not None and not is_made and (wrong := why_no_encoding(self.encoding)):
            raise self._error(f"encoding {wrong}")
        if self.train is not None and self.protocol.numerics:
            raise self._error(
                f"has a training loop of its own, which chooses its numbers itself: its protocol cannot be "
                f"{' and '.join(self.protocol.numerics)}"
            )

    def _check_train(self, train: TrainFunction) -> None:
        wrong = why_not_called(train, {}, None, seed=0, epochs=1)
        if wrong:
            raise self._error(f"train needs to take (params, data, *, seed, epochs): {wrong}")

    def _check_build(self) -> None:
        taken = self._builder_parameters()
        builder, encoding, optimizer = (
            taken.keys() - _GIVEN_TO_BUILDER,
            self._encoding_parameters(),
            _optimizer_parameters(),
        )
        for name in sorted(encoding.keys() & (builder | optimizer)):
            raise self._error(f"the encoding takes {name!r} and so does the network or its optimizer: rename one")
        known = {*builder, *encoding, *optimizer, "batch_size"}
        space = open_all(self.space)
        for name in space.names():
            if name not in known:
                raise self._error(
                    f"neither {qualified(self.build)} nor the optimizer takes {name!r}{near(name, known)}; "
                    f"the builder takes: {', '.join(sorted(builder))}"
                )
        for function, needed in ((self.build, {name: taken[name] for name in builder}), (self.encoding, encoding)):
            for name in sorted(needed.keys() - space.always()):
                if needed[name].default is inspect.Parameter.empty:
                    raise self._error(
                        f"{qualified(function)} needs {name!r} and the space does not always set it"
                        f"{near(name, space.names())}; give it a default or a place in the space"
                    )

    def _builder_parameters(self) -> Mapping[str, inspect.Parameter]:
        assert self.build is not None
        parameters = inspect.signature(self.build).parameters
        for parameter in parameters.values():
            if parameter.kind not in (inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD):
                raise self._error(
                    f"{qualified(self.build)} needs named parameters alone, so that a misspelt one is noticed; "
                    f"it has {parameter}"
                )
        missing = sorted(_GIVEN_TO_BUILDER - parameters.keys())
        if missing:
            raise self._error(
                f"{qualified(self.build)} needs to take input_shape and head; it lacks {' and '.join(missing)}"
            )
        return parameters

    @property
    def encoding_params(self) -> tuple[str, ...]:
        """The names of the params that the encoding takes; none where the task has one encoding for all params."""
        return tuple(self._encoding_parameters())

    def _encoding_parameters(self) -> Mapping[str, inspect.Parameter]:
        """Return the parameters of the function that makes the encoding; none if one encoding serves all params."""
        return inspect.signature(self.encoding).parameters if callable(self.encoding) else {}

    def encoding_of(self, params: Params) -> LabelEncoding:
        """Return the label encoding for some params.

        Raises:
            TaskError, SpaceError: as `route`.
            ValueError: the function that makes the encoding refuses the params.
        """
        routed = self.route(params)
        assert self.encoding is not None
        if not callable(self.encoding):
            return self.encoding
        encoding = self.encoding(**routed.encoding)
        wrong = why_no_encoding(encoding)
        if wrong:
            raise self._error(f"encoding: {qualified(self.encoding)} {wrong}")
        return encoding

    def route(self, params: Params) -> Routed:
        """Divide params among the builder, the encoding, the optimizer and the training loop.

        Raises:
            TaskError: the task has a training loop of its own, or the batch size is not a positive whole number.
            SpaceError: nothing takes one of the names.
        """
        if self.build is None:
            raise self._error("has a training loop of its own, which takes params whole")
        builder_names = inspect.signature(self.build).parameters.keys() - _GIVEN_TO_BUILDER
        encoding_names = self._encoding_parameters().keys()
        builder = {name: value for name, value in params.items() if name in builder_names}
        encoding = {name: value for name, value in params.items() if name in encoding_names}
        rest = {name: value for name, value in params.items() if name not in builder.keys() | encoding.keys()}
        optimizer = {name: value for name, value in rest.items() if name in _optimizer_parameters()}
        unknown = sorted(rest.keys() - optimizer.keys() - {"batch_size"})
        if unknown:
            raise SpaceError(f"task {self.name!r}: nobody takes {unknown[0]!r}{near(unknown[0], self.space.names())}")
        batch_size = rest.get("batch_size", self.protocol.batch_size)
        if not isinstance(batch_size, int) or not is_count(batch_size):
            raise self._error(f"batch_size needs a whole number of 1 or more; got {batch_size!r}")
        return Routed(builder, encoding, optimizer, batch_size)

    def digest(self) -> str:
        """Return 12 hex digits that change with everything a study depends on.

        Prose and the baseline do not count. A function counts by its name, not by its text, so that a comment can be
        corrected while a study lasts; one of an installed package by the name of its file too.
        """
        is_fixed = self.encoding is not None and not callable(self.encoding)
        return self._digest(function_names.name, encoding_settings.settings(self.encoding) if is_fixed else {})

    def earlier_digests(self, file_stem: str | None) -> tuple[str, str]:
        """Return the digests of earlier versions, to which the settings of an encoding did not count, and to the first
        of which a user's own file counted by its name without `.py`.

        `file_stem` is the name that the task's file had then; None for a task without a file.
        """
        earlier_name = functools.partial(function_names.earlier_name, file_stem=file_stem)
        return self._digest(earlier_name, {}), self._digest(function_names.name, {})

    def _digest(self, name_of: Callable[[Any], str], settings: Mapping[str, Any]) -> str:
        parts: dict[str, Any] = {
            "name": self.name,
            "space": self.space.to_json(),
            "objective": asdict(self.objective),
            "protocol": self.protocol.to_dict(),
            "dataset": self.dataset if isinstance(self.dataset, str) else name_of(self.dataset),
            "encoding": self._encoding_name(name_of),
            "trained_by": name_of(self.build or self.train),
        }
        if settings:
            parts["encoding_settings"] = settings
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:12]

    def _encoding_name(self, name_of: Callable[[Any], str]) -> str | None:
        if self.encoding is None:
            return None
        return name_of(self.encoding) if callable(self.encoding) else self.encoding.name

    @property
    def dataset_name(self) -> str:
        """The name of the data set, or that of the function that loads it."""
        return self.dataset if isinstance(self.dataset, str) else function_names.name(self.dataset)

    def _error(self, what: str) -> TaskError:
        return TaskError(f"task {self.name!r}: {what}")


_GIVEN_TO_BUILDER = frozenset({"input_shape", "head"})  # from the data and the encoding
_GIVEN_TO_OPTIMIZER = frozenset({"steps_per_epoch", "epochs"})  # from the data and the protocol


@functools.cache
def _optimizer_parameters() -> frozenset[str]:
    return frozenset(inspect.signature(optimizers.build).parameters) - _GIVEN_TO_OPTIMIZER
