"""The processes that `storage.py` measures: they write trials to a study, or load one.

    python benchmarks/study_writer.py ACTION STORE HOME TRIALS

ACTION is `time` (write, then print the seconds of each trial as JSON), `write` (print each trial's number once it is
acknowledged) or `load` (print the seconds of a load). STORE is `journal` or `sqlite`.
"""

from __future__ import annotations

import json
import random
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import measuring  # noqa: F401 (it puts this checkout on the path)

from tune_jobs.records.studies import StudyTerms
from tune_jobs.records.trials import TrialResult
from tune_jobs.search.samplers import make_sampler
from tune_jobs.search_spaces import catalog
from tune_jobs.settings import Settings
from tune_jobs.study.study import Study

TASK = catalog.find("digits-mlp")
EPOCHS = 10
STORES = ("journal", "sqlite")
TERMS = StudyTerms(
    task=TASK.name,
    task_digest=TASK.digest(),
    reference=TASK.name,
    dataset="digits",
    data_digest="0" * 16,
    space=TASK.space.to_json(),
    objective=TASK.objective,
    protocol=TASK.protocol,
    seed=0,
)


def main() -> None:
    action, store, home, trials = sys.argv[1:]
    act = {"time": _time_writes, "load": _time_load, "write": _write}[action]
    act(settings_of(store, Path(home)), int(trials))


def settings_of(store: str, home: Path) -> Settings:
    url = f"sqlite:///{home / 'study.db'}" if store == "sqlite" else None
    settings = Settings(home, home, url, f"sqlite:///{home / 'mlflow.db'}")
    settings.prepare()
    return settings


def written(settings: Settings, trials: int) -> Iterator[tuple[int, float]]:
    """Write so many trials, and yield after each its number and the seconds that it took."""
    sampler = make_sampler("random", TASK.space, TASK.objective, 0, ())
    with Study.hold("study", settings) as study:
        study.begin(TERMS)
        for _ in range(trials):
            candidate = sampler.ask()
            assert candidate is not None
            started = time.perf_counter()
            trial = study.start(study.add(TASK.space, candidate.params, 0))
            for epoch in range(1, EPOCHS):
                study.note_epoch(trial.number, epoch, result_of(trial.number).history[epoch - 1]["val_accuracy"])
            study.finish(trial, result_of(trial.number), 1.0)
            yield trial.number, time.perf_counter() - started


def result_of(number: int) -> TrialResult:
    """Return a plausible result that depends on the number alone, so that a reader can check it."""
    numbers = random.Random(number)
    names = ("loss", "accuracy", "val_loss", "val_accuracy")
    history = tuple({name: numbers.random() for name in names} for _ in range(EPOCHS))
    best = max(range(EPOCHS), key=lambda epoch: history[epoch]["val_accuracy"])
    return TrialResult("complete", history[best]["val_accuracy"], best + 1, history[best], history, 1.0, 100)


def _time_writes(settings: Settings, trials: int) -> None:
    print(json.dumps([seconds for _, seconds in written(settings, trials)]))


def _write(settings: Settings, trials: int) -> None:
    """Print each trial's number once the study has acknowledged it."""
    for number, _ in written(settings, trials):
        print(number, flush=True)


def _time_load(settings: Settings, trials: int) -> None:
    started = time.perf_counter()
    record = Study.open("study", settings).record()
    seconds = time.perf_counter() - started
    if len(record.trials) != trials or len(record.trials[-1].history) != EPOCHS:
        raise SystemExit(f"{trials} trials were written, and {len(record.trials)} read")
    print(json.dumps(seconds))


if __name__ == "__main__":
    main()
