"""How long a study of many trials takes to go on: from the command until its first new trial could start.

    python benchmarks/resume.py --trials 5000

A study of finished trials with histories of 20 epochs is made; then each search continues it in a fresh process,
through everything that a launch does but Ray and the delivery to MLflow: the study is loaded, the search is told what
was tried, and the first new trial is made durable. Then a few more are asked for, and what a launch writes at its end
is written. Seconds of the wall clock, and of the processor beside them: where they differ, the machine was busy.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import measuring

from tune_jobs import exports, tracking
from tune_jobs.actions import launch, session
from tune_jobs.execution import searching
from tune_jobs.execution.plan import Plan, Resources, StudyInputs, StudyRun
from tune_jobs.live.signals import Interruption
from tune_jobs.records.studies import Search
from tune_jobs.search import samplers
from tune_jobs.search_spaces import Params, catalog
from tune_jobs.settings import Settings
from tune_jobs.study import provenance
from tune_jobs.study.contents import StudyContent, TrialContent, plain
from tune_jobs.study.study import Study

SEARCHES: tuple[Search, ...] = ("random", "qmc", "tpe", "cmaes", "gp")
TASK = f"{measuring.HERE / 'resume_task.py'}:NOTHING"
PHASES = ("import", "load", "plan", "first trial", "each further", "exports")
EPOCHS = 20
FURTHER = 5  # trials after the first


def main() -> None:
    if sys.argv[1:2] == ["--continue"]:
        _continue(Path(sys.argv[2]), sys.argv[3], int(sys.argv[4]), float(sys.argv[5]))
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=5000)
    parser.add_argument("--keep", type=Path, help="a new folder for the study (default: removed at the end)")
    options = parser.parse_args()
    with measuring.workplace(options.keep) as folder:
        settings = _settings(folder)
        settings.prepare()
        for search in SEARCHES:
            _make(settings, search, options.trials)
        print(f"{options.trials} trials: seconds (of the processor)")
        print(f"{'':10}" + "".join(f"{phase:>20}" for phase in PHASES) + f"{'until the first':>20}")
        for search in SEARCHES:
            asked_for = str(options.trials + FURTHER + 1)
            command = [sys.executable, __file__, "--continue", str(folder), search, asked_for, str(time.time())]
            answer = subprocess.run(command, capture_output=True, text=True, check=True)
            took = json.loads(answer.stdout.splitlines()[-1])
            took["until the first"] = [sum(took[phase][at] for phase in PHASES[:4]) for at in (0, 1)]
            print(
                f"{search:10}" + "".join(f"{f'{wall:.2f} ({cpu:.2f})':>20}" for wall, cpu in took.values()), flush=True
            )


def _settings(folder: Path) -> Settings:
    return Settings(folder, folder, None, f"sqlite:///{folder / 'mlflow.db'}")


def _make(settings: Settings, search: Search, n: int) -> None:
    """A study of `n` finished trials. What TPE and the Gaussian process are to learn from was drawn at random: it takes
    them as long to learn, and the making is a matter of seconds."""
    task = catalog.find(TASK)
    work = launch.resolve(task, launch.LaunchRequest(TASK), None, settings)
    made_by: Search = search if search in ("qmc", "cmaes") else "random"
    sampler = samplers.make_sampler(made_by, work.space, task.objective, 0, ())
    notes = {
        "created": 0.0,
        "identity": hashlib.sha256(search.encode()).hexdigest()[:32],
        "terms": plain(work.terms),
        "launch": plain(provenance.note(search, n)),
    }
    trials = []
    while len(trials) < n:
        candidate = sampler.ask()
        assert candidate is not None
        trial = _trial(len(trials), candidate.params)
        trials.append(trial)
        record = StudyContent("", notes, (trial,)).record.trials[0]
        sampler.tell(record)
    with Study.hold(search, settings) as study:
        study.import_content(StudyContent(search, notes, tuple(trials)))


def _trial(number: int, params: Params) -> TrialContent:
    """As a training may have left it: a curve that rises, of four metrics."""
    numbers = random.Random(number)
    rate = params["learning_rate"]
    assert isinstance(rate, float)
    reached = 0.9 - 0.02 * math.log10(rate / 1e-3) ** 2 + numbers.gauss(0, 0.003)
    history = []
    for epoch in range(1, EPOCHS + 1):
        accuracy = reached * (1 - math.exp(-epoch / 3)) + numbers.gauss(0, 0.002)
        loss = 1 - accuracy
        history.append({"loss": loss, "accuracy": accuracy + 0.01, "val_loss": loss + 0.05, "val_accuracy": accuracy})
    best = max(range(EPOCHS), key=lambda epoch: history[epoch]["val_accuracy"])
    result = {
        "state": "complete",
        "score": history[best]["val_accuracy"],
        "best_epoch": best + 1,
        "metrics": history[best],
        "history": history,
        "train_seconds": 10.0,
        "weights": 100_000,
        "finished": 10.0 * number + 10,
        "cpus": 1.0,
    }
    curve = {epoch: metrics["val_accuracy"] for epoch, metrics in enumerate(history[:-1], start=1)}
    return TrialContent("complete", params, 0, {"number": 1, "started": 10.0 * number}, result, curve)


class _Clock:
    """Seconds of the wall and of the processor since the last look."""

    def __init__(self, begun: float) -> None:
        self._last = begun, 0.0

    def look(self) -> tuple[float, float]:
        now = time.time(), time.process_time()
        took = now[0] - self._last[0], now[1] - self._last[1]
        self._last = now
        return took


def _continue(folder: Path, search: str, trials: int, begun: float) -> None:
    """Launches the study again, up to where Ray would start, and goes on as the driver does."""
    clock, took = _Clock(begun), {}
    settings = _settings(folder)
    resolve = launch.resolve

    def loaded(*given: Any) -> StudyInputs:
        took["load"] = clock.look()
        return resolve(*given)

    def run(held: session.Session, inputs: StudyInputs, plan: Plan, resources: Resources) -> None:
        study = held.study
        study.unfinished()
        searching._progress(StudyRun(study, inputs, resources, settings, Interruption(), held.say), plan)
        took["plan"] = clock.look()
        for each in range(FURTHER + 1):
            candidate = plan.sampler.ask()
            if candidate is None:  # CMA-ES waits for its generation
                break
            study.start(study.add(inputs.space, candidate.params, candidate.seed))
            if each == 0:
                took["first trial"] = clock.look()
        took["each further"] = tuple(seconds / FURTHER for seconds in clock.look())
        if search == SEARCHES[0]:  # the same for all
            exports.write_all(study.record(), settings.exports_dir(search))
            took["exports"] = clock.look()

    tracking.check(settings)
    took["import"] = clock.look()
    launch.resolve, session.Session.run = loaded, run  # type: ignore[assignment,method-assign]
    launch.launch(launch.LaunchRequest(TASK, study=search, trials=trials), settings, lambda message: None)
    print(json.dumps(took))


if __name__ == "__main__":
    main()
