"""Measure the memory that a worker holds while it trains large and small networks in turn, and between them.

    python benchmarks/memory.py

It works as a worker does: TensorFlow is prepared once, and each trial is freed before the next (`execution/wear.py`).
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from measuring import make_parser, print_machine

from tune_jobs import datasets
from tune_jobs.environment import prepare_tensorflow
from tune_jobs.execution.wear import Wear
from tune_jobs.search_spaces.catalog import find
from tune_jobs.training import devices
from tune_jobs.training.trial import TrialRun

_UNITS = ("4000-4000", "64", "64", "4000-4000", "64", "4000-4000")  # 65 MB of weights, and Adam's two moments


def main() -> None:
    make_parser(__doc__).parse_args()
    print_machine()
    prepare_tensorflow()
    from tune_jobs.training import tensorflow_process

    tensorflow_process.prepare_devices(1)
    task = find("digits-mlp")
    task = replace(task, protocol=replace(task.protocol, epochs=1, images=200))
    data = datasets.load_for_task(task, Path()).training
    worker = Wear()
    print(f"| trial | units | at its end, MB | freed, MB |\n| --: | --- | --: | --: |\n| | | | {_resident_mb()} |")
    for number, units in enumerate(_UNITS):
        run = TrialRun(task, {**task.baseline, "units": units}, data, seed=0)
        assert [epoch for epoch, _ in run] == [1]
        at_end = _resident_mb()
        run.release()
        worker.trial_ended()
        print(f"| {number} | {units} | {at_end} | {_resident_mb()} |", flush=True)


def _resident_mb() -> int:
    return round(devices.resident_mb())


if __name__ == "__main__":
    main()
