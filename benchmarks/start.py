"""Measure how soon a launch trains, beside the two things that it cannot do without, and how soon it ends.

    python benchmarks/start.py --data-dir data

`ray.init()` alone and the imports of TensorFlow and Keras alone are each a script of one line, from the start of its
process. Ours is `tune-jobs launch digits-mlp` with one-epoch trials: from the command to the moment at which the first
trial begins, to that at which its first epoch has ended, and from the last trial's end to the prompt. All are run in
turn, several times; the table has the medians. With `--cold`, each is run once more with an empty page cache, where
this user may empty it.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from measuring import make_sweep_parser, plain_environment, print_machine, print_table, say, time_command, work_folder
from sweeps import Sweep

RAY, IMPORTS = "ray.init() alone", "import tensorflow, keras alone"
BEGINS, EPOCH = "launch, to the first trial's beginning", "launch, to the end of its first epoch"
END = "from the last trial's end to the prompt"
TARGETS = {EPOCH: 1.3, END: 2.0}  # the first times the longer of the two alone, the second in seconds
_CACHES = Path("/proc/sys/vm/drop_caches")


def main() -> None:
    options = _options()
    print_machine()
    with work_folder(options.keep) as folder:
        _repeat(folder / "first", options)  # reads the programs from the disk
        runs = [_repeat(folder / f"warm-{number}", options) for number in range(options.repeats)]
        _print(
            f"warm, medians of {options.repeats}", {name: statistics.median(r[name] for r in runs) for name in runs[0]}
        )
        if options.cold:
            cold = _repeat(folder / "cold", options, before=_empty_cache) if _can_empty_cache() else None
            print("the page cache cannot be emptied here" if cold is None else "", end="\n")
            if cold is not None:
                _print("cold, once", cold)


def _options() -> argparse.Namespace:
    parser = make_sweep_parser(__doc__)
    parser.add_argument("--repeats", type=int, default=3, help="of all, in turn; medians are compared (default: 3)")
    parser.add_argument("--trials", type=int, default=2, help="of the launch (default: 2)")
    parser.add_argument("--cold", action="store_true", help="empty the machine's page cache, too, for a further run")
    return parser.parse_args()


def _repeat(folder: Path, options: argparse.Namespace, before: Callable[[], None] = lambda: None) -> dict[str, float]:
    """Run each once, and return its seconds."""
    seconds = {}
    for name, script in {RAY: "import ray; ray.init()", IMPORTS: "import tensorflow, keras"}.items():
        before()
        say(f"{folder.name}: {name}")
        seconds[name] = _until_done(script, folder)
    before()
    say(f"{folder.name}: launch")
    return seconds | _launch(folder, options)


def _until_done(script: str, folder: Path) -> float:
    """Return the seconds from the start of a process to the end of its script, without what its exit takes."""
    done = folder / "done"
    folder.mkdir(parents=True, exist_ok=True)
    started = time.time()
    time_command(
        [sys.executable, "-c", f"{script}; import pathlib; pathlib.Path({str(done)!r}).touch()"],
        plain_environment(),
        folder / "log",
        cwd=folder,
    )
    return done.stat().st_mtime - started


def _launch(folder: Path, options: argparse.Namespace) -> dict[str, float]:
    sweep = Sweep(folder / "home", "digits-mlp", options.trials, epochs=1, data_dir=options.data_dir)
    started = time.time()
    seconds = sweep.run()
    trials = sweep.record().trials
    if not all(trial.state == "complete" and trial.started and trial.finished for trial in trials):
        raise SystemExit(f"some of the trials are not complete; see {sweep.log}")
    first = min(trials, key=lambda trial: trial.finished or 0.0)
    return {
        BEGINS: min(trial.started or 0.0 for trial in trials) - started,
        EPOCH: (first.finished or 0.0) - started,
        END: started + seconds - max(trial.finished or 0.0 for trial in trials),
    }


def _print(title: str, seconds: Mapping[str, float]) -> None:
    longer = max(seconds[RAY], seconds[IMPORTS])
    rows = []
    for name, each in seconds.items():
        ratio = f"{each / longer:.2f}" if name in (BEGINS, EPOCH) else ""
        target = {EPOCH: f"{TARGETS[EPOCH]} times", END: f"{TARGETS[END]:.0f} s"}.get(name, "")
        rows.append([name, f"{each:.1f}", ratio, target])
    print_table([title, "seconds", "times the longer of the two", "target"], rows)


def _can_empty_cache() -> bool:
    return os.access(_CACHES, os.W_OK)


def _empty_cache() -> None:
    os.sync()
    _CACHES.write_text("3\n")


if __name__ == "__main__":
    main()
