"""The audit at the end of each fault: has the study exactly the trials, MLflow the runs and the leaderboard the rows of
an undisturbed run, each once, with the same scores?

An undisturbed run of a task of `sweeping.own_task` needs no Ray: its trials are run here, one after another. Whoever
has another kind of task takes `Seen.of` of a home in which nothing was disturbed.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tests.support.sweeping import Logged, Own, finished_study, logged
from tune_jobs import exports
from tune_jobs.leaderboard import ranking
from tune_jobs.records.studies import Search, StudyRecord
from tune_jobs.records.trials import TrialRecord
from tune_jobs.search import samplers, warm_starts
from tune_jobs.search.candidates import Candidate
from tune_jobs.settings import Settings
from tune_jobs.study.study import Study
from tune_jobs.tracking import delivery

_CLOCK = ("train_seconds",)  # metrics of which no two runs have the same
_FILES = ("leaderboard.json", "leaderboard.csv", "best.yaml")
_LONGEST_S = 3600.0  # a trial; what jumps, jumps by more


@dataclass(frozen=True)
class Seen:
    """What is to be seen of a study, without what depends on the time or on how often a trial was begun."""

    trials: tuple[Any, ...]
    runs: tuple[Any, ...]
    board: tuple[Any, ...]

    @classmethod
    def of(cls, settings: Settings, name: str = "own") -> Seen:
        """The study `name` of a home and of its MLflow, to which it is delivered."""
        record = Study.open(name, settings).record()
        return cls(_trials(record), _runs(logged(settings, record)), _board(record))


def undisturbed(
    own: Own, folder: Path, *, search: Search = "grid", trials: int | None = None, name: str = "own", seed: int = 0
) -> Seen:
    """What the search leaves when nothing disturbs it, in a home of its own in `folder`.

    The task's trials note their events beside its file, so take them before this or give another copy of the task.
    """
    home = folder / "undisturbed"
    settings = Settings(home, home / "data", None, f"sqlite:///{home / 'mlflow.db'}")
    task = own.task
    sampler = samplers.make_sampler(search, task.space, task.objective, seed, ())
    sampler = warm_starts.WarmStartSampler([Candidate(task.baseline, seed)], sampler, ())
    found: list[Candidate] = []
    while (trials is None or len(found) < trials) and (candidate := sampler.ask()) is not None:
        found.append(candidate)
    finished_study(own, settings, name, search=search, trials=trials, candidates=found)
    delivery.deliver_once(name, settings)
    return Seen.of(settings, name)


def audit(settings: Settings, expected: Seen, name: str = "own", *, own: Own | None = None) -> None:
    """Asserts that nothing is lost, run twice, counted twice or other than `expected`; with the task of
    `sweeping.own_task` also that no trial was begun again after it had ended."""
    found = differences(settings, expected, name, own=own)
    assert not found, "\n".join(found)


def differences(settings: Settings, expected: Seen, name: str = "own", *, own: Own | None = None) -> list[str]:
    """What an audit finds, a line each."""
    record = Study.open(name, settings).record()
    mlflow = logged(settings, record)
    found = [
        *_between("the study", expected.trials, _trials(record)),
        *_between("MLflow", expected.runs, _runs(mlflow)),
        *_between("the leaderboard", expected.board, _board(record)),
        *_of_times(record, mlflow),
        *_of_files(settings, record, mlflow),
    ]
    if [run.info.status for run in mlflow.parents] != ["FINISHED"]:
        found.append(f"MLflow has parents {[run.info.status for run in mlflow.parents]}, and one that ended was needed")
    return found + ([] if own is None else _begun_again(own, record))


def _trials(record: StudyRecord) -> tuple[Any, ...]:
    return tuple(
        (
            trial.number,
            dict(trial.params),
            trial.seed,
            trial.state,
            trial.score,
            trial.best_epoch,
            _steady(trial.metrics),
            [_steady(metrics) for metrics in trial.history],
            (trial.reason, trial.message),
        )
        for trial in record.trials
    )


def _runs(mlflow: Logged) -> tuple[Any, ...]:
    runs = sorted(mlflow.trials, key=lambda run: str(run.info.run_name))
    return tuple(
        (
            run.info.run_name,
            run.info.status,
            run.data.params,
            {name: run.data.tags.get(name) for name in ("state", "seed", "reason")},
            _steady(mlflow.points[run.info.run_id]),
            [found.dataset.digest for found in run.inputs.dataset_inputs],
        )
        for run in runs
    )


def _board(record: StudyRecord) -> tuple[Any, ...]:
    objective = record.terms.objective
    rows = ranking.with_uncertainty(ranking.rank(record.trials, objective), record.trials, objective)
    return tuple(replace(row, train_seconds=None) for row in rows)


def _steady(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if name not in _CLOCK}


def _between(where: str, expected: Sequence[Any], found: Sequence[Any]) -> list[str]:
    """What one side has and the other has not, and what is there more than once."""
    before, after = Counter(map(repr, expected)), Counter(map(repr, found))
    lines = [f"{where} lacks {one}" for one in (before - after).elements()]
    lines += [f"{where} has beyond that {one}" for one in (after - before).elements()]
    return lines or ([] if list(map(repr, expected)) == list(map(repr, found)) else [f"{where} has another order"])


def _of_times(record: StudyRecord, mlflow: Logged) -> list[str]:
    """No trial may last less than nothing or longer than any test, here and in MLflow, whatever the clock did; nor less
    than its epochs, unless it went on from a checkpoint: its start is then that of its last attempt."""
    wrong = [
        f"trial {trial.number} lasted {trial.seconds} s, {trial.train_seconds} s of it inside epochs"
        for trial in record.trials
        if trial.is_finished and not 0 <= _inside(trial) <= (trial.seconds or 0) + 1 < _LONGEST_S
    ]
    wrong += [
        f"MLflow says that {run.info.run_name} ran from {run.info.start_time} to {run.info.end_time}"
        for run in mlflow.trials
        if run.info.end_time is not None and not 0 <= run.info.end_time - run.info.start_time < _LONGEST_S * 1000
    ]
    return wrong


def _inside(trial: TrialRecord) -> float:
    return (trial.train_seconds or 0.0) if trial.attempts == 1 else 0.0


def _of_files(settings: Settings, record: StudyRecord, mlflow: Logged) -> list[str]:
    """The files of the leaderboard, in the home and in MLflow, must be those of the study as it is."""
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=settings.tracking_uri)
    with tempfile.TemporaryDirectory() as folder:
        exports.write_all(record, Path(folder))
        texts = {name: (Path(folder) / name).read_bytes() for name in _FILES if (Path(folder) / name).exists()}
        places = {"the home": settings.exports_dir(record.name)}
        for run in mlflow.parents:
            target = Path(folder) / run.info.run_id
            target.mkdir()
            places["MLflow"] = Path(client.download_artifacts(run.info.run_id, "leaderboard", str(target)))
        return [
            f"{where} has another {name} than the study"
            for where, place in places.items()
            for name, text in texts.items()
            if not (place / name).exists() or (place / name).read_bytes() != text
        ]


_OF_NO_PARAM = ("what", "at", "pid", "cwd", "has_tune", "seed")


def _begun_again(own: Own, record: StudyRecord) -> list[str]:
    ended = {repr((dict(trial.params), trial.seed)): trial.finished or 0.0 for trial in record.trials}
    wrong = []
    for event in own.events:
        params = {name: value for name, value in event.items() if name not in _OF_NO_PARAM}
        key = repr((params, event.get("seed")))
        if event["what"] == "begin" and event["at"] > ended.get(key, float("inf")):
            wrong.append(f"{key} was begun again after it had ended")
    return wrong
