"""What every trial of a task has in common: the objective that decides, and the protocol of training."""

from __future__ import annotations

import math
import typing
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from tune_jobs.models.plain_values import make_plain, plain


class TaskError(ValueError):
    """A task is invalid, or a reference names no task."""


@dataclass(frozen=True)
class Objective:
    """The metric that decides, with its direction.

    Raises:
        TaskError: the metric has no name, or the direction is neither "maximize" nor "minimize".
    """

    metric: str
    direction: Literal["maximize", "minimize"]

    def __post_init__(self) -> None:
        if not isinstance(self.metric, str) or not self.metric:
            raise TaskError(f"Objective needs the name of a metric; got {self.metric!r}")
        if not isinstance(self.direction, str) or self.direction not in ("maximize", "minimize"):
            raise TaskError(f"Objective needs direction 'maximize' or 'minimize'; got {self.direction!r}")

    @property
    def worst(self) -> float:
        """The score that every other one beats."""
        return -math.inf if self.direction == "maximize" else math.inf

    def is_better(self, score: float, than: float) -> bool:
        """Return True if a score beats another.

        Equal scores do not beat each other. NaN beats nothing and loses to every number.
        """
        if math.isnan(score) or math.isnan(than):
            return not math.isnan(score)
        return score > than if self.direction == "maximize" else score < than

    def best(self, scores: Iterable[float]) -> float:
        """Return the best score; `worst` if none of them is a number."""
        numbers = [score for score in scores if not math.isnan(score)]
        return (max if self.direction == "maximize" else min)(numbers, default=self.worst)


Precision = Literal["float32", "mixed_float16", "mixed_bfloat16"]
PRECISIONS: tuple[Precision, ...] = typing.get_args(Precision)


DEFAULT_VALIDATION = 5000


@dataclass(frozen=True)
class Protocol:
    """How every trial of a task is trained.

    Training ends after `epochs`, or after `patience` epochs without a better score. `validation` is the part of the
    training data that is held out: a number of images, or a share between 0 and 1. `images` limits how many of the rest
    are trained on. `class_weight` is what each class counts in the loss of training, by the number of its target, as in
    `fit`: `{0: 1.0, 1: 5.0}`; others count 1.

    Layers compute in `precision`; weights, losses and scores are always float32. With `deterministic`, a score repeats
    to the last digit on a GPU too, which is slower; on a CPU it always does. With `portable`, a CPU uses instructions
    alone that every x86-64 processor of the last ten years has, so that scores repeat on others too, which is slower.

    A trial's score is that of its best epoch, or that of its `scored_epoch` "last": where a score is built up over
    steps, as a mean is, only the last one is whole.

    With `folds` a trial is a cross-validation: it trains a model for each of so many folds of the training data, each
    on the rows outside its fold, and its score is the mean over the folds. Nothing is held out beside them, so that
    `validation` does not go with it. Epochs and patience are those of each fold.

    A function that a task runs has no data set: `epochs`, `patience` and `scored_epoch` are about its steps. Without
    `epochs` it ends by itself.

    Raises:
        TaskError: a setting has an impossible value.
    """

    epochs: int | None = None
    patience: int | None = None
    batch_size: int = 128
    validation: int | float = DEFAULT_VALIDATION
    images: int | None = None
    precision: Precision = "float32"
    deterministic: bool = False
    scored_epoch: Literal["best", "last"] = "best"
    class_weight: Mapping[Any, float] | None = field(default=None, hash=False)
    folds: int | None = None
    portable: bool = False

    def __post_init__(self) -> None:
        make_plain(self)
        for name in ("epochs", "patience", "batch_size", "images"):
            number = getattr(self, name)
            if not is_count(number) and not (name != "batch_size" and number is None):
                raise TaskError(f"Protocol needs {name} of 1 or more; got {number!r}")
        share = self.validation
        if not is_count(share) and not (isinstance(share, float) and 0 < share < 1):
            raise TaskError(
                f"Protocol needs validation as a number of images or a share between 0 and 1; got {share!r}"
            )
        if not isinstance(self.precision, str) or self.precision not in PRECISIONS:
            raise TaskError(f"Protocol needs precision {' or '.join(PRECISIONS)}; got {self.precision!r}")
        for name in ("deterministic", "portable"):
            if not isinstance(getattr(self, name), bool):
                raise TaskError(f"Protocol needs {name} True or False; got {getattr(self, name)!r}")
        if self.class_weight is not None:
            object.__setattr__(self, "class_weight", _class_weight(self.class_weight))
        if self.scored_epoch not in ("best", "last"):
            raise TaskError(f"Protocol needs scored_epoch 'best' or 'last'; got {self.scored_epoch!r}")
        self._check_folds()
        if self.scored_epoch == "last" and self.patience is not None:
            raise TaskError(
                "Protocol takes scored_epoch 'last' or patience, which waits for a better epoch, not both; "
                f"got patience {self.patience}"
            )

    def _check_folds(self) -> None:
        if self.folds is None:
            return
        if not is_count(self.folds) or self.folds < 2:
            raise TaskError(f"Protocol needs folds of 2 or more; got {self.folds!r}")
        if self.validation != DEFAULT_VALIDATION:
            raise TaskError(
                "Protocol takes folds, each of which is held out in its turn, or validation, not both; "
                f"got {self.folds} folds and validation {self.validation}"
            )

    def to_dict(self) -> dict[str, Any]:
        """Return the settings by name, without those of `_ADDED_LATER` that have their defaults.

        So digests, files and studies from before these settings existed stay the same.
        """
        later = {name: Protocol.__dataclass_fields__[name].default for name in _ADDED_LATER}
        return {name: value for name, value in asdict(self).items() if name not in later or value != later[name]}

    @property
    def most_epochs(self) -> float:
        """The number of epochs that a trial has at most, or each of its folds; infinite if it ends by itself."""
        return math.inf if self.epochs is None else self.epochs

    @property
    def steps(self) -> int | None:
        """How many rows the record of a trial has at most: its folds, or its epochs; None if it ends by itself."""
        return self.epochs if self.folds is None else self.folds

    @property
    def step(self) -> str:
        """What such a row is about, in a word."""
        return "epoch" if self.folds is None else "fold"

    @property
    def about_data(self) -> tuple[str, ...]:
        """The names of the settings about data that do not have their defaults."""
        return tuple(name for name in ABOUT_DATA if getattr(self, name) != Protocol.__dataclass_fields__[name].default)

    @property
    def special(self) -> tuple[str, ...]:
        """The settings of `_ADDED_LATER` that do not have their defaults, in words."""
        return (
            *self.numerics,
            *("the last epoch counts",) * (self.scored_epoch == "last"),
            *("classes weighted",) * (self.class_weight is not None),
            *(f"mean of {self.folds} folds",) * (self.folds is not None),
        )

    @property
    def numerics(self) -> tuple[str, ...]:
        """The settings of how numbers are computed that do not have their defaults, in words."""
        return (
            *(self.precision,) * (self.precision != "float32"),
            *("deterministic",) * self.deterministic,
            *("portable",) * self.portable,
        )


ABOUT_DATA = ("batch_size", "validation", "images", "class_weight", "folds")
_ADDED_LATER = ("precision", "deterministic", "scored_epoch", "class_weight", "folds", "portable")


def _class_weight(weights: Any) -> dict[str, float]:
    """Return the weights of classes by their numbers as texts, which JSON has for keys. Raises TaskError."""
    if not isinstance(weights, Mapping) or not weights:
        raise TaskError(f"Protocol needs class_weight as a mapping like {{0: 1.0, 1: 5.0}}; got {weights!r}")
    for number, weight in weights.items():
        is_number = isinstance(plain(weight), int | float) and math.isfinite(weight) and weight >= 0
        if not str(plain(number)).isdecimal() or not is_number:
            raise TaskError(f"Protocol needs class_weight of whole numbers to weights of 0 or more; got {weights!r}")
    return {str(plain(number)): float(plain(weight)) for number, weight in weights.items()}


def is_count(number: object) -> bool:
    """Return True for a whole number of 1 or more."""
    return isinstance(number, int) and not isinstance(number, bool) and number >= 1
