"""Train on one device and on several together, and print as JSON what came out. Processors stand for GPUs."""

import json
from typing import Any

from tune_jobs.environment import prepare_tensorflow

prepare_tensorflow()

import keras  # noqa: E402
import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402

from tests.support.several_devices import (  # noqa: E402
    BATCH,
    DATA,
    GATHERING,
    REFUSED,
    STREAMED,
    TASK,
    TWO_OPTIMIZERS,
    Gathering,
    gathering,
)
from tune_jobs.datasets import StreamedData  # noqa: E402
from tune_jobs.errors import TrialError  # noqa: E402
from tune_jobs.training import compiled, replicas, tensorflow_process  # noqa: E402
from tune_jobs.training.trial import TrialRun  # noqa: E402

(processor,) = tf.config.list_physical_devices("CPU")
tf.config.set_logical_device_configuration(processor, [tf.config.LogicalDeviceConfiguration()] * 4)
tensorflow_process.prepare_devices(1)


PLAIN, HALF = TASK("float32"), TASK("mixed_float16")


def together(n: int) -> None:
    replicas.use([f"CPU:{index}" for index in range(n)])


def trained(n: int, task: Any = PLAIN, start: Any = None) -> dict[str, Any]:
    """A trial of two epochs: its metrics, its weights, and what it measured."""
    together(n)
    data = StreamedData("blobs", "") if task is STREAMED else DATA
    run = TrialRun(task, task.baseline, data, seed=3, further_objectives=(), start=start)
    checkpoints = [run.checkpoint() for _ in run]
    result = run.result
    assert result.state == "complete", result.message
    answer = {"history": result.history, "score": result.score, "errors": result.errors}
    return answer | {"weights": as_lists(run.model), "checkpoint": checkpoints[0]}


def as_lists(model: Any) -> list[Any]:
    return [array.tolist() for array in model.get_weights()]


def own_step(by_fit: bool) -> dict[str, Any]:
    """Two epochs of a model with a step of its own, one with layers that draw and that count; even batches."""
    together(2)
    tensorflow_process.reset(5)
    with replicas.scope():
        model = gathering()
    logs = [_fit(model, epoch) if by_fit else {} for epoch in range(2)]
    if not by_fit:
        epochs = compiled.CompiledEpochs(model, batch_size=BATCH, seed=5)
        (split,) = compiled.resident_splits((GATHERING,), lambda labels: labels)
        logs = [epochs.train(split) for _ in range(2)]
    return {"logs": logs, "weights": as_lists(model)}


def _fit(model: Gathering, epoch: int) -> dict[str, float]:
    order = np.random.default_rng((5, epoch)).permutation(len(GATHERING))
    shown = model.fit(GATHERING.x[order], GATHERING.labels[order], batch_size=BATCH, shuffle=False, verbose=0)
    return {name: values[-1] for name, values in shown.history.items()}


def refusal(**setting: Any) -> str:
    together(2)
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(0.1, **setting), "mse")
    try:
        compiled.CompiledEpochs(model, batch_size=2, seed=0)
    except TrialError as error:
        return str(error)
    return "trained"


alone = trained(1)
pair = trained(2)
answer = {
    "one": alone,
    "two": pair,
    "four": trained(4),
    "two again": trained(2),
    "two resumed": trained(2, start=pair["checkpoint"]),
    "four resumed from one": trained(4, start=alone["checkpoint"]),
    "half, one": trained(1, HALF),
    "half, two": trained(2, HALF),
    "streamed, one": trained(1, STREAMED),
    "streamed, two": trained(2, STREAMED),
    "two optimizers, one": trained(1, TWO_OPTIMIZERS),
    "two optimizers, two": trained(2, TWO_OPTIMIZERS),
    "own step": own_step(by_fit=False),
    "own step again": own_step(by_fit=False),
    "own step by fit": own_step(by_fit=True),
    "refused": [refusal(**setting) for setting in REFUSED],
}
print(json.dumps(answer, default=lambda _: None))
