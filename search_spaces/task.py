"""What a sweep is about: a task, which is a value that is checked when it is made.

A task names its data, its model family with the label encoding, its space, its objective and its training protocol; or
a function of its own in place of data and model. Running it is left to `tune_jobs`.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tune_jobs.models import optimizers
from tune_jobs.models.plain_values import plain
from tune_jobs.search_spaces import compiling, declarations, digests, function_names
from tune_jobs.search_spaces.data import ConstraintsFunction, DataSource, PicturesFunction
from tune_jobs.search_spaces.declarations import is_known, plain_params, why_no_encoding, why_no_params
from tune_jobs.search_spaces.function_names import qualified
from tune_jobs.search_spaces.narrowing import open_all
from tune_jobs.search_spaces.one_factor import AnySpace, OneFactor, middle
from tune_jobs.search_spaces.own_code import RunFunction, TrainFunction, taken_by_run, why_no_run, why_no_train
from tune_jobs.search_spaces.protocol import Objective, Protocol, TaskError, is_count
from tune_jobs.search_spaces.reported import Reported
from tune_jobs.search_spaces.routing import GIVEN_TO_BUILDER, Routed, divided
from tune_jobs.search_spaces.scalars import Params, SpaceError
from tune_jobs.search_spaces.space import Space
from tune_jobs.search_spaces.spelling import near
from tune_jobs.search_spaces.streamed import Streamed, why_no_data

if TYPE_CHECKING:
    import keras

    from tune_jobs.models.label_encodings import LabelEncoding

NO_DATA = "none"  # in place of the name and the digest of a data set

EncodingBuilder = Callable[..., "LabelEncoding"]
Builder = Callable[..., "keras.Model"]


@dataclass(frozen=True, kw_only=True)
class Task:
    """The declaration of a sweep.

    Args:
        name: letters a-z, digits and hyphens.
        space: what may vary.
        objective: the metric that decides.
        summary: a few words for the list of tasks.
        dataset: a name that `tune_jobs.datasets` knows, or a function that returns `((x, y), (x_test, y_test))`, as
            those of `keras.datasets` do, perhaps with a part for validation between, or a `Data`; or a `streamed` one.
        protocol: how every trial is trained.
        baseline: the configuration to beat. It may use values that the space holds Fixed. Where none is given, it has
            the first option of each Choice and the middle of each range.
        build: a function that returns a Keras model; it takes parameters of the space, `head` where there is an
            encoding, and `input_shape`, `x_train` and `y_train` where it names them.
        encoding: how a label becomes a target; or a function of parameters that returns the encoding; or a mapping of
            encodings by outputs. A task needs none whose model is compiled by `build`, or which names its loss.
        loss: what Keras' `compile` takes for one, such as "mse", or one for each output. Without an encoding, a
            parameter of the space called `loss` is another name for it.
        metrics: what `compile` takes, such as `["mae"]`. The objective may be any of them.
        callbacks: a function that returns Keras callbacks, new ones for each trial; it takes parameters of the space.
        train: a training loop of the task's own, instead of `build` and `encoding`.
        run: any function of params, instead of these and of the data set (`RunFunction`). A step counts as an epoch.
        pictures: what a trial shows of its model at the best epoch, and in training (`PicturesFunction`).
        source: where the task comes from, such as a report and its table.
        assumptions: what was decided here because the source leaves it open.
        reported: the figures that the source prints.
        further_objectives: what decides beside the objective, so that a study of the task looks for a front.
        constraints: numbers by names, known of params before training, which `--constraint` may limit.
        grace: epochs before which no score of a trial says anything, so that no scheduler should judge by it.
        earlier: digests that the task had before its space was edited; studies of then go on with it.

    A parameter of the space goes to the builder if that takes it, else to the encoding's function, else to the
    optimizer; `batch_size` goes to training.

    Raises:
        TaskError: the declaration contains a mistake that would otherwise show only in a trial.
    """

    name: str = field(kw_only=False)
    space: AnySpace = field(kw_only=False)
    objective: Objective = field(kw_only=False)
    summary: str = ""
    dataset: str | DataSource | Streamed | None = None
    protocol: Protocol = field(default_factory=Protocol)
    baseline: Params = field(default_factory=dict, hash=False)
    build: Builder | None = None
    encoding: LabelEncoding | EncodingBuilder | Mapping[str, LabelEncoding] | None = None
    loss: Any = field(default=None, hash=False)
    metrics: Any = field(default=None, hash=False)
    callbacks: Callable[..., Any] | None = None
    train: TrainFunction | None = None
    run: RunFunction | None = None
    pictures: PicturesFunction | None = None
    source: str = ""
    assumptions: str = ""
    reported: tuple[Reported, ...] = ()
    further_objectives: tuple[Objective, ...] = ()
    constraints: ConstraintsFunction | None = None
    grace: int = 1
    earlier: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not re.fullmatch("[a-z0-9][a-z0-9-]*", self.name):
            raise TaskError(f"a task needs a name of a-z, 0-9 and hyphens, like 'mnist-mlp'; got {self.name!r}")
        if isinstance(self.encoding, Mapping):
            object.__setattr__(self, "encoding", declarations.of_several_outputs(self.encoding, self._error))
        self._check_types()
        object.__setattr__(self, "baseline", plain_params(self.baseline or middle(self.space)))
        object.__setattr__(self, "reported", tuple(self.reported))
        object.__setattr__(self, "further_objectives", tuple(self.further_objectives))
        if self.build is not None:
            self._check_build()
        points = {f"what is reported as {figure.setting!r}": figure.params for figure in self.reported}
        for what, params in {"the baseline": self.baseline, **points}.items():
            if params is not None and (wrong := open_all(self.space).why_not(params)):
                raise self._error(f"{what} does not belong to the space: {wrong}")
        if self.build is not None:
            self._check_optimizer(self.route(self.baseline))

    def _check_types(self) -> None:
        kinds: dict[str, tuple[type, ...]] = {
            "summary": (str,),
            "space": (Space, OneFactor),
            "objective": (Objective,),
            "protocol": (Protocol,),
            "source": (str,),
            "assumptions": (str,),
            "reported": (tuple, list),
            "further_objectives": (tuple, list),
        }
        for name, allowed in kinds.items():
            if not isinstance(getattr(self, name), allowed):
                needed = " or ".join(kind.__name__ for kind in allowed)
                raise self._error(f"{name} has to be of type {needed}; got {getattr(self, name)!r}")
        if wrong := why_no_params(self.baseline):
            raise self._error(f"baseline {wrong}")
        for name, kind in (("reported", Reported), ("further_objectives", Objective)):
            if other := [value for value in getattr(self, name) if not isinstance(value, kind)]:
                raise self._error(f"{name} needs values of type {kind.__name__}; got {other[0]!r}")
        object.__setattr__(self, "grace", plain(self.grace))
        if not is_count(self.grace):
            raise self._error(f"grace needs a number of epochs of 1 or more; got {self.grace!r}")
        names = [objective.metric for objective in self.objectives]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise self._error(f"the objective {twice} is there {names.count(twice)} times: once is enough")
        self._check_functions()
        if self.run is not None:
            self._check_alone()
        elif wrong := why_no_data(self.dataset, self.train is not None, self.given_names):
            raise self._error(f"dataset {wrong}")
        elif self.protocol.epochs is None:
            raise self._error("its protocol needs epochs, as in Protocol(epochs=10)")

    def _check_functions(self) -> None:
        given = [name for name in ("build", "train", "run") if getattr(self, name) is not None]
        for name in given:
            function = getattr(self, name)
            if not (callable(function) and is_known(function)):
                raise self._error(f"{name} needs a function; got {function!r}")
        if len(given) != 1:
            raise self._error(f"needs build, train or run; got {' and '.join(given) or 'none of them'}")
        self._check_compiling()
        is_made = callable(self.encoding) and is_known(self.encoding)
        if self.encoding is not None and not is_made and (wrong := why_no_encoding(self.encoding)):
            raise self._error(f"encoding {wrong}")
        if wrong := declarations.why_no_extras(self.pictures, self.constraints, has_model=self.build is not None):
            raise self._error(wrong)
        if self.train is not None and (wrong := why_no_train(self.train)):
            raise self._error(f"train {wrong}")
        if self.run is not None and (wrong := why_no_run(self.run)):
            raise self._error(f"run {wrong}")
        if self.trains_itself and self.protocol.numerics:
            raise self._error(
                f"has {self.own_code}, which chooses its numbers itself: its protocol cannot be "
                f"{' and '.join(self.protocol.numerics)}"
            )

    def _check_compiling(self) -> None:
        """Check who says what is trained: the encoding, or the task itself, or the builder that compiles its model."""
        if self.encoding is not None and self.trains_itself:
            raise self._error(f"has {self.own_code}, which reads labels itself: it needs no encoding")
        if self.callbacks is not None and (self.trains_itself or not is_known(self.callbacks)):
            raise self._error(f"callbacks needs a function, and a network that build returns; got {self.callbacks!r}")
        if self.trains_itself and self.protocol.class_weight is not None:
            raise self._error(f"has {self.own_code}, which weights classes itself: leave class_weight out")
        for name in ("loss", "metrics"):
            value = getattr(self, name)
            if value is not None and (self.trains_itself or self.encoding is not None):
                owner = self.own_code if self.trains_itself else "an encoding"
                raise self._error(f"takes no {name} beside {owner}, which has its own; got {value!r}")
            if wrong := compiling.why_not(value):
                raise self._error(f"{name} {wrong}")
        if self.metrics is not None and self.loss is None and "loss" not in open_all(self.space).names():
            raise self._error("names metrics and no loss: name both, or compile the model in build")

    def _check_alone(self) -> None:
        """Check that a task with a function of its own names nothing that the function would not see."""
        if self.dataset is not None:
            raise self._error(f"dataset {self.dataset_name} is for build and train: the function loads what it needs")
        if unused := self.protocol.about_data:
            raise self._error(f"has no data set that its protocol could be about: leave {' and '.join(unused)} out")

    @property
    def trains_itself(self) -> bool:
        """True if the task's own code trains, and leaves no model that would be known here."""
        return self.build is None

    @property
    def own_code(self) -> str:
        """What of the task's own does a part of the training, in words."""
        if self.build is not None:
            return "callbacks of its own"
        return "a training loop of its own" if self.run is None else "a function of its own"

    @property
    def can_resume(self) -> bool:
        """True if a trial can go on from a checkpoint."""
        return (self.build is not None and self.callbacks is None) or (
            self.run is not None and "checkpoint" in taken_by_run(self.run)
        )

    @property
    def run_takes(self) -> tuple[str, ...]:
        """What the function that the task runs takes by name, of `GIVEN_TO_RUN`."""
        return () if self.run is None else taken_by_run(self.run)

    def _check_build(self) -> None:
        taken, encoding = self._builder_parameters(), self._encoding_parameters()
        builder, optimizer = taken.keys() - GIVEN_TO_BUILDER, optimizers.parameters()
        called = self._callback_parameters()
        for name in sorted(encoding.keys() & (builder | optimizers.own_parameters())):
            raise self._error(f"the encoding takes {name!r} and so does the network or its optimizer: rename one")
        known = {*builder, *encoding, *optimizer, *called, *self._own_parameters()}
        space = open_all(self.space)
        for name in space.names():
            if name not in known:
                raise self._error(
                    f"neither {qualified(self.build)} nor the optimizer takes {name!r}{near(name, known)}; "
                    f"the builder takes: {', '.join(sorted(builder))}"
                )
        of_builder = {name: taken[name] for name in builder}
        for function, needed in ((self.build, of_builder), (self.encoding, encoding), (self.callbacks, called)):
            for name in sorted(needed.keys() - space.always()):
                if needed[name].default is inspect.Parameter.empty:
                    raise self._error(
                        f"{qualified(function)} needs {name!r} and the space does not always set it"
                        f"{near(name, space.names())}; give it a default or a place in the space"
                    )

    def _check_optimizer(self, baseline: Routed) -> None:
        try:
            optimizers.check(baseline.optimizer)
        except ValueError as error:
            raise self._error(f"its baseline: {error}") from error

    def _builder_parameters(self) -> Mapping[str, inspect.Parameter]:
        assert self.build is not None
        parameters = inspect.signature(self.build).parameters
        for parameter in parameters.values():
            if parameter.kind not in (inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD):
                raise self._error(
                    f"{qualified(self.build)} needs named parameters alone, so that a misspelt one is noticed; "
                    f"it has {parameter}"
                )
        if self.encoding is not None and "head" not in parameters:
            raise self._error(f"{qualified(self.build)} needs to take head, which adds the outputs of the encoding")
        if self.encoding is None and "head" in parameters:
            raise self._error(f"{qualified(self.build)} takes head, and there is no encoding that has one")
        return parameters

    def _own_parameters(self) -> tuple[str, ...]:
        """Return the names of the params that the task takes itself, if the builder does not."""
        return ("batch_size",) if self.encoding is not None else ("batch_size", "loss")

    @property
    def given_names(self) -> frozenset[str]:
        """What the builder names of the data and of the encoding, such as `input_shape`."""
        return GIVEN_TO_BUILDER & inspect.signature(self.build).parameters.keys() if self.build else frozenset()

    @property
    def encoding_params(self) -> tuple[str, ...]:
        """The names of the params that the encoding takes; none where the task has one encoding for all params."""
        return tuple(self._encoding_parameters())

    def _encoding_parameters(self) -> Mapping[str, inspect.Parameter]:
        """Return the parameters of the function that makes the encoding; none if one encoding serves all params."""
        return inspect.signature(self.encoding).parameters if callable(self.encoding) else {}

    def _takers(self) -> tuple[Collection[str], ...]:
        of_build = inspect.signature(self.build).parameters.keys() - GIVEN_TO_BUILDER if self.build else ()
        return of_build, self._encoding_parameters(), self._callback_parameters()

    @property
    def taken_elsewhere(self) -> frozenset[str]:
        """The params that the builder, the encoding or the callbacks take, and not the optimizer or the training."""
        return frozenset().union(*self._takers())

    def _callback_parameters(self) -> Mapping[str, inspect.Parameter]:
        return {} if self.callbacks is None else inspect.signature(self.callbacks).parameters

    def encoding_of(self, params: Params) -> LabelEncoding:
        """Return the label encoding for some params.

        Raises:
            TaskError, SpaceError: as `route`.
            ValueError: the function that makes the encoding refuses the params.
        """
        routed = self.route(params)
        if self.encoding is None:
            from tune_jobs.models.label_encodings import PlainLabels  # brings NumPy, which no help text needs

            return PlainLabels(routed.loss or self.loss, self.metrics)
        if not callable(self.encoding):
            return self.encoding  # type: ignore[return-value]  # a mapping became one
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
            raise self._error(f"has {self.own_code}, which takes params whole")
        builder, encoding, callbacks, rest = divided(params, self._takers())
        optimizer, rest = divided(rest, (optimizers.parameters(),))
        unknown = sorted(rest.keys() - {*self._own_parameters()})
        if unknown:
            raise SpaceError(f"task {self.name!r}: nobody takes {unknown[0]!r}{near(unknown[0], self.space.names())}")
        batch_size = rest.get("batch_size", self.protocol.batch_size)
        if not isinstance(batch_size, int) or not is_count(batch_size):
            raise self._error(f"batch_size needs a whole number of 1 or more; got {batch_size!r}")
        return Routed(builder, encoding, optimizer, batch_size, rest.get("loss"), callbacks)

    def digest(self) -> str:
        """Return 12 hex digits that change with everything a study depends on (`digests.py`)."""
        return digests.digest(self)

    @property
    def objectives(self) -> tuple[Objective, ...]:
        """The objective that decides on the best epoch, and the further ones."""
        return (self.objective, *self.further_objectives)

    @property
    def dataset_name(self) -> str:
        """The name of the data set, or that of the function that loads it; "none" if there is none."""
        dataset = NO_DATA if self.dataset is None else self.dataset
        return dataset if isinstance(dataset, str) else function_names.name(dataset)

    def _error(self, what: str) -> TaskError:
        return TaskError(f"task {self.name!r}: {what}")
