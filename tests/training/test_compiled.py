"""Compiled epochs do what Keras' own `fit`, `train_on_batch` and `evaluate` do, on the same batches."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from tune_jobs.datasets import TrainingData
from tune_jobs.datasets.dataset import Split
from tune_jobs.errors import DataError
from tune_jobs.models import mlp
from tune_jobs.search_spaces import Task
from tune_jobs.training import compiled, devices, tensorflow_process
from tune_jobs.training.compiled import CompiledEpochs, ResidentSplit
from tune_jobs.training.devices import DeviceFigures
from tune_jobs.training.runs import run_trial

SEED = 5
BATCH = 32  # 90 images: two whole batches and one of 26


def model_of(task: Task, learning_rate: float = 0.05) -> keras.Model:
    assert task.build is not None
    assert task.encoding is not None
    model = task.build(input_shape=(4, 4, 1), head=task.encoding.head, units=8)
    model.compile(keras.optimizers.Adam(learning_rate), task.encoding.loss(), metrics=task.encoding.metrics())
    return model


def twins(task: Task) -> tuple[keras.Model, keras.Model]:
    one, other = model_of(task), model_of(task)
    other.set_weights(one.get_weights())
    return one, other


def order_of(epoch: int, n: int) -> np.ndarray:
    """The order that the docstring promises: drawn from the seed and the epoch's number."""
    return np.random.default_rng((SEED, epoch)).permutation(n)


def on_device(data: TrainingData, task: Task) -> tuple[ResidentSplit, ...]:
    assert task.encoding is not None
    return compiled.resident_splits((data.train, data.validation), task.encoding.targets)


def assert_same_weights(one: keras.Model, other: keras.Model) -> None:
    for ours, theirs in zip(one.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("has_gpu", [False, True])
def test_inputs_that_no_device_could_hold_are_refused_before_training(
    has_gpu: bool, tiny_data: TrainingData, tiny_task: Callable[..., Task], monkeypatch: pytest.MonkeyPatch
) -> None:
    """120 images of 4 x 4 in uint8 are 1,920 bytes; as floats they are four times as many."""
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: ["GPU"] * has_gpu)
    room = DeviceFigures("0", 0, 2000 / 2**20, 0)
    monkeypatch.setattr(devices, "device_reader", lambda: SimpleNamespace(read=lambda: (room,)))
    monkeypatch.setattr(devices, "host_memory_mb", lambda: 2000 / 2**20)
    monkeypatch.setattr(compiled, "_resident", [])
    assert len(on_device(tiny_data, tiny_task())) == 2
    as_floats = [replace(part, x=part.x.astype(np.float64)) for part in (tiny_data.train, tiny_data.validation)]
    with pytest.raises(DataError, match=r"the inputs of the data set need 0\.0 GiB on the device, which has 0\.0 GiB"):
        compiled.resident_splits(as_floats, lambda labels: labels)


@pytest.mark.slow
def test_a_trial_on_inputs_that_no_device_could_hold_fails_with_that_line(
    tiny_data: TrainingData, tiny_task: Callable[..., Task], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(devices, "host_memory_mb", lambda: 1000 / 2**20)
    monkeypatch.setattr(compiled, "_resident", [])
    task = tiny_task()
    result = run_trial(task, task.baseline, tiny_data, seed=0)
    assert (result.state, result.reason, result.history) == ("failed", "crashed", ())
    assert "train on fewer (--images)" in result.message


@pytest.mark.slow
def test_epochs_are_those_of_keras_fit_on_the_same_order(
    tiny_task: Callable[..., Task], tiny_data: TrainingData
) -> None:
    ours, keras_own = twins(tiny_task())
    epochs = CompiledEpochs(ours, batch_size=BATCH, seed=SEED)
    train, _ = on_device(tiny_data, tiny_task())
    for epoch in range(3):
        order = order_of(epoch, 90)
        expected = keras_own.fit(
            tiny_data.train.x[order], tiny_data.train.labels[order], batch_size=BATCH, shuffle=False, verbose=0
        ).history
        assert epochs.train(train) == pytest.approx({name: value for name, (value,) in expected.items()}, rel=1e-4)
    assert_same_weights(ours, keras_own)


@pytest.mark.slow
def test_the_last_shorter_batch_is_trained_and_counted(tiny_task: Callable[..., Task], tiny_data: TrainingData) -> None:
    model = model_of(tiny_task())
    train, _ = on_device(tiny_data, tiny_task())
    metrics = CompiledEpochs(model, batch_size=BATCH, seed=SEED).train(train)
    assert int(model.optimizer.iterations.numpy()) == 3
    right = metrics["accuracy"] * 90
    assert right == pytest.approx(round(right), abs=1e-3)  # a share of all 90 images


@pytest.mark.slow
@pytest.mark.parametrize("batch", [7, 500])
def test_evaluation_is_that_of_keras_whatever_the_batch(
    batch: int, tiny_task: Callable[..., Task], tiny_data: TrainingData
) -> None:
    model = model_of(tiny_task())
    before = model.get_weights()
    train, validation = on_device(tiny_data, tiny_task())
    epochs = CompiledEpochs(model, batch_size=batch, seed=SEED)
    epochs.evaluate(train)  # what was counted before must not be counted again
    ours = epochs.evaluate(validation)
    expected = model.evaluate(tiny_data.validation.x, tiny_data.validation.labels, verbose=0, return_dict=True)
    assert ours == pytest.approx(expected, rel=1e-5)
    for was, is_now in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(was, is_now)


@pytest.mark.parametrize("batch", [7, 30, 500])
def test_outputs_are_those_of_keras_predict_whatever_the_batch(
    batch: int, tiny_task: Callable[..., Task], tiny_data: TrainingData, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compiled, "PREDICTION_BATCH", batch)
    model, x = model_of(tiny_task()), tiny_data.validation.x
    outputs = compiled.predict(model, x)
    assert isinstance(outputs, np.ndarray)
    assert outputs.shape == (30, 3)
    np.testing.assert_allclose(outputs, model.predict(x, verbose=0), rtol=1e-5, atol=1e-6)


def test_outputs_of_several_heads_come_in_the_models_own_form(
    tiny_data: TrainingData, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compiled, "PREDICTION_BATCH", 7)
    model, x = two_heads(), tiny_data.validation.x
    outputs, expected = compiled.predict(model, x), model.predict(x, verbose=0)
    assert sorted(outputs) == sorted(expected) == ["parity", "row"]
    for head, answers in outputs.items():
        np.testing.assert_allclose(answers, expected[head], rtol=1e-5, atol=1e-6)


def test_outputs_are_without_what_is_random_in_training(tiny_data: TrainingData) -> None:
    inputs = keras.Input((4, 4, 1), dtype="uint8")
    model = keras.Model(inputs, keras.layers.Dropout(0.5)(keras.layers.Rescaling(1 / 255)(inputs)))
    x = tiny_data.validation.x
    np.testing.assert_allclose(compiled.predict(model, x), x / 255, rtol=1e-6)


def two_heads() -> keras.Model:
    inputs = keras.Input((4, 4, 1), dtype="uint8")
    x = keras.layers.Flatten()(keras.layers.Rescaling(1 / 255)(inputs))
    row = keras.layers.Dense(3, name="row")(x)
    parity = keras.layers.Dense(1, activation="sigmoid", name="parity")(x)
    return keras.Model(inputs, {"row": row, "parity": parity})


def as_mapping(labels: np.ndarray) -> dict[str, np.ndarray]:
    return {"row": labels.astype(np.int32), "parity": (labels % 2).astype(np.float32)[:, None]}


def as_tuple(labels: np.ndarray) -> tuple[np.ndarray, ...]:
    return tuple(as_mapping(labels).values())


@pytest.mark.slow
@pytest.mark.parametrize("targets", [as_mapping, as_tuple])
def test_several_heads_are_trained_on_targets_in_several_parts(
    targets: Callable[[np.ndarray], Any], tiny_data: TrainingData
) -> None:
    def compiled_model() -> keras.Model:
        model = two_heads()
        losses = [keras.losses.SparseCategoricalCrossentropy(from_logits=True), keras.losses.BinaryCrossentropy()]
        if targets is as_tuple:
            model = keras.Model(model.inputs, (model.output["row"], model.output["parity"]))
        loss = dict(zip(("row", "parity"), losses, strict=True)) if targets is as_mapping else losses
        model.compile(keras.optimizers.SGD(0.1), loss)
        return model

    ours, keras_own = compiled_model(), compiled_model()
    keras_own.set_weights(ours.get_weights())
    (train,) = compiled.resident_splits((tiny_data.train,), targets)
    metrics = CompiledEpochs(ours, batch_size=BATCH, seed=SEED).train(train)

    order, total = order_of(0, 90), 0.0
    for start in range(0, 90, BATCH):
        rows = order[start : start + BATCH]
        batch = keras_own.train_on_batch(
            tiny_data.train.x[rows], targets(tiny_data.train.labels[rows]), return_dict=True
        )
        total += batch["loss"] * len(rows)
    assert metrics["loss"] == pytest.approx(total / 90, rel=1e-4)
    assert_same_weights(ours, keras_own)


@pytest.mark.slow
def test_a_model_with_a_train_step_of_its_own_is_trained_by_it(tiny_data: TrainingData) -> None:
    class Counting(keras.Model):  # type: ignore[misc]
        """Learns nothing: its one weight counts the images it was shown."""

        def train_step(self, data: Any) -> dict[str, Any]:
            x, _ = data
            self.weights[0].assign_add(keras.ops.cast(keras.ops.shape(x)[0], "float32") * keras.ops.ones((1,)))
            return {}

    inputs = keras.Input((4, 4, 1), dtype="uint8")
    pooled = keras.layers.Flatten()(keras.layers.GlobalAveragePooling2D()(inputs))
    model = Counting(inputs, keras.layers.Dense(1, use_bias=False, kernel_initializer="zeros")(pooled))
    model.layers[-1].kernel.assign(np.zeros((1, 1)))
    model.compile("sgd", "mse")
    (train,) = compiled.resident_splits((tiny_data.train,), lambda labels: labels.astype(np.float32))
    CompiledEpochs(model, batch_size=BATCH, seed=SEED).train(train)
    assert model.get_weights()[0].item() == 90


@pytest.mark.slow
def test_augmented_epochs_repeat_with_their_seed_and_differ_from_each_other(
    tiny_task: Callable[..., Task], tiny_data: TrainingData
) -> None:
    def losses() -> list[float]:
        """Of a network that learns nothing, so that only its pictures change."""
        tensorflow_process.reset(SEED)
        encoding = tiny_task().encoding
        assert encoding is not None
        model = mlp.build(input_shape=(4, 4, 1), head=encoding.head, units=8, augmentation="flip-shift")
        model.compile(keras.optimizers.SGD(0.0), encoding.loss())
        epochs = CompiledEpochs(model, batch_size=90, seed=SEED)
        train, validation = on_device(tiny_data, tiny_task())
        scored = [epochs.evaluate(validation)["loss"] for _ in range(2)]
        assert scored[0] == scored[1]
        return [epochs.train(train)["loss"] for _ in range(3)]

    first = losses()
    assert len({round(loss, 4) for loss in first}) == 3
    assert losses() == first


def trained(seed: int, task: Task, data: TrainingData) -> tuple[list[np.ndarray], list[dict[str, float]]]:
    tensorflow_process.reset(seed)
    model = model_of(task)
    epochs = CompiledEpochs(model, batch_size=BATCH, seed=seed)
    train, validation = on_device(data, task)
    metrics = [epochs.train(train) | epochs.evaluate(validation) for _ in range(2)]
    return model.get_weights(), metrics


@pytest.mark.slow
def test_a_seed_repeats_bit_for_bit_and_another_does_not(
    tiny_task: Callable[..., Task], tiny_data: TrainingData
) -> None:
    weights, metrics = trained(1, tiny_task(), tiny_data)
    same_weights, same_metrics = trained(1, tiny_task(), tiny_data)
    other_weights, other_metrics = trained(2, tiny_task(), tiny_data)
    assert metrics == same_metrics
    assert all(np.array_equal(one, same) for one, same in zip(weights, same_weights, strict=True))
    assert metrics != other_metrics
    assert not np.array_equal(weights[0], other_weights[0])


def test_images_stay_on_the_device_until_others_are_asked_for(tiny_data: TrainingData) -> None:
    def resident(split: Split) -> ResidentSplit:
        return compiled.resident_splits((split,), lambda labels: labels)[0]

    first = resident(tiny_data.train)
    assert resident(Split(tiny_data.train.x, tiny_data.train.labels)).x is first.x
    other = resident(tiny_data.validation)
    assert (first.size, other.size) == (90, 30)
    assert resident(tiny_data.train).x is not first.x
    likeness = Split(255 - tiny_data.train.x, tiny_data.train.labels)
    np.testing.assert_array_equal(resident(likeness).x, likeness.x)


def test_targets_do_not_stay_on_the_device(tiny_data: TrainingData) -> None:
    for factor in (1, 2):
        (split,) = compiled.resident_splits((tiny_data.train,), lambda labels, by=factor: labels * by)
        np.testing.assert_array_equal(split.targets, tiny_data.train.labels * factor)


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "int64", "uint8", "bool"])
def test_arrays_reach_the_model_in_the_type_that_fit_gives_them(dtype: str) -> None:
    """Keras' own loop hands floats over in `floatx`, and all else as it is."""
    seen = []

    class Looking(keras.Model):  # type: ignore[misc]
        def train_step(self, data: Any) -> dict[str, Any]:
            seen.append([(part.dtype.name, part.shape[1:]) for part in data])
            return {"seen": 1.0}

        test_step = train_step

    inputs = keras.Input((2,), dtype=dtype)
    model = Looking(inputs, inputs)
    model.compile("sgd", "mse", run_eagerly=True)
    x, y = np.ones((3, 2), dtype), np.ones((3, 1), dtype)
    model.fit(x, y, batch_size=3, verbose=0)
    (split,) = compiled.resident_splits((Split(x, y),), lambda labels: labels)
    CompiledEpochs(model, batch_size=3, seed=0).train(split)
    assert seen[-1] == seen[0]


def test_weights_are_counted(tiny_task: Callable[..., Task]) -> None:
    assert compiled.count_weights(model_of(tiny_task())) == 16 * 8 + 8 + 8 * 3 + 3


def test_images_are_resident_as_they_are_stored(tiny_data: TrainingData) -> None:
    (split,) = compiled.resident_splits((Split(tiny_data.train.x, tiny_data.train.labels),), lambda labels: labels)
    assert split.x.dtype.name == "uint8"
    np.testing.assert_array_equal(split.x.numpy(), tiny_data.train.x)
