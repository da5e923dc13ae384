"""The sweeps that `faults.py` disturbs, and how they are killed or disturbed while they run."""

from __future__ import annotations

import argparse
import random
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
from measuring import say
from sweeps import Sweep, kill_tree

from tune_jobs.settings import Settings

if TYPE_CHECKING:
    from tests.support.sweeping import Own

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


@dataclass(frozen=True)
class Result:
    """A row of the table: the fault, how often it happened, and whether the trials equal the undisturbed ones."""

    fault: str
    count: str
    is_same: bool


def settings_of(home: Path) -> Settings:
    """Return the settings of a home that shares nothing with another."""
    return Settings(home, home / "data", None, f"sqlite:///{home / 'mlflow.db'}")


def digits_sweep(search: str, home: Path, options: argparse.Namespace, tracking_uri: str | None = None) -> Sweep:
    """Return a sweep of real trainings, on the task digits-mlp."""
    return Sweep(
        home,
        "digits-mlp",
        options.trials,
        search=search,
        epochs=options.epochs,
        max_concurrent=2,
        data_dir=options.data_dir,
        settings=GRID if search == "grid" else (),
        tracking_uri=tracking_uri,
    )


def kill_sweep(sweep: Sweep, after_s: float, *, is_early: bool, spares_delivery: bool) -> bool:
    """Start a sweep, and kill it some seconds after its first trial began or, if `is_early`, after its own start.

    Return False if it ended before.
    """
    started = time.time()
    process = sweep.start()
    while not is_early and process.poll() is None and not _has_trial_since(sweep, started):
        time.sleep(0.2)
    try:
        process.wait(timeout=after_s)
    except subprocess.TimeoutExpired:
        n_killed = kill_tree(process, spare=_delivers if spares_delivery else lambda _: False)
        seconds = time.time() - started
        say(f"{n_killed} processes killed after {seconds:.1f} s; {sweep.n_finished()} trials were finished")
        return True
    if process.returncode != 0:
        raise SystemExit(f"exit code {process.returncode} of a sweep that nobody disturbed; see {sweep.log}")
    say("the sweep ended before its kill")
    return False


def _has_trial_since(sweep: Sweep, moment: float) -> bool:
    return any((trial.started or 0.0) > moment for trial in sweep.current_trials())


def _delivers(process: psutil.Process) -> bool:
    """Return True for the process that delivers a study to MLflow."""
    try:
        return "--follow" in process.cmdline()
    except psutil.Error:
        return False


def disturb_training(sweep: Sweep, begin: Callable[[], None], end: Callable[[], None]) -> None:
    """Run a sweep that is disturbed from its first trial to its last, and is left alone while it delivers."""
    process = sweep.start()
    while process.poll() is None and not sweep.current_trials():
        time.sleep(0.1)
    begin()
    while process.poll() is None and sweep.n_finished() < sweep.trials:
        time.sleep(0.5)
    end()
    if process.wait() != 0:
        raise SystemExit(f"exit code {process.returncode} of a sweep; see {sweep.log}")


@dataclass
class IdleSweep:
    """A sweep of trials that do nothing, which is disturbed so many `times`; a few trials end in between.

    `script` is Python that each process of the sweep runs first. A command that refuses to run is given again.
    """

    fault: str
    folder: Path
    settings: Settings
    times: int
    seed: int
    script: str = ""
    n_disturbed: int = 0
    n_refused: int = 0

    def run(self, disturb: Callable[[random.Random], None]) -> Result:
        """Run the sweep to its end, compare it with an undisturbed one, and return the row of the table."""
        from tests.support.auditing import differences, undisturbed
        from tests.support.sweeping import command_line, ended, own_task

        n_trials = 4 * self.times
        width = f"Choice(*range(1, {n_trials + 1}))"
        task, alone = (own_task(self.folder / name, width=width) for name in ("task", "alone"))
        self._disturb_until_done(task, disturb)
        ended(command_line(self.settings, "sync", "own"))
        own = None if self.script else task
        lines = differences(self.settings, undisturbed(alone, self.folder), own=own)
        print("\n".join(lines))
        count = f"{self.n_disturbed} times in {n_trials} trials; the command was given {self.n_refused} times more"
        return Result(self.fault, count, not lines)

    def _disturb_until_done(self, task: Own, disturb: Callable[[random.Random], None]) -> None:
        from tests.support.sweeping import command_line, ended

        moments = random.Random(f"{self.seed} {self.fault}")
        room = 3  # trials that may end before the next disturbance
        task.make_room(room)
        while True:
            process = command_line(self.settings, "launch", task.reference, "--search", "grid", before=self.script)
            while process.poll() is None:
                n_ended = len(task.noted("end"))
                if n_ended >= room and len(task.noted("begin")) > n_ended:
                    room = n_ended + 3
                    task.make_room(room if self.n_disturbed < self.times - 1 else None)
                    if self.n_disturbed < self.times:
                        disturb(moments)
                        self.n_disturbed += 1
                        say(f"{self.fault}: {self.n_disturbed} times, {n_ended} trials ended")
                time.sleep(moments.uniform(0.1, 0.5))
            code, stdout, stderr = ended(process)
            if code == 0:
                return
            if code != 2:
                raise SystemExit(f"exit code {code} of a sweep: {stdout}{stderr}")
            self.n_refused += 1
