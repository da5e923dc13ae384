"""A worker keeps the traced functions of a training for trials whose graph is the same, and no score shows it."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import keras
import numpy as np
import pytest

from tune_jobs.datasets import TrainingData
from tune_jobs.models import clock_encodings
from tune_jobs.models.label_encodings import Classes, Head, PlainLabels
from tune_jobs.models.regression import Regression
from tune_jobs.search_spaces import Choice, Protocol, Space, Task
from tune_jobs.training import programs
from tune_jobs.training.trial import TrialRun

PARAMS = {"units": 4, "rate": 0.3, "initializer": "he_normal", "l2": 0.001, "optimizer": "adam", "learning_rate": 0.01}
SPACE = Space(**{name: Choice(value) for name, value in PARAMS.items()})
MakeTask = Callable[..., Task]
Adam = keras.optimizers.Adam


def network(
    *, input_shape: tuple[int, ...], head: Head, units: int, rate: float, initializer: str, l2: float
) -> keras.Model:
    inputs = keras.Input(input_shape, dtype="uint8")
    x = keras.layers.Flatten()(keras.layers.Rescaling(1 / 255)(inputs))
    x = keras.layers.Dense(units, "relu", kernel_initializer=initializer, kernel_regularizer=keras.regularizers.L2(l2))(
        x
    )
    return keras.Model(inputs, head(keras.layers.BatchNormalization()(keras.layers.Dropout(rate)(x))))


@pytest.fixture(autouse=True)
def _none_kept() -> Iterator[None]:
    programs._kept.clear()
    yield
    programs._kept.clear()


@pytest.fixture
def task(tiny_task: MakeTask) -> Task:
    return tiny_task(
        build=network, space=SPACE, baseline=PARAMS, protocol=Protocol(epochs=2, batch_size=32, validation=30)
    )


def trained(task: Task, data: TrainingData, params: Mapping[str, Any], seed: int = 0) -> tuple[Any, int]:
    """All numbers that come out of a trial, and which functions trained it."""
    run = TrialRun(task, params, data, seed=seed)
    list(run)
    assert run.result.state == "complete", run.result
    assert run.model is not None
    numbers = run.result.history, run.result.errors, [array.tobytes() for array in run.model.get_weights()]
    functions = id(run._training._epochs)  # type: ignore[union-attr]
    run.release()
    return numbers, functions


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "is_shared"),
    [
        ({}, True),
        ({"learning_rate": 0.1}, True),
        ({"initializer": "glorot_uniform"}, True),
        ({"units": 5}, False),
        ({"rate": 0.0}, False),
        ({"l2": 0.1}, False),
        ({"optimizer": "sgd"}, False),
    ],
    ids=str,
)
def test_trials_of_one_graph_share_their_functions_and_no_number_shows_it(
    change: dict[str, Any], is_shared: bool, task: Task, tiny_data: TrainingData
) -> None:
    alone, _ = trained(task, tiny_data, PARAMS | change, seed=1)
    programs._kept.clear()
    _, first = trained(task, tiny_data, PARAMS)
    after_another, second = trained(task, tiny_data, PARAMS | change, seed=1)
    assert after_another == alone
    assert (first == second) is is_shared


@pytest.mark.slow
def test_a_model_that_is_not_released_is_nobody_elses(task: Task, tiny_data: TrainingData) -> None:
    first = TrialRun(task, PARAMS, tiny_data, seed=0)
    list(first)
    assert first.model is not None
    weights = [array.tobytes() for array in first.model.get_weights()]
    trained(task, tiny_data, PARAMS, seed=1)
    trained(task, tiny_data, PARAMS, seed=2)
    assert [array.tobytes() for array in first.model.get_weights()] == weights


def named(x: Any) -> Any:
    return x


class Own(keras.layers.Layer):  # type: ignore[misc]
    def call(self, x: Any) -> Any:
        return x


def compiled(*layers: Any, optimizer: Any = "adam", loss: Any = "mse", **more: Any) -> keras.Model:
    model = keras.Sequential([keras.Input((3,)), *layers, keras.layers.Dense(1)])
    model.compile(optimizer, loss, **more)
    return model


def key(model: keras.Model, encoding: Any = None, batch_size: int = 8) -> str | None:
    return programs._key(model, encoding or PlainLabels(), batch_size)


def adapted() -> keras.Model:
    normal = keras.layers.Normalization()
    normal.adapt(np.eye(3))
    return compiled(normal)


def frozen_by_hand() -> keras.Model:
    model = compiled(keras.layers.Dense(2))
    model.layers[0].kernel.trainable = False
    return model


def stateful() -> keras.Model:
    inputs = keras.Input(batch_shape=(8, 3, 1))
    model = keras.Model(inputs, keras.layers.LSTM(2, stateful=True)(inputs))
    model.compile("adam", "mse")
    return model


@pytest.mark.parametrize(
    "make",
    [
        lambda: compiled(Own()),
        stateful,
        lambda: compiled(keras.layers.Lambda(lambda x: x)),
        lambda: compiled(keras.layers.Activation(lambda x: x)),
        lambda: compiled(keras.layers.Dense(2, named)),
        lambda: compiled(keras.layers.Dense(2, kernel_regularizer=named)),
        adapted,
        lambda: compiled(loss=lambda targets, outputs: outputs),
        lambda: compiled(metrics=[lambda targets, outputs: outputs]),
        lambda: compiled(run_eagerly=True),
        lambda: compiled(optimizer=keras.optimizers.Adam(lambda: 0.1)),
        lambda: compiled(
            optimizer=keras.optimizers.MultiOptimizer(keras.optimizers.OptimizerMap(Adam(), {"x": Adam()}))
        ),
        lambda: compiled(optimizer=keras.optimizers.LossScaleOptimizer(Adam())),
    ],
)
def test_what_a_graph_depends_on_and_cannot_be_compared_is_not_kept(make: Callable[[], keras.Model]) -> None:
    assert key(make()) is None


def test_graphs_that_differ_have_keys_of_their_own() -> None:
    def fresh(*of: Any, **changes: Any) -> str | None:
        keras.backend.clear_session()
        return key(compiled(*of, **changes))

    adam = functools.partial(keras.optimizers.Adam, 0.1)
    keys = [
        fresh(),
        fresh(loss="mae"),
        fresh(loss=keras.losses.Huber(0.5)),
        fresh(loss=keras.losses.Huber(0.6)),
        fresh(metrics=["mae"]),
        fresh(optimizer=adam(beta_1=0.8)),
        fresh(optimizer=adam(use_ema=True)),
        fresh(optimizer=adam(clipnorm=1.0)),
        fresh(optimizer=keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(0.1, 10))),
        fresh(optimizer=keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(0.2, 10))),
        fresh(keras.layers.Dropout(0.1)),
        fresh(keras.layers.Dropout(0.2)),
        fresh(keras.layers.Dense(3, trainable=False)),
        fresh(keras.layers.Dense(3)),
        key(frozen_by_hand()),
        key(compiled(), batch_size=9),
    ]
    assert None not in keys
    assert len(set(keys)) == len(keys)
    assert fresh(optimizer=adam()) == fresh(optimizer=keras.optimizers.Adam(0.2))


def test_encodings_that_train_differently_have_keys_of_their_own() -> None:
    encodings = [Classes(3), Classes(4), Regression(), Regression(mean=(1.0,)), Regression(std=(2.0,))]
    encodings += [clock_encodings.build(encoding="soft-classes", width_minutes=width) for width in (10.0, 20.0)]
    encodings += [
        clock_encodings.build(encoding="two-hands", decoding="joint", minute_weight=weight) for weight in (0.3, 0.6)
    ]
    keras.backend.clear_session()
    model = compiled()
    keys = [key(model, each) for each in encodings]
    assert None not in keys
    assert len(set(keys)) == len(keys)


def test_few_programs_are_kept_and_the_latest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs, "MOST", 2)
    made = [
        programs.of(compiled(keras.layers.Dense(n)), Classes(2), batch_size=8, seed=0, is_plain=True) for n in (1, 2, 3)
    ]
    for program in made:
        programs.keep(program)
    assert list(programs._kept.values()) == made[1:]
    monkeypatch.setattr(programs, "MOST_MB", 0.0)
    programs.keep(made[0])
    assert list(programs._kept.values()) == [made[0]]
