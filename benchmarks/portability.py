"""How far scores move with the processor's instructions, whether `portable` holds them, and what that costs.

    python benchmarks/portability.py --data-dir data

Networks on MNIST are trained from the same seeds, each time in a process that may use the instructions of another
processor only. One machine stands in for several: oneDNN, NumPy and the C library are told to see less of it. With
`portable` a process holds itself to instructions that all of them have. A result is the same if every metric of every
epoch is, to the last digit. Seconds are those of the processor, of all epochs but each seed's first.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from measuring import json_from, make_sweep_parser, plain_environment, print_machine, print_table, say

_NO_AVX512 = "AVX512F AVX512CD AVX512_SKX AVX512_CLX AVX512_CNL AVX512_ICL AVX512_SPR"
PROCESSORS: Mapping[str, Mapping[str, str]] = {  # what a process may use, by the variables that say so
    "this one": {},
    "with AVX2": {
        "ONEDNN_MAX_CPU_ISA": "AVX2",
        "NPY_DISABLE_CPU_FEATURES": _NO_AVX512,
        "GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX512F,-AVX512VL",
    },
    "with AVX alone": {"ONEDNN_MAX_CPU_ISA": "AVX", "GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX2,-FMA,-AVX512F,-AVX512VL"},
}
NETWORKS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "MLP 512-512, batch 128": ("mnist-mlp", {}),
    "CNN 16-32, batch 128": (
        "mnist-cnn",
        {"filters": "16-32", "optimizer": "adam", "pool_every": 1, "padding": "same"},
    ),
}


def main() -> None:
    options = _options()
    if options.child:
        _measure(options)
        return
    print_machine()
    print(f"load of the last minute: {os.getloadavg()[0]:.1f}\n")
    cases = [(processor, False) for processor in PROCESSORS] + [("this one", True), ("with AVX2", True)]
    for network in [name for name in NETWORKS if name.startswith(options.only)]:
        found = {case: _run(network, *case, options) for case in cases}
        first = {False: found["this one", False], True: found["this one", True]}
        rows = [_row(*case, figures, first[case[1]], first[False]) for case, figures in found.items()]
        print_table([network, "seeds the same", "largest move", "mean move", "spread over seeds", "s an epoch"], rows)


def _options() -> argparse.Namespace:
    parser = make_sweep_parser(__doc__)
    parser.add_argument("--only", default="", help="MLP or CNN (default: both)")
    parser.add_argument("--seeds", type=int, default=6)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--images", type=int, default=6000)
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)  # a network, and whether it is portable
    return parser.parse_args()


def _run(network: str, processor: str, portable: bool, options: argparse.Namespace) -> dict[str, Any]:
    say(f"{network}: a processor {processor}{', portable' if portable else ''}")
    sizes = {"--epochs": options.epochs, "--seeds": options.seeds, "--images": options.images}
    words = [str(word) for size in sizes.items() for word in size]
    command = [sys.executable, __file__, "--child", network, str(portable), "--data-dir", str(options.data_dir), *words]
    figures: dict[str, Any] = json_from(command, plain_environment(**PROCESSORS[processor]))
    return figures


def _row(
    processor: str, portable: bool, figures: dict[str, Any], same: dict[str, Any], plain: dict[str, Any]
) -> list[str]:
    """Return a row: how scores compare with those of this processor, and seconds with those that are not portable."""
    n_same = sum(a == b for a, b in zip(figures["histories"], same["histories"], strict=True))
    moves = [abs(a - b) for a, b in zip(figures["scores"], same["scores"], strict=True)]
    ratio = figures["seconds"] / plain["seconds"]
    return [
        f"a processor {processor}{', portable' if portable else ''}",
        f"{n_same} of {len(moves)}",
        f"{max(moves):.4f}",
        f"{statistics.mean(moves):.4f}",
        f"{statistics.stdev(figures['scores']):.4f}",
        f"{figures['seconds']:.2f} ({ratio:.2f}x)",
    ]


def _measure(options: argparse.Namespace) -> None:
    """Train with each seed in this process, and print the figures as JSON."""
    from tune_jobs import datasets
    from tune_jobs.search_spaces import catalog
    from tune_jobs.training import tensorflow_start

    name, portable = options.child
    tensorflow_start.start(1, portable=portable == "True")
    task_name, changes = NETWORKS[name]
    task = catalog.find(task_name)
    task = replace(task, protocol=replace(task.protocol, epochs=options.epochs, images=options.images, patience=None))
    params = dict(task.baseline) | changes
    data = datasets.training_data(task, options.data_dir, say)
    from tune_jobs.training.trial import TrialRun

    histories, scores, seconds = [], [], []
    for seed in range(options.seeds):
        run, began = TrialRun(task, params, data, seed=seed), time.process_time()
        for epoch, _ in run:
            now = time.process_time()
            seconds += [now - began] if epoch > 1 else []
            began = now
        histories.append([dict(metrics) for metrics in run.result.history])
        scores.append(run.result.score)
    print(json.dumps({"histories": histories, "scores": scores, "seconds": statistics.median(seconds)}))


if __name__ == "__main__":
    main()
