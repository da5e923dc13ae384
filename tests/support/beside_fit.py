"""A model trained in our epochs beside the same one in Keras' `fit`, over the same batches."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import keras
import numpy as np
import pytest

from tune_jobs.datasets import TrainingData, nests
from tune_jobs.datasets.dataset import Split
from tune_jobs.training import compiled
from tune_jobs.training.compiled import CompiledEpochs

MakeModel = Callable[[], keras.Model]
SEED, BATCH, EPOCHS = 5, 32, 2  # of 90 rows: two whole batches and one of 26


def parts(split: Split, which: Any = slice(None)) -> tuple[Any, ...]:
    """Rows of a split as `fit` takes them."""
    whole = (split.x, split.labels) if split.weights is None else (split.x, split.labels, split.weights)
    return tuple(nests.mapped(compiled.as_in_fit, nests.rows(part, which)) for part in whole)


def orders(data: TrainingData, epochs: int) -> Iterator[np.ndarray]:
    """The rows of our epochs, in their order."""
    for epoch in range(epochs):
        yield np.random.default_rng((SEED, epoch)).permutation(len(data.train))


def batches(data: TrainingData, epochs: int) -> Iterator[tuple[Any, ...]]:
    for order in orders(data, epochs):
        for start in range(0, len(order), BATCH):
            yield parts(data.train, order[start : start + BATCH])


def fitted(
    model: keras.Model, data: TrainingData, *, validates: bool = True, epochs: int = EPOCHS, **more: Any
) -> list[dict[str, Any]]:
    """What `fit` shows of each epoch."""
    history = model.fit(
        batches(data, epochs),
        shuffle=False,
        steps_per_epoch=-(-len(data.train) // BATCH),
        epochs=epochs,
        validation_data=parts(data.validation) if validates else None,
        validation_batch_size=BATCH,
        verbose=0,
        **more,
    ).history
    return [
        {name: values[epoch] for name, values in history.items()} for epoch in range(len(next(iter(history.values()))))
    ]


def ours(model: keras.Model, data: TrainingData) -> list[dict[str, float]]:
    train, validation = compiled.resident_splits((data.train, data.validation), lambda labels: labels)
    epochs = CompiledEpochs(model, batch_size=BATCH, seed=SEED)
    return [
        epochs.train(train) | {f"val_{name}": value for name, value in epochs.evaluate(validation).items()}
        for _ in range(EPOCHS)
    ]


def assert_same(
    make: MakeModel, data: TrainingData, *, validates: bool = True, is_traced: bool = True
) -> list[dict[str, float]]:
    """Compare the epochs and the last weights with those of `fit`; return the epochs.

    Unless `fit` `is_traced`, it runs each step as it is written: for a few steps that takes less time than to trace
    them. Keras' mean of an output's own loss counts every batch alike where it is traced, and every image where not.
    """
    model, keras_own = make(), make()
    if not is_traced:
        keras_own.run_eagerly = True
    found, expected = ours(model, data), fitted(keras_own, data, validates=validates)
    assert_same_epochs(found, expected)
    assert_same_weights(model, keras_own)
    return found


def assert_same_epochs(found: list[dict[str, float]], expected: list[Mapping[str, Any]] | list[dict[str, Any]]) -> None:
    assert [sorted(epoch) for epoch in found] == [sorted(epoch) for epoch in expected]
    for epoch, other in zip(found, expected, strict=True):
        assert epoch == pytest.approx(other, rel=1e-4, abs=1e-6)


def assert_same_weights(one: keras.Model, other: keras.Model) -> None:
    for own, theirs in zip(one.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_allclose(own, theirs, rtol=1e-4, atol=1e-6)
