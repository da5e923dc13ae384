"""An epoch by `tune_jobs.training` and by Keras' `fit` with its defaults: seconds, and the accuracy after 3 epochs.

One process a side and network, the same model, images and core for both: `fit` in the environment that TensorFlow
finds, ours as a worker sets it up (settings.prepare_tensorflow, training.prepare_devices). A later epoch is the median
of all but each seed's first; a first epoch, which traces the model and, for ours, puts the data on the device, is that
of the first seed, from the call to its end. `fit` is spared its progress bar and any validation.
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

from measuring import answer_of, environment, parser, print_machine, print_table, say

SIDES = ("fit", "prepared-fit", "compiled")


@dataclass(frozen=True)
class Workload:
    """A network with how it is trained."""

    words: str
    family: str
    arguments: dict[str, Any]
    batch_size: int
    images: int = 55_000

    def title(self, images: int | None) -> str:
        return f"{self.words}, batch {self.batch_size}, {images or self.images:,} images"


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
    answers = {(name, side): _answer(name, side, options) for name in names for side in sides}
    titles = {name: WORKLOADS[name].title(options.images) for name in names}
    for what, key, form in (("later epoch, seconds", "later", ".3f"), ("first epoch, seconds", "first", ".2f")):
        rows = [_times([answers[name, side][key] for side in sides], titles[name], form) for name in names]
        print_table([what, *sides, f"{sides[0]} / {sides[-1]}"], rows)
    rows = [_accuracies([answers[name, side]["accuracies"] for side in sides], titles[name]) for name in names]
    print_table([f"validation accuracy after {options.epochs} epochs, {options.seeds} seeds", *sides], rows)


def _options() -> argparse.Namespace:
    made = parser(__doc__)
    made.add_argument("--workloads", default=",".join(WORKLOADS))
    made.add_argument("--sides", default="fit,compiled", help=f"of {', '.join(SIDES)} (fit in our environment)")
    made.add_argument("--epochs", type=int, default=3)
    made.add_argument("--seeds", type=int, default=3)
    made.add_argument("--images", type=int, help="to train on fewer, for a try")
    made.add_argument("--core", type=int, default=max(os.sched_getaffinity(0)), help="that both sides run on")
    made.add_argument("--child", nargs=2, help=argparse.SUPPRESS)  # a workload and a side, measured in this process
    return made.parse_args()


def _answer(name: str, side: str, options: argparse.Namespace) -> dict[str, Any]:
    say(f"{WORKLOADS[name].title(options.images)}: {side}")
    flags = {"--epochs": options.epochs, "--seeds": options.seeds, "--images": options.images, "--core": options.core}
    words = [str(word) for flag in flags.items() if flag[1] is not None for word in flag]
    command = [sys.executable, __file__, "--child", name, side, "--data-dir", str(options.data_dir), *words]
    answer: dict[str, Any] = answer_of(command, environment())
    return answer


def _times(seconds: list[float], words: str, form: str) -> list[str]:
    return [words, *(f"{each:{form}}" for each in seconds), f"{seconds[0] / seconds[-1]:.2f}x"]


def _accuracies(sides: list[list[float]], words: str) -> list[str]:
    """The mean over the seeds, with the lowest and the highest."""
    return [words, *(f"{mean(side):.4f} ({min(side):.4f}..{max(side):.4f})" for side in sides)]


def _measure(options: argparse.Namespace) -> None:
    """In a process of its own, on one core from its first thread on."""
    os.sched_setaffinity(0, {options.core})
    name, side = options.child
    workload = WORKLOADS[name]
    if side != "fit":
        from tune_jobs.settings import prepare_tensorflow

        prepare_tensorflow()
        from tune_jobs.training import tensorflow_process

        tensorflow_process.prepare_devices(1)
    train, validation = _splits(options.data_dir, options.images or workload.images)
    run = _compiled if side == "compiled" else _fitted
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


def _built(workload: Workload, train: Any, seed: int) -> Any:
    """A fresh compiled model, the same for both sides."""
    from tune_jobs.models import cnn, mlp
    from tune_jobs.models.label_encodings import Classes
    from tune_jobs.models.lazy_keras import keras

    build: Callable[..., Any] = {"mlp": mlp.build, "cnn": cnn.build}[workload.family]
    encoding = Classes(10)
    keras.backend.clear_session()
    keras.utils.set_random_seed(seed)
    model = build(input_shape=train.x.shape[1:], head=encoding.head, **workload.arguments)
    model.compile(optimizer="adam", loss=encoding.loss(), metrics=encoding.metrics())
    return model


def _fitted(workload: Workload, train: Any, validation: Any, seed: int, epochs: int) -> tuple[list[float], float]:
    from tune_jobs.models.lazy_keras import keras

    model = _built(workload, train, seed)
    ends = []
    watch = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: ends.append(time.perf_counter()))
    started = time.perf_counter()
    model.fit(train.x, train.labels, epochs=epochs, batch_size=workload.batch_size, verbose=0, callbacks=[watch])
    scored = model.evaluate(validation.x, validation.labels, batch_size=500, verbose=0, return_dict=True)
    return [end - start for start, end in pairwise([started, *ends])], scored["accuracy"]


def _compiled(workload: Workload, train: Any, validation: Any, seed: int, epochs: int) -> tuple[list[float], float]:
    from tune_jobs.models.label_encodings import Classes
    from tune_jobs.training import compiled

    model = _built(workload, train, seed)
    ends = [time.perf_counter()]
    splits = compiled.resident_splits("fashion-mnist", (train, validation), Classes(10).targets)
    compiled_epochs = compiled.CompiledEpochs(model, batch_size=workload.batch_size, seed=seed)
    for _ in range(epochs):
        compiled_epochs.train(splits[0])
        ends.append(time.perf_counter())
    return [end - start for start, end in pairwise(ends)], compiled_epochs.evaluate(splits[1])["accuracy"]


if __name__ == "__main__":
    main()
