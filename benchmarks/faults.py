"""A sweep killed at random moments and run again, against the same sweep left alone: are its trials the same ones?

The driver and all processes of its Ray cluster get SIGKILL at once, every other time the process that delivers to
MLflow too; the same command follows each time, and after the last kill runs to its end. Then the study and MLflow must
have the undisturbed sweep's trials: each params and seed once, with the same score and epochs to the last digit. On
digits-mlp, a grid and a random search.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import time
from pathlib import Path

import psutil
from auditing import print_audit
from measuring import parser, print_machine, say, warm_disk, workplace
from sweeps import Sweep, kill_family

GRID = (  # 24 points
    "units=32,64,128",
    "activation=relu,tanh",
    "batch_norm=false,true",
    "dropout=without",
    "optimizer=adam",
    "learning_rate=0.001,0.003",
    "schedule=constant",
    "batch_size=32",
)
_EARLY = 0.25  # of the kills come while Ray and TensorFlow are still starting


def main() -> None:
    options = _options()
    print_machine()
    with workplace(options.keep) as folder:
        warm_disk()
        are_same = [_measure(search, options, folder) for search in options.searches.split(",")]
    if not all(are_same):
        raise SystemExit("a sweep that was killed has not the trials of the undisturbed one")


def _options() -> argparse.Namespace:
    made = parser(__doc__)
    made.add_argument("--trials", type=int, default=24)
    made.add_argument("--epochs", type=int, default=20)
    made.add_argument("--kills", type=int, default=10, help="of each sweep")
    made.add_argument("--searches", default="grid,random")
    made.add_argument("--seed", type=int, default=0, help="of the moments")
    return made.parse_args()


def _measure(search: str, options: argparse.Namespace, folder: Path) -> bool:
    alone = _sweep(search, folder / f"{search}-alone", options)
    killed = _sweep(search, folder / f"{search}-killed", options)
    say(f"{search}: undisturbed")
    began = time.time()
    seconds = alone.run()
    starting = min(trial.started or began for trial in alone.record().trials) - began
    a_trial = (seconds - starting) / options.trials
    moments = random.Random(f"{options.seed} {search}")
    n_kills = 0
    for left in range(options.kills, 0, -1):
        within = (
            1.5 * a_trial * (options.trials - killed.n_finished()) / (left + 1)
        )  # so that work is left for them all
        is_early = moments.random() < _EARLY
        moment = moments.uniform(0, starting if is_early else within)
        n_kills += _kill(killed, moment, is_early=is_early, spares_delivery=left % 2 == 0)
    say(f"{search}: to its end")
    killed.run()
    attempts = [trial.attempts for trial in killed.record().trials]
    print(
        f"{search} search: {n_kills} kills of a running sweep; {sum(n > 1 for n in attempts)} trials were begun more "
        f"than once, at most {max(attempts)} times\n"
    )
    return print_audit(alone, killed)


def _sweep(search: str, home: Path, options: argparse.Namespace) -> Sweep:
    return Sweep(
        home,
        "digits-mlp",
        options.trials,
        search=search,
        epochs=options.epochs,
        max_concurrent=2,
        data_dir=options.data_dir,
        settings=GRID if search == "grid" else (),
    )


def _kill(sweep: Sweep, moment: float, *, is_early: bool, spares_delivery: bool) -> bool:
    """Kills the sweep so many seconds after its start or, unless early, its first trial's; whether it still ran."""
    began = time.time()
    process = sweep.start()
    while not is_early and process.poll() is None and not _trains_since(sweep, began):
        time.sleep(0.2)
    try:
        process.wait(timeout=moment)
    except subprocess.TimeoutExpired:
        n_killed = kill_family(process, spare=_delivers if spares_delivery else lambda _: False)
        say(f"{n_killed} processes killed after {time.time() - began:.1f} s; {sweep.n_finished()} trials were finished")
        return True
    if process.returncode != 0:
        raise SystemExit(f"exit code {process.returncode} of a sweep that nobody disturbed; see {sweep.log}")
    say("the sweep ended before its kill")
    return False


def _trains_since(sweep: Sweep, moment: float) -> bool:
    return any((trial.started or 0.0) > moment for trial in sweep.trials_so_far())


def _delivers(process: psutil.Process) -> bool:
    try:
        return "--follow" in process.cmdline()
    except psutil.Error:
        return False


if __name__ == "__main__":
    main()
