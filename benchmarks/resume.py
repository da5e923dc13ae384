"""Measure how long a study of many trials takes to continue: from the command until its first new trial could start.

    python benchmarks/resume.py --trials 5000

It makes a study of finished trials with histories of 20 epochs. Each search then continues it in a fresh process,
through all that a launch does except Ray and the delivery to MLflow: it loads the study, tells the search what was
tried, and makes the first new trial durable. Then it asks for a few more trials, and writes the exports of a launch's
end. The table has the seconds of the wall clock, and in brackets those of the processor: where they differ, the machine
was busy.
"""

from __future__ import annotations

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
FURTHER = 5  # new trials after the first


def main() -> None:
    if sys.argv[1:2] == ["--continue"]:
        _continue(Path(sys.argv[2]), sys.argv[3], int(sys.argv[4]), float(sys.argv[5]))
        return
    parser = measuring.make_parser(__doc__)
    parser.add_argument("--trials", type=int, default=5000, help="of the study (default: 5000)")
    parser.add_argument("--keep", type=Path, help="a new folder for the studies (default: removed at the end)")
    options = parser.parse_args()
    with measuring.work_folder(options.keep) as folder:
        settings = _settings(folder)
        settings.prepare()
        for search in SEARCHES:
            _make_study(settings, search, options.trials)
        print(f"{options.trials} trials: seconds (of the processor)")
        print(f"{'':10}" + "".join(f"{phase:>20}" for phase in PHASES) + f"{'until the first':>20}")
        for search in SEARCHES:
            total = str(options.trials + FURTHER + 1)
            command = [sys.executable, __file__, "--continue", str(folder), search, total, str(time.time())]
            process = subprocess.run(command, capture_output=True, text=True, check=True)
            seconds = json.loads(process.stdout.splitlines()[-1])  # of the wall and of the processor, for each phase
            seconds["until the first"] = [sum(seconds[phase][clock] for phase in PHASES[:4]) for clock in (0, 1)]
            cells = "".join(f"{f'{wall:.2f} ({processor:.2f})':>20}" for wall, processor in seconds.values())
            print(f"{search:10}{cells}", flush=True)


def _settings(folder: Path) -> Settings:
    return Settings(folder, folder, None, f"sqlite:///{folder / 'mlflow.db'}")


def _make_study(settings: Settings, search: Search, n: int) -> None:
    """Make a study of `n` finished trials.

    TPE and the Gaussian process get trials that were drawn at random: they take as long to learn from, and seconds to
    make.
    """
    task = catalog.find(TASK)
    inputs = launch.resolve(task, launch.LaunchRequest(TASK), None, settings)
    drawn_by: Search = search if search in ("qmc", "cmaes") else "random"
    sampler = samplers.make_sampler(drawn_by, inputs.space, task.objective, 0, ())
    notes = {
        "created": 0.0,
        "identity": hashlib.sha256(search.encode()).hexdigest()[:32],
        "terms": plain(inputs.terms),
        "launch": plain(provenance.note(search, n)),
    }
    trials: list[TrialContent] = []
    while len(trials) < n:
        candidate = sampler.ask()
        assert candidate is not None
        trial = _trial(len(trials), candidate.params)
        trials.append(trial)
        sampler.tell(StudyContent("", notes, (trial,)).record.trials[0])
    with Study.hold(search, settings) as study:
        study.import_content(StudyContent(search, notes, tuple(trials)))


def _trial(number: int, params: Params) -> TrialContent:
    """Return a plausible trial, with rising curves of four metrics."""
    noise = random.Random(number)
    rate = params["learning_rate"]
    assert isinstance(rate, float)
    final = 0.9 - 0.02 * math.log10(rate / 1e-3) ** 2 + noise.gauss(0, 0.003)
    history = []
    for epoch in range(1, EPOCHS + 1):
        accuracy = final * (1 - math.exp(-epoch / 3)) + noise.gauss(0, 0.002)
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
    """Laps in seconds of the wall and of the processor; the first one begins with the command."""

    def __init__(self, started: float) -> None:
        self._last = started, 0.0

    def lap(self) -> tuple[float, float]:
        now = time.time(), time.process_time()
        lap = now[0] - self._last[0], now[1] - self._last[1]
        self._last = now
        return lap


def _continue(folder: Path, search: str, trials: int, started: float) -> None:
    """Launch the study again up to the start of Ray, continue as a driver does, and print the laps as JSON."""
    clock, laps = _Clock(started), {}
    settings = _settings(folder)
    resolve = launch.resolve

    def timed_resolve(*arguments: Any) -> StudyInputs:
        laps["load"] = clock.lap()
        return resolve(*arguments)

    def run(held: session.Session, inputs: StudyInputs, plan: Plan, resources: Resources) -> None:
        study = held.study
        study.unfinished()
        searching._progress(StudyRun(study, inputs, resources, settings, Interruption(), held.say), plan)
        laps["plan"] = clock.lap()
        for index in range(FURTHER + 1):
            candidate = plan.sampler.ask()
            if candidate is None:  # CMA-ES waits for its generation
                break
            study.start(study.add(inputs.space, candidate.params, candidate.seed))
            if index == 0:
                laps["first trial"] = clock.lap()
        wall, processor = clock.lap()
        laps["each further"] = wall / FURTHER, processor / FURTHER
        if search == SEARCHES[0]:  # the same for all
            exports.write_all(study.record(), settings.exports_dir(search))
            laps["exports"] = clock.lap()

    tracking.check(settings)
    laps["import"] = clock.lap()
    launch.resolve, session.Session.run = timed_resolve, run  # type: ignore[assignment,method-assign]
    launch.launch(launch.LaunchRequest(TASK, study=search, trials=trials), settings, lambda message: None)
    print(json.dumps(laps))


if __name__ == "__main__":
    main()
