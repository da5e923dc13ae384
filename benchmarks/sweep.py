"""Measure the same sweep by `tune-jobs launch`, by a plain script (plain_sweep.py) and by that of an expert, from cold
start to logged.

    python benchmarks/sweep.py --data-dir data

All train the same 12 configurations of a 784-128-10 network on the same 55,000 images of Fashion-MNIST, 2 epochs at
batch 128, two at a time with one CPU each, and log to MLflow on SQLite. The time of a side is from the start of its
process to its exit, when the 12 runs must be finished in its MLflow store. The programs of all are read from the disk
once before. The plain sides get their data ready to load; ours unpacks and checks the original files. The expert's
script is the plain one with workers that are used again, 50 steps in one call and one thread a trial.
"""

from __future__ import annotations

import argparse
import math
import statistics
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from measuring import (
    HERE,
    make_sweep_parser,
    plain_environment,
    print_machine,
    print_table,
    say,
    time_command,
    warm_disk,
    work_folder,
)
from mlflow_runs import Run, trial_runs
from sweeps import Sweep

from tune_jobs import datasets

Configuration = tuple[str, ...]  # activation, initializer, optimizer, learning rate
N_OPTIMIZERS = 3  # combinations of optimizer and learning rate that both sides try


def main() -> None:
    options = _options()
    n_configurations = len(options.activations.split(",")) * len(options.initializers.split(",")) * N_OPTIMIZERS
    print_machine()
    with work_folder(options.keep) as folder:
        data = _prepare(options.data_dir, folder)
        warm_disk()
        plain, expert, ours = [], [], []
        for repeat in range(options.repeats):
            say(f"{n_configurations} configurations by the plain script ({repeat + 1} of {options.repeats})")
            plain.append(_run_plain(options, folder / f"plain-{repeat}", data))
            say(f"the same by the expert's script ({repeat + 1} of {options.repeats})")
            expert.append(_run_plain(options, folder / f"expert-{repeat}", data, "--expert"))
            say(f"the same by tune-jobs launch ({repeat + 1} of {options.repeats})")
            ours.append(_run_ours(options, folder / f"ours-{repeat}", n_configurations))
    print_table(
        ["", "plain script", "expert's script", "tune-jobs", "plain / ours", "expert's / ours"],
        [
            _seconds(f"{n_configurations} trials x {options.epochs} epochs, seconds", plain, expert, ours),
            [
                "best validation accuracy",
                *(f"{max(side[0][1].values()):.4f}" for side in (plain, expert, ours)),
                "",
                "",
            ],
        ],
    )
    _print_accuracies(plain[0][1], ours[0][1])


Side = tuple[float, Mapping[Configuration, float]]  # seconds, validation accuracy after the last epoch


def _options() -> argparse.Namespace:
    parser = make_sweep_parser(__doc__)
    parser.add_argument("--activations", default="relu,tanh")
    parser.add_argument("--initializers", default="glorot_uniform,glorot_normal")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--max-concurrent", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=1, help="of all sides; medians are compared (default: 1)")
    return parser.parse_args()


def _prepare(data_dir: Path, folder: Path) -> Path:
    """Write the split that tune-jobs makes for the plain script, so that accuracies are on the same 5,000 images."""
    dataset = datasets.load("fashion-mnist", data_dir=data_dir, validation=5000)
    train, validation = dataset.train, dataset.validation
    path = folder / "fashion-mnist.npz"
    np.savez(
        path,
        x_train=train.x[..., 0],
        y_train=train.labels,
        x_val=validation.x[..., 0],
        y_val=validation.labels,
    )
    return path


def _run_plain(options: argparse.Namespace, folder: Path, data: Path, *further: str) -> Side:
    folder.mkdir()
    flags = {
        "--data": data,
        "--folder": folder,
        "--activations": options.activations,
        "--initializers": options.initializers,
        "--epochs": options.epochs,
        "--max-concurrent": options.max_concurrent,
    }
    words = [str(word) for flag in flags.items() for word in flag]
    command = [sys.executable, str(HERE / "plain_sweep.py"), *words, *further]
    seconds = time_command(command, plain_environment(), folder / "log", cwd=folder)
    return seconds, {
        _plain_key(run): _last_accuracy(run) for run in trial_runs(f"sqlite:///{folder}/mlflow.db", "plain")
    }


def _plain_key(run: Run) -> Configuration:
    names = ("activation", "initializer", "optimizer/name", "optimizer/learning_rate")
    return tuple(run.params[name] for name in names)


def _run_ours(options: argparse.Namespace, home: Path, n_configurations: int) -> Side:
    settings = (
        f"activation={options.activations}",
        f"initializer={options.initializers}",
        "optimizer=rmsprop,adam",
        "regularizer=none",
    )
    sweep = Sweep(
        home,
        "fashion-mnist-mlp",
        n_configurations,
        search="grid",
        epochs=options.epochs,
        max_concurrent=options.max_concurrent,
        data_dir=options.data_dir,
        settings=settings,
    )
    seconds = sweep.run()
    study = sweep.record()
    runs = trial_runs(f"sqlite:///{home}/mlflow.db", study.terms.task, study=study.identity)
    if not len(runs) == len(study.trials) == n_configurations:
        raise SystemExit(f"{n_configurations} configurations, {len(study.trials)} trials, {len(runs)} runs in MLflow")
    names = ("activation", "initializer", "optimizer", "learning_rate")
    keys = [tuple(str(trial.params[name]) for name in names) for trial in study.trials]
    return seconds, dict(zip(keys, map(_last_accuracy, runs), strict=True))  # runs are named by their trials' numbers


def _last_accuracy(run: Run) -> float:
    if run.status != "FINISHED":
        raise SystemExit(f"run {run.name} is {run.status} in MLflow and should be FINISHED")
    return run.metrics["val_accuracy"]


def _seconds(title: str, *sides: list[Side]) -> list[str]:
    """Return the median of each side, ours last, and the ratios of the others to it."""
    *others, ours = (statistics.median([run[0] for run in side]) for side in sides)
    return [title, *(f"{each:.1f}" for each in (*others, ours)), *(f"{other / ours:.2f}x" for other in others)]


def _print_accuracies(plain: Mapping[Configuration, float], ours: Mapping[Configuration, float]) -> None:
    """Print the accuracies of each configuration.

    Both sides have other seeds, so that configurations differ, but their mean difference should be noise.
    """
    if plain.keys() != ours.keys():
        raise SystemExit(f"the two sides did not train the same: {sorted(plain.keys() ^ ours.keys())}")
    differences = [ours[key] - plain[key] for key in plain]
    print_table(
        ["validation accuracy of", "plain script", "tune-jobs", "difference"],
        [
            [" ".join(key), f"{plain[key]:.4f}", f"{ours[key]:.4f}", f"{ours[key] - plain[key]:+.4f}"]
            for key in sorted(plain)
        ],
    )
    spread = statistics.stdev(differences) / math.sqrt(len(differences)) if len(differences) > 1 else math.nan
    absolute = [abs(difference) for difference in differences]
    print(
        f"differences: largest {max(absolute):.4f}, mean of their sizes {statistics.mean(absolute):.4f}, "
        f"mean {statistics.mean(differences):+.4f} with a standard error of {spread:.4f}; "
        f"one accuracy on 5,000 images has a standard error of 0.0045"
    )


if __name__ == "__main__":
    main()
