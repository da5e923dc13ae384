"""Optimizers with their learning rate schedules, from flat values that a search may choose."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Mapping
from typing import Any, Final

from tune_jobs.models import arguments, keras_optimizers
from tune_jobs.models.lazy_keras import keras
from tune_jobs.models.schedules import DEFAULT_DECAY_RATE, SCHEDULES, learning_rate_over_steps

OPTIMIZERS: Final = ("sgd", "rmsprop", "adam", "adamw", "nadam", "adadelta")

# The optimizers that use each setting. With others it must keep its default, or two trials would differ in name only.
_USERS: Final[Mapping[str, tuple[str, ...]]] = {
    "momentum": ("sgd", "rmsprop"),
    "nesterov": ("sgd",),
    "rho": ("rmsprop",),
    "beta_1": ("adam", "adamw", "nadam"),
    "beta_2": ("adam", "adamw", "nadam"),
    "weight_decay": ("adamw",),
}


_GIVEN: Final = ("steps_per_epoch", "epochs")  # of the data and the protocol


@functools.cache
def own_parameters() -> frozenset[str]:
    """Return the names of the settings of `build`."""
    return frozenset(inspect.signature(build).parameters) - {*_GIVEN}


def parameters() -> frozenset[str]:
    """Return the names of all settings that `from_params` knows."""
    return own_parameters() | keras_optimizers.SETTINGS


def check(params: Mapping[str, Any]) -> None:
    """Check the names in params: the optimizer, the schedule, and settings that both take. Keras is not imported.

    Raises:
        ValueError: with the name.
    """
    _divided(params)


def from_params(params: Mapping[str, Any], *, steps_per_epoch: int, epochs: int) -> keras.optimizers.Optimizer:
    """Return the optimizer that params ask for: one of `build`, or one of Keras by its own name, such as "Lion".

    An optimizer of Keras has Keras' settings and defaults. Its schedule is one of `schedules.py`, or one of Keras by
    its own name, such as "PolynomialDecay", which lasts for the whole training unless `decay_steps` says otherwise.

    Raises:
        ValueError: a name is unknown, or an optimizer or schedule does not take a setting.
    """
    name, settings, schedule, of_schedule = _divided(params)
    steps = steps_per_epoch * epochs
    if name in OPTIMIZERS and schedule is None:
        return build(steps_per_epoch=steps_per_epoch, epochs=epochs, **settings)
    if name in OPTIMIZERS:
        rate = keras_optimizers.schedule(str(schedule), of_schedule, settings.pop("learning_rate", 1e-3), steps)
        made = build(steps_per_epoch=steps_per_epoch, epochs=epochs, **settings)
        made.learning_rate = rate
        return made
    rate = settings.pop("learning_rate", None)
    if schedule is not None:
        rate = keras_optimizers.schedule(schedule, of_schedule, 1e-3 if rate is None else rate, steps)
    elif of_schedule:
        own = {"schedule": "constant", "decay_rate": DEFAULT_DECAY_RATE, "warmup_epochs": 0, "learning_rate": 1e-3}
        given = {} if rate is None else {"learning_rate": rate}
        rate = learning_rate_over_steps(**own | given | of_schedule, epochs=epochs, steps_per_epoch=steps_per_epoch)  # type: ignore[arg-type]
    return keras_optimizers.optimizer(name, settings, rate)


def _divided(params: Mapping[str, Any]) -> tuple[str, dict[str, Any], str | None, dict[str, Any]]:
    """Return the optimizer, its settings, the schedule of Keras if it is one, and the settings of the schedule, which
    for one of ours are part of the optimizer's if that is ours too."""
    settings = dict(params)
    name = str(settings.get("optimizer", "adam"))
    name = name if name in OPTIMIZERS else keras_optimizers.optimizer_named(name, OPTIMIZERS)
    schedule = str(settings.get("schedule", "constant"))
    of_keras = None if schedule in SCHEDULES else keras_optimizers.schedule_named(schedule, SCHEDULES)
    taken = _OF_SCHEDULES if of_keras is None else keras_optimizers.SCHEDULES[of_keras]
    if name in OPTIMIZERS and of_keras is None:
        _refuse_others(name, settings)
        return name, settings, None, {}
    of_schedule = {setting: settings.pop(setting) for setting in taken if setting in settings}
    if of_keras is not None:
        settings.pop("schedule", None)
    if name in OPTIMIZERS:
        _refuse_others(name, settings)
    else:
        settings.pop("optimizer")
        keras_optimizers.check(name, settings.keys() - {"learning_rate"})
    return name, settings, of_keras, of_schedule


_OF_SCHEDULES: Final = ("schedule", "decay_rate", "warmup_epochs")


def _refuse_others(name: str, settings: Mapping[str, Any]) -> None:
    for setting in settings:
        if setting not in own_parameters():
            theirs = keras_optimizers.optimizer_named(name, OPTIMIZERS)
            takes = f"; Keras' own does: optimizer={theirs!r}" if setting in keras_optimizers.OPTIMIZERS[theirs] else ""
            raise ValueError(f"{name} takes no {setting}{takes}")


def build(
    *,
    steps_per_epoch: int,
    epochs: int,
    optimizer: str = "adam",
    learning_rate: float = 1e-3,
    momentum: float = 0.0,
    nesterov: bool = False,
    rho: float = 0.9,
    beta_1: float = 0.9,
    beta_2: float = 0.999,
    weight_decay: float = 0.0,
    schedule: str = "constant",
    warmup_epochs: int = 0,
    decay_rate: float = DEFAULT_DECAY_RATE,
    clip_norm: float | None = None,
) -> keras.optimizers.Optimizer:
    """Return an optimizer for `epochs` times `steps_per_epoch` steps, with a learning rate schedule of `schedules.py`.

    `decay_rate` is the share of the learning rate that an exponential schedule leaves at the end of the training, and
    the factor of each drop of a step schedule. `clip_norm` bounds the norm of all gradients together (Pascanu et al.
    2013). `weight_decay` is the decoupled one of AdamW (Loshchilov and Hutter 2019), on kernels only; 0 is refused
    there, since that is adam. `nesterov` without momentum is plain gradient descent, and allowed.

    Raises:
        ValueError: a value is not allowed, or the optimizer or the schedule does not use it.
    """
    settings = {
        "momentum": arguments.fraction("momentum", momentum),
        "nesterov": arguments.flag("nesterov", nesterov),
        "rho": arguments.fraction("rho", rho),
        "beta_1": arguments.fraction("beta_1", beta_1),
        "beta_2": arguments.fraction("beta_2", beta_2),
        "weight_decay": arguments.fraction("weight_decay", weight_decay),
    }
    arguments.one_of("optimizer", optimizer, OPTIMIZERS)
    _refuse_unused(optimizer, settings)
    if clip_norm is not None:
        arguments.positive("clip_norm", clip_norm)
    rate = learning_rate_over_steps(
        learning_rate=learning_rate,
        schedule=schedule,
        decay_rate=decay_rate,
        warmup_epochs=warmup_epochs,
        epochs=epochs,
        steps_per_epoch=steps_per_epoch,
    )
    used = {name: knob for name, knob in settings.items() if optimizer in _USERS[name]}
    return _new_optimizer(optimizer, used, rate, clip_norm)


def _refuse_unused(optimizer: str, settings: Mapping[str, float | bool]) -> None:
    for name, value in settings.items():
        if optimizer not in _USERS[name] and value != inspect.signature(build).parameters[name].default:
            raise ValueError(f"{name} is for {' and '.join(_USERS[name])}; got {value!r} with {optimizer}")
    if optimizer == "adamw" and not settings["weight_decay"]:
        raise ValueError("adamw needs weight_decay above 0, or it is adam; got 0.0")


def _new_optimizer(
    optimizer: str, settings: Mapping[str, float | bool], rate: Any, clip_norm: float | None
) -> keras.optimizers.Optimizer:
    classes = {
        "sgd": keras.optimizers.SGD,
        "rmsprop": keras.optimizers.RMSprop,
        "adam": keras.optimizers.Adam,
        "adamw": keras.optimizers.AdamW,
        "nadam": keras.optimizers.Nadam,
        "adadelta": keras.optimizers.Adadelta,
    }
    instance = classes[optimizer](learning_rate=rate, global_clipnorm=clip_norm, **settings)
    if optimizer == "adamw":
        instance.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    return instance
