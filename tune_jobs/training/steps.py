"""A model's `train_step` and `test_step` as `fit` runs them: eagerly or by XLA where asked, with what they return."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from tune_jobs.models.lazy_keras import keras
from tune_jobs.search_spaces.protocol import TaskError
from tune_jobs.training import replicas

# autograph need not translate what has no loops over tensors: it took a tenth of a second of each worker
_run_as_it_is = tf.autograph.experimental.do_not_convert(replicas.run)

_BESIDE_STEPS = ("fit", "make_train_function", "make_test_function")  # what else `fit` would honour


@dataclass(frozen=True)
class Step:
    """A step over one batch `(x, targets)`.

    One that the model's class wrote itself (`is_own`) may return other values than the model's metrics.
    """

    model: keras.Model
    run: Callable[[Any], Any]
    is_own: bool

    def on_batch(self, batch: Callable[..., Any], whole: Any, *copied: Any) -> Any:
        """Run the step over `batch(whole, *copied)`; on several devices each over its share (`replicas.run`)."""
        run = replicas.run if self.is_own else _run_as_it_is
        return run(self.run, self.model, batch, whole, *copied)

    def results(self, logs: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return what `fit` shows after an epoch whose last batch returned `logs`: the model's metrics over the epoch.

        Where the step returned other names, its logs are shown as they are.
        """
        metrics: Mapping[str, Any] = self.model.get_metrics_result()
        return logs if self.is_own and set(logs) != set(metrics) else metrics


def train_step(model: keras.Model) -> Step:
    """Return the step that trains.

    Raises:
        TaskError: the model's class trains in a way that is no step.
    """
    for name in _BESIDE_STEPS:
        method = getattr(getattr(model, name), "__func__", None)
        if _is_own(model, name) and not str(getattr(method, "__module__", "")).startswith("keras"):
            raise TaskError(
                f"the class {type(model).__name__} writes its own {name}, which nothing calls here: write train_step "
                "instead, or give the task a training loop of its own (train)",
            )
    return _step(model, "train_step")


def test_step(model: keras.Model) -> Step | None:
    """Return the step that scores; None for a model that trains itself and has neither such a step nor a loss.

    An autoencoder or a GAN is often written so. `fit` trains it, without validation data.
    """
    is_scored = has_loss(model) or _is_own(model, "test_step") or not _is_own(model, "train_step")
    return _step(model, "test_step") if is_scored else None


def has_loss(model: keras.Model) -> bool:
    """Return True if a model has a loss: compiled, added by its layers, or computed by itself."""
    return getattr(model, "loss", None) is not None or bool(model.losses) or _is_own(model, "compute_loss")


def trains_itself(model: keras.Model) -> bool:
    """Return True for a model that needs no loss of ours."""
    return has_loss(model) or _is_own(model, "train_step")


def optimizers(model: keras.Model) -> list[Any]:
    """Return the optimizers that train a model: the one that it is compiled with, and those that its class keeps."""
    every = [model.optimizer, *_kept_optimizers(list(vars(model).values()))]
    return list({id(each): each for each in every if each is not None}.values())


def _kept_optimizers(value: Any) -> Iterator[Any]:
    if isinstance(value, keras.optimizers.Optimizer):
        yield value
    elif isinstance(value, list | tuple | dict):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _kept_optimizers(each)


def _step(model: keras.Model, name: str) -> Step:
    function = getattr(model, name)
    is_own = _is_own(model, name) or _is_own(model, "compute_metrics")
    is_shared = replicas.count() > 1  # a function within would hide what the devices add up
    if not (model.run_eagerly or is_shared) and (is_own or model.jit_compile):
        # one of its own is called at two places, and traced once
        function = tf.function(function, jit_compile=model.jit_compile or None, reduce_retracing=True)
    return Step(model, function, is_own)


def _is_own(model: keras.Model, name: str) -> bool:
    """Return True for a method that is not Keras' own."""
    return getattr(getattr(model, name), "__func__", None) is not getattr(keras.Model, name)


class FinalWeights:
    """The weights that `fit` would leave behind if it ended now, beside those that training goes on with.

    They differ for an optimizer that averages weights (`use_ema`) or ends in another way of its own.
    """

    def __init__(self, model: keras.Model) -> None:
        self._model = model
        self._as_trained: list[tuple[Any, Any]] = []  # variables with the values that training goes on with

    def take(self) -> None:
        """Give the model its final weights."""
        optimizer = self._model.optimizer
        if not _ends_otherwise(optimizer):
            return
        weights = self._model.trainable_variables
        self._as_trained = [(weight, tf.identity(weight)) for weight in weights]
        optimizer.finalize_variable_values(weights)

    def give_back(self) -> None:
        """Give the model the weights that training goes on with."""
        for weight, value in self._as_trained:
            weight.assign(value)
        self._as_trained = []

    def forget(self) -> None:
        """Go on from the weights that the model has."""
        self._as_trained = []

    def as_trained(self, variable: Any) -> Any:
        """Return a variable's value with which training goes on."""
        return next((value for weight, value in self._as_trained if weight is variable), variable)


def _ends_otherwise(optimizer: Any) -> bool:
    inner = getattr(optimizer, "inner_optimizer", optimizer)  # of one that scales the loss
    if not isinstance(inner, keras.optimizers.Optimizer) or not inner.built:
        return False
    keras_own = keras.optimizers.Optimizer.finalize_variable_values
    return bool(inner.use_ema) or type(inner).finalize_variable_values is not keras_own
