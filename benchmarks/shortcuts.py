"""Measure what two shortcuts of a worker save: traced functions that are kept, and imports without garbage collection.

    python benchmarks/shortcuts.py

Both sides of each run in turn, in fresh processes, several times; the table has the medians of the processor's seconds.
A trial is one of `digits-mlp` with three epochs, the second or third of its structure in its process.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

from measuring import json_from, make_parser, plain_environment, print_machine, print_table, say

from tune_jobs import datasets, later_imports
from tune_jobs.environment import prepare_tensorflow
from tune_jobs.search_spaces.catalog import find

UNITS = ("16", "32", "64", "128")  # of the hidden layers: a structure each
SEEDS = 3  # trials of each structure, of which the first is not counted


def main() -> None:
    if sys.argv[1:2] == ["--one"]:
        print(json.dumps(SIDES[sys.argv[2]](has_shortcut=sys.argv[3] == "with")))
        return
    options = _options()
    print_machine()
    rows = [_row(name, options.repeats) for name in SIDES]
    print_table(["seconds of the processor", "without", "with", "ratio"], rows)


def _options() -> argparse.Namespace:
    parser = make_parser(__doc__)
    parser.add_argument("--repeats", type=int, default=3, help="of both sides; medians are compared (default: 3)")
    return parser.parse_args()


def _row(name: str, repeats: int) -> list[str]:
    seconds: dict[str, list[float]] = {"without": [], "with": []}
    for repeat in range(repeats):
        for side, measured in seconds.items():
            say(f"{name}, {side} ({repeat + 1} of {repeats})")
            measured.append(json_from([sys.executable, __file__, "--one", name, side], plain_environment()))
    without, having = (statistics.median(measured) for measured in seconds.values())
    return [name, f"{without:.2f}", f"{having:.2f}", f"{without / having:.2f}x"]


def _imports(*, has_shortcut: bool) -> float:
    prepare_tensorflow()
    if not has_shortcut:
        later_imports.without_collections = nullcontext
    started = time.process_time()
    import keras  # noqa: F401 (within what `neutral_keras` does around it)

    return time.process_time() - started


def _trial(*, has_shortcut: bool) -> float:
    """Return the mean of the trials that are not the first of their structure."""
    prepare_tensorflow()
    from tune_jobs.training import programs, tensorflow_process

    tensorflow_process.prepare_devices(1)
    if not has_shortcut:
        programs.keep = lambda program: None
    task = find("digits-mlp")
    task = replace(task, protocol=replace(task.protocol, epochs=3))
    data = datasets.load_for_task(task, Path()).training
    seconds = [[_seconds(task, units, data, seed) for seed in range(SEEDS)] for units in UNITS]
    return statistics.mean(each for structure in seconds for each in structure[1:])


def _seconds(task: Any, units: str, data: Any, seed: int) -> float:
    from tune_jobs.training.trial import TrialRun

    started = time.process_time()
    run = TrialRun(task, {**task.baseline, "units": units}, data, seed=seed)
    if len(list(run)) != task.protocol.epochs:
        raise SystemExit(f"a trial failed: {run.result.message}")
    run.release()
    return time.process_time() - started


SIDES: dict[str, Callable[..., float]] = {
    "a trial of a structure that was trained before: functions kept": _trial,
    "Keras imported with TensorFlow: no garbage looked for": _imports,
}


if __name__ == "__main__":
    main()
