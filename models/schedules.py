"""The learning rate over the steps of a training: linear warm-up, then one of four schedules to the last epoch."""

from __future__ import annotations

import functools
import math
from typing import Any, Final

from tune_jobs.models import arguments
from tune_jobs.models.lazy_keras import keras

SCHEDULES: Final = ("constant", "cosine", "exponential", "step")
DECAYING_BY_RATE: Final = ("exponential", "step")
DEFAULT_DECAY_RATE: Final = 0.1


def learning_rate_over_steps(
    *,
    learning_rate: float,
    schedule: str,
    decay_rate: float,
    warmup_epochs: int,
    epochs: int,
    steps_per_epoch: int,
) -> Any:
    """Return the learning rate as a Keras optimizer takes it: a number if it is constant, else a schedule over steps.

    Let `p` run from 0 to 1 between the end of the warm-up and that of the training, and stay at 1 after it. The rate is
    `learning_rate` times 1 (constant), `(1 + cos(pi p)) / 2` (cosine; Loshchilov and Hutter 2017), `decay_rate ** p`
    (exponential), or `decay_rate` once from `p = 1/2` and again from `p = 3/4` (step; He et al. 2016, section 4.2).
    Step `s` of a warm-up, counted from 0, has `(s + 1) / warm-up steps` of it (Goyal et al. 2017).

    Raises:
        ValueError: a value is not allowed, or `decay_rate` is set for a schedule that does not use it.
    """
    arguments.positive("learning_rate", learning_rate)
    arguments.one_of("schedule", schedule, SCHEDULES)
    arguments.whole("epochs", epochs, at_least=1)
    arguments.whole("steps_per_epoch", steps_per_epoch, at_least=1)
    if arguments.whole("warmup_epochs", warmup_epochs, at_least=0) >= epochs:
        raise ValueError(f"warmup_epochs must be below the {epochs} epochs of the training; got {warmup_epochs}")
    if arguments.positive("decay_rate", decay_rate) >= 1:
        raise ValueError(f"decay_rate must be below 1; got {decay_rate!r}")
    if schedule not in DECAYING_BY_RATE and decay_rate != DEFAULT_DECAY_RATE:
        users = " and ".join(DECAYING_BY_RATE)
        raise ValueError(f"decay_rate is for the schedules {users}; got {decay_rate!r} with {schedule}")
    if schedule == "constant" and not warmup_epochs:
        return learning_rate
    return schedule_class()(
        learning_rate=learning_rate,
        schedule=schedule,
        decay_rate=decay_rate,
        warmup_steps=warmup_epochs * steps_per_epoch,
        total_steps=epochs * steps_per_epoch,
    )


@functools.cache
def schedule_class() -> Any:
    """Return the Keras class of these schedules, made at the first call because its base class imports Keras.

    Keras can load a saved optimizer with its schedule after this function was called.
    """

    @keras.saving.register_keras_serializable(package="models")
    class WarmedUpSchedule(keras.optimizers.schedules.LearningRateSchedule):  # type: ignore[misc]
        def __init__(
            self, *, learning_rate: float, schedule: str, decay_rate: float, warmup_steps: int, total_steps: int
        ) -> None:
            super().__init__()
            self.learning_rate = learning_rate
            self.schedule = schedule
            self.decay_rate = decay_rate
            self.warmup_steps = warmup_steps
            self.total_steps = total_steps

        def __call__(self, step: Any) -> Any:
            step = keras.ops.cast(step, "float32")
            progress = (step - self.warmup_steps) / (self.total_steps - self.warmup_steps)
            share = _share(self.schedule, self.decay_rate, keras.ops.clip(progress, 0.0, 1.0))
            if self.warmup_steps:
                share = keras.ops.where(step < self.warmup_steps, (step + 1) / self.warmup_steps, share)
            return self.learning_rate * share

        def get_config(self) -> dict[str, Any]:
            return {
                "learning_rate": self.learning_rate,
                "schedule": self.schedule,
                "decay_rate": self.decay_rate,
                "warmup_steps": self.warmup_steps,
                "total_steps": self.total_steps,
            }

    return WarmedUpSchedule


def _share(schedule: str, decay_rate: float, progress: keras.KerasTensor) -> keras.KerasTensor:
    """Return the share of the learning rate at `progress`, a scalar from 0 to 1."""
    if schedule == "cosine":
        return 0.5 * (1.0 + keras.ops.cos(math.pi * progress))
    if schedule == "exponential":
        return keras.ops.power(decay_rate, progress)
    if schedule == "step":
        drops = keras.ops.cast(progress >= 0.5, "float32") + keras.ops.cast(progress >= 0.75, "float32")
        return keras.ops.power(decay_rate, drops)
    return keras.ops.ones_like(progress)
