from __future__ import annotations

import math
from typing import Any

import keras
import pytest

from tune_jobs.models.schedules import learning_rate_over_steps

EPOCHS, STEPS = 6, 10
TOTAL = EPOCHS * STEPS


def made(**knobs: Any) -> Any:
    given = {"learning_rate": 0.4, "schedule": "constant", "decay_rate": 0.1, "warmup_epochs": 0, **knobs}
    return learning_rate_over_steps(epochs=EPOCHS, steps_per_epoch=STEPS, **given)


def expected(schedule: str, step: int, *, warmup: int, decay_rate: float) -> float:
    """The formulas of the docstring, in plain Python."""
    if step < warmup:
        return 0.4 * (step + 1) / warmup
    p = min(1.0, (step - warmup) / (TOTAL - warmup))
    drops = (p >= 0.5) + (p >= 0.75)
    parts = {
        "constant": 1.0,
        "cosine": (1 + math.cos(math.pi * p)) / 2,
        "exponential": decay_rate**p,
        "step": decay_rate**drops,
    }
    return 0.4 * parts[schedule]


@pytest.mark.parametrize("warmup_epochs", [0, 2])
@pytest.mark.parametrize(
    ("schedule", "decay_rate"), [("constant", 0.1), ("cosine", 0.1), ("exponential", 0.3), ("step", 0.3)]
)
def test_every_step_has_the_rate_of_the_formula(schedule: str, decay_rate: float, warmup_epochs: int) -> None:
    rate = made(schedule=schedule, decay_rate=decay_rate, warmup_epochs=warmup_epochs)
    if isinstance(rate, float):
        assert rate == 0.4
        return
    for step in range(TOTAL + 5):
        wanted = expected(schedule, step, warmup=warmup_epochs * STEPS, decay_rate=decay_rate)
        assert float(rate(step)) == pytest.approx(wanted, rel=1e-5, abs=1e-7)


@pytest.mark.parametrize(("schedule", "warmup_epochs", "is_number"), [("constant", 0, True), ("constant", 1, False)])
def test_only_a_rate_that_never_changes_is_a_plain_number(schedule: str, warmup_epochs: int, is_number: bool) -> None:
    assert isinstance(made(schedule=schedule, warmup_epochs=warmup_epochs), float) is is_number


def test_cosine_without_warm_up_is_that_of_keras() -> None:
    ours, theirs = made(schedule="cosine"), keras.optimizers.schedules.CosineDecay(0.4, TOTAL)
    for step in range(TOTAL):
        assert float(ours(step)) == pytest.approx(float(theirs(step)), rel=1e-4, abs=1e-7)


def test_a_saved_schedule_is_loaded_with_the_same_rates() -> None:
    schedule = made(schedule="step", warmup_epochs=1)
    loaded = keras.optimizers.schedules.deserialize(keras.optimizers.schedules.serialize(schedule))
    assert [float(loaded(step)) for step in range(0, TOTAL, 7)] == [
        float(schedule(step)) for step in range(0, TOTAL, 7)
    ]


@pytest.mark.parametrize(
    ("knobs", "message"),
    [
        ({"schedule": "linear"}, "schedule must be one of constant, cosine, exponential, step; got 'linear'"),
        ({"learning_rate": 0.0}, "learning_rate must be a finite number above 0; got 0.0"),
        ({"warmup_epochs": EPOCHS}, "warmup_epochs must be below the 6 epochs of the training; got 6"),
        ({"warmup_epochs": -1}, "warmup_epochs must be a whole number of at least 0; got -1"),
        ({"schedule": "step", "decay_rate": 1.0}, "decay_rate must be below 1; got 1.0"),
        ({"schedule": "step", "decay_rate": 0.0}, "decay_rate must be a finite number above 0; got 0.0"),
        ({"schedule": "cosine", "decay_rate": 0.5}, "decay_rate is for the schedules exponential and step; got 0.5"),
    ],
)
def test_a_wrong_or_idle_value_is_refused(knobs: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        made(**knobs)
