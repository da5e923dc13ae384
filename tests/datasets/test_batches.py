"""A pipeline of batches that a task's own function returns becomes arrays in its order, as `fit` would see them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tune_jobs.datasets import memory, own
from tune_jobs.errors import DataError
from tune_jobs.models.lazy_keras import keras
from tune_jobs.search_spaces import Data

X, Y = np.arange(24.0, dtype="float32").reshape(12, 2), np.arange(12)


def pipeline(*parts: Any, size: int | None = 5) -> Any:
    import tensorflow as tf

    whole = tf.data.Dataset.from_tensor_slices(parts)
    return whole.batch(size) if size else whole


def returning(value: Any) -> Callable[[], Any]:
    def load_data() -> Any:
        return value

    return load_data


@pytest.mark.parametrize("size", [5, 12, None])
def test_batches_are_joined_in_their_order(size: int | None) -> None:
    original = own.load(returning((pipeline(X, Y, size=size), pipeline(X[:4], Y[:4], size=size))))
    np.testing.assert_array_equal(original.train.x, X)
    np.testing.assert_array_equal(original.train.labels, Y)
    assert len(original.test) == 4


def test_nests_weights_and_texts_are_kept() -> None:
    inputs = {"words": np.array([f"größe {n}" for n in Y]), "numbers": X}
    original = own.load(returning((pipeline(inputs, Y, Y / 12), pipeline(inputs, Y, Y / 12))))
    assert list(original.train.x["words"]) == list(inputs["words"])
    np.testing.assert_array_equal(original.train.x["numbers"], X)
    np.testing.assert_array_equal(original.train.weights, Y / 12)


def test_a_pydataset_is_read_batch_by_batch() -> None:
    class Batches(keras.utils.PyDataset):  # type: ignore[misc]
        def __len__(self) -> int:
            return 3

        def __getitem__(self, index: int) -> Any:
            return X[index * 4 :][:4], Y[index * 4 :][:4]

    original = own.load(returning((Batches(), (X, Y))))
    np.testing.assert_array_equal(original.train.x, X)


def test_a_part_of_data_that_are_divided_is_read_too() -> None:
    whole = Data(pipeline(X, Y), test=0.25, in_order=True)
    original = own.load(returning(whole))
    np.testing.assert_array_equal(original.train.x, X[:9])
    np.testing.assert_array_equal(original.test.labels, Y[9:])
    parts = Data(pipeline(X, Y), pipeline(X[:3], Y[:3]), validation=pipeline(X[3:5], Y[3:5]))
    validation = own.load(returning(parts)).validation
    assert validation is not None
    np.testing.assert_array_equal(validation.x, X[3:5])


def test_more_than_memory_holds_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    read = list[int]()

    class Endless(keras.utils.PyDataset):  # type: ignore[misc]
        def __len__(self) -> int:
            return 10**9

        def __getitem__(self, index: int) -> Any:
            read.append(index)
            return np.zeros((256, 128)), np.zeros(256)

    monkeypatch.setattr(memory, "total", lambda: 2**22)  # of which the half is less than eight batches
    with pytest.raises(DataError, match=r"has more than 0\.0 GiB, for which this machine has no room: stream it"):
        own.load(returning((Endless(), (X, Y))))
    assert len(read) == 8


def test_what_cannot_be_read_is_one_line() -> None:
    import tensorflow as tf

    rows = tf.ragged.constant([[1] * (1 + n // 4) for n in Y])

    def fails(x: Any, y: Any) -> Any:
        import tensorflow as tf

        return tf.py_function(lambda: 1 / 0, [], tf.float32), y

    for train, says in (
        (pipeline(X, Y).repeat(), r"never ends: leave out repeat\(\)"),
        (pipeline(X, Y).take(0), "a pipeline of batches is empty"),
        (pipeline(X, Y).map(fails), "a pipeline of batches raised .*division by zero"),
        (pipeline(rows, Y).map(lambda x, y: (x.to_tensor(), y)), "rows have different shapes: pad them all"),
        (pipeline(rows, Y), "has ragged or sparse tensors: make arrays"),
        (pipeline(X), r"must return \(\(x_train, y_train\)"),
    ):
        with pytest.raises(DataError, match=says) as caught:
            own.load(returning((train, (X, Y))))
        assert "\n" not in str(caught.value)
