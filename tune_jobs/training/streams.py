"""The batches of a streamed data set, as `tf.data` pipelines that use a trial's threads and little memory."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from tune_jobs.datasets import TrainingData, nests
from tune_jobs.datasets.dataset import Split, StreamedData
from tune_jobs.errors import Reason, TrialError
from tune_jobs.models.lazy_keras import keras
from tune_jobs.search_spaces.scalars import Params
from tune_jobs.search_spaces.streamed import PartName, Streamed
from tune_jobs.search_spaces.task import Task

_AHEAD = 2  # batches that are made while one is trained on
_BUFFERS_MB = 256  # that TensorFlow may fill where a pipeline leaves the size of its buffers to it


class Stream:
    """A part of a streamed data set, for one trial: `(x, targets)` or `(x, targets, weights)`, batch after batch.

    Where another part is given `like` which this one looks, no batch of this one is read before its first epoch.
    """

    def __init__(self, task: Task, params: Params, part: PartName, seed: int, like: Stream | None = None) -> None:
        assert isinstance(task.dataset, Streamed)
        self._source = task.dataset
        self._params, self._part, self._seed = params, part, seed
        self._batch_size = task.route(params).batch_size
        self._encoding = task.encoding_of(params)
        self._first = self._open(0)
        self._like, self._sample = like, None

    @property
    def n_batches(self) -> int | None:
        """How many batches an epoch has; None if neither the pipeline nor the task says so."""
        counted, rows = int(self._first.cardinality()), self._source.rows
        if counted >= 0:
            return counted
        return None if rows is None else math.ceil(rows / self._batch_size)

    @property
    def sample(self) -> tuple[Any, ...]:
        """The first batch, as arrays, with labels as the data set has them."""
        if self._like is not None:
            return self._like.sample
        if self._sample is None:
            self._sample = next(iter(self._first.take(1).as_numpy_iterator()), None)
            if self._sample is None:
                raise self._error("has no batch")
        return tuple(self._sample)

    def first_row(self) -> tuple[Any, ...]:
        """Return one row as a batch, with its targets."""
        x, labels, *weights = (nests.rows(nest, slice(1)) for nest in self.sample)
        return (x, self._encoding.targets(labels), *weights)

    def epoch(self, number: int) -> Any:
        """Return an iterator over the batches of an epoch, counted from zero."""
        batches = self._first if number == 0 or self._part != "train" else self._open(number)
        if self._encoding.name != "none":
            batches = batches.map(_encoding_map(self._encoding.targets, self.sample[1]))
        return iter(batches.prefetch(_AHEAD).with_options(_options()))

    def _open(self, epoch: int) -> Any:
        is_train = self._part == "train"
        seed = int(np.random.SeedSequence((self._seed, epoch)).generate_state(1)[0] >> 1) if is_train else 0
        opened = self._source.batches(
            part=self._part, batch_size=self._batch_size, seed=seed, params=dict(self._params)
        )
        if isinstance(opened, keras.utils.PyDataset):
            opened = self._of_py_dataset(opened, seed if is_train else None)
        if not isinstance(opened, tf.data.Dataset):
            raise self._error(f"needs to be a tf.data.Dataset or a keras.utils.PyDataset; got {type(opened).__name__}")
        if int(opened.cardinality()) == tf.data.INFINITE_CARDINALITY:
            raise self._error("never ends: leave out repeat(), an epoch takes all batches")
        spec = opened.element_spec
        if not isinstance(spec, tuple) or len(spec) not in (2, 3):
            raise self._error("needs batches of (x, y) or (x, y, weights)")
        return opened

    def _of_py_dataset(self, batches: Any, seed: int | None) -> Any:
        """Return the batches of a `PyDataset`, in an order of the seed, read by as many threads as it asks for."""
        if batches.num_batches is None:
            raise self._error("never ends: an epoch takes all batches")
        if batches.use_multiprocessing:
            raise self._error("asks for use_multiprocessing, which a trial has no processes for: leave it out")
        order = np.arange(batches.num_batches)
        if seed is not None:
            np.random.default_rng(seed).shuffle(order)
        first = tf.nest.map_structure(np.asarray, tuple(batches[0]))
        read = _reading(lambda index: tuple(batches[int(index)]), first)
        return tf.data.Dataset.from_tensor_slices(order).map(read, batches.workers, deterministic=True)

    def _error(self, what: str) -> TrialError:
        return TrialError(Reason.INVALID, f"the {self._part} part of {self._source.data_name} {what}")


def example(data: StreamedData, validation: Stream) -> TrainingData:
    """Return a batch in the place of both parts, for what is made from the form of the data alone."""
    x, labels, *_ = validation.sample
    split = Split(nests.mapped(_as_stored, x), nests.mapped(_as_stored, labels))
    return TrainingData(data.name, split, split, data.digest)


def _as_stored(array: Any) -> Any:
    return np.vectorize(bytes.decode, otypes=[object])(array) if array.dtype.kind in "OS" else array


def _encoding_map(targets: Callable[[Any], Any], labels: Any) -> Callable[..., Any]:
    """Return a map from labels to targets, whose form is that of some labels' targets."""
    encode = _reading(lambda *flat: targets(tf.nest.pack_sequence_as(labels, flat)), targets(labels))
    return lambda x, y, *weights: (x, encode(*tf.nest.flatten(y)), *weights)


def _reading(function: Callable[..., Any], like: Any) -> Callable[..., Any]:
    """Return a Python function of arrays as an op that returns a nest of batches such as `like`."""
    like = tf.nest.map_structure(np.asarray, like)
    kinds = [tf.as_dtype(array.dtype) for array in tf.nest.flatten(like)]

    def flat(*arrays: Any) -> list[Any]:
        parts = tf.nest.flatten(function(*arrays))
        return [np.asarray(part, kind.as_numpy_dtype) for part, kind in zip(parts, kinds, strict=True)]

    def op(*tensors: Any) -> Any:
        parts = tf.numpy_function(flat, tensors, kinds)
        for part, array in zip(parts, tf.nest.flatten(like), strict=True):
            part.set_shape((None, *array.shape[1:]))
        return tf.nest.pack_sequence_as(like, parts)

    return op


def _options() -> Any:
    options = tf.data.Options()
    options.deterministic = True
    options.threading.private_threadpool_size = max(1, tf.config.threading.get_intra_op_parallelism_threads())
    options.threading.max_intra_op_parallelism = 1
    options.autotune.ram_budget = _BUFFERS_MB * 2**20
    return options
