"""Optimizers with their learning rate schedules, from flat values that a search may choose."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any, Final

from tune_jobs.models import arguments
from tune_jobs.models.lazy_keras import keras
from tune_jobs.models.schedules import DEFAULT_DECAY_RATE, learning_rate_over_steps

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
