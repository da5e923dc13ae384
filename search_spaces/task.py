"""What a sweep is about, as a value that is checked when it is made.

A task names its data, its model family with the label encoding, its space, its objective and its training protocol.
How it is run is left to others.
"""

from __future__ import annotations

import functools
import hashlib
import inspect
import json
import math
import re
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from tune_jobs.models import optimizers
from tune_jobs.search_spaces.one_factor import AnySpace, OneFactor
from tune_jobs.search_spaces.scalars import Params, SpaceError, Value
from tune_jobs.search_spaces.space import Space
from tune_jobs.search_spaces.spelling import near

if TYPE_CHECKING:
    import keras
    import numpy as np

    from tune_jobs.models.label_encodings import LabelEncoding

    Arrays = tuple[np.ndarray, np.ndarray]  # images, labels


class TaskError(ValueError):
    """A task, or a reference to one, that cannot be what was meant."""


@dataclass(frozen=True)
class Objective:
    """The metric that decides, with its direction.

    Raises:
        TaskError: no metric, or a direction that is neither.
    """

    metric: str
    direction: Literal["maximize", "minimize"]

    def __post_init__(self) -> None:
        if not self.metric or not isinstance(self.metric, str):
            raise TaskError(f"Objective needs the name of a metric; got {self.metric!r}")
        if self.direction not in ("maximize", "minimize"):
            raise TaskError(f"Objective needs direction 'maximize' or 'minimize'; got {self.direction!r}")

    @property
    def worst(self) -> float:
        """The score below every other one."""
        return -math.inf if self.direction == "maximize" else math.inf

    def is_better(self, score: float, than: float) -> bool:
        """Whether a score beats another; equal scores do not, NaN beats nothing and loses to every number."""
        if math.isnan(score) or math.isnan(than):
            return not math.isnan(score)
        return score > than if self.direction == "maximize" else score < than

    def best(self, scores: Iterable[float]) -> float:
        """The best of some scores; `worst` when none of them is a number."""
        numbers = [score for score in scores if not math.isnan(score)]
        return (max if self.direction == "maximize" else min)(numbers, default=self.worst)


Precision = Literal["float32", "mixed_float16", "mixed_bfloat16"]
PRECISIONS: tuple[Precision, ...] = typing.get_args(Precision)


@dataclass(frozen=True)
class Protocol:
    """How every trial of a task is trained.

    `patience` is the number of epochs without a better score after which training ends; `validation` how much of the
    training part is held out: images (a whole number) or a share (between 0 and 1). `images` is how many of the rest
    are trained on, where not all are. `precision` is what layers compute in; weights, losses and scores are float32
    in each. `deterministic` makes a score repeat to the last digit on a GPU, which is slower; on a CPU it always does.

    Raises:
        TaskError: a number that cannot be.
    """

    epochs: int
    patience: int | None = None
    batch_size: int = 128
    validation: int | float = 5000
    images: int | None = None
    precision: Precision = "float32"
    deterministic: bool = False

    def __post_init__(self) -> None:
        for name in ("epochs", "patience", "batch_size", "images"):
            number = getattr(self, name)
            if not _is_count(number) and not (name in ("patience", "images") and number is None):
                raise TaskError(f"Protocol needs {name} of 1 or more; got {number!r}")
        share = self.validation
        if not _is_count(share) and not (isinstance(share, float) and 0 < share < 1):
            raise TaskError(
                f"Protocol needs validation as a number of images or a share between 0 and 1; got {share!r}"
            )
        if self.precision not in PRECISIONS:
            raise TaskError(f"Protocol needs precision {' or '.join(PRECISIONS)}; got {self.precision!r}")
        if not isinstance(self.deterministic, bool):
            raise TaskError(f"Protocol needs deterministic True or False; got {self.deterministic!r}")

    def to_dict(self) -> dict[str, Any]:
        """The settings by their names, without those of `_ADDED_LATER` that are at their defaults: digests, files and
        studies are as they were before these came."""
        younger = {name: Protocol.__dataclass_fields__[name].default for name in _ADDED_LATER}
        return {name: value for name, value in asdict(self).items() if name not in younger or value != younger[name]}

    @property
    def special(self) -> tuple[str, ...]:
        """The settings of `_ADDED_LATER` that are not at their defaults, in words."""
        return (self.precision,) * (self.precision != "float32") + ("deterministic",) * self.deterministic


_ADDED_LATER = ("precision", "deterministic")


@dataclass(frozen=True)
class Reported:
    """A figure that a report prints for one configuration, to be put beside ours.

    `params` are None for a configuration that came from another task: it is the one that was transferred from `place`
    of a study there.

    Raises:
        TaskError: both are given, or neither.
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


EncodingBuilder = Callable[..., "LabelEncoding"]
Builder = Callable[..., "keras.Model"]
DataSource = Callable[[], "tuple[Arrays, Arrays]"]


class Images(typing.Protocol):
    """A part of a dataset: images `(N, H, W, C)` and labels `(N, ...)`."""

    @property
    def x(self) -> np.ndarray: ...
    @property
    def labels(self) -> np.ndarray: ...


class TrainingData(typing.Protocol):
    """What a task's own training loop may see; the test split is not in it."""

    @property
    def train(self) -> Images: ...
    @property
    def validation(self) -> Images: ...


class TrainFunction(typing.Protocol):
    """A task's own training loop, which yields the metrics of each epoch."""

    def __call__(
        self, params: Params, data: TrainingData, *, seed: int, epochs: int
    ) -> Iterator[Mapping[str, float]]: ...


@dataclass(frozen=True)
class Routed:
    """Params by who takes them."""

    builder: dict[str, Value]
    encoding: dict[str, Value]
    optimizer: dict[str, Value]
    batch_size: int


@dataclass(frozen=True)
class Task:
    """A sweep's declaration.

    `dataset` is a name that `tune_jobs.datasets` knows, or a callable that returns `((x, y), (x_test, y_test))` as
    those of `keras.datasets` do. A task has a `build` function with an `encoding`, or a training loop `train` of its
    own; the encoding is one, or a function of params that makes one. A parameter of the space goes to the builder if
    that takes it, else to the encoding's function, else to the optimizer, else it is `batch_size`.
    `baseline` is the configuration to beat; it may use what the space holds Fixed. `source` says where the task is
    from, a report and its table; `assumptions` what was chosen where that leaves something open; `reported` what it
    prints.

    Raises:
        TaskError: anything that could only fail later, in a trial.
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
        object.__setattr__(self, "baseline", dict(self.baseline))
        if self.train is not None:
            self._check_train(self.train)
        else:
            self._check_build()
        wrong = self.space.open_all().why_not(self.baseline)
        if wrong:
            raise TaskError(f"task {self.name!r}: the baseline does not belong to the space: {wrong}")
        for reported in self.reported:
            wrong = None if reported.params is None else self.space.open_all().why_not(reported.params)
            if wrong:
                raise self._error(f"what is reported as {reported.setting!r} does not belong to the space: {wrong}")
        if self.train is None:
            self.route(self.baseline)

    def _check_types(self) -> None:
        if not (callable(self.dataset) or (isinstance(self.dataset, str) and self.dataset)):
            raise self._error(f"dataset needs a name or a function that loads it; got {self.dataset!r}")
        kinds: dict[str, tuple[type, ...]] = {
            "space": (Space, OneFactor),
            "objective": (Objective,),
            "protocol": (Protocol,),
            "baseline": (Mapping,),
        }
        for name, allowed in kinds.items():
            if not isinstance(getattr(self, name), allowed):
                needed = " or ".join(kind.__name__ for kind in allowed)
                raise self._error(f"{name} has to be of type {needed}; got {getattr(self, name)!r}")
        if (self.build is None) == (self.train is None):
            came = "neither" if self.build is None else "both"
            raise self._error(f"needs either build (with an encoding) or train; got {came}")
        if (self.build is None) != (self.encoding is None):
            raise self._error("needs an encoding with build, and none with train")
        if self.train is not None and self.protocol.special:
            raise self._error(
                f"has a training loop of its own, which chooses its numbers itself: its protocol cannot be "
                f"{' and '.join(self.protocol.special)}"
            )

    def _check_train(self, train: TrainFunction) -> None:
        try:
            inspect.signature(train).bind({}, None, seed=0, epochs=1)
        except TypeError as error:
            raise self._error(f"train needs to take (params, data, *, seed, epochs): {error}") from None

    def _check_build(self) -> None:
        taken = self._builder_parameters()
        builder, encoding, optimizer = (
            taken.keys() - _TOLD_BUILDER,
            self._encoding_parameters(),
            _optimizer_parameters(),
        )
        for name in sorted(encoding.keys() & (builder | optimizer)):
            raise self._error(f"the encoding takes {name!r} and so does the network or its optimizer: rename one")
        known = {*builder, *encoding, *optimizer, "batch_size"}
        space = self.space.open_all()
        for name in space.names():
            if name not in known:
                raise self._error(
                    f"neither {_qualified(self.build)} nor the optimizer takes {name!r}{near(name, known)}; "
                    f"the builder takes: {', '.join(sorted(builder))}"
                )
        for function, needed in ((self.build, {name: taken[name] for name in builder}), (self.encoding, encoding)):
            for name in sorted(needed.keys() - space.always()):
                if needed[name].default is inspect.Parameter.empty:
                    raise self._error(
                        f"{_qualified(function)} needs {name!r} and the space does not always set it"
                        f"{near(name, space.names())}; give it a default or a place in the space"
                    )

    def _builder_parameters(self) -> Mapping[str, inspect.Parameter]:
        assert self.build is not None
        parameters = inspect.signature(self.build).parameters
        for parameter in parameters.values():
            if parameter.kind not in (inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD):
                raise self._error(
                    f"{_qualified(self.build)} needs named parameters alone, so that a misspelt one is noticed; "
                    f"it has {parameter}"
                )
        missing = sorted(_TOLD_BUILDER - parameters.keys())
        if missing:
            raise self._error(
                f"{_qualified(self.build)} needs to take input_shape and head; it lacks {' and '.join(missing)}"
            )
        return parameters

    def _encoding_parameters(self) -> Mapping[str, inspect.Parameter]:
        """What a function that makes the encoding takes; nothing where the task has one for all params."""
        return inspect.signature(self.encoding).parameters if callable(self.encoding) else {}

    def encoding_of(self, params: Params) -> LabelEncoding:
        """The label encoding that params ask for.

        Raises:
            TaskError, SpaceError: as `route`.
            ValueError: the function that makes it refuses them.
        """
        routed = self.route(params)
        assert self.encoding is not None
        return self.encoding(**routed.encoding) if callable(self.encoding) else self.encoding

    def route(self, params: Params) -> Routed:
        """Params by who takes them: the builder, the encoding, the optimizer, or training itself.

        Raises:
            TaskError: the task trains itself and takes params whole, or a batch size is no count.
            SpaceError: a name that nobody takes.
        """
        if self.build is None:
            raise self._error("has a training loop of its own, which takes params whole")
        builder_names = inspect.signature(self.build).parameters.keys() - _TOLD_BUILDER
        encoding_names = self._encoding_parameters().keys()
        builder = {name: value for name, value in params.items() if name in builder_names}
        encoding = {name: value for name, value in params.items() if name in encoding_names}
        rest = {name: value for name, value in params.items() if name not in builder.keys() | encoding.keys()}
        optimizer = {name: value for name, value in rest.items() if name in _optimizer_parameters()}
        unknown = sorted(rest.keys() - optimizer.keys() - {"batch_size"})
        if unknown:
            raise SpaceError(f"task {self.name!r}: nobody takes {unknown[0]!r}{near(unknown[0], self.space.names())}")
        batch_size = rest.get("batch_size", self.protocol.batch_size)
        if not isinstance(batch_size, int) or not _is_count(batch_size):
            raise self._error(f"batch_size needs a whole number of 1 or more; got {batch_size!r}")
        return Routed(builder, encoding, optimizer, batch_size)

    def digest(self) -> str:
        """12 hex digits that change with what a study depends on, and neither with prose nor with the baseline.

        A function counts by the name of its file and its own, not by its text: a comment may be mended while a study
        lasts.
        """
        parts = {
            "name": self.name,
            "space": self.space.to_json(),
            "objective": asdict(self.objective),
            "protocol": self.protocol.to_dict(),
            "dataset": self.dataset_name,
            "encoding": self._encoding_name,
            "trained_by": _qualified(self.build or self.train),
        }
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:12]

    @property
    def _encoding_name(self) -> str | None:
        if self.encoding is None:
            return None
        return _qualified(self.encoding) if callable(self.encoding) else self.encoding.name

    @property
    def dataset_name(self) -> str:
        """The dataset's name, or that of the function that loads it."""
        return self.dataset if isinstance(self.dataset, str) else _qualified(self.dataset)

    def _error(self, what: str) -> TaskError:
        return TaskError(f"task {self.name!r}: {what}")


_TOLD_BUILDER = frozenset({"input_shape", "head"})  # known from the data and the encoding
_TOLD_OPTIMIZER = frozenset({"steps_per_epoch", "epochs"})  # known from the data and the protocol


@functools.cache
def _optimizer_parameters() -> frozenset[str]:
    return frozenset(inspect.signature(optimizers.build).parameters) - _TOLD_OPTIMIZER


def _qualified(function: Any) -> str:
    """`mlp.build`: the file's name and the function's, the same wherever the file was imported from."""
    while isinstance(function, functools.partial):
        function = function.func
    if not hasattr(function, "__qualname__"):
        function = type(function)
    return f"{Path(inspect.getfile(function)).stem}.{function.__qualname__}"


def _is_count(number: object) -> bool:
    return isinstance(number, int) and not isinstance(number, bool) and number >= 1
