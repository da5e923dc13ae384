"""Compare the trials of a disturbed sweep with those of an undisturbed one, in the study and in MLflow."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from measuring import print_table
from mlflow_runs import Run, trial_runs
from sweeps import Sweep

from tune_jobs.records.studies import StudyRecord

Facts = Mapping[Hashable, Sequence[object]]  # everything known of each trial, by its key: one fact, if all is well
_TIMES = ("train_seconds",)  # metrics that differ between any two sweeps


@dataclass(frozen=True)
class Differences:
    """How many trials were expected, and how many are missing, duplicated, unexpected, or have other content."""

    expected: int
    lost: int
    twice: int
    surplus: int
    different: int

    @classmethod
    def between(cls, expected: Facts, actual: Facts) -> Differences:
        """Compare two sets of facts, key by key."""
        common = expected.keys() & actual.keys()
        return cls(
            expected=len(expected),
            lost=len(expected.keys() - actual.keys()),
            twice=sum(len(facts) > 1 for facts in actual.values()),
            surplus=len(actual.keys() - expected.keys()),
            different=sum(expected[key][0] != actual[key][0] for key in common),
        )

    @property
    def is_none(self) -> bool:
        return not any(self.cells[1:])

    @property
    def cells(self) -> tuple[int, ...]:
        return (self.expected, self.lost, self.twice, self.surplus, self.different)


_COLUMNS = ("expected", "lost", "twice", "surplus", "different")


def print_audit(alone: Sweep, disturbed: Sweep) -> bool:
    """Print a table of the differences between two sweeps, and return True if there are none."""
    expected, actual = alone.record(), disturbed.record()
    runs = _trial_runs(disturbed, actual)
    rows = {
        "study, against the undisturbed one": Differences.between(_study_facts(expected), _study_facts(actual)),
        "MLflow, against the undisturbed one": Differences.between(
            _run_facts(_trial_runs(alone, expected)), _run_facts(runs)
        ),
        "MLflow, against its own study": Differences.between(_study_curves(actual), _run_curves(runs, actual)),
    }
    print_table(["trials", *_COLUMNS], [[name, *differences.cells] for name, differences in rows.items()])
    return all(differences.is_none for differences in rows.values())


def _study_facts(study: StudyRecord) -> Facts:
    """Return how each trial ended, to the last digit of every epoch, without what depends on the clock."""
    return _grouped(
        ((trial.params_id, trial.seed), (trial.number, trial.state, trial.score, trial.best_epoch, trial.history))
        for trial in study.trials
    )


def _trial_runs(sweep: Sweep, study: StudyRecord) -> list[Run]:
    """Return MLflow's runs of the study's trials."""
    uri = sweep.tracking_uri or f"sqlite:///{sweep.home}/mlflow.db"
    return trial_runs(uri, study.terms.task, study=study.identity, curves=True)


def _run_facts(runs: Sequence[Run]) -> Facts:
    """Return what MLflow has of each trial: its name, how it ended, and all points of its curves."""
    return _grouped(
        (
            (tuple(sorted(run.params.items())), run.tags["seed"]),
            (
                run.name,
                run.status,
                run.tags["state"],
                {name: curve for name, curve in run.curves.items() if name not in _TIMES},
            ),
        )
        for run in runs
    )


def _study_curves(study: StudyRecord) -> Facts:
    """Return the curves that MLflow should have of each trial, by its number, from the study."""
    return _grouped((trial.number, _curves(trial.history)) for trial in study.trials)


def _run_curves(runs: Sequence[Run], study: StudyRecord) -> Facts:
    """Return the curves that MLflow has of each trial, by the number in its name; those of the study's metrics only."""
    names = {name for trial in study.trials for metrics in trial.history for name in metrics}
    return _grouped(
        (int(run.name.rsplit("-", 1)[1]), {name: points for name, points in run.curves.items() if name in names})
        for run in runs
    )


def _curves(history: Sequence[Mapping[str, float]]) -> dict[str, tuple[tuple[int, float], ...]]:
    names = {name for metrics in history for name in metrics}
    return {name: tuple((epoch, metrics[name]) for epoch, metrics in enumerate(history, start=1)) for name in names}


def _grouped(pairs: Iterable[tuple[Hashable, object]]) -> Facts:
    groups: dict[Hashable, list[object]] = {}
    for key, fact in pairs:
        groups.setdefault(key, []).append(fact)
    return groups
