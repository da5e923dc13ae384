"""Whether a sweep that was disturbed has the trials of an undisturbed one, in the study and in MLflow."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from measuring import print_table
from mlflow_runs import Run, trial_runs
from sweeps import Sweep

from tune_jobs.records.studies import StudyRecord

Facts = Mapping[Hashable, Sequence[object]]  # what is known under each params and seed: one thing, if all is well
_TIMES = ("train_seconds",)  # metrics that no two sweeps have in common


@dataclass(frozen=True)
class Differences:
    """How many of the trials expected are not there, are there more than once, were not expected, or are other ones."""

    expected: int
    lost: int
    twice: int
    surplus: int
    different: int

    @classmethod
    def between(cls, expected: Facts, found: Facts) -> Differences:
        common = expected.keys() & found.keys()
        return cls(
            expected=len(expected),
            lost=len(expected.keys() - found.keys()),
            twice=sum(len(things) > 1 for things in found.values()),
            surplus=len(found.keys() - expected.keys()),
            different=sum(expected[key][0] != found[key][0] for key in common),
        )

    @property
    def is_none(self) -> bool:
        return not any(self.cells[1:])

    @property
    def cells(self) -> tuple[int, ...]:
        return (self.expected, self.lost, self.twice, self.surplus, self.different)


_COLUMNS = ("expected", "lost", "twice", "surplus", "different")


def print_audit(alone: Sweep, disturbed: Sweep) -> bool:
    """A table with the two sweeps' differences; whether there are none."""
    expected, found = alone.record(), disturbed.record()
    logged = _logged(disturbed, found)
    rows = {
        "study, against the undisturbed one": Differences.between(_study_facts(expected), _study_facts(found)),
        "MLflow, against the undisturbed one": Differences.between(
            _run_facts(_logged(alone, expected)), _run_facts(logged)
        ),
        "MLflow, against its own study": Differences.between(_study_curves(found), _run_curves(logged, found)),
    }
    print_table(["trials", *_COLUMNS], [[what, *differences.cells] for what, differences in rows.items()])
    return all(differences.is_none for differences in rows.values())


def _study_facts(study: StudyRecord) -> Facts:
    """How each trial ended, to the last digit of every epoch; of time only what does not depend on the clock."""
    return _grouped(
        ((trial.params_id, trial.seed), (trial.number, trial.state, trial.score, trial.best_epoch, trial.history))
        for trial in study.trials
    )


def _logged(sweep: Sweep, study: StudyRecord) -> list[Run]:
    """MLflow's runs of the study's trials."""
    uri = sweep.tracking_uri or f"sqlite:///{sweep.home}/mlflow.db"
    return trial_runs(uri, study.terms.task, study=study.identity, curves=True)


def _run_facts(runs: Sequence[Run]) -> Facts:
    """What MLflow says of each trial: its name, how it ended, and all points of its curves."""
    return _grouped(
        (
            (tuple(sorted(run.params.items())), run.tags["seed"]),
            (run.name, run.status, run.tags["state"], {n: c for n, c in run.curves.items() if n not in _TIMES}),
        )
        for run in runs
    )


def _study_curves(study: StudyRecord) -> Facts:
    """The curves that MLflow should have of each trial, by its number, from the study."""
    return _grouped((trial.number, _columns(trial.history)) for trial in study.trials)


def _run_curves(runs: Sequence[Run], study: StudyRecord) -> Facts:
    """The curves that MLflow has of each trial, by the number in its name; those of the study's metrics."""
    names = {name for trial in study.trials for metrics in trial.history for name in metrics}
    return _grouped(
        (int(run.name.rsplit("-", 1)[1]), {name: points for name, points in run.curves.items() if name in names})
        for run in runs
    )


def _columns(history: Sequence[Mapping[str, float]]) -> dict[str, tuple[tuple[int, float], ...]]:
    names = {name for metrics in history for name in metrics}
    return {name: tuple((epoch, metrics[name]) for epoch, metrics in enumerate(history, start=1)) for name in names}


def _grouped(pairs: Iterable[tuple[Hashable, object]]) -> Facts:
    groups: dict[Hashable, list[object]] = {}
    for key, fact in pairs:
        groups.setdefault(key, []).append(fact)
    return groups
