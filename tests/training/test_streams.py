"""A streamed data set is trained on batch by batch as `fit` would, and no search opens its test part."""

from __future__ import annotations

import math
import re
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.support.trials import trial_record
from tune_jobs import datasets
from tune_jobs.datasets import StreamedData
from tune_jobs.errors import DataError
from tune_jobs.models.label_encodings import Classes
from tune_jobs.search_spaces import Choice, Objective, Protocol, Space, Task, TaskError, streamed
from tune_jobs.training import compiled, devices, finalist, parts, tensorflow_process
from tune_jobs.training.checkpoints import Checkpoint
from tune_jobs.training.compiled import CompiledEpochs
from tune_jobs.training.epochs import build_model
from tune_jobs.training.trial import TrialRun

SIZES = {"train": 90, "validation": 30, "test": 20}


def rows(part: str) -> tuple[np.ndarray, np.ndarray]:
    """Points `(N, 4)` of three classes, which are numbered from one."""
    labels = np.arange(SIZES[part]) % 3
    noise = np.random.default_rng(len(part)).normal(size=(len(labels), 4))
    return (noise + 2 * np.eye(4)[labels]).astype(np.float32), labels + 1


class Opened:
    """Opens parts as `tf.data` pipelines, and keeps what it was asked for."""

    __qualname__, __module__ = "points", __name__

    def __init__(self) -> None:
        self.calls: list[tuple[str, int]] = []

    def __call__(self, *, part: str, batch_size: int, seed: int, params: Any) -> Any:
        self.calls.append((part, seed))
        pipeline = tf.data.Dataset.from_tensor_slices(rows(part))
        return (pipeline.shuffle(90, seed=seed) if part == "train" else pipeline).batch(batch_size)


class Batches(keras.utils.PyDataset):  # type: ignore[misc]
    """The same batches as a `PyDataset`, which keeps which ones were read."""

    read: ClassVar[list[int]] = []  # of the training part

    def __init__(self, part: str, batch_size: int, **settings: Any) -> None:
        super().__init__(**settings)
        self._rows, self._size, self._part = rows(part), batch_size, part

    def __len__(self) -> int:
        return math.ceil(len(self._rows[0]) / self._size)

    def __getitem__(self, index: int) -> Any:
        Batches.read += [index] * (self._part == "train")
        which = slice(index * self._size, (index + 1) * self._size)
        return tuple(array[which] for array in self._rows)


def build(*, input_shape: tuple[int, ...], head: Any, units: int) -> keras.Model:
    inputs = keras.Input(input_shape)
    return keras.Model(inputs, head(keras.layers.Dense(units, activation="relu")(inputs)))


def task_of(batches: Callable[..., Any], *, data: Any = None, **changes: Any) -> Task:
    settings: dict[str, Any] = {
        "space": Space(units=Choice(8), learning_rate=Choice(0.05)),
        "objective": Objective("val_accuracy", "maximize"),
        "protocol": Protocol(epochs=3, batch_size=32),
        "build": build,
        "encoding": Classes(3, start=1),
    }
    return Task("points", dataset=data or streamed(batches), **settings | changes)


def trained(task: Task, start: Checkpoint | None = None) -> tuple[TrialRun, list[Checkpoint | None]]:
    data = datasets.training_data(task, Path("nowhere"))
    run = TrialRun(task, task.baseline, data, seed=5, start=start)
    return run, [run.checkpoint() for _ in run]


@pytest.mark.slow
def test_epochs_are_those_of_fit_on_the_same_pipeline() -> None:
    opened = Opened()
    task = task_of(opened)
    data = datasets.training_data(task, Path("nowhere"))
    assert data is not None
    ours, by_fit = (build_model(task, task.baseline, data, seed=5) for _ in range(2))
    by_fit.set_weights(ours.get_weights())
    streams = parts.opened(task, task.baseline, data, task.encoding_of(task.baseline), seed=5)
    epochs = CompiledEpochs(ours, batch_size=32, seed=5)
    for _ in range(2):
        shown = epochs.train(streams.train)
        seed = [seed for part, seed in opened.calls if part == "train"][-1]
        pipeline = Opened()(part="train", batch_size=32, seed=seed, params={}).map(lambda x, y: (x, y - 1))
        expected = by_fit.fit(pipeline, shuffle=False, verbose=0).history
        assert shown == pytest.approx({name: value for name, (value,) in expected.items()}, rel=1e-4)
    x, labels = rows("validation")
    assert epochs.evaluate(streams.validation) == pytest.approx(
        by_fit.evaluate(x, labels - 1, verbose=0, return_dict=True), rel=1e-4
    )
    for weights, theirs in zip(ours.get_weights(), by_fit.get_weights(), strict=True):
        np.testing.assert_allclose(weights, theirs, rtol=1e-4, atol=1e-6)


@pytest.mark.slow
def test_a_trial_repeats_goes_on_and_opens_no_test_part() -> None:
    opened = Opened()
    run, checkpoints = trained(task_of(opened))
    assert (run.result.state, run.result.errors) == ("complete", None)
    assert run.result.score is not None
    assert run.result.score > 0.7
    assert {part for part, _ in opened.calls} == {"train", "validation"}
    seeds = [seed for part, seed in opened.calls if part == "train"]
    assert len(set(seeds)) == len(seeds) == 3  # a pipeline for each epoch
    assert {seed for part, seed in opened.calls if part == "validation"} == {0}
    again, _ = trained(task_of(opened))
    resumed, _ = trained(task_of(opened), start=checkpoints[0])
    assert again.result.history == resumed.result.history == run.result.history


@pytest.mark.slow
def test_a_pydataset_is_read_once_an_epoch_in_an_order_of_the_seed() -> None:
    def py_batches(*, part: str, batch_size: int, seed: int, params: Any) -> Any:
        return Batches(part, batch_size)

    def reads() -> list[int]:
        Batches.read.clear()
        run, _ = trained(task_of(py_batches, protocol=Protocol(epochs=2, batch_size=8)))
        assert run.result.state == "complete", run.result.message
        return list(Batches.read)

    seen = reads()
    first, second = seen[1:13], seen[14:]  # an epoch is opened by the form of batch 0
    assert sorted(first) == sorted(second) == list(range(12))
    assert first != second
    assert reads() == seen


@pytest.mark.slow
def test_an_evaluation_opens_the_test_part_and_keeps_no_errors() -> None:
    opened = Opened()
    task = task_of(opened)
    run, _ = trained(task)
    trial = trial_record(0, task.baseline, 5, score=run.result.score, best_epoch=run.result.best_epoch)
    opened.calls.clear()
    tested = finalist.score(task, trial, StreamedData("points", ""), None, None)
    assert opened.calls[-1] == ("test", 0)
    assert tested.val_score == run.result.score
    assert 0.7 < tested.metrics["test_accuracy"] <= 1
    assert tested.errors is None


@pytest.mark.slow
@pytest.mark.parametrize(
    ("pipeline", "says"),
    [
        (lambda good: good.repeat(), "the validation part of opens never ends: leave out repeat"),
        (lambda good: good.take(0), "the validation part of opens has no batch"),
        (lambda good: good.map(lambda x, y: x), r"the validation part of opens needs batches of \(x, y\)"),
        (lambda good: [1], "needs to be a tf.data.Dataset or a keras.utils.PyDataset; got list"),
        (lambda good: Batches("train", 8, use_multiprocessing=True), "asks for use_multiprocessing"),
    ],
)
def test_what_is_no_pipeline_of_batches_fails_in_a_line(pipeline: Callable[[Any], Any], says: str) -> None:
    def opens(*, part: str, batch_size: int, seed: int, params: Any) -> Any:
        return pipeline(Opened()(part=part, batch_size=batch_size, seed=seed, params=params))

    run, _ = trained(task_of(opens))
    assert run.result.reason == "invalid"
    assert run.result.message is not None
    assert re.search(says, run.result.message)


@pytest.mark.slow
def test_a_schedule_needs_to_know_how_long_an_epoch_is() -> None:
    def unknown(*, part: str, batch_size: int, seed: int, params: Any) -> Any:
        return Opened()(part=part, batch_size=batch_size, seed=seed, params=params).filter(lambda x, y: True)

    space = Space(units=Choice(8), schedule=Choice("cosine"))
    run, _ = trained(task_of(unknown, space=space))
    assert run.result.message is not None
    assert "a schedule of the learning rate needs to know how long an epoch is" in run.result.message
    run, _ = trained(task_of(unknown, space=space, data=streamed(unknown, rows=90)))
    assert run.result.state == "complete"


def test_data_are_known_by_their_name_and_version() -> None:
    opened = Opened()
    one, other = streamed(opened, version="1"), streamed(opened, version="2")
    assert (one.data_name, len(one.digest)) == ("points", 16)
    assert one.digest == streamed(Opened(), version="1", rows=5).digest
    assert repr(streamed(opened, rows=np.int64(5))) == repr(streamed(opened, rows=5))
    assert one.digest != other.digest
    assert datasets.load_for_task(task_of(opened, data=one), Path("nowhere")).digest == one.digest


def test_what_a_streamed_data_set_cannot_have_is_refused() -> None:
    with pytest.raises(TaskError, match=r"takes \(\*, part, batch_size, seed, params\): "):
        streamed(lambda part: part)  # type: ignore[arg-type, misc]
    with pytest.raises(TaskError, match="rows of 1 or more; got 0"):
        streamed(Opened(), rows=0)
    task = task_of(Opened(), protocol=Protocol(epochs=1, validation=0.3, images=10))
    with pytest.raises(DataError, match="is streamed, and divides itself: leave validation and images out"):
        datasets.load_for_task(task, Path("nowhere"))

    def whole(*, x_train: Any, head: Any, units: int) -> keras.Model:
        raise NotImplementedError

    with pytest.raises(TaskError, match="dataset is streamed, and build takes it whole as x_train"):
        task_of(Opened(), build=whole)


class PeakMemory:
    """The most memory that this process holds within the block, in MiB beyond what it held before."""

    def __enter__(self) -> PeakMemory:
        self._before = self._most = devices.resident_mb()
        self._is_over = threading.Event()
        self._watch = threading.Thread(target=self._look)
        self._watch.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._watch.join()

    def _look(self) -> None:
        while not self._is_over.wait(0.005):
            self._most = max(self._most, devices.resident_mb())

    @property
    def mb(self) -> float:
        return self._most - self._before


@pytest.mark.slow
@pytest.mark.parametrize("as_py_dataset", [False, True])
def test_an_epoch_holds_a_few_batches_however_many_there_are(as_py_dataset: bool) -> None:
    width, n_batches, read = 4096, 600, list[int]()  # of half a MiB each

    def drawn(index: Any) -> Any:
        read.append(int(index))
        return np.full((32, width), index, np.float32), np.zeros(32, np.int64)

    class Drawn(keras.utils.PyDataset):  # type: ignore[misc]
        def __len__(self) -> int:
            return n_batches

        def __getitem__(self, index: int) -> Any:
            return drawn(index)

    def batches(*, part: str, batch_size: int, seed: int, params: Any) -> Any:
        if as_py_dataset:
            return Drawn()
        signature = (tf.TensorSpec((32, width), tf.float32), tf.TensorSpec(32, tf.int64))
        return tf.data.Dataset.from_generator(lambda: map(drawn, range(n_batches)), output_signature=signature)

    task = task_of(batches, encoding=Classes(3))
    data = datasets.training_data(task, Path("nowhere"))
    assert data is not None
    model = build_model(task, task.baseline, data, seed=5)
    stream = parts.opened(task, task.baseline, data, task.encoding_of(task.baseline), seed=5).train
    epochs = CompiledEpochs(model, batch_size=32, seed=5)
    with PeakMemory() as peak:
        epochs.train(stream)
    assert len(read) >= n_batches
    assert peak.mb < 200  # of 300 MB


@pytest.mark.slow
def test_a_pipeline_uses_the_threads_of_the_trial() -> None:
    task = task_of(Opened())
    tensorflow_process.reset(0)
    stream = parts.opened(
        task, task.baseline, StreamedData("points", ""), task.encoding_of(task.baseline), seed=0
    ).validation
    assert not isinstance(stream, compiled.ResidentSplit)
    options = stream.epoch(0)._dataset.options()
    assert options.threading.private_threadpool_size == max(1, tf.config.threading.get_intra_op_parallelism_threads())
    assert options.deterministic
