"""Measure a launch by this checkout beside the same by another one, from the command to the prompt.

    git worktree add ../older v0.2.0
    python benchmarks/beside.py --other ../older

Both run `tune-jobs launch digits-mlp --trials 20` in turn, several times, each in a home of its own, with the packages
that are installed. The table has the medians.
"""

from __future__ import annotations

import argparse
import statistics
from pathlib import Path

from measuring import ROOT, make_sweep_parser, print_machine, print_table, say, work_folder
from sweeps import Sweep


def main() -> None:
    options = _options()
    print_machine()
    seconds: dict[Path, list[float]] = {options.other.absolute(): [], ROOT: []}
    with work_folder(options.keep) as folder:
        for code in seconds:  # reads the programs from the disk
            _run(options, code, folder / f"first-{code.name}")
        for repeat in range(options.repeats):
            for code, measured in seconds.items():
                measured.append(_run(options, code, folder / f"{repeat}-{code.name}"))
    other, ours = (statistics.median(measured) for measured in seconds.values())
    title = f"{options.task}, {options.trials} trials, seconds to the prompt"
    print_table(["", "the other", "this", "ratio"], [[title, f"{other:.1f}", f"{ours:.1f}", f"{other / ours:.2f}x"]])


def _run(options: argparse.Namespace, code: Path, home: Path) -> float:
    say(f"{options.task} by {code}")
    return Sweep(home, options.task, options.trials, epochs=options.epochs, data_dir=options.data_dir, code=code).run()


def _options() -> argparse.Namespace:
    parser = make_sweep_parser(__doc__)
    parser.add_argument("--other", type=Path, required=True, help="the other checkout")
    parser.add_argument("--task", default="digits-mlp")
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--epochs", type=int, help="of a trial (default: the task's)")
    parser.add_argument("--repeats", type=int, default=3, help="of both; medians are compared (default: 3)")
    return parser.parse_args()


if __name__ == "__main__":
    main()
