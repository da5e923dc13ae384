"""Optimizers and schedules of Keras by Keras' own names, with their own settings and defaults.

The tables are what Keras has, so that a task is checked without importing it; a test compares them with Keras.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping
from typing import Any, Final

from tune_jobs.models.lazy_keras import keras

_COMMON: Final = (
    *("weight_decay", "clipnorm", "clipvalue", "global_clipnorm", "use_ema", "ema_momentum"),
    *("ema_overwrite_frequency", "loss_scale_factor", "gradient_accumulation_steps"),
)
_ADAM: Final = ("beta_1", "beta_2", "epsilon")
_MUON: Final = (
    *("adam_beta_1", "adam_beta_2", "adam_weight_decay", "epsilon", "exclude_embeddings", "muon_a", "muon_b", "muon_c"),
    *("adam_lr_ratio", "momentum", "ns_steps", "nesterov", "rms_rate"),
)
_FTRL: Final = (
    *("learning_rate_power", "initial_accumulator_value", "l1_regularization_strength", "l2_regularization_strength"),
    *("l2_shrinkage_regularization_strength", "beta"),
)
OPTIMIZERS: Final[Mapping[str, tuple[str, ...]]] = {
    "Adadelta": ("rho", "epsilon", *_COMMON),
    "Adafactor": ("beta_2_decay", "epsilon_1", "epsilon_2", "clip_threshold", "relative_step", *_COMMON),
    "Adagrad": ("initial_accumulator_value", "epsilon", *_COMMON),
    "Adam": (*_ADAM, "amsgrad", *_COMMON),
    "AdamW": (*_ADAM, "amsgrad", *_COMMON),
    "Adamax": (*_ADAM, *_COMMON),
    "Ftrl": (*_FTRL, *_COMMON),
    "Lamb": (*_ADAM, *_COMMON),
    "Lion": ("beta_1", "beta_2", *_COMMON),
    "Muon": (*_MUON, *_COMMON),
    "Nadam": (*_ADAM, *_COMMON),
    "RMSprop": ("rho", "momentum", "epsilon", "centered", *_COMMON),
    "SGD": ("momentum", "nesterov", *_COMMON),
    "ScheduleFreeAdamW": (*_ADAM, "warmup_steps", *_COMMON),
}
SCHEDULES: Final[Mapping[str, tuple[str, ...]]] = {
    "CosineDecay": ("decay_steps", "alpha", "warmup_target", "warmup_steps"),
    "CosineDecayRestarts": ("first_decay_steps", "t_mul", "m_mul", "alpha"),
    "ExponentialDecay": ("decay_steps", "decay_rate", "staircase"),
    "InverseTimeDecay": ("decay_steps", "decay_rate", "staircase"),
    "PolynomialDecay": ("decay_steps", "end_learning_rate", "power", "cycle"),
}
SETTINGS: Final = frozenset(name for table in (OPTIMIZERS, SCHEDULES) for names in table.values() for name in names)


def optimizer_named(name: str, others: Collection[str]) -> str:
    """Return Keras' name of an optimizer, in any case of letters; `others` are names that are known beside these.

    Raises:
        ValueError: there is no such optimizer; with the nearest names.
    """
    return _named(name, "optimizer", OPTIMIZERS, others)


def schedule_named(name: str, others: Collection[str]) -> str:
    """Return Keras' name of a schedule, as `optimizer_named` does."""
    return _named(name, "schedule", SCHEDULES, others)


def _named(name: str, kind: str, table: Collection[str], others: Collection[str]) -> str:
    by_letters = {known.lower(): known for known in table}
    if str(name).lower() in by_letters:
        return by_letters[str(name).lower()]
    known = (*others, *table)
    near = difflib.get_close_matches(str(name), known, n=3, cutoff=0.6)
    hint = f"; near it: {', '.join(near)}" if near else ""
    raise ValueError(f"{kind} must be one of {', '.join(known)}; got {name!r}{hint}")


def check(name: str, settings: Collection[str], table: Mapping[str, tuple[str, ...]] = OPTIMIZERS) -> None:
    """Check that an optimizer or schedule takes these settings. Raises ValueError with the first that it does not."""
    for setting in settings:
        if setting not in table[name]:
            raise ValueError(f"{name} takes no {setting}; it takes {', '.join(table[name])}")


def optimizer(name: str, settings: Mapping[str, Any], rate: Any) -> keras.optimizers.Optimizer:
    """Return an optimizer of Keras with what was set of it; `rate` is None for its own learning rate."""
    check(name, settings)
    given = settings if rate is None else {**settings, "learning_rate": rate}
    return getattr(keras.optimizers, name)(**given)


def schedule(name: str, settings: Mapping[str, Any], rate: float, steps: int) -> Any:
    """Return a schedule of Keras from `rate`, over `steps` where nothing is said of its length."""
    check(name, settings, SCHEDULES)
    length = next(setting for setting in ("decay_steps", "first_decay_steps") if setting in SCHEDULES[name])
    return getattr(keras.optimizers.schedules, name)(rate, **{length: steps, **settings})
