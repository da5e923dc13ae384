"""Train on generated data larger than memory, and compare with Keras' `fit` on the same pipeline: memory and speed.

    python benchmarks/streamed.py --gigabytes 8

Each side has a process of its own with one thread. The pipeline draws rows of 1,024 numbers in batches, the network is
a small one, as in benchmarks/epoch.py. A first epoch of 1 % of the rows compiles. The peak is the most memory that the
process held at any time, TensorFlow included. `fit` shows no progress bar.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Any

from measuring import json_from, make_parser, plain_environment, print_machine, print_table, say

SIDES = ("fit", "ours")
ROW = 1024  # numbers of 4 bytes
BATCH = 128


def main() -> None:
    options = _options()
    if options.side is not None:
        print(json.dumps(_measured(options.side, options.gigabytes)))
        return
    print_machine()
    rows = []
    for side in SIDES:
        say(f"{side} …")
        command = [sys.executable, __file__, "--gigabytes", str(options.gigabytes), "--side", side]
        answer = json_from(command, plain_environment())
        rows.append((side, f"{answer['seconds']:.1f}", f"{answer['cpu_seconds']:.1f}", f"{answer['peak_mb']:,.0f}"))
    print_table(("side", "s an epoch", "CPU s an epoch", "peak, MB"), rows)


def _options() -> argparse.Namespace:
    parser = make_parser(__doc__)
    parser.add_argument("--gigabytes", type=float, default=8.0, help="of data in an epoch (default: 8)")
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    return parser.parse_args()


def _measured(side: str, gigabytes: float) -> dict[str, float]:
    """Train a short epoch, which compiles, then a whole one; return the seconds of the second and the peak."""
    from tune_jobs.training import tensorflow_start

    tensorflow_start.start(1)
    n_batches = int(gigabytes * 2**30 / (4 * ROW * BATCH))
    epochs = (_by_fit if side == "fit" else _by_a_trial)([max(2, n_batches // 100), n_batches])
    next(epochs)
    wall, cpu = time.perf_counter(), time.process_time()
    next(epochs)
    return {
        "seconds": time.perf_counter() - wall,
        "cpu_seconds": time.process_time() - cpu,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def _pipeline(n_batches: int) -> Any:
    """Return batches `(B, 1024)` with labels `(B,)`, drawn as they are asked for."""
    import tensorflow as tf

    def draw(number: Any) -> tuple[Any, Any]:
        bits = tf.random.stateless_uniform([BATCH, ROW // 4], [number, 0], None, None, tf.int32)
        x = tf.reshape(tf.cast(tf.bitcast(bits, tf.uint8), tf.float32), [BATCH, ROW]) / 255.0
        return x, tf.cast(x[:, 0] * 10.0, tf.int32)

    return tf.data.Dataset.range(n_batches).map(draw, num_parallel_calls=1)


def _build() -> Any:
    import keras

    model = keras.Sequential([keras.Input((ROW,)), keras.layers.Dense(16, activation="relu"), keras.layers.Dense(11)])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("adam", loss, metrics=["accuracy"], jit_compile=False)
    return model


def _by_fit(sizes: Sequence[int]) -> Iterator[Any]:
    model = _build()
    for n_batches in sizes:
        yield model.fit(_pipeline(n_batches).prefetch(2), shuffle=False, verbose=0)


def _by_a_trial(sizes: Sequence[int]) -> Iterator[Any]:
    """Yield the epochs of a trial, as a worker trains it; its validation part is one batch."""
    from tune_jobs.datasets import StreamedData
    from tune_jobs.search_spaces import Float, Objective, Protocol, Space, Task, streamed
    from tune_jobs.training.trial import TrialRun

    opened = iter(sizes)

    def batches(*, part: str, batch_size: int, seed: int, params: Any) -> Any:
        return _pipeline(next(opened) if part == "train" else 1)

    def build(*, unused: float) -> Any:
        return _build()

    task = Task(
        "drawn",
        Space(unused=Float(0.0, 1.0)),
        Objective("val_loss", "minimize"),
        dataset=streamed(batches),
        protocol=Protocol(epochs=len(sizes), batch_size=BATCH),
        build=build,
    )
    return iter(TrialRun(task, task.baseline, StreamedData("drawn", ""), seed=0))


if __name__ == "__main__":
    main()
