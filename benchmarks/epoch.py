"""Measure an epoch by `tune_jobs.training` against one by Keras' `fit` with its defaults: seconds, and the accuracy.

    python benchmarks/epoch.py --data-dir data

Each side and network has a process of its own; model, images and core are the same for both. `fit` runs in the
environment that TensorFlow finds; ours is set up as in a worker (`prepare_tensorflow`, `prepare_devices`). A later
epoch is the median of all epochs but each seed's first. A first epoch, which traces the model and for ours moves the
data to the device, is that of the first seed, from the call to its end. `fit` shows no progress bar and validates
nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import mean, median
from typing import Any

from measuring import json_from, make_sweep_parser, plain_environment, print_machine, print_table, say

SIDES = ("fit", "prepared-fit", "compiled")


@dataclass(frozen=True)
class Workload:
    """A network, and how it is trained."""

    description: str
    family: str
    arguments: dict[str, Any]
    batch_size: int
    images: int = 55_000

    def title(self, images: int | None) -> str:
        return f"{self.description}, batch {self.batch_size}, {images or self.images:,} images"


MLP = {"units": 128, "activation": "relu"}
CNN = {"filters": "8-16-16", "pool_every": 2, "units": "128-64", "activation": "relu"}  # as fashion-mnist-cnn builds it
WORKLOADS = {
    "mlp-32": Workload("MLP 784-128-10", "mlp", MLP, 32),
    "mlp-128": Workload("MLP 784-128-10", "mlp", MLP, 128),
    "cnn-32": Workload("CNN 8-16-16", "cnn", CNN, 32, 6400),
}


def main() -> None:
    options = _options()
    if options.child:
        _measure(options)
        return
    print_machine()
    names = options.workloads.split(",")
    sides = options.sides.split(",")
    measurements = {(name, side): _measurement(name, side, options) for name in names for side in sides}
    titles = {name: WORKLOADS[name].title(options.images) for name in names}
    for title, key, form in (("later epoch, seconds", "later", ".3f"), ("first epoch, seconds", "first", ".2f")):
        rows = [_times([measurements[name, side][key] for side in sides], titles[name], form) for name in names]
        print_table([title, *sides, f"{sides[0]} / {sides[-1]}"], rows)
    rows = [_accuracies([measurements[name, side]["accuracies"] for side in sides], titles[name]) for name in names]
    print_table([f"validation accuracy after {options.epochs} epochs, {options.seeds} seeds", *sides], rows)


def _options() -> argparse.Namespace:
    parser = make_sweep_parser(__doc__)
    parser.add_argument("--workloads", default=",".join(WORKLOADS))
    parser.add_argument("--sides", default="fit,compiled", help=f"of {', '.join(SIDES)} (fit in our environment)")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--images", type=int, help="to train on (default: all of the network's)")
    parser.add_argument(
        "--core", type=int, default=max(os.sched_getaffinity(0)), help="that both sides run on (default: the last one)"
    )
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)  # a workload and a side, measured in this process
    return parser.parse_args()


def _measurement(name: str, side: str, options: argparse.Namespace) -> dict[str, Any]:
    say(f"{WORKLOADS[name].title(options.images)}: {side}")
    flags = {"--epochs": options.epochs, "--seeds": options.seeds, "--images": options.images, "--core": options.core}
    words = [str(word) for flag in flags.items() if flag[1] is not None for word in flag]
    command = [sys.executable, __file__, "--child", name, side, "--data-dir", str(options.data_dir), *words]
    measurement: dict[str, Any] = json_from(command, plain_environment())
    return measurement


def _times(seconds: list[float], title: str, form: str) -> list[str]:
    return [title, *(f"{each:{form}}" for each in seconds), f"{seconds[0] / seconds[-1]:.2f}x"]


def _accuracies(sides: list[list[float]], title: str) -> list[str]:
    """Return a row with the mean over the seeds, the lowest and the highest, for each side."""
    return [title, *(f"{mean(side):.4f} ({min(side):.4f}..{max(side):.4f})" for side in sides)]


def _measure(options: argparse.Namespace) -> None:
    """Measure one side in this process, and print the figures as JSON. All its threads run on one core."""
    os.sched_setaffinity(0, {options.core})
    name, side = options.child
    workload = WORKLOADS[name]
    if side != "fit":
        from tune_jobs.environment import prepare_tensorflow

        prepare_tensorflow()
        from tune_jobs.training import tensorflow_process

        tensorflow_process.prepare_devices(1)
    train, validation = _splits(options.data_dir, options.images or workload.images)
    run = _run_compiled if side == "compiled" else _run_fit
    epochs, accuracies = [], []
    for seed in range(options.seeds):
        seconds, accuracy = run(workload, train, validation, seed, options.epochs)
        epochs.append(seconds)
        accuracies.append(accuracy)
    later = median([second for seconds in epochs for second in seconds[1:]])
    print(json.dumps({"first": epochs[0][0], "later": later, "accuracies": accuracies}))


def _splits(data_dir: Path, images: int) -> tuple[Any, Any]:
    import numpy as np

    from tune_jobs import datasets

    dataset = datasets.load("fashion-mnist", data_dir=data_dir, validation=5000)
    return dataset.train.take(np.arange(min(images, len(dataset.train)))), dataset.validation


def _build(workload: Workload, train: Any, seed: int) -> Any:
    """Return a fresh compiled model, the same for both sides."""
    from tune_jobs.models import cnn, mlp
    from tune_jobs.models.label_encodings import Classes
    from tune_jobs.models.lazy_keras import keras

    builders: dict[str, Callable[..., Any]] = {"mlp": mlp.build, "cnn": cnn.build}
    encoding = Classes(10)
    keras.backend.clear_session()
    keras.utils.set_random_seed(seed)
    model = builders[workload.family](input_shape=train.x.shape[1:], head=encoding.head, **workload.arguments)
    model.compile(optimizer="adam", loss=encoding.loss(), metrics=encoding.metrics())
    return model


def _run_fit(workload: Workload, train: Any, validation: Any, seed: int, epochs: int) -> tuple[list[float], float]:
    from tune_jobs.models.lazy_keras import keras

    model = _build(workload, train, seed)
    ends = []
    watch = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: ends.append(time.perf_counter()))
    started = time.perf_counter()
    model.fit(train.x, train.labels, epochs=epochs, batch_size=workload.batch_size, verbose=0, callbacks=[watch])
    scored = model.evaluate(validation.x, validation.labels, batch_size=500, verbose=0, return_dict=True)
    return [end - start for start, end in pairwise([started, *ends])], scored["accuracy"]


def _run_compiled(workload: Workload, train: Any, validation: Any, seed: int, epochs: int) -> tuple[list[float], float]:
    from tune_jobs.models.label_encodings import Classes
    from tune_jobs.training import compiled

    model = _build(workload, train, seed)
    ends = [time.perf_counter()]
    splits = compiled.resident_splits((train, validation), Classes(10).targets)
    compiled_epochs = compiled.CompiledEpochs(model, batch_size=workload.batch_size, seed=seed)
    for _ in range(epochs):
        compiled_epochs.train(splits[0])
        ends.append(time.perf_counter())
    return [end - start for start, end in pairwise(ends)], compiled_epochs.evaluate(splits[1])["accuracy"]


if __name__ == "__main__":
    main()
