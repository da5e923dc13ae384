"""Measure the memory of two workers of one node that train on one data set: copied into each, and mapped into both.

    python benchmarks/mapped.py --gigabytes 2

Both sides run in one go, on a Ray of their own. `whole` is what the node holds: the workers' own memory, and the
data set in Ray's object store. Each worker reads all of the data, as an epoch does.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import ray
from measuring import make_parser, print_machine

_WORKERS = 2
_SIDES = ("copied", "mapped")


@ray.remote(num_cpus=1)
class Worker:
    """A process that makes a data set ready for trials."""

    def __init__(self, side: str) -> None:
        from tune_jobs.environment import prepare_tensorflow

        prepare_tensorflow()
        import tensorflow as tf

        from tune_jobs.training import mapped

        if side == "copied":
            mapped.tensor = tf.constant

    def read(self, x: np.ndarray) -> int:
        """Return the megabytes of this process alone, with the data ready and read."""
        import tensorflow as tf

        from tune_jobs.datasets.dataset import Split
        from tune_jobs.training import compiled

        labels = np.zeros(len(x), np.int64)
        self.resident = compiled.to_device(Split(x, labels), lambda labels: labels)
        rows = tf.range(256)
        for start in range(0, len(x), 256):
            tf.gather(self.resident.x, tf.minimum(rows + start, len(x) - 1))
        return _private_mb()


def _private_mb() -> int:
    with open(f"/proc/{os.getpid()}/smaps_rollup", encoding="ascii") as lines:  # noqa: PTH123
        kilobytes = [int(line.split()[1]) for line in lines if line.startswith("Private_")]
    return round(sum(kilobytes) / 1024)


def _measure(side: str, x: Any) -> list[int]:
    workers = [Worker.remote(side) for _ in range(_WORKERS)]  # type: ignore[attr-defined]
    megabytes: list[int] = ray.get([worker.read.remote(x) for worker in workers])
    for worker in workers:
        ray.kill(worker)
    return megabytes


def main() -> None:
    parser = make_parser(__doc__)
    parser.add_argument("--gigabytes", type=float, default=2.0, help="size of the data set")
    arguments = parser.parse_args()
    print_machine()
    size = int(arguments.gigabytes * 2**30)
    ray.init(num_cpus=_WORKERS, include_dashboard=False, object_store_memory=size + 2**28, log_to_driver=False)
    x = ray.put(np.zeros((size // 784, 28, 28), np.uint8))
    print("| side | workers, MB each | whole, MB |\n| --- | --: | --: |")
    whole = {}
    for side in _SIDES:
        megabytes = _measure(side, x)
        whole[side] = sum(megabytes) + size / 2**20
        print(f"| {side} | {', '.join(map(str, megabytes))} | {whole[side]:.0f} |", flush=True)
    print(f"\ncopied / mapped: {whole['copied'] / whole['mapped']:.1f}")


if __name__ == "__main__":
    main()
