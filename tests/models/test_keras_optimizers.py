"""Any optimizer and schedule of Keras by its own name, with its own settings."""

from __future__ import annotations

import inspect
from typing import Any

import keras
import pytest

from tune_jobs.models import keras_optimizers, optimizers

NO_PARAMS = {"learning_rate", "name", "exclude_layers", "initial_learning_rate"}  # given otherwise, or no scalars


def made(**params: Any) -> keras.optimizers.Optimizer:
    return optimizers.from_params(params, steps_per_epoch=4, epochs=5)


def config_of(optimizer: keras.optimizers.Optimizer) -> dict[str, Any]:
    return {name: value for name, value in optimizer.get_config().items() if name != "name"}


def settings_of(kind: type) -> set[str]:
    named = (one for one in inspect.signature(kind).parameters.values() if one.kind is not one.VAR_KEYWORD)
    return {one.name for one in named} - NO_PARAMS


def test_the_tables_are_what_keras_has() -> None:
    base, wrapping = keras.optimizers.Optimizer, {"Optimizer", "LossScaleOptimizer", "MultiOptimizer"}
    kinds = {
        name: kind for name, kind in vars(keras.optimizers).items() if inspect.isclass(kind) and issubclass(kind, base)
    }
    assert {name: set(names) for name, names in keras_optimizers.OPTIMIZERS.items()} == {
        name: settings_of(kind) for name, kind in kinds.items() if name not in wrapping
    }
    schedules = keras.optimizers.schedules
    for name, names in keras_optimizers.SCHEDULES.items():
        assert settings_of(getattr(schedules, name)) == set(names)


@pytest.mark.parametrize("name", keras_optimizers.OPTIMIZERS)
def test_every_optimizer_of_keras_has_its_own_defaults(name: str) -> None:
    kind = getattr(keras.optimizers, name)
    assert config_of(made(optimizer=name)) == config_of(kind())
    assert type(made(optimizer=name.swapcase())) is kind


def test_settings_reach_an_optimizer_of_keras_also_where_they_are_our_defaults() -> None:
    config = made(optimizer="lion", beta_2=0.999, use_ema=True, learning_rate=0.01).get_config()
    assert (config["beta_2"], config["use_ema"]) == (0.999, True)
    assert config["learning_rate"] == pytest.approx(0.01)


@pytest.mark.parametrize("optimizer", ["sgd", "SGD"])
def test_a_schedule_of_keras_lasts_for_the_whole_training(optimizer: str) -> None:
    params = {"schedule": "PolynomialDecay", "end_learning_rate": 0.2, "learning_rate": 0.4}
    rate = made(optimizer=optimizer, momentum=0.5, **params)._learning_rate
    assert isinstance(rate, keras.optimizers.schedules.PolynomialDecay)
    assert [float(rate(step)) for step in (0, 10, 20)] == pytest.approx([0.4, 0.3, 0.2])
    shorter = made(optimizer=optimizer, decay_steps=10, **params)._learning_rate
    assert float(shorter(10)) == pytest.approx(0.2)


def test_our_schedules_serve_an_optimizer_of_keras() -> None:
    rate = made(optimizer="Lion", schedule="cosine", warmup_epochs=1, learning_rate=0.4)._learning_rate
    assert [float(rate(step)) for step in (0, 3, 20)] == pytest.approx([0.1, 0.4, 0.0])


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"optimizer": "adagard"}, r"optimizer must be one of sgd, .*; got 'adagard'; near it: Adagrad"),
        ({"optimizer": "Lion", "epsilon": 0.1}, "Lion takes no epsilon; it takes beta_1, beta_2, weight_decay"),
        ({"optimizer": "adam", "amsgrad": True}, "adam takes no amsgrad; Keras' own does: optimizer='Adam'"),
        ({"optimizer": "sgd", "alpha": 0.1}, "sgd takes no alpha$"),
        ({"schedule": "CosineDecay", "power": 2.0}, "adam takes no power"),
        ({"schedule": "cosin"}, "schedule must be one of constant, .*near it: cosine"),
    ],
)
def test_what_nothing_takes_is_refused_without_keras(params: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        optimizers.check(params)


def test_params_of_ours_make_what_they_made() -> None:
    params = {"optimizer": "adamw", "weight_decay": 0.1, "clip_norm": 1.0, "learning_rate": 0.01}
    theirs = optimizers.build(steps_per_epoch=4, epochs=5, **params)
    assert config_of(made(**params)) == config_of(theirs)
    assert config_of(made()) == config_of(optimizers.build(steps_per_epoch=4, epochs=5))
